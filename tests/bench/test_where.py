"""bench/where.py: targets and files that cannot be measured are refused before anything runs."""

from pathlib import Path

import pytest

from edgekd.bench import bench, resolve
from edgekd.errors import MissingError, UsageError
from tests.device.nets import artifact, classifier


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        ({"cpu": "user @orin"}, UsageError, "a host is 'local' or what `ssh` takes, as user@orin or a name in ~/.ssh/config; got 'user @orin'"),
        ({"cpuu": ""}, MissingError, "no target is called 'cpuu'"),
    ],
)
def test_targets_that_cannot_be(targets: dict[str, str], error: type[Exception], message: str) -> None:
    """They are refused before anything runs."""
    with pytest.raises(error, match=message):
        resolve(targets)


def test_files_that_cannot_be(tmp_path: Path) -> None:
    """One that is not there, two of one name, a pair of a file that is not measured."""
    here = artifact(classifier(tmp_path / "a.onnx"))
    with pytest.raises(MissingError, match=r"file/b/as-is must be a file, there is none at .*b\.onnx"):
        bench([here, artifact(tmp_path / "b.onnx")], {"cpu": "local"})
    with pytest.raises(UsageError, match=r"two files are called file/a/as-is, .* Rename one"):
        bench([here, here], {"cpu": "local"})
    with pytest.raises(UsageError, match="a ratio needs two files that are measured, 'teacher' is none of: file/a/as-is"):
        bench([here], {"cpu": "local"}, pairs=[("file/a/as-is", "teacher")])

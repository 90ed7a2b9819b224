"""export/written.py: a step becomes a file or is kept aside; what files say and how they answer is test_files'."""

from pathlib import Path

import onnx
import pytest

from edgekd.errors import EdgekdError
from edgekd.events import Event, Wrote
from edgekd.export.feed import Feed, open_session
from edgekd.export.rejected import Step
from edgekd.export.written import Writer
from edgekd.files import sha256_file
from edgekd.recipe import Export
from tests.export.nets import CLASSES, PREPARED, PREPROCESS, network


def writer(folder: Path, told: list[Event], name: str = "a net/of mine") -> Writer:
    """Of files whose network has a name that is no file's."""
    return Writer(network(), folder, "student", name, CLASSES, Export(), "abc", None, None, False, told.append)


def step(model: onnx.ModelProto, shift: float = 0.0) -> Step:
    """A model that answers as the step before, but for so much."""
    images = PREPARED[:16]
    before = Feed().answer(open_session(model.SerializeToString(), "before"), images, 16)
    return Step(model, model, Feed(), images, before + shift, "fp32")


def test_a_step_becomes_a_file(trained: onnx.ModelProto, tmp_path: Path) -> None:
    """Under a name that any file system takes, with an artifact that has the network's own name and the file's hash."""
    told: list[Event] = []
    mine = writer(tmp_path, told)
    mine.write(step(trained), trained, PREPROCESS)
    (artifact,) = mine.artifacts
    assert (artifact.name, artifact.path) == ("student/a net/of mine/fp32", "student-a-net-of-mine-fp32.onnx")
    assert artifact.sha256 == sha256_file(tmp_path / artifact.path)
    assert told == [Wrote(path=str(tmp_path / artifact.path), what=artifact.name)]


def test_a_step_that_went_wrong_is_kept_aside(trained: onnx.ModelProto, tmp_path: Path) -> None:
    """Nothing has the file's name, and there is no artifact."""
    told: list[Event] = []
    mine = writer(tmp_path, told, "net")
    with pytest.raises(EdgekdError, match=r"student-net-fp32\.onnx does not answer as the step before"):
        mine.write(step(trained, shift=5.0), trained, PREPROCESS)
    assert (mine.artifacts, told) == ([], [])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["student-net-fp32.onnx.rejected", "student-net-fp32.onnx.rejected.json"]

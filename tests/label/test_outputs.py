"""edgekd.label.outputs: an npz file that others read too, and lines of JSON."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.data.images import Images, Pixels
from edgekd.errors import RunError
from edgekd.events import silent
from edgekd.label import outputs
from edgekd.label.rules import Decision, Rejected
from tests.label.conftest import noise

NAMES = [f"a/{number}.png" for number in range(300)]
CLASSES = ["cat", "Hund, groß"]


def decision(kept: list[int]) -> Decision:
    """Every second image is a cat."""
    labels = np.arange(300) % 2
    return Decision(np.array(kept, np.int64), labels, np.ones(300), np.zeros((300, 2), np.float16), [])


def test_numpy_reads_the_file(tmp_path: Path) -> None:
    """All keys under their names, in the order of the images, more of them than are read at once; nothing in it is pickled."""
    pixels = noise(300, size=4)
    kept = [number for number in range(300) if number % 7]
    images = Images(np.full(300, -1), np.arange(300), (4, 4, 3), reader=lambda index: pixels[index])
    outputs.write_labelled(tmp_path / "l.npz", images, decision(kept), NAMES, CLASSES, silent)
    with np.load(tmp_path / "l.npz", allow_pickle=False) as found:
        assert np.array_equal(found["x_train"], pixels[kept])
        assert found["y_train"].tolist() == [number % 2 for number in kept]
        assert (found["logits_train"].dtype, found["logits_train"].shape) == (np.float16, (len(kept), 2))
        assert found["names_train"].tolist() == [NAMES[number] for number in kept]
        assert found["classes"].tolist() == CLASSES
    first = (tmp_path / "l.npz").read_bytes()
    outputs.write_labelled(tmp_path / "l.npz", images, decision(kept), NAMES, CLASSES, silent)
    assert (tmp_path / "l.npz").read_bytes() == first


def test_a_file_that_cannot_be_finished_is_none(tmp_path: Path) -> None:
    """Images that cannot be read any more, a full disk: the old file stays as it was, and no part is left."""
    (tmp_path / "l.npz").write_text("old")

    def gone(index: object) -> Pixels:
        raise OSError(28, "No space left on device")

    images = Images(np.full(300, -1), np.arange(300), (4, 4, 3), reader=gone)
    with pytest.raises(RunError, match="no room to write"):
        outputs.write_labelled(tmp_path / "l.npz", images, decision([1, 2]), NAMES, CLASSES, silent)
    assert [path.name for path in tmp_path.iterdir()] == ["l.npz"]
    assert (tmp_path / "l.npz").read_text() == "old"


@given(st.lists(st.text()))
def test_each_line_is_an_object(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    """Whatever the images are called: line breaks, quotes, nothing."""
    file = tmp_path_factory.getbasetemp() / "rejected.jsonl"
    outputs.write_rejected(file, [Rejected(image=name, reason="duplicate", like=name, bits=0) for name in names])
    lines = file.read_bytes().decode().split("\n")
    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == [{"image": name, "reason": "duplicate", "like": name, "bits": 0} for name in names]

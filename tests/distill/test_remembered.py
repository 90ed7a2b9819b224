"""edgekd.distill.remembered: a teacher is asked once per view, and everyone reads the same numbers."""

import errno
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgekd import units
from edgekd.data.batches import Batches
from edgekd.distill.leading import whole
from edgekd.distill.remembered import Remembered, memory_key
from edgekd.errors import RunError, TrainingError
from edgekd.events import Event, Note, Progress, silent
from edgekd.phases import Augment
from tests.distill import nets

FEW = torch.tensor([9, 0, 299, 40])
EVERYTHING = torch.arange(300)


@pytest.fixture(scope="module")
def data() -> Batches:
    """More images than are answered at a time."""
    return nets.data(300)


def remembered(folder: Path, data: Batches, body: nn.Module | None = None, events: list[Event] | None = None) -> Remembered:
    network = nets.network(body or nets.Toy()).eval()
    emit = silent if events is None else events.append
    return Remembered(network, data, folder, classes=nets.CLASSES, augment=nets.AUGMENT, view_seed=0, emit=emit)


def shown(data: Batches, view: int, positions: Tensor = EVERYTHING) -> Tensor:
    return data.view(positions, view, nets.AUGMENT, 0)[0]


class Fixed(nn.Module):
    """Answers the same to every image."""

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = logit

    def forward(self, images: Tensor) -> Tensor:
        return torch.full((len(images), nets.CLASSES), self.logit)


def test_each_view_is_answered_once(tmp_path: Path, data: Batches) -> None:
    """Every image of a view the first time that any is asked for, and never again, not even by a later run."""
    asked = nets.Counted(nets.Toy())
    teacher = remembered(tmp_path, data, asked)
    counts = []
    for view in (0, 0, 1, 0, 1):
        teacher.answer(shown(data, view, FEW), FEW, view)
        counts.append(asked.images)
    assert counts == [300, 300, 600, 600, 600]
    assert (whole(teacher.plain()).shape, asked.images) == ((300, nets.CLASSES), 900)
    assert torch.equal(whole(teacher.answer(data.plain(FEW)[0], FEW, None)), whole(teacher.plain())[FEW])
    later = nets.Counted(nets.Toy())
    again = remembered(tmp_path, data, later)
    again.answer(shown(data, 1, FEW), FEW, 1)
    again.plain()
    assert later.images == 0
    assert sorted(os.listdir(tmp_path)) == ["plain.npy", "view-0.npy", "view-1.npy"]


def test_a_view_is_read_from_disk_once(tmp_path: Path, data: Batches) -> None:
    """A run holds the views that it has read, whatever becomes of the files."""
    teacher = remembered(tmp_path, data)
    first = whole(teacher.answer(shown(data, 0, FEW), FEW, 0))
    (tmp_path / "view-0.npy").unlink()
    assert torch.equal(whole(teacher.answer(shown(data, 0, FEW), FEW, 0)), first)
    assert os.listdir(tmp_path) == []


def test_how_much_stands_already_is_told(tmp_path: Path, data: Batches) -> None:
    """So that a run says what it takes on the disk, and what another student's run has left it."""
    teacher, each = remembered(tmp_path, data), units.bytes_text(2 * 300 * nets.CLASSES)
    assert teacher.told(3) == f"answers are remembered on 3 views and the plain images, {each} each: 0 of 4 stand already"
    teacher.plain()
    teacher.answer(shown(data, 2, FEW), FEW, 2)
    assert remembered(tmp_path, data).told(3).endswith(": 2 of 4 stand already")


def test_answers_are_stored_in_fp16(tmp_path: Path, data: Batches) -> None:
    """The network's logits for that view of all images, in order, rounded; they are given out in float32."""
    teacher = remembered(tmp_path, data)
    answer = whole(teacher.answer(shown(data, 1, FEW), FEW, 1))
    stored = np.load(tmp_path / "view-1.npy")
    exact = teacher.network(shown(data, 1)).detach()
    assert stored.dtype == np.float16
    np.testing.assert_allclose(stored, exact.numpy(), rtol=2**-11, atol=1e-4)
    assert answer.dtype == torch.float32
    assert torch.equal(answer, torch.from_numpy(stored)[FEW].float())
    assert (exact[FEW] - teacher.network(shown(data, 0, FEW))).abs().max() > 0.01


def test_a_second_student_reads_the_same_numbers(tmp_path: Path, data: Batches) -> None:
    """What stands in the folder is what counts, whoever reads it."""
    first, second = remembered(tmp_path, data), remembered(tmp_path, data, nets.Painter())
    one, other = (whole(teacher.answer(shown(data, 0, FEW), FEW, 0)) for teacher in (first, second))
    assert torch.equal(one, other)
    assert torch.equal(whole(first.plain()), whole(second.plain()))


def test_remembering_is_told(tmp_path: Path, data: Batches) -> None:
    """How far it is, up to all images."""
    events: list[Event] = []
    remembered(tmp_path, data, events=events).plain()
    assert [(event.done, event.total) for event in events if isinstance(event, Progress)] == [(256, 300), (300, 300)]


def written(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


WHOLE = np.zeros((300, nets.CLASSES), np.float16)
BROKEN = WHOLE.copy()
BROKEN[7, 1] = np.nan


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "does not read"),
        (b"no array", "does not read"),
        (written(WHOLE)[:-1], "does not read"),
        (written(WHOLE[:64]), "holds something else"),
        (written(WHOLE.astype(np.float32)), "holds something else"),
        (written(BROKEN), "holds something else"),
    ],
    ids=["empty", "text", "truncated", "another shape", "another type", "not finite"],
)
def test_a_damaged_view_is_answered_anew(tmp_path: Path, data: Batches, content: bytes, reason: str) -> None:
    """With a warning that names it, and a whole file in its place."""
    (tmp_path / "view-0.npy").write_bytes(content)
    events: list[Event] = []
    asked = nets.Counted(nets.Toy())
    teacher = remembered(tmp_path, data, asked, events)
    answer = teacher.answer(shown(data, 0, FEW), FEW, 0)
    (warning,) = (event for event in events if isinstance(event, Note))
    assert warning.level == "warning"
    assert f"view-0.npy {reason}" in warning.text
    assert asked.images == 300
    torch.testing.assert_close(answer, teacher.network(shown(data, 0, FEW)).detach(), rtol=1e-3, atol=1e-3)
    assert np.load(tmp_path / "view-0.npy").shape == (300, nets.CLASSES)


@pytest.mark.parametrize("logit", [65_520.0, float("nan"), float("-inf")])
def test_logits_beyond_fp16_are_refused(tmp_path: Path, data: Batches, logit: float) -> None:
    """The message names the bound, the view and the way out, and no file is left."""
    with pytest.raises(TrainingError, match=r"below 65,504 to be remembered; some in view-3 are not\. .*train\.views = 0"):
        remembered(tmp_path, data, Fixed(logit)).answer(shown(data, 3, FEW), FEW, 3)
    assert os.listdir(tmp_path) == []


def test_the_largest_logits_of_fp16_are_remembered(tmp_path: Path, data: Batches) -> None:
    """65,504 is the last that fits."""
    assert whole(remembered(tmp_path, data, Fixed(65_504.0)).plain()).tolist() == [[65_504.0] * nets.CLASSES] * 300


def test_a_full_disk_is_an_error_before_anything_is_answered(tmp_path: Path, data: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    """Space is taken first; nothing half done is left."""

    def full(*given: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    asked = nets.Counted(nets.Toy())
    with pytest.raises(RunError, match=r"no room to write .*plain\.npy"):
        remembered(tmp_path, data, asked).plain()
    assert asked.images == 0
    assert os.listdir(tmp_path) == []


KEY: dict[str, Any] = {
    "weights": "w", "preprocess": {"mean": [0.5]}, "data": "d", "augment": Augment(crop=1), "view_seed": 0, "precision": "fp32"
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weights", "v"),
        ("preprocess", {"mean": [0.4]}),
        ("data", "e"),
        ("augment", Augment(crop=2)),
        ("augment", Augment(crop=1, flip=True)),
        ("view_seed", 1),
        ("precision", "bf16"),
        ("few", True),
        ("code", "c"),
    ],
)
def test_the_key_changes_with_whatever_the_answers_depend_on(name: str, value: object) -> None:
    """And with nothing else: equal parts give an equal key."""
    assert memory_key(**KEY) == memory_key(**{**KEY, "augment": Augment(crop=1)})
    assert memory_key(**{**KEY, name: value}) != memory_key(**KEY)

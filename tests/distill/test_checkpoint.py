"""edgekd.distill.checkpoint: whole or not at all, and nobody else's."""

import dataclasses
import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from edgekd.distill import checkpoint
from edgekd.distill.checkpoint import NAME, Place
from edgekd.errors import RunError
from edgekd.record import CurvePoint

POINT = CurvePoint(epoch=1.5, step=3, phase="p", loss=0.25, temperature=None, shares={"label": 1.0}, learning_rate=0.1, valid_accuracy=0.5)
PLACE = Place(
    step=7,
    phase=1,
    phase_step=3,
    first_pass=2,
    positions=torch.tensor([1, 4]),
    confidence=torch.tensor(0.5),
    learned=torch.tensor(-2.0),
    first_temperature=torch.tensor(6.0),
    seconds=1.25,
    curve=[POINT],
)


def write(folder: Path, **changes: Any) -> None:
    """A checkpoint of the job `mine`, with parts of its table exchanged."""
    checkpoint.save(folder, PLACE, {"network": {"w": torch.arange(3.0)}}, key="mine")
    table = torch.load(folder / NAME, weights_only=True)
    torch.save({**table, **changes}, folder / NAME)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """Each field of a place, each state, bit for bit."""
    checkpoint.save(tmp_path, PLACE, {"network": {"w": torch.arange(3.0)}}, key="mine")
    found = checkpoint.load(tmp_path, key="mine")
    assert found is not None
    place, states = found
    for field in dataclasses.fields(Place):
        ours, theirs = getattr(PLACE, field.name), getattr(place, field.name)
        assert torch.equal(ours, theirs) if isinstance(ours, torch.Tensor) else ours == theirs
    assert torch.equal(states["network"]["w"], torch.arange(3.0))


def test_a_place_before_the_first_phase(tmp_path: Path) -> None:
    """No positions, no temperature that moves, no curve."""
    checkpoint.save(tmp_path, Place(), {}, key="mine")
    assert checkpoint.load(tmp_path, key="mine") == (Place(), {})


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    """A run that begins finds nothing."""
    assert checkpoint.load(tmp_path, key="mine") is None


def test_the_generator_goes_on_where_it_stood(tmp_path: Path) -> None:
    """Dropout after a resume is what it would have been."""
    torch.manual_seed(4)
    torch.rand(3)
    checkpoint.save(tmp_path, PLACE, {}, key="mine")
    expected = torch.rand(3)
    torch.manual_seed(9)
    checkpoint.load(tmp_path, key="mine")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("changes", [{"key": "yours"}, {"format": 99}], ids=["another job", "another format"])
def test_another_jobs_checkpoint_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    """The message names the file and says how to begin anew; the generator stays."""
    write(tmp_path, **changes)
    before = torch.get_rng_state()
    with pytest.raises(RunError, match=r"checkpoint\.pt is the checkpoint of another job\. Remove it"):
        checkpoint.load(tmp_path, key="mine")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "changes",
    [
        {"place": 3},
        {"place": {"curve": "[]", "colour": 1}},
        {"place": {"curve": "[{}]"}},
        {"place": {}},
        {"generator": 5},
        {"generator": torch.zeros(2)},
    ],
    ids=["no table", "unknown field", "no curve point", "no curve", "no generator", "another generator"],
)
def test_a_table_of_something_else_does_not_read(tmp_path: Path, changes: dict[str, Any]) -> None:
    """The message says what is wrong and the remedy."""
    write(tmp_path, **changes)
    with pytest.raises(RunError, match=r"does not read as a checkpoint: .+\. Remove it to start this stage from its beginning"):
        checkpoint.load(tmp_path, key="mine")


@pytest.mark.parametrize(
    "value", [torch.zeros(3), [1], {"weights": torch.zeros(3)}, {"format": 1, "key": "mine"}], ids=["tensor", "list", "weights", "half"]
)
def test_another_file_of_torchs_does_not_read(tmp_path: Path, value: object) -> None:
    """Weights under a checkpoint's name are no checkpoint."""
    torch.save(value, tmp_path / NAME)
    with pytest.raises(RunError, match="does not read as a checkpoint"):
        checkpoint.load(tmp_path, key="mine")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint\n", b"\0" * 100, b"PK\x03\x04" + b"a" * 50, b"cfoo\nbar\n."])
def test_a_file_that_is_none_of_torchs_does_not_read(tmp_path: Path, content: bytes) -> None:
    """Nothing in it is run, and the message does not advise to."""
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(RunError, match="does not read as a checkpoint") as refusal:
        checkpoint.load(tmp_path, key="mine")
    assert "weights_only" not in str(refusal.value)


def test_half_a_checkpoint_does_not_read(tmp_path: Path) -> None:
    """As a disk may leave it that lost power."""
    write(tmp_path)
    os.truncate(tmp_path / NAME, (tmp_path / NAME).stat().st_size // 2)
    with pytest.raises(RunError, match="does not read as a checkpoint"):
        checkpoint.load(tmp_path, key="mine")


def test_a_full_disk_keeps_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was begun is removed, and the message says what to do."""
    write(tmp_path)
    whole = (tmp_path / NAME).read_bytes()

    def full(table: object, path: Path) -> None:
        path.write_bytes(whole[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunError, match=r"no room to write .*checkpoint\.pt"):
        checkpoint.save(tmp_path, Place(step=8), {}, key="mine")
    assert os.listdir(tmp_path) == [NAME]
    assert (tmp_path / NAME).read_bytes() == whole

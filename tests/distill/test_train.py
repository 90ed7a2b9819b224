"""edgekd.distill.train: what a run does from its first step to its last, undisturbed."""

import copy
import errno
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgekd.data import memory
from edgekd.distill import checkpoint, meter
from edgekd.distill.job import Job
from edgekd.distill.teacher import Live
from edgekd.distill.train import fit
from edgekd.errors import RunError, TrainingError
from edgekd.events import Event, Note, PhaseStarted, Trained, silent
from edgekd.phases import Subset, Temperature, Train
from edgekd.terms import Dist, Kd, Label
from tests.distill import nets

SOFT = (Kd(weight=0.9), Label(weight=0.1))


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only epochs and phases are reported, however slow the machine is."""
    monkeypatch.setattr(meter, "LOG_S", 1e9)


def notes(events: Sequence[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Note)]


def trained(events: Sequence[Event]) -> list[Trained]:
    return [event for event in events if isinstance(event, Trained)]


# How far and how fast -------------------------------------------------------------------------------------------------


def test_phases_count_in_epochs_over_all_images(tmp_path: Path) -> None:
    """An epoch on a quarter of 64 images has as many steps as one on all of them: 4."""
    events: list[Event] = []
    _, training = nets.learn(tmp_path, nets.phase("a", 2), nets.phase("b", 2, subset=Subset(fraction=0.25)), events=events)
    started = [(event.phase, event.images, event.steps) for event in events if isinstance(event, PhaseStarted)]
    assert started == [("a", 64, 8), ("b", 16, 8)]
    assert training.steps == 16
    assert [(point.epoch, point.step, point.phase) for point in training.curve] == [(1, 4, "a"), (2, 8, "a"), (3, 12, "b"), (4, 16, "b")]


@pytest.mark.parametrize(("images", "batch", "steps"), [(200, 128, 3), (16, 16, 3), (10, 16, 3), (2, 16, 3)])
def test_few_images_are_enough(tmp_path: Path, images: int, batch: int, steps: int) -> None:
    """Down to less than a batch, with a teacher and a subset; the batch shrinks where it must, and that is said."""
    events: list[Event] = []
    data = nets.data(images)
    phases = nets.phase("a", 2, terms=SOFT), nets.phase("b", 1, terms=SOFT, subset=Subset(by="confident", fraction=1))
    student, training = nets.learn(tmp_path, *phases, images=data, teacher=Live(nets.teacher().eval(), data), batch=batch, events=events)
    assert training.steps == steps
    assert all(value.isfinite().all() for value in student.state_dict().values())
    shrunk = [f"phase '{name}' sees {images} images, fewer than train.batch = {batch}: its batches hold {images}" for name in "ab"]
    assert notes(events) == (shrunk if images < batch else [])


def test_a_subset_below_a_batch_shrinks_it(tmp_path: Path) -> None:
    """Only in its own phase; each of its batches is all of it."""
    events: list[Event] = []
    nets.learn(tmp_path, nets.phase("a"), nets.phase("b", subset=Subset(fraction=0.1)), events=events)
    assert notes(events) == ["phase 'b' sees 6 images, fewer than train.batch = 16: its batches hold 6"]


def test_the_learning_rate_follows_the_schedule_through_all_phases(tmp_path: Path) -> None:
    """Cosine from 0.05 over 4 steps of a batch each: what the last of each phase was taken with."""
    _, training = nets.learn(tmp_path, nets.phase("a", 2), nets.phase("b", 2), batch=64, schedule="cosine")
    assert [point.learning_rate for point in training.curve] == pytest.approx([0.05, 0.042678, 0.025, 0.007322], abs=1e-6)


# What is seen -----------------------------------------------------------------------------------------------------------


def test_validation_accuracy_is_told_and_kept(tmp_path: Path) -> None:
    """After each epoch in the events and the curve; the last is the finished network's own."""
    events: list[Event] = []
    valid = nets.data(30, seed=1)
    student, training = nets.learn(tmp_path, nets.phase(epochs=3), valid=valid, events=events)
    told = [event.valid_accuracy for event in trained(events) if event.valid_accuracy is not None]
    assert len(told) == 3
    assert told == [point.valid_accuracy for point in training.curve]
    right = student(valid.plain(torch.arange(30))[0]).argmax(1) == valid.labels
    assert told[-1] == pytest.approx(right.float().mean().item())


def test_without_validation_images_there_is_no_accuracy(tmp_path: Path) -> None:
    """None and an empty split are the same."""
    for name, valid in (("none", None), ("empty", nets.data(0))):
        assert [point.valid_accuracy for point in nets.learn(tmp_path / name, nets.phase(epochs=2), valid=valid)[1].curve] == [None, None]


def test_shares_add_up_to_one(tmp_path: Path) -> None:
    """Of the loss and of the gradient, in every event and point, named by term."""
    events: list[Event] = []
    data = nets.data()
    teacher = Live(nets.teacher().eval(), data)
    _, training = nets.learn(tmp_path, nets.phase(epochs=3, terms=(*SOFT, Kd())), teacher=teacher, images=data, events=events)
    shares = [s for event in trained(events) for s in (event.shares, event.gradient_shares)] + [point.shares for point in training.curve]
    assert len(shares) == 9
    assert all(set(share) == {"kd-1", "label", "kd-2"} and sum(share.values()) == pytest.approx(1) for share in shares)


def test_a_temperature_follows_the_students_running_confidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From 0, a fiftieth of each batch's mean of the highest probability, counted from 1/3: T = 6 − 5.5 of it over 0.7, worked out beside.

    A phase before it that holds T is followed, too.
    """
    monkeypatch.setattr(meter, "LOG_S", 0.0)
    student, data = nets.network(), nets.data()
    events: list[Event] = []
    sure: list[float] = []

    def look(module: nn.Module, args: object, logits: Tensor) -> None:
        if module.training:
            sure.append(logits.detach().softmax(1).amax(1).mean().item())

    student.register_forward_hook(look)
    spec = Temperature(start=6, end=0.5, shape="student-confidence")
    phases = nets.phase("held"), nets.phase("follows", terms=SOFT, temperature=spec)
    nets.learn(tmp_path, *phases, student=student, images=data, teacher=Live(nets.teacher().eval(), data), events=events)
    running = list(itertools.accumulate(sure, lambda before, now: before + 0.02 * (1.5 * (now - 1 / 3) - before), initial=0.0))[1:]
    followed = [event.temperature for event in trained(events) if event.phase == "follows"]
    assert followed == pytest.approx([6 - 5.5 * confidence / 0.7 for confidence in running[4:]], abs=1e-5)


def test_a_learned_temperature_begins_anew_in_each_phase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the way from its start, in the curve, too; then it goes where the loss is larger, within its range."""
    monkeypatch.setattr(meter, "LOG_S", 0.0)
    events: list[Event] = []
    data = nets.data()
    teacher = Live(nets.teacher().eval(), data)
    phases = [nets.phase(name, 8, terms=(Dist(), Label()), temperature=Temperature(start=2, end=4, shape="learned")) for name in "ab"]
    student, training = nets.learn(tmp_path, *phases, images=data, teacher=teacher, events=events)
    for name in "ab":
        heats = [event.temperature for event in trained(events) if event.phase == name]
        assert heats[0] == pytest.approx(2.2)
        assert all(2 < heat < 4 for heat in heats if heat is not None)
        assert heats[1] == heats[0]  # the reversal begins at 0
        assert len(set(heats[1:])) == 31
        assert heats[-1] == max(heat for heat in heats if heat is not None)
        assert {point.first_temperature for point in training.curve if point.phase == name} == {heats[0]}
    assert student.state_dict().keys() == nets.network().state_dict().keys()


def test_phases_of_labels_have_no_first_temperature(tmp_path: Path) -> None:
    """Neither before a soft phase nor after it."""
    data = nets.data()
    phases = nets.phase("a"), nets.phase("b", terms=SOFT, temperature=2.0), nets.phase("c")
    _, training = nets.learn(tmp_path, *phases, images=data, teacher=Live(nets.teacher().eval(), data))
    assert [(point.phase, point.temperature, point.first_temperature) for point in training.curve] == [
        ("a", None, None),
        ("b", 2.0, 2.0),
        ("c", None, None),
    ]


def test_a_temperature_goes_from_end_to_end_of_its_phase(tmp_path: Path) -> None:
    """Linear from 3 to 1 over the second phase's five steps, whatever came before."""
    events: list[Event] = []
    data = nets.data()
    phases = nets.phase("a", 2), nets.phase("b", 5, terms=SOFT, temperature=Temperature(start=3, end=1, shape="linear"))
    nets.learn(tmp_path, *phases, images=data, teacher=Live(nets.teacher().eval(), data), events=events, batch=64)
    assert [event.temperature for event in trained(events)] == [None, None, 3.0, 2.5, 2.0, 1.5, 1.0]


def test_slow_steps_are_told_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every half second at the latest, while the curve keeps to epochs."""
    monkeypatch.setattr(meter, "LOG_S", 0.0)
    events: list[Event] = []
    _, training = nets.learn(tmp_path, nets.phase(), events=events)
    assert [event.step for event in trained(events)] == [1, 2, 3, 4]
    assert [point.step for point in training.curve] == [4]


def test_the_log_keeps_phases_apart(tmp_path: Path) -> None:
    """Half an epoch each: the second's loss, a hundred times the first's, is not averaged with it."""
    events: list[Event] = []
    nets.learn(tmp_path, nets.phase("a", 0.5), nets.phase("b", 0.5, terms=(Label(weight=100),)), events=events)
    first, second = trained(events)
    assert [(event.phase, event.step, event.temperature) for event in (first, second)] == [("a", 2, None), ("b", 4, None)]
    assert second.loss / first.loss == pytest.approx(100, rel=0.3)


# What is refused ------------------------------------------------------------------------------------------------------


class Breaks:
    """A teacher that answers NaN from its third batch on."""

    def __init__(self) -> None:
        self.left = 2

    def answer(self, images: Tensor, positions: Tensor, view: int | None) -> Tensor:
        self.left -= 1
        return torch.zeros(len(positions), nets.CLASSES) if self.left >= 0 else torch.full((len(positions), nets.CLASSES), float("nan"))

    def plain(self) -> Tensor:
        raise AssertionError("nobody asked for a subset")


def test_a_loss_that_is_no_number_stops(tmp_path: Path) -> None:
    """The message says step, phase and term; the checkpoint of the last good step is kept."""
    message = r"at step 3 of 5 in phase 'transfer' the term kd is not\. The last good checkpoint is kept at .*checkpoint\.pt\. "
    with pytest.raises(TrainingError, match=message):
        nets.learn(tmp_path, nets.phase("transfer", 5, terms=SOFT), teacher=Breaks(), batch=64, checkpoint_s=nets.ALWAYS)
    (kept,) = tmp_path.glob("*")
    table = torch.load(kept, weights_only=True)
    assert table["place"]["step"] == 2
    assert all(value.isfinite().all() for value in table["states"]["network"].values())


def test_weights_that_are_no_numbers_are_never_kept(tmp_path: Path) -> None:
    """Where the loss breaks between two looks at it, the checkpoint stays that of the step before."""
    with pytest.raises(TrainingError, match="at step 4 of 4 in phase 'transfer' the term kd and label is not"):
        nets.learn(tmp_path, nets.phase("transfer", terms=SOFT), teacher=Breaks(), checkpoint_s=nets.ALWAYS)
    assert torch.load(tmp_path / checkpoint.NAME, weights_only=True)["place"]["step"] == 2


def test_a_loss_that_is_no_number_before_any_checkpoint(tmp_path: Path) -> None:
    """Nothing is said to be kept, and nothing is written."""
    with pytest.raises(TrainingError, match=r"the term kd is not\. Lower train\.optimizer\.lr"):
        nets.learn(tmp_path, nets.phase("transfer", 5, terms=SOFT), teacher=Breaks(), batch=64)
    assert list(tmp_path.iterdir()) == []


def test_a_subset_that_needs_a_teacher_is_refused_without(tmp_path: Path) -> None:
    """The message names the phase, the rule and those that need none."""
    with pytest.raises(TrainingError, match=r"phase 'b' takes a subset by 'hard', which only a teacher can choose; .*random or balanced"):
        nets.learn(tmp_path, nets.phase("a"), nets.phase("b", subset=Subset(by="hard")))


def test_a_full_disk_keeps_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A RunError at the second checkpoint, and the first still reads."""
    save = torch.save
    saves: list[int] = []

    def fills(table: Any, path: Path) -> None:
        saves.append(table["place"]["step"])
        if len(saves) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(table, path)

    monkeypatch.setattr(torch, "save", fills)
    with pytest.raises(RunError, match="no room to write"):
        nets.learn(tmp_path, nets.phase(), checkpoint_s=nets.ALWAYS)
    assert saves == [1, 2]
    assert torch.load(tmp_path / checkpoint.NAME, weights_only=True)["place"]["step"] == 1


def test_open_defaults_are_the_callers_mistake(tmp_path: Path) -> None:
    """`fit` is told everything; `distill` fills what the recipe left open."""
    job = Job(how="alone", phases=(nets.phase(),), train=Train(), seed=0, folder=tmp_path)
    with pytest.raises(AssertionError, match="not filled in"):
        fit(copy.deepcopy(nets.network()), job, data=nets.data(), valid=None, teacher=None, emit=print)


def test_what_is_read_ahead_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A phase that ends within a pass leaves nothing read: the next training finds room to read ahead."""
    monkeypatch.setattr(memory, "fits", lambda *_: False)
    data = nets.data()
    assert not data.resident
    job = Job(how="alone", phases=(nets.phase(epochs=1.5),), train=nets.TRAIN, seed=0, folder=tmp_path)
    fit(nets.network(), job, data=data, valid=None, teacher=None, emit=silent)
    assert data._coming == {}

"""edgekd.distill: a student, a teacher and a recipe's phases put together."""

from pathlib import Path

import pytest
import torch
from torch import nn

from edgekd.distill import Job, alone, distill, supervised
from edgekd.errors import TrainingError, UsageError
from edgekd.events import Event, PhaseStarted
from edgekd.models.network import Network
from edgekd.phases import Phase, Subset, Temperature
from edgekd.preprocess import Preprocess
from edgekd.terms import Kd, Label
from tests.distill import nets


def test_a_student_learns_from_its_teacher(tmp_path: Path) -> None:
    """It is taught in place, ends in eval mode, and says how and how long."""
    before = nets.weights(nets.network(nets.Toy(dropout=0)))
    student, training = nets.distilled(tmp_path / "not" / "there", nets.teacher(), nets.kd(8))
    assert not torch.equal(nets.weights(student), before)
    assert not student.training
    assert (training.how, training.steps, training.seed) == ("distilled", 32, 0)
    assert training.curve[-1].loss < training.curve[0].loss


def test_validation_and_checkpoints_reach_the_loop(tmp_path: Path) -> None:
    """Accuracy after each epoch, a call after each checkpoint."""
    calls: list[int] = []
    job = Job(phases=(nets.kd(2),), train=nets.TRAIN, folder=tmp_path, seed=7, checkpoint_s=nets.ALWAYS, kept=lambda: calls.append(1))
    training = distill(nets.network(), nets.teacher(), job, data=nets.data(), data_sha256="toy", valid=nets.data(9))
    assert [point.valid_accuracy is not None for point in training.curve] == [True, True]
    assert len(calls) == 8
    assert training.seed == 7


def test_a_teacher_may_choose_images_for_labels_alone(tmp_path: Path) -> None:
    """It is asked for the subset on plain images, and for nothing else."""
    counted = nets.Counted(nets.Painter())
    events: list[Event] = []
    phase = nets.phase(epochs=2, subset=Subset(by="confident", fraction=0.25))
    nets.distilled(tmp_path, nets.network(counted, name="teacher"), phase, events=events)
    assert [event.images for event in events if isinstance(event, PhaseStarted)] == [16]
    assert counted.images == 64


def test_labels_alone_ask_no_teacher(tmp_path: Path) -> None:
    """A teacher that is given and not needed changes nothing, whatever classes it has."""
    counted = nets.Counted(nets.Painter())
    given, _ = nets.distilled(tmp_path / "a", nets.network(counted), *supervised(2))
    without, _ = nets.distilled(tmp_path / "b", None, *supervised(2))
    assert counted.images == 0
    assert nets.same(given, without)


def test_a_teacher_of_other_classes_is_refused(tmp_path: Path) -> None:
    """Before anything is taught."""
    teacher = Network(nn.Linear(1, 7), Preprocess(), name="teacher", classes=7)
    with pytest.raises(UsageError, match="the teacher answers 7, the data has 3"):
        nets.distilled(tmp_path, teacher)


def test_a_student_alone_cannot_take_a_teachers_subset(tmp_path: Path) -> None:
    """The same schedule on the phases' own subsets, where one asks for a teacher."""
    with pytest.raises(TrainingError, match=r"'confident', which only a teacher can choose"):
        nets.distilled(tmp_path, None, *alone([nets.kd(subset=Subset(by="confident"))], keep_subsets=True))


PHASES = (
    Phase(name="a", epochs=3, terms=(Kd(weight=0.9), Label(weight=0.1, smoothing=0.2)), temperature=4.0),
    Phase(name="b", epochs=1, terms=(Kd(),), temperature=Temperature(start=3, end=1), subset=Subset(by="balanced"), batchnorm="frozen"),
)


def test_alone_is_the_same_schedule_without_a_teacher() -> None:
    """Names, epochs and BatchNorm stay; cross entropy with weight 1 is all there is, on all data."""
    assert alone(PHASES) == (
        Phase(name="a", epochs=3, terms=(Label(smoothing=0.2),), temperature=1.0),
        Phase(name="b", epochs=1, terms=(Label(),), temperature=1.0, batchnorm="frozen"),
    )
    assert not any(phase.soft for phase in alone(PHASES))


def test_alone_on_the_phases_own_subsets() -> None:
    """The fairer comparison where a subset needs no teacher."""
    assert [phase.subset for phase in alone(PHASES, keep_subsets=True)] == [None, Subset(by="balanced")]


def test_supervised_ends_on_plain_images() -> None:
    """How a teacher is taught: by labels, the last eighth without augmentation."""
    views, plain = supervised(2.0)
    assert views == Phase(name="teach", epochs=1.75, terms=(Label(),), temperature=1.0)
    assert plain == Phase(name="settle", epochs=0.25, terms=(Label(),), temperature=1.0, plain=True)

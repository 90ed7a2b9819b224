"""edgekd.distill: a student, a teacher and a recipe's phases put together."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch import Tensor, nn

from edgekd.distill import alone, distill, supervised
from edgekd.errors import TrainingError, UsageError
from edgekd.events import Event, Note, PhaseStarted
from edgekd.models.network import Network
from edgekd.phases import Phase, Subset, Temperature, Train
from edgekd.preprocess import Preprocess
from edgekd.record import Training
from edgekd.tasks.classify import adjust
from edgekd.terms import Kd, Label
from tests.distill import nets

LIVE = msgspec.structs.replace(nets.TRAIN, views=0)


def teach(
    folder: Path, teacher: Network | None, *phases: Phase, train: Train = nets.TRAIN, events: list[Event] | None = None, **options: Any
) -> tuple[Network, Training]:
    student = nets.network(nets.Toy(dropout=0))
    heard = [] if events is None else events
    training = distill(
        student, teacher, data=nets.data(), data_sha256="toy", phases=phases or (kd(),), train=train, folder=folder, emit=heard.append, **options
    )
    return student, training


def kd(epochs: float = 3, **options: Any) -> Phase:
    return nets.phase("transfer", epochs, terms=(Kd(weight=0.9), Label(weight=0.1)), **options)


def weights(network: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_a_student_learns_from_its_teacher(tmp_path: Path) -> None:
    """It is taught in place, ends in eval mode, and says how and how long."""
    before = weights(nets.network(nets.Toy(dropout=0)))
    student, training = teach(tmp_path / "not" / "there", nets.teacher(), kd(8))
    assert not torch.equal(weights(student), before)
    assert not student.training
    assert (training.how, training.steps, training.seed) == ("distilled", 32, 0)
    assert training.curve[-1].loss < training.curve[0].loss


def test_a_remembered_teacher_teaches_as_a_live_one(tmp_path: Path) -> None:
    """On the same views the weights differ by fp16 rounding, a thousandth of what was learnt."""
    remembered, _ = teach(tmp_path / "remembered", nets.teacher(), train=msgspec.structs.replace(nets.TRAIN, views=8))
    live, _ = teach(tmp_path / "live", nets.teacher(), train=LIVE)
    learnt = (weights(live) - weights(nets.network(nets.Toy(dropout=0)))).norm()
    assert 0 < (weights(remembered) - weights(live)).norm() < 1e-3 * learnt


def test_the_teacher_is_asked_once_per_view_for_all_students(tmp_path: Path) -> None:
    """Three passes over two views of 64 images: 128 answers for the first student, none for a second with the same memory."""
    counted = nets.Counted(nets.Painter())
    teacher = nets.network(counted, name="teacher")
    first, _ = teach(tmp_path / "first", teacher, memory=tmp_path / "memory")
    assert counted.images == 128
    second, _ = teach(tmp_path / "second", teacher, memory=tmp_path / "memory")
    assert counted.images == 128
    assert nets.same(first, second)
    (folder,) = (tmp_path / "memory").iterdir()
    assert sorted(file.name for file in folder.iterdir()) == ["view-0.npy", "view-1.npy"]


@pytest.mark.parametrize("change", ["weights", "preprocess", "data", "view_seed"])
def test_other_answers_are_remembered_elsewhere(tmp_path: Path, change: str) -> None:
    """Whatever changes the teacher's answers opens a folder of its own in a shared memory."""
    teach(tmp_path / "first", nets.teacher(), kd(1), memory=tmp_path / "memory")
    teacher = nets.network(nets.Painter(gain=5.0 if change == "weights" else 4.0), name="teacher")
    if change == "preprocess":
        teacher = teacher.with_preprocess(Preprocess(size=(8, 8), mean=(0.4,), std=(0.5,)))
    distill(
        nets.network(),
        teacher,
        data=nets.data(),
        data_sha256="other" if change == "data" else "toy",
        phases=(kd(1),),
        train=msgspec.structs.replace(nets.TRAIN, view_seed=1 if change == "view_seed" else 0),
        folder=tmp_path / "second",
        memory=tmp_path / "memory",
    )
    assert len(list((tmp_path / "memory").iterdir())) == 2


def test_the_teacher_answers_in_the_students_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In eval mode; what was remembered in one precision is not read in another."""
    monkeypatch.setattr("edgekd.distill.folded", lambda network, emit: network)  # a graph calls no hook of the whole
    seen: list[tuple[torch.dtype, bool]] = []
    teacher = nets.network(name="teacher").train()
    teacher.register_forward_hook(lambda module, args, logits: seen.append((logits.dtype, module.training)))
    for precision in ("fp32", "bf16", "fp32"):
        settings = msgspec.structs.replace(nets.TRAIN, precision=precision)
        teach(tmp_path / f"{len(seen)}", teacher, kd(1), memory=tmp_path / "memory", train=settings)
    assert seen == [(torch.float32, False), (torch.bfloat16, False)]


def test_validation_and_checkpoints_reach_the_loop(tmp_path: Path) -> None:
    """Accuracy after each epoch, a call after each checkpoint."""
    calls: list[int] = []
    _, training = teach(tmp_path, nets.teacher(), kd(2), valid=nets.data(9), checkpoint_s=nets.ALWAYS, kept=lambda: calls.append(1), seed=7)
    assert [point.valid_accuracy is not None for point in training.curve] == [True, True]
    assert len(calls) == 8
    assert training.seed == 7


def test_a_live_teacher_is_told_of(tmp_path: Path) -> None:
    """With its reason, and nothing is stored."""
    events: list[Event] = []
    teach(tmp_path, nets.teacher(), train=LIVE, events=events)
    assert Note(text="teacher answers live: train.views is 0") in events
    assert list(tmp_path.iterdir()) == []


class Corrected(nn.Module):
    """A Painter that takes the class frequencies off by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nets.Painter()

    def forward(self, images: Tensor) -> Tensor:
        return adjust(self.inner(images), (4, 2, 1), (1, 1, 2))


def test_class_frequencies_are_taken_off_the_teacher(tmp_path: Path) -> None:
    """As if the teacher had done so itself; without them the student ends elsewhere."""
    told, _ = teach(tmp_path / "a", nets.teacher(), train=LIVE, frequencies=(4, 2, 1), wanted=(1, 1, 2))
    itself, _ = teach(tmp_path / "b", nets.network(Corrected(), name="teacher"), train=LIVE)
    untold, _ = teach(tmp_path / "c", nets.teacher(), train=LIVE)
    assert nets.same(told, itself)
    assert not nets.same(told, untold)


def test_a_teacher_may_choose_images_for_labels_alone(tmp_path: Path) -> None:
    """It is asked for the subset on plain images, and for nothing else."""
    counted = nets.Counted(nets.Painter())
    events: list[Event] = []
    phase = nets.phase(epochs=2, subset=Subset(by="confident", fraction=0.25))
    teach(tmp_path, nets.network(counted, name="teacher"), phase, events=events)
    assert [event.images for event in events if isinstance(event, PhaseStarted)] == [16]
    assert counted.images == 64


def test_labels_alone_ask_no_teacher(tmp_path: Path) -> None:
    """A teacher that is given and not needed changes nothing, whatever classes it has."""
    counted = nets.Counted(nets.Painter())
    given, _ = teach(tmp_path / "a", nets.network(counted), *supervised(2))
    without, _ = teach(tmp_path / "b", None, *supervised(2))
    assert counted.images == 0
    assert nets.same(given, without)


def test_a_teacher_of_other_classes_is_refused(tmp_path: Path) -> None:
    """Before anything is taught."""
    teacher = Network(nn.Linear(1, 7), Preprocess(), name="teacher", classes=7)
    with pytest.raises(UsageError, match="the teacher answers 7, the data has 3"):
        teach(tmp_path, teacher)


def test_a_student_alone_cannot_take_a_teachers_subset(tmp_path: Path) -> None:
    """The same schedule on the phases' own subsets, where one asks for a teacher."""
    with pytest.raises(TrainingError, match=r"'confident', which only a teacher can choose"):
        teach(tmp_path, None, *alone([kd(subset=Subset(by="confident"))], keep_subsets=True))


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

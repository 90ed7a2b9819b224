"""edgekd.distill.teaching: how teachers come to answer, seen from the students that they teach."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekd.distill import Job, distill
from edgekd.distill.teacher import Live, StoredAnswers
from edgekd.errors import UsageError
from edgekd.events import Event, Note
from edgekd.models.network import Network
from edgekd.phases import Subset
from edgekd.preprocess import Preprocess
from edgekd.tasks.classify import adjust
from edgekd.terms import Dist, Feature, Kd, Label
from tests.distill import nets

LIVE = msgspec.structs.replace(nets.TRAIN, views=0)


def test_a_remembered_teacher_teaches_as_a_live_one(tmp_path: Path) -> None:
    """On the same views the weights differ by fp16 rounding, a thousandth of what was learnt."""
    remembered, _ = nets.distilled(tmp_path / "remembered", nets.teacher(), train=msgspec.structs.replace(nets.TRAIN, views=8))
    live, _ = nets.distilled(tmp_path / "live", nets.teacher(), train=LIVE)
    learnt = (nets.weights(live) - nets.weights(nets.network(nets.Toy(dropout=0)))).norm()
    assert 0 < (nets.weights(remembered) - nets.weights(live)).norm() < 1e-3 * learnt


def test_the_teacher_is_asked_once_per_view_for_all_students(tmp_path: Path) -> None:
    """Three passes over two views of 64 images: 128 answers for the first student, none for a second with the same memory."""
    counted = nets.Counted(nets.Painter())
    teacher = nets.network(counted, name="teacher")
    first, _ = nets.distilled(tmp_path / "first", teacher, memory=tmp_path / "memory")
    assert counted.images == 128
    second, _ = nets.distilled(tmp_path / "second", teacher, memory=tmp_path / "memory")
    assert counted.images == 128
    assert nets.same(first, second)
    (folder,) = (tmp_path / "memory").iterdir()
    assert sorted(file.name for file in folder.iterdir()) == ["view-0.npy", "view-1.npy"]


@pytest.mark.parametrize("change", ["weights", "preprocess", "data", "view_seed"])
def test_other_answers_are_remembered_elsewhere(tmp_path: Path, change: str) -> None:
    """Whatever changes the teacher's answers opens a folder of its own in a shared memory."""
    nets.distilled(tmp_path / "first", nets.teacher(), nets.kd(1), memory=tmp_path / "memory")
    teacher = nets.network(nets.Painter(gain=5.0 if change == "weights" else 4.0), name="teacher")
    if change == "preprocess":
        teacher = teacher.with_preprocess(Preprocess(size=(8, 8), mean=(0.4,), std=(0.5,)))
    distill(
        nets.network(),
        teacher,
        Job(phases=(nets.kd(1),), train=msgspec.structs.replace(nets.TRAIN, view_seed=1 if change == "view_seed" else 0), folder=tmp_path / "second"),
        data=nets.data(),
        data_sha256="other" if change == "data" else "toy",
        memory=tmp_path / "memory",
    )
    assert len(list((tmp_path / "memory").iterdir())) == 2


def test_the_teacher_answers_in_the_students_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In eval mode; what was remembered in one precision is not read in another."""
    monkeypatch.setattr("edgekd.distill.teaching.folded", lambda network, emit: network)  # a graph calls no hook of the whole
    seen: list[tuple[torch.dtype, bool]] = []
    teacher = nets.network(name="teacher").train()
    teacher.register_forward_hook(lambda module, args, logits: seen.append((logits.dtype, module.training)))
    for precision in ("fp32", "bf16", "fp32"):
        settings = msgspec.structs.replace(nets.TRAIN, precision=precision)
        nets.distilled(tmp_path / f"{len(seen)}", teacher, nets.kd(1), memory=tmp_path / "memory", train=settings)
    assert seen == [(torch.float32, False), (torch.bfloat16, False)]


def test_a_live_teacher_is_told_of(tmp_path: Path) -> None:
    """With its reason, and nothing is stored."""
    events: list[Event] = []
    nets.distilled(tmp_path, nets.teacher(), train=LIVE, events=events)
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
    told, _ = nets.distilled(tmp_path / "a", nets.teacher(), train=LIVE, frequencies=(4, 2, 1), wanted=(1, 1, 2))
    itself, _ = nets.distilled(tmp_path / "b", nets.network(Corrected(), name="teacher"), train=LIVE)
    untold, _ = nets.distilled(tmp_path / "c", nets.teacher(), train=LIVE)
    assert nets.same(told, itself)
    assert not nets.same(told, untold)


def test_stored_answers_teach_what_the_network_teaches(tmp_path: Path) -> None:
    """On plain images a student ends with the weights that it ends with when the teacher is asked, a subset chosen by its answers among them."""
    phases = (
        nets.phase("all", 2, terms=(Kd(weight=0.9), Label(weight=0.1)), plain=True),
        nets.phase("some", terms=(Dist(),), plain=True, subset=Subset(by="confident", fraction=0.5)),
    )
    said = Live(nets.teacher(), nets.data()).plain().half().numpy()
    teachers: list[StoredAnswers | Network] = [StoredAnswers(said), nets.teacher()]  # the second is remembered, in fp16 as well
    ends = []
    for number, teacher in enumerate(teachers):
        student = nets.network()
        distill(student, teacher, Job(phases=phases, train=nets.TRAIN, folder=tmp_path / str(number)), data=nets.data(), data_sha256="x")
        ends.append(student)
    assert nets.same(*ends)
    assert not nets.same(ends[0], nets.network())


def test_terms_that_look_inside_find_nothing_in_stored_answers(tmp_path: Path) -> None:
    """The phase and the term are named before a step."""
    answers, phases = StoredAnswers(np.zeros((64, nets.CLASSES), np.float16)), (nets.phase("deep", terms=(Kd(), Feature())),)
    with pytest.raises(UsageError, match=r"look inside a teacher need one network.*'deep' has feature.*not by stored answers"):
        distill(nets.network(), answers, Job(phases=phases, train=nets.TRAIN, folder=tmp_path), data=nets.data(), data_sha256="x")

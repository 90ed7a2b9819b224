"""edgekd.distill.keeping: the old student's answers among the old classes, old images shown again, and a lesson that resumes bit for bit."""

import itertools
import math
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch import Tensor

from edgekd.data.batches import Batches
from edgekd.distill import Job, distill
from edgekd.distill.batchnorm import batchnorms
from edgekd.distill.job import guests_of
from edgekd.distill.keeping import KEEP, REPLAY, Keeping, Replay, gentler, keep
from edgekd.models.network import Network
from edgekd.phases import Optimizer
from tests.distill import nets

KNOWN, CLASSES = 2, 3
"""The toys' old student knows two of the three classes."""


def logits(rows: int = 4, classes: int = 5, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Some of an ordinary size."""
    return 3 * torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# The loss -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.5, 2.0, 7.0])
def test_the_papers_formula(temperature: float) -> None:
    """Cross entropy of softened answers over the old classes, less the old answers' own entropy, times T²; in plain Python."""
    student, old = logits(), logits(classes=3, seed=1)

    def softened(row: list[float]) -> list[float]:
        powers = [math.exp(value / temperature) for value in row]
        return [power / sum(powers) for power in powers]

    total = 0.0
    for ours, theirs in zip(student.tolist(), old.tolist(), strict=True):
        p, q = softened(theirs), softened(ours[:3])
        total += temperature**2 * sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))
    assert keep(student, old, temperature).item() == pytest.approx(total / 4, rel=1e-9)


def test_its_gradient_is_as_stated_and_spares_new_classes() -> None:
    """T·(softmax − softmax)/batch for old ones, exactly 0 for the others."""
    student, old = logits().requires_grad_(), logits(classes=3, seed=1)
    keep(student, old, 2.0).backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    expected = 2.0 * ((student.detach()[:, :3] / 2).softmax(1) - (old / 2).softmax(1)) / 4
    torch.testing.assert_close(student.grad[:, :3], expected)
    assert not student.grad[:, 3:].any()
    assert torch.autograd.gradcheck(lambda given: keep(given, old, 2.0), student)


def test_what_is_said_of_new_classes_is_no_loss() -> None:
    """The old classes told apart as before, and shifted together, keep everything."""
    old = logits(classes=3)
    student = torch.cat([old - 5, logits(classes=2, seed=3)], dim=1)
    assert keep(student, old, 2.0).item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_extreme_logits_are_finite(dtype: torch.dtype) -> None:
    """±1e4, in halves too, of two old classes and one new."""
    student = torch.tensor([[1e4, -1e4, 1e4], [-1e4, 1e4, 0.0]], dtype=dtype).requires_grad_()
    value = keep(student, torch.tensor([[-1e4, 1e4], [1e4, -1e4]], dtype=dtype), 2.0)
    value.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(value)
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


# What is shown again --------------------------------------------------------------------------------------------------


def replay(count: int = 20, size: int = 6, seed: int = 3) -> Replay:
    """Some of the toys' images."""
    return Replay(nets.data(count), size, augment=nets.AUGMENT, view_seed=0, seed=seed)


def test_a_pass_shows_each_image_at_most_once_and_the_next_in_another_order() -> None:
    """Three batches of six of twenty images; the fourth begins the next pass, in its own view."""
    again = replay()
    shown = [again.shown(step) for step in range(6)]
    first = torch.cat([images.flatten(1) for images, _ in shown[:3]])
    assert len({bytes(row.numpy().tobytes()) for row in first}) == 18
    assert not torch.equal(shown[0][0], shown[3][0])
    assert {int(label) for _, labels in shown for label in labels} == {0, 1, 2}


def test_what_a_step_shows_depends_on_step_and_seed_alone() -> None:
    """Whatever was asked before; another seed shows others."""
    one, other = replay(), replay()
    wanted = one.shown(5)
    for step in (0, 9, 5):
        found = other.shown(step)
    assert all(torch.equal(a, b) for a, b in zip(wanted, found, strict=True))
    assert not torch.equal(wanted[0], replay(seed=4).shown(5)[0])


def test_old_images_are_shown_plain_where_the_others_are() -> None:
    """The same ones, without a change that would tell them from the step's own."""
    again = replay()
    positions = again._passes.at(4)[0]
    plain, labels = again.shown(4, plain=True)
    assert torch.equal(plain, again.images.plain(positions)[0])
    assert torch.equal(labels, again.shown(4)[1])
    assert not torch.equal(plain, again.shown(4)[0])
    guests = guests_of(lesson(again=again), 4, plain=True)
    assert guests is not None
    assert torch.equal(guests, plain)


def test_fewer_images_than_a_step_wants() -> None:
    """All of them, each time."""
    again = replay(count=4, size=50)
    assert (len(again), again.size) == (4, 4)
    assert [len(again.shown(step)[1]) for step in (0, 1, 7)] == [4, 4, 4]


# The lesson -----------------------------------------------------------------------------------------------------------


def old_student() -> Network:
    """One that knows two classes: a toy with the third output cut off."""
    network = nets.network(seed=9)
    head = network.body.get_submodule("head")
    assert isinstance(head, torch.nn.Linear)
    fewer = torch.nn.Linear(4, KNOWN)
    fewer.load_state_dict({"weight": head.weight[:KNOWN].detach(), "bias": head.bias[:KNOWN].detach()})
    network.body.head = fewer
    network.classes = KNOWN
    return network


def lesson(*, weight: float = 1.0, again: Replay | None = None, key: str = "k") -> Keeping:
    """Beside a toy."""
    return Keeping(old_student(), weight=weight, temperature=2.0, replay=again, key=key)


def parts(keeping: Keeping, network: Network, step: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Of one step, with all images that it showed and their logits: eight of the step's own, then its guests."""
    images, guests = nets.data().plain(torch.arange(8))[0], guests_of(keeping, step, plain=False)
    shown = images if guests is None else torch.cat([images, guests])
    given = network(shown)
    return keeping.parts(network, shown, given, step=step), shown, given


def test_without_old_images_the_step_s_own_are_compared() -> None:
    """One part: the weighted loss between both answers; nobody is a guest."""
    keeping = lesson(weight=0.5)
    found, shown, given = parts(keeping, nets.network().train())
    assert (keeping.names, len(shown), guests_of(keeping, 0, plain=False)) == ((KEEP,), 8, None)
    torch.testing.assert_close(found, 0.5 * keep(given, keeping.old(shown), 2.0).reshape(1))
    assert not any(parameter.requires_grad for parameter in keeping.old.parameters())
    assert not keeping.old.training


def test_with_old_images_both_count_as_their_images_do() -> None:
    """`keep` is the mean over eight new and six old images, `replay` the labels' loss of the six."""
    keeping = lesson(again=replay())
    found, shown, given = parts(keeping, nets.network().train(), step=4)
    assert keeping.replay is not None
    old, labels = keeping.replay.shown(4)
    assert torch.equal(shown[8:], old)
    assert torch.equal(keeping.replay.labels(4), labels)
    assert keeping.names == (KEEP, REPLAY)
    torch.testing.assert_close(found, torch.stack([keep(given, keeping.old(shown), 2.0), torch.nn.functional.cross_entropy(given[8:], labels)]))


def test_without_weight_only_old_images_are_left() -> None:
    """And the old student is not asked."""
    keeping = lesson(weight=0.0, again=replay())
    keeping.old = torch.nn.Identity()  # it would fail on logits of another shape
    found, _, _ = parts(keeping, nets.network().train())
    assert (keeping.names, found.shape) == ((REPLAY,), (1,))


def test_the_old_student_s_statistics_stay_as_they_are() -> None:
    """It answers in eval mode, whatever the new one does."""
    keeping = lesson(again=replay())
    before = {name: value.clone() for name, value in keeping.old.named_buffers()}
    parts(keeping, nets.network().train())
    assert all(torch.equal(value, before[name]) for name, value in keeping.old.named_buffers())


def test_a_lesson_that_hosts_nobody_has_no_guests() -> None:
    """As one that is no more than a `Beside`, or none at all."""
    assert guests_of(None, 0, plain=True) is None
    assert guests_of(Silent(), 0, plain=True) is None


class Silent:
    """The least that a lesson is."""

    names: tuple[str, ...] = ("silent",)
    key = "silent"

    def parts(self, network: torch.nn.Module, images: Tensor, logits: Tensor, *, step: int) -> Tensor:
        """Nothing is lost."""
        return logits.sum().reshape(1) * 0

    def follow(self, network: torch.nn.Module) -> None:
        """Nothing."""

    def state_dict(self) -> dict[str, Any]:
        """Empty."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing."""


@pytest.mark.parametrize(("stated", "lr"), [(None, 0.04), (Optimizer(lr=0.1), 0.1)])
def test_who_learns_on_learns_more_gently(stated: Optimizer | None, lr: float) -> None:
    """Less than half the rate from scratch, but for one that was stated."""
    train = msgspec.structs.replace(nets.TRAIN, optimizer=Optimizer(lr=0.1))
    gentle = gentler(train, stated).optimizer
    assert gentle is not None
    assert gentle.lr == pytest.approx(lr)


# In training ----------------------------------------------------------------------------------------------------------


def taught(folder: Path, keeping: Keeping | None, *, stops: Sequence[int] = (), epochs: float = 3.0) -> Network:
    """A toy that learns by labels with that lesson beside it, sent SIGTERM while it computes these steps of this sitting."""
    student, passes = nets.network(), itertools.count(1)

    def stop(module: torch.nn.Module, args: object) -> None:
        if module.training and next(passes) in stops:
            os.kill(os.getpid(), signal.SIGTERM)

    student.register_forward_pre_hook(stop)
    distill(
        student,
        None,
        Job(phases=(nets.phase(epochs=epochs),), train=nets.TRAIN, folder=folder, seed=5, checkpoint_s=nets.NEVER, beside=keeping),
        data=nets.data(),
        data_sha256="toy",
    )
    return student


def test_stopped_and_taken_up_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    """Twelve steps in three sittings, with dropout and old images, against one."""
    whole = taught(tmp_path / "whole", lesson(again=replay()))
    for stop in (4, 5):
        with pytest.raises(SystemExit):
            taught(tmp_path / "again", lesson(again=replay()), stops=[stop])
    assert nets.same(taught(tmp_path / "again", lesson(again=replay())), whole)
    assert not nets.same(taught(tmp_path / "other", lesson()), whole)


@pytest.mark.parametrize("plain", [True, False])
def test_old_images_move_the_statistics_with_the_others(tmp_path: Path, plain: bool) -> None:
    """They are normalised in one batch: after a step, the running mean is that of all images together. They are as plain as the phase is."""
    seen: list[tuple[Tensor, Tensor]] = []
    student, again = nets.network(nets.Toy(dropout=0.0)), replay()
    first = student.body.get_submodule("first.0")
    first.register_forward_hook(lambda module, args, maps: seen.append((args[0].detach(), maps.detach())) if module.training else None)
    distill(
        student,
        None,
        Job(phases=(nets.phase(epochs=1, plain=plain),), train=nets.TRAIN, folder=tmp_path, beside=lesson(again=again)),
        data=nets.data(16),
        data_sha256="toy",
    )
    ((images, maps),) = seen
    torch.testing.assert_close(images[16:], student.prepare(again.shown(0, plain=plain)[0]))
    torch.testing.assert_close(next(batchnorms(student)).running_mean, 0.1 * maps.mean((0, 2, 3)))


def test_another_lessons_checkpoint_is_refused(tmp_path: Path) -> None:
    """Its key is part of the job's."""
    from edgekd.errors import RunError

    with pytest.raises(SystemExit):
        taught(tmp_path, lesson(), stops=[3])
    with pytest.raises(RunError, match="is the checkpoint of another job"):
        taught(tmp_path, lesson(key="another"))


def test_the_old_answers_are_held(tmp_path: Path) -> None:
    """A student that begins as the old one, taught on images of the third class alone, tells the first two as before; without the lesson less so."""
    everything = nets.images(96)
    new = everything.take((everything.labels == 2).nonzero()[0])
    pixels = nets.data(96).plain(torch.arange(96))[0]

    def apart(weight: float) -> float:
        student = nets.network(seed=9)
        distill(
            student,
            None,
            Job(phases=(nets.phase(epochs=30),), train=nets.TRAIN, folder=tmp_path / str(weight), beside=lesson(weight=weight) if weight else None),
            data=Batches(new),
            data_sha256="toy",
        )
        with torch.no_grad():
            return keep(student(pixels), old_student().eval()(pixels), 2.0).item()

    assert apart(10.0) < 0.3 * apart(0.0)

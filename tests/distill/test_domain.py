"""edgekd.distill.domain: a student that teaches itself on images of its target, and goes on as if it had not been stopped."""

import itertools
import os
import signal
from pathlib import Path

import msgspec
import pytest
import torch
from torch import Tensor, nn

from edgekd.data.batches import Batches
from edgekd.distill import Job, checkpoint, distill
from edgekd.distill.domain import COLOUR, SelfTeaching
from edgekd.distill.losses import kd
from edgekd.errors import RunError
from edgekd.events import Event, Trained
from edgekd.models.network import Network
from edgekd.phases import Augment
from edgekd.recipe import Domain
from edgekd.record import Training
from tests.distill import nets

OPTIONS = Domain(target="toy", weight=1.0, decay=0.9)
SOURCE = torch.zeros(4, nets.CLASSES)
"""A student's logits on the source that are as unsure as can be."""
BATCH = 16


def lesson(
    student: nn.Module, *, options: Domain = OPTIONS, images: int = 70, seed: int = 5, batch: int = BATCH, steps: int = nets.STEPS
) -> SelfTeaching:
    """A lesson on 70 images of a target, of three classes that are met alike."""
    return SelfTeaching(
        student,
        Batches(nets.images(images, seed=9)),
        options,
        content="toy",
        wanted=[1, 1, 1],
        augment=nets.AUGMENT,
        view_seed=0,
        batch=BATCH,
        seed=seed,
        steps=steps,
    )


def asked(one: SelfTeaching, student: nn.Module, step: int, source: Tensor = SOURCE) -> Tensor:
    """Its loss at a step, at which the student gave the source these logits."""
    guests = one.guests(step, plain=False)
    assert guests is not None
    return one.parts(student, guests, torch.cat([source, student.train()(guests)]), step=step)


def gradients(loss: Tensor, student: nn.Module) -> float:
    """The largest entry of a loss's gradient at the student's weights."""
    return max(float(each.abs().max()) for each in torch.autograd.grad(loss.sum(), list(student.parameters()), allow_unused=False))


# What is shown --------------------------------------------------------------------------------------------------------


def test_images_and_views_depend_on_seed_and_step_alone() -> None:
    """Asked in any order; a pass shows each image once but for those that fill no batch, and the next in another order and view."""
    one, other = lesson(nets.network()), lesson(nets.network(seed=2))
    forth = [one.chosen(step) for step in range(12)]
    back = [other.chosen(step) for step in reversed(range(12))][::-1]
    assert all(torch.equal(first, second) and number == again for (first, number), (second, again) in zip(forth, back, strict=True))
    assert [number for _, number in forth] == [0] * 4 + [1] * 4 + [2] * 4
    first, second = (torch.cat([positions for positions, number in forth if number == which]) for which in (0, 1))
    assert len(set(first.tolist())) == len(set(second.tolist())) == 64
    assert not torch.equal(first, second)
    assert not torch.equal(lesson(nets.network(), seed=6).chosen(0)[0], forth[0][0])


def test_fewer_images_than_a_batch_are_all_shown() -> None:
    """Each at every step; two are enough."""
    assert sorted(lesson(nets.network(), images=5).chosen(3)[0].tolist()) == [0, 1, 2, 3, 4]
    student = nets.network()
    assert asked(lesson(student, images=2), student, 9).isfinite().all()


def test_the_students_view_differs_in_colour_too() -> None:
    """Though the run's own views do not, and as the run's does where that is stronger."""
    assert nets.AUGMENT.colour == 0
    one = lesson(nets.network())
    assert (one.augment.colour, one.augment.crop, one.augment.flip) == (COLOUR, nets.AUGMENT.crop, nets.AUGMENT.flip)


def test_where_the_runs_views_change_nothing_the_students_does() -> None:
    """It must not be what the self-teacher sees."""
    data = Batches(nets.images(70, seed=9))
    one = SelfTeaching(
        nets.network(), data, OPTIONS, content="toy", wanted=[1, 1, 1], augment=Augment(), view_seed=0, batch=BATCH, seed=5, steps=nets.STEPS
    )
    view = one.guests(0, plain=True)
    assert view is not None
    assert not torch.allclose(view, data.plain(one.chosen(0)[0])[0], atol=0.02)


# What is learnt -------------------------------------------------------------------------------------------------------


def test_there_is_something_to_learn() -> None:
    """The self-teacher's answer to the plain image moves the student; its own detached answer to the same view does not, but for rounding."""
    student = nets.network(nets.Toy(dropout=0.0)).train()
    one = lesson(student)
    ours = gradients(asked(one, student, nets.STEPS), student)
    view = one.guests(nets.STEPS, plain=True)
    assert view is not None
    answers = student(view)
    own = gradients(kd(answers, answers.detach(), torch.ones(len(answers))), student)
    assert ours > 1e-3
    assert own < 1e-6


def test_unsure_answers_teach_nothing() -> None:
    """Beside a student that is certain of the source none is sure at the beginning: the loss and its gradient are 0, and that is said."""
    student = nets.network()
    one = lesson(student)
    loss = asked(one, student, nets.STEPS, 100 * torch.eye(nets.CLASSES))
    assert loss.item() == 0
    assert gradients(loss, student) == 0
    assert one.told() == (
        "in the end the self-teacher was sure enough of 0.0 % of the target's images: hardly anything was learnt from them; "
        "a lower domain.confidence lets more of them count"
    )


def test_how_much_was_learnt_from_is_told() -> None:
    """The share of images that the self-teacher was sure of."""
    student = nets.network()
    one = lesson(student, options=msgspec.structs.replace(OPTIONS, confidence=0.0))
    asked(one, student, 0)
    assert one.told() == "in the end the self-teacher was sure enough of 100.0 % of the target's images"


def test_the_weight_rises() -> None:
    """From nothing over the first three tenths of the steps: 0 at the first, half way at half of them, then as it is."""
    student = nets.network(nets.Toy(dropout=0.0))

    def weighted(step: int, weight: float) -> float:
        one = lesson(student, options=msgspec.structs.replace(OPTIONS, weight=weight), images=BATCH, steps=20)
        return asked(one, student, step).item()

    assert weighted(0, 1.0) == 0
    # the same images in other views, so that each step is compared with itself
    assert weighted(12, 2.0) == pytest.approx(2 * weighted(12, 1.0))
    whole = lesson(student, images=BATCH, steps=2)
    assert weighted(3, 1.0) == pytest.approx(asked(whole, student, 3).item() / 2)


def test_balance_is_kept_by_what_was_named_so_far() -> None:
    """A self-teacher that names one class only is asked for the others as well; without `align` it is not."""
    student = nets.network(nets.Toy(dropout=0.0))
    with torch.no_grad():
        head = student.body.head
        assert isinstance(head, nn.Linear)
        head.bias[0] += 3.0
    named = {}
    for align in (True, False):
        one = lesson(student, options=msgspec.structs.replace(OPTIONS, align=align))
        named[align] = torch.cat([one._answers(one.target.plain(one.chosen(step)[0])[0], SOURCE, step)[0].softmax(1) for step in range(4)]).mean(0)
    assert named[False][0] > 0.8
    assert named[True].tolist() == pytest.approx([1 / 3] * 3, abs=0.05)


# The self-teacher -----------------------------------------------------------------------------------------------------


def test_the_self_teacher_is_a_running_average() -> None:
    """Of its parameters: it keeps a half of itself at the first step, two thirds at the second."""
    student = nets.network()
    one = lesson(student)
    expected = {name: value.clone() for name, value in student.named_parameters()}
    for kept in (1 / 2, 2 / 3):
        with torch.no_grad():
            for value in student.parameters():
                value.add_(1)
        one.follow(student)
        expected = {name: kept * expected[name] + (1 - kept) * value for name, value in student.named_parameters()}
    found = dict(one.teacher.named_parameters())
    for name, value in student.named_parameters():
        assert torch.allclose(found[name], expected[name]), name
        assert not torch.equal(found[name], value), name


def test_the_decay_has_its_bound() -> None:
    """0 is the student itself at every step."""
    student = nets.network()
    one = lesson(student, options=msgspec.structs.replace(OPTIONS, decay=0.0))
    with torch.no_grad():
        for value in student.parameters():
            value.add_(1)
    one.follow(student)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(one.teacher.parameters(), student.parameters(), strict=True))


def test_the_self_teacher_sees_past_what_its_statistics_take_off() -> None:
    """At half the contrast it answers nearly as before, where the running statistics of the source would have it answer otherwise."""
    student = nets.network(nets.Toy(dropout=0.0))
    images = Batches(nets.images(70)).plain(torch.arange(70))[0]
    (layer,) = (module for module in student.modules() if isinstance(module, nn.BatchNorm2d))
    layer.momentum = 1.0
    with torch.no_grad():
        student.train()(images)
        moved = (student.eval()(images / 2) - student(images)).abs().mean()
    one = lesson(student, options=msgspec.structs.replace(OPTIONS, align=False))
    ours = (one._answers(images / 2, SOURCE, 0)[0] - one._answers(images, SOURCE, 0)[0]).abs().mean()
    assert ours < moved / 2


def test_the_self_teacher_keeps_what_it_began_with() -> None:
    """But for what follows the student: its statistics are the batch's own, and its layers as they were."""
    student = nets.network()
    one = lesson(student)
    begun = {name: value.clone() for name, value in one.teacher.state_dict().items()}
    asked(one, student, 9)
    assert all(torch.equal(value, begun[name]) for name, value in one.teacher.state_dict().items())
    (layer,) = (module for module in one.teacher.modules() if isinstance(module, nn.BatchNorm2d))
    assert (layer.training, layer.track_running_stats) == (False, True)


# In a training --------------------------------------------------------------------------------------------------------


def taught(
    folder: Path, *, stops: tuple[int, ...] = (), options: Domain | None = OPTIONS, events: list[Event] | None = None
) -> tuple[Network, Training]:
    """Distil a toy with a lesson on a target beside it, sending this process SIGTERM in training steps number `stops`."""
    student = nets.network()
    beside = None if options is None else lesson(student, options=options)
    passes = itertools.count()

    def stop(module: nn.Module, args: object) -> None:
        if module.training and next(passes) in stops:
            os.kill(os.getpid(), signal.SIGTERM)

    student.register_forward_pre_hook(stop)
    training = distill(
        student,
        nets.teacher(),
        Job(phases=nets.PHASES, train=nets.TRAIN, folder=folder, seed=5, checkpoint_s=nets.NEVER, beside=beside),
        data=nets.data(),
        data_sha256="toy",
        valid=nets.data(30, seed=1),
        emit=([] if events is None else events).append,
    )
    return student, training


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    """While the weight rises, in the second phase, and twice in a row: with the self-teacher and the balance of its answers."""
    whole, expected = taught(tmp_path / "whole")
    for step in (3, 6, 1):
        with pytest.raises(SystemExit):
            taught(tmp_path / "stopped", stops=(step,))
    kept = torch.load(tmp_path / "stopped" / checkpoint.NAME, weights_only=True)
    assert kept["place"]["step"] == (3 + 1) + (6 + 1) + (1 + 1)
    again, training = taught(tmp_path / "stopped")
    assert nets.same(again, whole)
    assert [point.valid_accuracy for point in training.curve] == [point.valid_accuracy for point in expected.curve]
    plain, _ = taught(tmp_path / "plain", options=None)
    assert not nets.same(plain, whole)


def test_source_and_target_are_one_batch(tmp_path: Path) -> None:
    """16 images of each, in training mode; the statistics of the finished student are not those of the source alone."""
    sizes: list[int] = []
    student = nets.network()
    one = lesson(student)

    def heard(module: nn.Module, args: tuple[Tensor]) -> None:
        if module.training:
            sizes.append(len(args[0]))

    student.register_forward_pre_hook(heard)
    distill(student, nets.teacher(), Job(phases=nets.PHASES[:1], train=nets.TRAIN, folder=tmp_path, beside=one), data=nets.data(), data_sha256="toy")
    assert sizes == [32] * 12


def test_another_lessons_checkpoint_is_refused(tmp_path: Path) -> None:
    """Other options are another job."""
    with pytest.raises(SystemExit):
        taught(tmp_path, stops=(3,))
    with pytest.raises(RunError, match="is the checkpoint of another job"):
        taught(tmp_path, options=msgspec.structs.replace(OPTIONS, weight=0.5))


def test_where_the_target_lies_is_no_part_of_the_key() -> None:
    """Its images are; so are the options, the seed and how often classes are met."""
    student = nets.network()
    same = lesson(student, options=msgspec.structs.replace(OPTIONS, target="elsewhere", test="folder:x"))
    assert same.key == lesson(student).key
    assert len({lesson(student).key, lesson(student, seed=6).key, lesson(student, options=msgspec.structs.replace(OPTIONS, align=False)).key}) == 3


def test_its_share_stands_beside_the_terms(tmp_path: Path) -> None:
    """In each point of the curve and each event, under its name; all add up to 1."""
    events: list[Event] = []
    _, training = taught(tmp_path, events=events)
    shares = [point.shares for point in training.curve] + [event.shares for event in events if isinstance(event, Trained)]
    assert all(list(share)[-1] == "domain" and sum(share.values()) == pytest.approx(1) for share in shares)
    assert training.curve[-1].shares["domain"] > 0

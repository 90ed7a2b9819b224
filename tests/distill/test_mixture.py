"""edgekd.distill.mixture: several teachers' logits become one answer, which is theirs at every temperature."""

import math
import os
from pathlib import Path

import pytest
import torch
from beartype import beartype
from jaxtyping import TypeCheckError, jaxtyped
from torch import Tensor

from edgekd.data.batches import Batches
from edgekd.distill import Job, distill
from edgekd.distill.mixture import Ensemble, Mixed, alike, by_accuracy, by_confidence, mixture
from edgekd.distill.remembered import Remembered
from edgekd.distill.teacher import Adjusted, Live
from edgekd.errors import UsageError
from edgekd.phases import Phase
from edgekd.terms import Feature, Kd
from tests.distill import nets

SURE, TORN = [1e4, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]
EVERYTHING = torch.arange(64)
SHORT = (Phase(name="short", epochs=2, terms=(Kd(),)),)


def answers(teachers: int, samples: int = 5, classes: int = 4) -> Tensor:
    """Logits of some teachers, float64."""
    return 3 * torch.randn(teachers, samples, classes, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def probabilities(logits: Tensor) -> Tensor:
    """Written out, without softmax."""
    raised = logits.exp()
    return raised / raised.sum(-1, keepdim=True)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_mixture_is_the_geometric_mean_at_every_temperature(temperature: float) -> None:
    """Softened afterwards, it is the normalised product of the teachers' softened probabilities, each to the power of its weight."""
    given = answers(3)
    weights = torch.rand(3, 5, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    weights /= weights.sum(0)
    product = torch.ones(5, 4, dtype=torch.float64)
    for logits, weight in zip(given, weights, strict=True):
        product *= probabilities(logits / temperature) ** weight.unsqueeze(1)
    expected = product / product.sum(1, keepdim=True)
    torch.testing.assert_close(probabilities(mixture(given, weights) / temperature), expected, rtol=1e-12, atol=0)


def test_one_teacher_gives_its_own_answer() -> None:
    """Bit for bit, by every rule."""
    (own,) = given = answers(1)
    assert torch.equal(mixture(given, torch.ones(1, 1, dtype=torch.float64)), own)
    assert torch.equal(mixture(given, by_confidence(given)), own)


def test_teachers_who_say_the_same_give_that_answer() -> None:
    """Bit for bit, though thirds do not add up to one."""
    given = answers(1).float().expand(3, -1, -1)
    for weights in (torch.tensor(alike(3)).unsqueeze(1), by_confidence(given), torch.tensor(by_accuracy([0.9, 0.8, 0.7])).unsqueeze(1)):
        assert torch.equal(mixture(given, weights), given[0])


def test_weights_sum_to_one() -> None:
    """By every rule, for each sample; those by accuracy are in its proportion."""
    assert alike(4) == (0.25,) * 4
    assert by_accuracy([0.9, 0.6]) == pytest.approx((0.6, 0.4))
    torch.testing.assert_close(by_confidence(answers(3)).sum(0), torch.ones(5, dtype=torch.float64))


def test_a_teacher_that_hesitates_counts_for_less() -> None:
    """Among four classes alike: for a quarter of one that is sure; among two: for a half."""
    given = torch.tensor([[SURE, SURE], [TORN, [0.0, 0.0, -1e4, -1e4]]], dtype=torch.float64)
    torch.testing.assert_close(by_confidence(given), torch.tensor([[4 / 5, 2 / 3], [1 / 5, 1 / 3]], dtype=torch.float64))


def test_confidence_is_the_entropy_written_out() -> None:
    """exp(−H), H = −Σ p·ln p, in float64."""
    given = answers(3)
    shares = probabilities(given)
    expected = (shares * shares.log()).sum(2).exp()
    torch.testing.assert_close(by_confidence(given), expected / expected.sum(0), rtol=1e-12, atol=0)


def test_a_specialist_wins_where_it_is_sure() -> None:
    """Two who lean a little to another class outvote one that is fairly sure, but not where confidence counts."""
    given = torch.tensor([[[2.0, 0.0, -9.0, -9.0]], [[0.0, 1.1, 0.0, 0.0]], [[0.0, 1.1, 0.0, 0.0]]])
    assert mixture(given, torch.tensor(alike(3)).unsqueeze(1)).argmax().item() == 1
    assert mixture(given, by_confidence(given)).argmax().item() == 0


def test_a_constant_on_a_teachers_logits_changes_no_probability() -> None:
    """A softmax does not see it, and so neither weights nor mixture may."""
    given = answers(2)
    moved = given + torch.tensor([7.0, -3.0], dtype=torch.float64).view(2, 1, 1)
    torch.testing.assert_close(by_confidence(moved), by_confidence(given))
    torch.testing.assert_close(mixture(moved, by_confidence(moved)).softmax(1), mixture(given, by_confidence(given)).softmax(1))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32])
def test_extreme_logits_stay_finite(kind: torch.dtype) -> None:
    """±1e4, on the same class and on different ones."""
    given = torch.tensor([[[1e4, -1e4, 0.0]], [[-1e4, 1e4, 0.0]], [[1e4, 1e4, 1e4]]], dtype=kind)
    weights = by_confidence(given)
    assert weights.isfinite().all()
    assert mixture(given, weights).isfinite().all()


def test_shapes_are_those_that_the_annotations_say() -> None:
    """A weight for each teacher, or for each teacher and sample; nothing else."""
    checked = jaxtyped(typechecker=beartype)(mixture)
    assert checked(answers(2), torch.ones(2, 1)).shape == checked(answers(2), torch.ones(2, 5)).shape == (5, 4)
    with pytest.raises(TypeCheckError):
        checked(answers(2), torch.ones(3, 5))


def test_teachers_of_whom_none_is_right_cannot_be_weighed_by_that() -> None:
    """The rule, and what to do."""
    with pytest.raises(UsageError, match=r'mixture = "accuracy" weighs teachers .* none has any\. Check their weights .* or set mixture = "mean"'):
        by_accuracy([0.0, 0.0])


# Who answers ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data() -> Batches:
    """64 images."""
    return nets.data()


def pair(weights: tuple[float, ...] | None = (0.5, 0.5), frequencies: tuple[list[float] | None, ...] = (None, None)) -> Ensemble:
    """A Painter, and one that is surer."""
    return Ensemble((nets.network(nets.Painter(), name="a"), nets.network(nets.Painter(8.0), name="b")), weights, frequencies)


def test_a_mixed_teacher_answers_what_its_members_say(data: Batches) -> None:
    """The mean of a gain of 4 and one of 8 is one of 6, on plain images and on views."""
    ensemble = pair()
    teacher = Mixed([Live(member.eval(), data) for member in ensemble.members], ensemble)
    middle = Live(nets.network(nets.Painter(6.0)).eval(), data)
    torch.testing.assert_close(teacher.plain(), middle.plain())
    view = data.view(EVERYTHING, 0, nets.AUGMENT, 0)[0]
    torch.testing.assert_close(teacher.answer(view, EVERYTHING, 0), middle.answer(view, EVERYTHING, 0))


def test_each_member_is_moved_by_its_own_prior_before_it_is_mixed(data: Batches) -> None:
    """One learnt on a long tail, the other on balanced images: only the first loses its log frequencies."""
    ensemble = pair(frequencies=([100.0, 10.0, 1.0], None))
    raw = [torch.zeros(2, 3), torch.zeros(2, 3)]
    mixed = ensemble.mixed(ensemble.moved(raw))
    torch.testing.assert_close(mixed.softmax(1), (torch.tensor([1 / 100, 1 / 10, 1.0]).sqrt() / (0.1 + 0.1**0.5 + 1)).expand(2, 3))
    live = Mixed([Adjusted(Live(member.eval(), data), own) for member, own in zip(ensemble.members, ensemble.frequencies, strict=True)], ensemble)
    answered = [Live(member, data).plain() for member in ensemble.members]
    torch.testing.assert_close(live.plain(), ensemble.mixed(ensemble.moved(answered)))


def taught(folder: Path, ensemble: Ensemble, *, phases: tuple[Phase, ...] = SHORT) -> Tensor:
    """The first weights of a student that the ensemble taught."""
    student = nets.network()
    distill(
        student,
        ensemble,
        Job(phases=phases, train=nets.TRAIN, folder=folder / "student"),
        data=nets.data(),
        data_sha256="toy",
        memory=folder / "memory",
    )
    return next(student.parameters()).detach()


def test_each_teachers_answers_are_remembered_on_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another rule asks nobody anew, and a further teacher only itself; the rules differ in what they teach."""
    filled: list[str] = []
    fill = Remembered._fill

    def counted(self: Remembered, file: Path, view: int | None) -> None:
        filled.append(self.folder.name)
        fill(self, file, view)

    monkeypatch.setattr(Remembered, "_fill", counted)
    first = taught(tmp_path / "one", pair())
    assert len(filled) == 4
    os.rename(tmp_path / "one", tmp_path / "two")
    (tmp_path / "two" / "student").rename(tmp_path / "two" / "before")
    other = taught(tmp_path / "two", pair(None))
    assert len(filled) == 4
    assert not torch.equal(first, other)
    (tmp_path / "two" / "student").rename(tmp_path / "two" / "then")
    taught(tmp_path / "two", Ensemble((*pair().members, nets.network(nets.Painter(1.0), name="c")), alike(3), (None,) * 3))
    assert (len(filled), len(set(filled))) == (6, 3)


def test_an_ensemble_of_one_teaches_as_that_one_does(tmp_path: Path) -> None:
    """The same bits."""
    teacher, student = nets.teacher(), nets.network()
    distill(student, teacher, Job(phases=SHORT, train=nets.TRAIN, folder=tmp_path / "plain"), data=nets.data(), data_sha256="toy")
    assert torch.equal(taught(tmp_path, Ensemble((nets.teacher(),), None, (None,))), next(student.parameters()))


def test_terms_that_look_inside_are_refused(tmp_path: Path) -> None:
    """With the phase, the terms, and the remedy."""
    phases = (Phase(name="inside", epochs=1, terms=(Kd(), Feature())),)
    with pytest.raises(UsageError, match=r"need one network that is asked; phase 'inside' has feature\. Take these terms out .*, or teach with one"):
        taught(tmp_path, pair(), phases=phases)


def test_an_ensemble_is_called_by_its_members() -> None:
    """And answers their classes."""
    assert (pair().name, pair().classes) == ("a+b", nets.CLASSES)
    assert math.isclose(sum(alike(7)), 1.0)

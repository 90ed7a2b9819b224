"""Losses on independent labels: literals worked out by hand, torch's own as the reference, invariants, gradients, extremes, shapes."""

import math

import pytest
import torch
from beartype import beartype
from jaxtyping import TypeCheckError, jaxtyped
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill import independent, losses


def logit(*rows: list[float]) -> Tensor:
    """Logits of these probabilities."""
    return torch.tensor(rows, dtype=torch.float64).logit()


def heat(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def random_batch(samples: int = 6, labels: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Student's logits, teacher's logits, labels of which some are not known; float64."""
    generator = torch.Generator().manual_seed(5)
    student, teacher = 2 * torch.randn(2, samples, labels, generator=generator, dtype=torch.float64)
    return student, teacher, torch.randint(-1, 2, (samples, labels), generator=generator)


# Binary cross entropy -------------------------------------------------------------------------------------------------


def test_bce_literal() -> None:
    """Shown at 75 % and not shown at 20 %: −ln 0.75 − ln 0.8, summed over labels; the mean over two images."""
    loss = independent.bce(logit([0.75, 0.2], [0.5, 0.5]), torch.tensor([[1, 0], [0, 1]]))
    assert loss.item() == pytest.approx((-math.log(0.75) - math.log(0.8) + 2 * math.log(2)) / 2, abs=1e-12)


def test_unknown_labels_add_nothing() -> None:
    """Neither to the loss nor to the gradient."""
    student = logit([0.75, 0.2]).requires_grad_()
    loss = independent.bce(student, torch.tensor([[1, -1]]))
    assert loss.item() == pytest.approx(-math.log(0.75), abs=1e-12)
    (gradient,) = torch.autograd.grad(loss, student)
    torch.testing.assert_close(gradient, torch.tensor([[0.75 - 1, 0.0]], dtype=torch.float64))


def test_bce_is_torchs_own() -> None:
    """With and without weights of what is shown, where all labels are known."""
    student, _, labels = random_batch()
    known, weights = labels.clamp(min=0), torch.tensor([1.0, 2.0, 5.0, 0.5], dtype=torch.float64)
    for positive in (None, weights):
        reference = F.binary_cross_entropy_with_logits(student, known.double(), pos_weight=positive, reduction="sum") / len(student)
        torch.testing.assert_close(independent.bce(student, known, positive=positive), reference)


def test_weights_of_what_is_shown_do_not_weigh_up_smoothing() -> None:
    """A rare label that an image lacks is best called as unlikely as smoothing says, however much it weighs where it is shown."""
    lacks, weight = torch.tensor([[0]]), torch.tensor([63.0], dtype=torch.float64)
    best = logit([0.05]).requires_grad_()
    (gradient,) = torch.autograd.grad(independent.bce(best, lacks, smoothing=0.1, positive=weight), best)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient))
    shown = torch.tensor([[1]])
    plain = independent.bce(logit([0.3]), shown, smoothing=0.1)
    torch.testing.assert_close(independent.bce(logit([0.3]), shown, smoothing=0.1, positive=weight), 63 * plain)


def test_smoothing_literal() -> None:
    """A target of 0.9 in place of 1, and of 0.1 in place of 0."""
    loss = independent.bce(logit([0.75, 0.2]), torch.tensor([[1, 0]]), smoothing=0.2)
    expected = -0.9 * math.log(0.75) - 0.1 * math.log(0.25) - 0.9 * math.log(0.8) - 0.1 * math.log(0.2)
    assert loss.item() == pytest.approx(expected, abs=1e-12)


def test_positive_weights_literal() -> None:
    """β = 0 weighs alike; β → 1 by the ratio of the counts; between them by effective numbers. No image counts as one."""
    counts = torch.tensor([[90, 5, 4], [10, 5, 0]])
    assert independent.positive_weights(counts, 0.0).tolist() == [1, 1, 1]
    assert independent.positive_weights(counts, 1 - 1e-12).tolist() == pytest.approx([9, 1, 4], rel=1e-6)
    assert independent.positive_weights(counts, 0.9)[0].item() == pytest.approx((1 - 0.9**90) / (1 - 0.9**10))


def test_label_counts_leave_out_what_is_not_known() -> None:
    """Images that lack each label, and that show it."""
    assert independent.label_counts(torch.tensor([[1, 0], [-1, 0], [1, 1]])).tolist() == [[0, 2], [2, 1]]


# Distillation ---------------------------------------------------------------------------------------------------------


def test_kd_literal() -> None:
    """Teacher (0.75, 0.5) against student (0.5, 0.5) at T = 1: 0.75 ln 1.5 + 0.25 ln 0.5 for the first label, nothing for the second."""
    loss = independent.kd(logit([0.5, 0.5]), logit([0.75, 0.5]), heat(1))
    assert loss.item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5), abs=1e-12)


def test_kd_scales_with_the_square_of_the_temperature() -> None:
    """Logits twice as far apart at T = 2 soften to the same probabilities, and count four times; each sample by its own T."""
    once = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    teacher = torch.cat([logit([0.75]), 2 * logit([0.75])])
    assert independent.kd(torch.zeros_like(teacher), teacher, heat(1, 2)).item() == pytest.approx((once + 4 * once) / 2, abs=1e-12)


def test_one_label_is_kd_of_two_classes() -> None:
    """A yes or no is two classes, one of which has the logit 0."""
    student, teacher, _ = random_batch(labels=1)
    temperature = heat(1, 2, 3, 4, 0.5, 8)
    ours, theirs = (torch.cat([logits, torch.zeros_like(logits)], 1) for logits in (student, teacher))
    torch.testing.assert_close(independent.kd(student, teacher, temperature), losses.kd(ours, theirs, temperature))


def test_kd_is_zero_where_both_say_the_same_and_never_below() -> None:
    """To the last bit, as `losses.kd` is."""
    student, teacher, _ = random_batch()
    assert independent.kd(teacher, teacher, torch.full((6,), 3.0)).item() == 0
    assert independent.kd(student, teacher, torch.full((6,), 3.0)).item() > 0


def test_labels_may_stand_in_any_order() -> None:
    """They are independent."""
    student, teacher, labels = random_batch()
    order, temperature = torch.tensor([2, 0, 3, 1]), torch.full((6,), 2.0, dtype=torch.float64)
    torch.testing.assert_close(independent.kd(student[:, order], teacher[:, order], temperature), independent.kd(student, teacher, temperature))
    torch.testing.assert_close(independent.bce(student[:, order], labels[:, order]), independent.bce(student, labels))


# Gradients ------------------------------------------------------------------------------------------------------------


def test_gradients_by_hand() -> None:
    """(sigmoid(s) − y)/batch, and T·(sigmoid(s/T) − sigmoid(t/T))/batch."""
    student, teacher, labels = random_batch()
    student.requires_grad_()
    known, temperature = labels.clamp(min=0), heat(1, 2, 3, 4, 0.5, 8)
    (own,) = torch.autograd.grad(independent.bce(student, known), student)
    torch.testing.assert_close(own, (student.sigmoid() - known) / 6)
    (soft,) = torch.autograd.grad(independent.kd(student, teacher, temperature), student)
    scale = temperature[:, None]
    torch.testing.assert_close(soft, scale * ((student / scale).sigmoid() - (teacher / scale).sigmoid()) / 6)


def test_gradients_are_those_of_the_values() -> None:
    """By finite differences, in float64; the temperature's too, as it may be learned."""
    student, teacher, labels = random_batch()
    student.requires_grad_()
    temperature = heat(1, 2, 3, 4, 0.5, 8).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: independent.bce(s, labels, smoothing=0.1), (student,))
    assert torch.autograd.gradcheck(lambda s, t: independent.kd(s, teacher, t), (student, temperature))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("temperature", [0.1, 1.0, 20.0])
def test_extreme_logits_stay_finite(dtype: torch.dtype, temperature: float) -> None:
    """±1e4 against its opposite, against 0, and against itself: values and gradients."""
    student = torch.tensor([[1e4, -1e4, 1e4, 0.0, -1e4]], dtype=dtype).requires_grad_()
    teacher = torch.tensor([[-1e4, 1e4, 1e4, 1e4, -1e4]], dtype=dtype)
    for loss in (
        independent.bce(student, torch.tensor([[0, 1, 1, -1, 0]])),
        independent.kd(student, teacher, torch.tensor([temperature])),
    ):
        assert loss.dtype == torch.float32
        assert torch.isfinite(loss)
        assert loss >= 0
        (gradient,) = torch.autograd.grad(loss, student)
        assert torch.isfinite(gradient).all()


def test_a_perfect_answer_costs_nothing() -> None:
    """However sure it is."""
    labels = torch.tensor([[1, 0]])
    assert independent.bce(torch.tensor([[1e4, -1e4]]), labels).item() == 0


def test_shapes_are_held_to() -> None:
    """The annotations say what fits: a row a sample and a column a label in all of them, and no number comes of anything else."""
    bce, kd = (jaxtyped(function, typechecker=beartype) for function in (independent.bce, independent.kd))
    student, teacher, labels = torch.zeros(6, 4), torch.ones(6, 4), torch.zeros(6, 4, dtype=torch.int64)
    assert bce(student, labels).shape == kd(student, teacher, torch.ones(6)).shape == ()
    with pytest.raises(TypeCheckError):
        bce(student, labels[:, 0])
    with pytest.raises(TypeCheckError):
        bce(student, labels[:, :1])
    with pytest.raises(TypeCheckError):
        kd(student, teacher[:, :1], torch.ones(6))
    with pytest.raises(TypeCheckError):
        kd(student, teacher, torch.ones(5))

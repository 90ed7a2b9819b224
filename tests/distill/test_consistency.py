"""Losses on one's own averaged answers: literals worked out by hand, gradients, what has none, extremes, shapes."""

import math

import pytest
import torch
from beartype import beartype
from jaxtyping import TypeCheckError, jaxtyped
from torch import Tensor

from edgekd.distill import consistency as module
from edgekd.distill import losses
from edgekd.distill.consistency import balanced, consistency, ramp, sure


def log(*rows: list[float]) -> Tensor:
    """Logits that mean these probabilities, float64."""
    return torch.tensor(rows, dtype=torch.float64).log()


def answers(samples: int = 6, classes: int = 4, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """A student's logits and a self-teacher's."""
    generator = torch.Generator().manual_seed(3)
    student, teacher = torch.randn(2, samples, classes, generator=generator, dtype=dtype)
    return student, 6 * teacher


def every(logits: Tensor) -> Tensor:
    """All images count."""
    return torch.ones(len(logits), dtype=torch.bool)


def gradient(student: Tensor, teacher: Tensor, counted: Tensor, temperature: float) -> Tensor:
    """Of the loss at the student's logits."""
    student = student.clone().requires_grad_()
    consistency(student, teacher, counted, temperature=temperature).backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    return student.grad


def test_a_literal() -> None:
    """0.9 to 0.1 against even odds costs ln 2 − H(0.9); at T = 0.5 the squares are asked for, 81 to 1; an unsure image counts as one without loss."""
    even, clear, unsure = [0.5, 0.5], [0.9, 0.1], [0.6, 0.4]

    def cost(p: float) -> float:
        return math.log(2) + p * math.log(p) + (1 - p) * math.log(1 - p)

    one, first = torch.tensor([True]), torch.tensor([True, False])
    assert consistency(log(even), log(clear), one, temperature=1.0).item() == pytest.approx(cost(0.9))
    assert consistency(log(even), log(clear), one, temperature=0.5).item() == pytest.approx(cost(81 / 82))
    assert consistency(log(even, even), log(clear, unsure), first, temperature=1.0).item() == pytest.approx(cost(0.9) / 2)


def test_the_gradient_is_the_difference_of_counted_answers() -> None:
    """(softmax(student) − softmax(teacher/T))/batch where an image counts, else 0."""
    student, teacher = answers()
    gate = torch.tensor([True, False, True, True, False, True])
    expected = gate[:, None] * (student.softmax(1) - (teacher / 0.5).softmax(1)) / len(gate)
    assert torch.allclose(gradient(student, teacher, gate, 0.5), expected)


def test_the_gradient_equals_finite_differences() -> None:
    """Each derivative in float64, with sharpened and with plain answers; those of images that do not count among them."""
    student, teacher = answers()
    gate = torch.tensor([True, False, True, True, False, True])
    for heat in (0.5, 1.0):
        assert torch.autograd.gradcheck(lambda s, t=heat: consistency(s, teacher, gate, temperature=t), student.clone().requires_grad_())


def test_ones_own_detached_logits_teach_nothing() -> None:
    """The well-known form: its gradient is 0 but for rounding, in this loss as in plain KD at any temperature; an averaged teacher's is not."""
    student, teacher = answers()
    assert gradient(student, student, every(student), 1.0).abs().max() < 1e-15
    for heat in (1.0, 4.0):
        own = student.clone().requires_grad_()
        losses.kd(own, own.detach(), torch.full((len(own),), heat, dtype=torch.float64)).backward()  # type: ignore[no-untyped-call]
        assert own.grad is not None
        assert own.grad.abs().max() < 1e-15
    assert gradient(student, teacher, every(student), 1.0).abs().max() > 0.01


def test_equal_answers_cost_nothing() -> None:
    """Where student and teacher say the same and nothing is sharpened; else the loss is above 0."""
    student, teacher = answers()
    assert consistency(teacher, teacher, every(teacher), temperature=1.0).item() == pytest.approx(0, abs=1e-12)
    assert consistency(student, teacher, every(teacher), temperature=1.0).item() > 0


def test_sure_is_measured_by_the_source() -> None:
    """0.75 is sure enough beside a source of 0.8 on average for a share of 0.9, and not beside one of 0.9; 0 takes every image."""
    teacher = log([0.75, 0.25], [0.25, 0.75], [0.6, 0.4])
    unsure, certain = log([0.7, 0.3], [0.9, 0.1]), log([0.9, 0.1])
    assert sure(teacher, unsure, 0.9).tolist() == [True, True, False]
    assert sure(teacher, certain, 0.9).tolist() == [False] * 3
    assert sure(teacher, certain, 0.0).tolist() == [True] * 3


def test_a_class_that_is_named_too_often_gives_way() -> None:
    """Probabilities times wanted over seen, brought to sum 1; where both are alike nothing moves."""
    teacher = log([0.6, 0.2, 0.2])
    seen, wanted = torch.tensor([0.6, 0.3, 0.1]), torch.tensor([0.2, 0.3, 0.5])
    moved = torch.tensor([0.6 / 3, 0.2, 0.2 * 5], dtype=torch.float64)
    assert torch.allclose(balanced(teacher, seen, wanted).softmax(1), (moved / moved.sum())[None])
    assert torch.allclose(balanced(teacher, seen, seen), teacher)


def test_of_many_classes_answers_are_balanced_too() -> None:
    """Of 100 classes one that is named twice as often as there are images of it loses log 2."""
    seen, wanted = torch.full((100,), 0.01), torch.full((100,), 0.01)
    seen[0] = 0.02
    found = balanced(torch.zeros(1, 100), seen, wanted)
    assert found[0, 1].item() - found[0, 0].item() == pytest.approx(math.log(2))


def test_a_class_that_was_never_named_is_raised_within_bounds() -> None:
    """And one that is not wanted stays finite too."""
    moved = balanced(torch.zeros(1, 2), torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5]))
    assert (moved[0, 1] - moved[0, 0]).item() == pytest.approx(-math.log(module.LEAST_SHARE), rel=1e-5)
    assert balanced(torch.zeros(1, 2), torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0])).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_extreme_logits_stay_finite(dtype: torch.dtype) -> None:
    """±1e4, in every precision: value and gradient."""
    student = torch.tensor([[1e4, -1e4, 0.0], [0.0, 0.0, 0.0]], dtype=dtype)
    teacher = torch.tensor([[-1e4, 1e4, 0.0], [1e4, -1e4, -1e4]], dtype=dtype)
    loss = consistency(student, teacher, every(teacher), temperature=0.5)
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert loss.isfinite()
    assert gradient(student, teacher, every(teacher), 0.5).isfinite().all()
    assert sure(teacher, student, 0.9).tolist() == [True, True]
    assert balanced(teacher, torch.full((3,), 1 / 3), torch.full((3,), 1 / 3)).isfinite().all()


def test_what_warms_up() -> None:
    """A weight rises evenly, and is there at once where there are no steps to rise in."""
    assert [ramp(step, 4.0) for step in (0, 1, 2, 4, 9)] == [0, 0.25, 0.5, 1, 1]
    assert [ramp(step, 0.3) for step in (0, 1)] == [0, 1]


def test_shapes_are_checked_where_tests_run() -> None:
    """Another number of classes is refused."""
    checked = jaxtyped(consistency, typechecker=beartype)
    checked(torch.zeros(2, 3), torch.zeros(2, 3), every(torch.zeros(2)), temperature=1.0)
    with pytest.raises(TypeCheckError):
        checked(torch.zeros(2, 3), torch.zeros(2, 1), every(torch.zeros(2)), temperature=1.0)

"""Temperatures: each shape's ends and middle, per sample where confidence decides, and what is refused."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekd.distill.temperature import temperature
from edgekd.errors import UsageError
from edgekd.recipe import Shape, Temperature


def at(shape: Shape, progress: float, start: float = 4.0, end: float = 1.0) -> float:
    values = temperature(Temperature(start=start, end=end, shape=shape), progress, batch=3)
    assert values.shape == (3,)
    assert values.dtype == torch.float32
    first: float = values[0].item()
    assert values.tolist() == [first] * 3
    return first


def test_a_number_is_every_samples() -> None:
    """A constant stands for each sample, however far the phase is."""
    assert temperature(3.0, 0.2, batch=2).tolist() == [3.0, 3.0]
    assert temperature(3.0, 1.0, batch=2).tolist() == [3.0, 3.0]


@pytest.mark.parametrize(("shape", "quarter", "half"), [("linear", 3.25, 2.5), ("cosine", 3.56066, 2.5), ("exponential", 2.82843, 2.0)])
def test_shapes_over_progress(shape: Shape, quarter: float, half: float) -> None:
    """From 4 to 1: the ends are met, a quarter and a half are the ones worked out by hand."""
    found = [at(shape, progress) for progress in (0.0, 0.25, 0.5, 1.0)]
    assert found == pytest.approx([4.0, quarter, half, 1.0], abs=1e-5)


@given(
    st.sampled_from(["linear", "cosine", "exponential"]),
    st.floats(0.25, 8),
    st.floats(0.25, 8),
    st.floats(0, 1),
    st.floats(0, 1),
)
@settings(max_examples=60, deadline=None)
def test_shapes_stay_between_their_ends_and_never_turn(shape: Shape, start: float, end: float, p: float, q: float) -> None:
    """Later in a phase is nearer to the end, for rising and falling temperatures."""
    early, late = at(shape, min(p, q), start, end), at(shape, max(p, q), start, end)
    slack = 1e-5 * max(start, end)
    assert min(start, end) - slack <= early <= max(start, end) + slack
    assert abs(late - end) <= abs(early - end) + slack


def test_teacher_confidence_is_per_sample() -> None:
    """A sure teacher's sample is at `end`, an unsure one's near `start`, also where the probabilities are float16."""
    spec = Temperature(start=5, end=1, shape="teacher-confidence")
    probability = torch.tensor([0.0, 0.25, 1.0], dtype=torch.float16)
    values = temperature(spec, 0.5, teacher_probability=probability, batch=3)
    assert values.tolist() == [5.0, 4.0, 1.0]
    assert values.dtype == torch.float32


@pytest.mark.parametrize("confidence", [0.75, torch.tensor(0.75)])
def test_student_confidence_is_one_for_the_batch(confidence: float | torch.Tensor) -> None:
    """The running confidence moves all samples alike, as a number or as a tensor that stays where it is."""
    spec = Temperature(start=6, end=0.5, shape="student-confidence")
    values = temperature(spec, 0.0, student_confidence=confidence, batch=2)
    assert values.tolist() == [1.875, 1.875]


@pytest.mark.parametrize("progress", [-0.1, 1.5, float("nan")])
def test_progress_outside_a_phase_is_refused(progress: float) -> None:
    """The message says the range, the value and how to count."""
    with pytest.raises(UsageError, match=r"must be in \[0, 1\], got .*steps done over"):
        temperature(3.0, progress, batch=2)


@pytest.mark.parametrize(("shape", "name"), [("teacher-confidence", "teacher_probability"), ("student-confidence", "student_confidence")])
def test_a_confidence_that_is_missing_is_refused(shape: Shape, name: str) -> None:
    """The message names the shape, what it follows and a shape that needs none."""
    with pytest.raises(UsageError, match=rf"'{shape}' follows {name}, got None.*cosine"):
        temperature(Temperature(start=3, end=1, shape=shape), 0.5, batch=2)

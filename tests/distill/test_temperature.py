"""Temperatures: each shape's ends and middle, per sample where confidence decides, what is running or learned, and what is refused."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekd.distill import losses
from edgekd.distill.temperature import BEGIN, RAMP, RATE, SURE, follow, learn, reverse, strength, temperature
from edgekd.errors import UsageError
from edgekd.phases import Shape, Temperature


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


@pytest.mark.parametrize("confidence", [0.35, torch.tensor(0.35)])
def test_student_confidence_is_one_for_the_batch(confidence: float | torch.Tensor) -> None:
    """The running confidence moves all samples alike, as a number or as a tensor that stays where it is: half of 0.7 is halfway."""
    spec = Temperature(start=6, end=0.5, shape="student-confidence")
    values = temperature(spec, 0.0, student_confidence=confidence, batch=2)
    assert values.tolist() == pytest.approx([3.25, 3.25])


@pytest.mark.parametrize(("sure", "expected"), [(0.0, 6.0), (SURE, 0.8), (0.95, 0.8), (-0.01, 6.0)])
def test_student_confidence_has_two_ends(sure: float, expected: float) -> None:
    """By default 6 where the student guesses and 0.8 from `SURE` on, and nothing beyond."""
    spec = Temperature(shape="student-confidence")
    assert temperature(spec, 0.5, student_confidence=sure, batch=1).item() == pytest.approx(expected)


def test_confidence_counts_from_guessing_to_certainty() -> None:
    """Of two classes a largest probability of 0.75 is half of the way, of four 0.25 is none; the mean of a batch counts."""
    half, none = torch.tensor([[0.75, 0.25]]).log(), torch.zeros(1, 4)
    assert follow(None, half).item() == pytest.approx(0.02 * 0.5)
    assert follow(torch.tensor(0.5), half).item() == pytest.approx(0.5)
    assert follow(torch.tensor(1.0), none).item() == pytest.approx(0.98)
    both = torch.tensor([[1e4, 0, 0, 0], [0, 0, 0, 0]], dtype=torch.float16, requires_grad=True)
    running = follow(torch.tensor(0.0), both)
    assert running.item() == pytest.approx(0.01)
    assert not running.requires_grad


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_a_student_spreads_at_first_and_sharpens_late(classes: int) -> None:
    """One whose largest probability goes from chance to 95 % in 600 steps: T begins above 5, falls without a turn, and ends below 1."""
    spec, sure, heats = Temperature(shape="student-confidence"), None, []
    for step in range(600):
        largest = 1 / classes + (0.95 - 1 / classes) * step / 600
        logits = torch.full((1, classes), math.log((1 - largest) / (classes - 1)))
        logits[0, 0] = math.log(largest)
        sure = follow(sure, logits)
        heats.append(temperature(spec, step / 600, student_confidence=sure, batch=1).item())
    assert heats[0] > 5.9
    assert all(heat > 5 for heat in heats[:60])
    assert all(later <= earlier + 1e-5 for earlier, later in itertools.pairwise(heats))
    assert all(heat < 1 for heat in heats[-50:])


# Learned --------------------------------------------------------------------------------------------------------------


LEARNED = Temperature(start=6, end=1, shape="learned")


def test_a_learned_temperature_begins_near_its_start() -> None:
    """A tenth of the way, for all samples, however far the phase is; 0 is the middle."""
    for progress in (0.0, 1.0):
        assert temperature(LEARNED, progress, learned=torch.tensor(BEGIN), batch=2).tolist() == pytest.approx([5.5, 5.5])
    assert temperature(LEARNED, 0.5, learned=torch.tensor(0.0), batch=1).item() == 3.5


@pytest.mark.parametrize(("progress", "expected"), [(0.0, 0.0), (RAMP / 3, 0.25), (RAMP / 2, 0.5), (RAMP, 1.0), (0.3, 1.0), (1.0, 1.0)])
def test_the_reversal_grows_along_a_cosine(progress: float, expected: float) -> None:
    """Up to its full strength within the first part of a phase."""
    assert strength(progress) == pytest.approx(expected)


@pytest.mark.parametrize(("gradient", "expected"), [(0.5, -0.125), (-0.5, 0.125), (40.0, -0.25), (-40.0, 0.25)])
def test_a_gradient_comes_back_turned_and_bounded(gradient: float, expected: float) -> None:
    """A quarter of the negative of what arrived, and of 1 where more did; the value passes as it is."""
    x = torch.tensor(3.0, requires_grad=True)
    value = reverse(x, 0.25)
    (gradient * value).backward()  # type: ignore[no-untyped-call]
    assert value.item() == 3.0
    assert x.grad is not None
    assert x.grad.item() == pytest.approx(expected)


def test_the_gradient_of_a_learned_temperature_is_the_losss_reversed() -> None:
    """Against a finite difference of the loss in x, in the middle of the ramp: half of its negative."""
    generator = torch.Generator().manual_seed(2)
    student, teacher = torch.randn(2, 8, 5, generator=generator)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return losses.kd(student, teacher, temperature(LEARNED, RAMP / 2, learned=x, batch=8))

    x = torch.tensor(0.3, requires_grad=True)
    loss(x).backward()  # type: ignore[no-untyped-call]
    slope = (loss(torch.tensor(0.31)) - loss(torch.tensor(0.29))).item() / 0.02
    assert x.grad is not None
    assert x.grad.item() == pytest.approx(-0.5 * slope, rel=1e-2)


def test_learning_raises_the_loss() -> None:
    """From the same answers, 200 steps make them harder, one by one, and T stays in its range."""
    generator = torch.Generator().manual_seed(2)
    student, teacher = 4 * torch.randn(2, 8, 5, generator=generator)
    x, found, heats = torch.tensor(0.0), [], []
    for _ in range(200):
        x.requires_grad_()
        heat = temperature(LEARNED, 1.0, learned=x, batch=8)
        value = losses.kd(student, teacher, heat)
        value.backward()  # type: ignore[no-untyped-call]
        x = learn(x, 1.0)
        found.append(value.item())
        heats.append(heat[0].item())
    assert all(later > earlier - 1e-5 for earlier, later in itertools.pairwise(found))
    assert found[-1] > 1.05 * found[0]
    assert all(1 < heat < 6 for heat in heats)
    assert not x.requires_grad


def test_a_step_is_never_longer_than_its_rate() -> None:
    """A gradient of any size moves x by a twentieth at the peak of the schedule, and by none where no term asked for T."""
    x = torch.tensor(1.0, requires_grad=True)
    assert learn(x, 1.0).item() == 1.0
    (1e6 * reverse(x, 1.0)).backward()  # type: ignore[no-untyped-call]
    assert learn(x, 1.0).item() == pytest.approx(1 + RATE)
    assert learn(x, 0.1).item() == pytest.approx(1 + RATE / 10)


@given(st.floats(0.1, 20), st.floats(0.1, 20), st.floats(-200, 200))
@settings(max_examples=60, deadline=None)
def test_a_learned_temperature_stays_in_its_range(start: float, end: float, x: float) -> None:
    """Wherever x has got to."""
    spec = Temperature(start=start, end=end + (end == start), shape="learned")
    low, high = sorted([spec.start, spec.end])
    assert low * (1 - 1e-5) <= temperature(spec, 1.0, learned=torch.tensor(x), batch=1).item() <= high * (1 + 1e-5)


# What is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("progress", [-0.1, 1.5, float("nan")])
def test_progress_outside_a_phase_is_refused(progress: float) -> None:
    """The message says the range, the value and how to count."""
    with pytest.raises(UsageError, match=r"must be in \[0, 1\], got .*steps done over"):
        temperature(3.0, progress, batch=2)


@pytest.mark.parametrize(
    ("shape", "name"), [("teacher-confidence", "teacher_probability"), ("student-confidence", "student_confidence"), ("learned", "learned")]
)
def test_what_a_shape_follows_must_be_given(shape: Shape, name: str) -> None:
    """The message names the shape, what it follows and a shape that needs none."""
    with pytest.raises(UsageError, match=rf"'{shape}' follows {name}, got None.*cosine"):
        temperature(Temperature(start=3, end=1, shape=shape), 0.5, batch=2)

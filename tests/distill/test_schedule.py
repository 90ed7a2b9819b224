"""edgekd.distill.schedule: how many steps, and how fast each of them learns."""

from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgekd.data.batches import order
from edgekd.distill.schedule import FLOOR, WARM_UP, Passes, phase_steps, rate, steps_per_pass
from edgekd.phases import Phase, Subset
from edgekd.terms import Label

Schedule = Literal["one-cycle", "cosine", "constant"]


def phase(epochs: float, subset: Subset | None = None) -> Phase:
    return Phase(name="p", epochs=epochs, terms=(Label(),), subset=subset)


@pytest.mark.parametrize(("images", "batch", "steps"), [(1000, 128, 7), (128, 128, 1), (127, 128, 1), (1, 128, 1), (256, 128, 2), (255, 128, 1)])
def test_a_pass_has_full_batches_only(images: int, batch: int, steps: int) -> None:
    """What is left over waits for the next order; a set below one batch is one batch."""
    assert steps_per_pass(images, batch) == steps


def test_phases_count_in_epochs_over_all_images() -> None:
    """1,000 images in batches of 100: 10 steps an epoch, also where a phase sees a tenth of them, and never none."""
    phases = [phase(3), phase(2.5), phase(1.26, Subset(fraction=0.1)), phase(0.001)]
    assert phase_steps(phases, 1000, 100) == [30, 25, 13, 1]


@pytest.mark.parametrize(
    ("schedule", "step", "expected"),
    [
        ("one-cycle", 0, 0.01),
        ("one-cycle", 10, 0.505),
        ("one-cycle", 20, 1.0),
        ("one-cycle", 60, 0.505),
        ("one-cycle", 100, 0.01),
        ("cosine", 0, 1.0),
        ("cosine", 25, 0.853553),
        ("cosine", 50, 0.5),
        ("cosine", 100, 0.0),
        ("constant", 0, 1.0),
        ("constant", 73, 1.0),
        ("constant", 100, 1.0),
    ],
)
def test_rates_worked_out_by_hand(schedule: Schedule, step: int, expected: float) -> None:
    """Of 100 steps: one-cycle rises over 20 and falls over 80 between 1 % and all of the peak."""
    assert rate(schedule, step, 100) == pytest.approx(expected, abs=1e-6)


@given(st.sampled_from(["one-cycle", "cosine", "constant"]), st.integers(1, 5000), st.data())
def test_a_rate_is_a_share_of_its_peak(schedule: Schedule, steps: int, data: st.DataObject) -> None:
    """In [0, 1] at every step, and never below the floor where there is one."""
    value = rate(schedule, data.draw(st.integers(0, steps)), steps)
    assert (FLOOR if schedule == "one-cycle" else 0) - 1e-12 <= value <= 1


@given(st.integers(2, 5000), st.data())
def test_one_cycle_rises_and_then_falls(steps: int, data: st.DataObject) -> None:
    """Two steps in the same part of the schedule stand in its order."""
    first, second = sorted(data.draw(st.tuples(st.integers(0, steps), st.integers(0, steps))))
    early, late = rate("one-cycle", first, steps), rate("one-cycle", second, steps)
    if second / steps <= WARM_UP:
        assert early <= late + 1e-12
    elif first / steps >= WARM_UP:
        assert early >= late - 1e-12


@given(st.integers(1, 3000), st.integers(2, 512), st.lists(st.floats(0.01, 20), min_size=1, max_size=4))
def test_steps_follow_epochs(images: int, batch: int, epochs: list[float]) -> None:
    """Each phase is within half a step of its epochs, or at its least of one."""
    per_pass = steps_per_pass(images, batch)
    for steps, wanted in zip(phase_steps([phase(e) for e in epochs], images, batch), epochs, strict=True):
        assert steps >= 1
        assert steps == 1 or abs(steps - wanted * per_pass) <= 0.5


def test_a_pass_is_its_order_in_pieces() -> None:
    """Full batches only; the next pass has another order, and the first one its own number."""
    passes = Passes(10, 4, seed=3, first=5)
    assert passes.steps == 2
    seen = [passes.at(step) for step in range(4)]
    assert [number for _, number in seen] == [5, 5, 6, 6]
    assert torch.cat([positions for positions, _ in seen[:2]]).tolist() == order(10, 3, 5)[:8].tolist()
    assert torch.cat([positions for positions, _ in seen[2:]]).tolist() == order(10, 3, 6)[:8].tolist()


def test_fewer_images_than_a_batch() -> None:
    """A step shows them all."""
    positions, number = Passes(3, 8, seed=0).at(7)
    assert (sorted(positions.tolist()), number) == ([0, 1, 2], 7)


@given(count=st.integers(1, 40), size=st.integers(1, 12), step=st.integers(0, 60), ahead=st.integers(0, 5))
def test_what_comes_is_what_will_be_asked_for(count: int, size: int, step: int, ahead: int) -> None:
    """The next steps of the same pass and no others; asking changes nothing, and a step is the same whatever was asked before."""
    passes = Passes(count, size, seed=1)
    own, number = passes.at(step)
    coming = passes.coming(step, ahead)
    later = [passes.at(step + 1 + more) for more in range(ahead)]
    assert [positions.tolist() for positions in coming] == [positions.tolist() for positions, its in later if its == number]
    assert passes.at(step)[0].tolist() == own.tolist() == Passes(count, size, seed=1).at(step)[0].tolist()


@pytest.mark.parametrize("count", [1, 7])
def test_every_image_once_a_pass(count: int) -> None:
    """Where batches divide the images."""
    passes = Passes(count, 1, seed=2)
    assert sorted(int(passes.at(step)[0]) for step in range(count)) == list(range(count))

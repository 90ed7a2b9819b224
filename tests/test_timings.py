"""Tests of edgekd/timings.py: by invariants, and by simulation."""

import math
import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekd import stats, timings

_SAMPLES = st.lists(st.floats(0.01, 1e4), min_size=1, max_size=30)


@given(st.lists(st.lists(_SAMPLES, min_size=1, max_size=5), min_size=1, max_size=4), st.floats(0.5, 2))
@settings(max_examples=30, deadline=None)
def test_median_interval_holds_its_median_and_scales(launches: list[list[list[float]]], factor: float) -> None:
    """The interval holds the median and every launch's mean of logarithms, and scales with the samples."""
    value, low, high = timings.median_interval(launches)
    assert value == statistics.median([sample for rounds in launches for block in rounds for sample in block])
    assert 0 <= low <= value <= high
    scaled = timings.median_interval([[[sample * factor for sample in block] for block in rounds] for rounds in launches])
    assert scaled == pytest.approx((value * factor, low * factor, high * factor))


def test_a_literal() -> None:
    """Launches of 1, 2 and 4 ms: their logarithms' mean is log 2, and t(2) = 4.303 of their deviation log 2 over √3 either way."""
    value, low, high = timings.median_interval([[[1.0], [1.0, 1.0]], [[2.0]], [[4.0, 4.0], [4.0]]])
    half = 4.302653 * math.log(2) / math.sqrt(3)
    assert (value, low, high) == pytest.approx((2.0, 2 * math.exp(-half), 2 * math.exp(half)))


def test_one_launch_tells_nothing_of_others() -> None:
    """However many its rounds are; of a percentile likewise."""
    assert timings.median_interval([[[1.0, 1.1], [1.2]]]) == (1.1, 0.0, math.inf)
    assert timings.percentile_interval([[[1.0] * 200]], 95) == (1.0, 0.0, math.inf)


def test_every_round_of_a_launch_counts() -> None:
    """A first round that is faster than the others moves no end of the interval."""
    assert timings.median_interval([[[1.0], [2.0], [2.0]]] * 2) == pytest.approx((2.0, 2.0, 2.0))


def test_percentile_interval_holds_its_percentile() -> None:
    """The 95th percentile lies within, each launch's own too, and too few samples give none."""
    launches = _launches(random.Random(4), 3, 8, 0.02)
    found = timings.percentile_interval(launches, 95)
    assert found is not None
    value, low, high = found
    assert value == stats.percentile([s for rounds in launches for block in rounds for s in block], 95)
    assert low < value < high
    assert timings.percentile_interval([[[1.0] * 100]], 95) is None


def test_a_percentile_is_as_wide_as_order_statistics_where_launches_agree() -> None:
    """Of 1,000 samples in five equal launches p95 lies between the 936th and the 965th."""
    launches = [[[float(value) for value in range(1, 201)]]] * 5
    assert timings.percentile_interval(launches, 95) == pytest.approx((190.05, 188.0, 193.0))


@given(st.integers(1, 7), st.integers(1, 5), st.integers(1, 12))
def test_turns_are_balanced(contenders: int, launches: int, rounds: int) -> None:
    """Each has one turn a round; over all rounds and launches each has each place about as often, and equally often where the rounds allow it."""
    places = [[0] * contenders for _ in range(contenders)]
    for launch in range(launches):
        for number in range(rounds):
            order = timings.turns(range(contenders), launch, rounds, number)
            assert sorted(order) == list(range(contenders))
            for place, contender in enumerate(order):
                places[contender][place] += 1
    for counts in places:
        assert max(counts) - min(counts) <= (0 if rounds % contenders == 0 else min(launches, 2))


def test_turns_change_who_follows_whom() -> None:
    """Every other launch goes round the other way; nobody has no turns."""
    assert [timings.turns("abc", 0, 3, number) for number in range(3)] == [list("abc"), list("bca"), list("cab")]
    assert [timings.turns("abc", 1, 3, number) for number in range(3)] == [list("cba"), list("acb"), list("bac")]
    assert timings.turns("", 0, 3, 1) == []


@pytest.mark.parametrize(("launches", "rounds", "spread"), [(5, 8, 0.0), (5, 8, 0.02), (3, 10, 0.02), (3, 6, 0.05), (2, 6, 0.05)])
def test_intervals_hold_the_truth_as_often_as_they_say(launches: int, rounds: int, spread: float) -> None:
    """In 150 simulated sessions the truth lies within in 90 % or more, though launches and rounds differ among themselves."""
    draw = random.Random(launches * 100 + rounds)
    truth = 1 + statistics.NormalDist().inv_cdf(0.75) * 0.05
    held = [0, 0]
    for _ in range(150):
        median = timings.median_interval(_launches(draw, launches, rounds, spread))
        ratio = stats.mean_ratio([math.exp(draw.gauss(0, 0.02 + spread)) for _ in range(max(2, launches))])
        for position, ((_, low, high), true) in enumerate([(median, truth), (ratio, 1.0)]):
            held[position] += low <= true <= high
    assert min(held) >= 135


def _launches(draw: random.Random, launches: int, rounds: int, spread: float) -> list[list[list[float]]]:
    """Samples of 1 ms and more, whose launches and rounds have a pace of their own."""

    def block(pace: float) -> list[float]:
        pace += draw.gauss(0, 0.02)
        return [pace + abs(draw.gauss(0, 0.05)) for _ in range(20)]

    paces = [1 + draw.gauss(0, spread) for _ in range(launches)]
    return [[block(pace) for _ in range(rounds)] for pace in paces]

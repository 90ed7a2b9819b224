"""Tests of edgekd/stats.py: against literals of the literature, by invariants, and by simulation."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekd import stats

_SAMPLES = st.lists(st.floats(0.01, 1e4), min_size=1, max_size=30)


def test_median_is_the_middle() -> None:
    """Of an even number, the mean of the two in the middle."""
    assert stats.median([3.0, 1.0, 2.0]) == 2.0
    assert stats.median([4.0, 1.0, 2.0, 3.0]) == 2.5


@pytest.mark.parametrize(("samples", "message"), [([], "one sample or more, got none"), ([1.0, math.nan], "finite samples"), ([math.inf], "finite")])
def test_median_refuses_what_has_none(samples: list[float], message: str) -> None:
    """No samples, or samples that are not finite, have no median."""
    with pytest.raises(ValueError, match=message):
        stats.median(samples)


@pytest.mark.parametrize(("p", "expected"), [(90, 64), (95, 130), (99, 662)])
def test_samples_needed_are_mlperfs(p: float, expected: int) -> None:
    """The counts that MLPerf's early stopping asks for at 99 % confidence."""
    assert expected == stats.samples_needed(p)


def test_percentile_needs_enough_samples() -> None:
    """One sample too few gives none."""
    assert stats.percentile([1.0] * 63, 90) is None
    assert stats.percentile([1.0] * 64, 90) == 1.0
    assert stats.percentile([float(i) for i in range(201)], 95) == 190.0


def test_early_stopping_drops_what_may_be_dropped() -> None:
    """Of 64 samples the largest stands, as none may be dropped; of 1000 at p90, 78 may lie above and 77 are dropped."""
    assert stats.early_stopping([1.0] * 63) is None
    assert stats.early_stopping([*[1.0] * 63, 9.0]) == 9.0
    assert stats.early_stopping([float(number) for number in range(1000, 0, -1)]) == 923.0
    assert stats.early_stopping([float(number) for number in range(661)], 99) is None


@pytest.mark.parametrize(("n", "p", "allowed"), [(63, 90, 0), (64, 90, 1), (130, 95, 1), (661, 99, 0), (662, 99, 1), (24_576, 90, 2348)])
def test_allowed_above_is_mlperfs(n: int, p: float, allowed: int) -> None:
    """The least counts that MLPerf's rules print, and one of a long run."""
    assert stats.allowed_above(n, p) == allowed


@given(st.integers(64, 1500), st.sampled_from([90.0, 95.0, 99.0]))
@settings(max_examples=20, deadline=None)
def test_allowed_above_is_the_most_that_the_binomial_allows(n: int, p: float) -> None:
    """As summed in exact integers; one more would be too likely."""
    hundredths = round(100 - p)
    weights = [math.comb(n, count) * hundredths**count * (100 - hundredths) ** (n - count) for count in range(stats.allowed_above(n, p) + 2)]
    bound = 100**n  # a probability of 1 %, times 100
    if stats.allowed_above(n, p):
        assert 100 * sum(weights[:-1]) <= bound
    assert 100 * sum(weights) > bound


@given(st.lists(st.floats(0.01, 1e3), min_size=64, max_size=130))
@settings(max_examples=20, deadline=None)
def test_early_stopping_is_never_below_the_plain_percentile(samples: list[float]) -> None:
    """It pays for how few there are, and is a sample."""
    found, plain = stats.early_stopping(samples), stats.percentile(samples, 90)
    assert found is not None
    assert plain is not None
    assert found in samples
    assert found >= plain


@pytest.mark.parametrize("p", [0.95, 100, 49])
def test_percentile_is_counted_in_hundredths(p: float) -> None:
    """0.95 is a mistake for 95, and is told so."""
    with pytest.raises(ValueError, match=r"95, not 0\.95"):
        stats.percentile([1.0] * 1000, p)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_proportion_is_newcombes_table(k: int, n: int, low: float, high: float) -> None:
    """Wilson's score intervals as printed in Newcombe 1998, table I (method 3)."""
    value, found_low, found_high = stats.proportion(k, n)
    assert value == k / n
    assert (found_low, found_high) == pytest.approx((low, high), abs=6e-5)


@given(st.integers(1, 500), st.data())
@settings(max_examples=60, deadline=None)
def test_proportion_mirrors(n: int, data: st.DataObject) -> None:
    """The share that is wrong has the mirrored interval, and each holds its value within [0, 1]."""
    k = data.draw(st.integers(0, n))
    value, low, high = stats.proportion(k, n)
    _, other_low, other_high = stats.proportion(n - k, n)
    assert 0 <= low <= value <= high <= 1
    assert (low, high) == pytest.approx((1 - other_high, 1 - other_low))


def test_proportion_refuses_more_than_all() -> None:
    """Three of two is refused."""
    with pytest.raises(ValueError, match="got 3 of 2"):
        stats.proportion(3, 2)


def test_paired_difference_is_bonett_and_prices() -> None:
    """The formula worked by hand for 12 and 5 of 200."""
    value, low, high = stats.paired_difference(12, 5, 200)
    half = 1.959964 * math.sqrt((19 - 49 / 202) / 202 / 202)
    assert (value, low, high) == pytest.approx((0.035, 7 / 202 - half, 7 / 202 + half), abs=1e-6)


def test_no_difference_seen_is_not_none_proved() -> None:
    """Two files that never differ on 100 images still have an interval."""
    value, low, high = stats.paired_difference(0, 0, 100)
    assert value == 0
    assert low < 0 < high


def test_paired_difference_refuses_more_than_all() -> None:
    """More discordant images than images are refused."""
    with pytest.raises(ValueError, match="got 2 and 2 of 3"):
        stats.paired_difference(2, 2, 3)


@given(st.integers(1, 300), st.data())
@settings(max_examples=60, deadline=None)
def test_paired_difference_turns_round(n: int, data: st.DataObject) -> None:
    """Exchanging the two changes the sign, and the value lies within."""
    first = data.draw(st.integers(0, n))
    second = data.draw(st.integers(0, n - first))
    value, low, high = stats.paired_difference(first, second, n)
    assert -1 <= low <= value <= high <= 1
    assert stats.paired_difference(second, first, n) == pytest.approx((-value, -high, -low))


def test_difference_is_newcombes_table() -> None:
    """Method 10 for 56/70 and 48/80, as printed in Newcombe 1998, table II."""
    value, low, high = stats.difference(stats.proportion(56, 70), stats.proportion(48, 80))
    assert (value, low, high) == pytest.approx((0.2, 0.0524, 0.3339), abs=6e-5)


def test_quotient_is_a_difference_of_logarithms() -> None:
    """Intervals without width give one without width, a wide one passes on, zero leaves the top open."""
    assert stats.quotient((6.0, 6.0, 6.0), (3.0, 3.0, 3.0)) == pytest.approx((2.0, 2.0, 2.0))
    assert stats.quotient((6.0, 5.0, 7.0), (3.0, 3.0, 3.0)) == pytest.approx((2.0, 5 / 3, 7 / 3))
    assert stats.quotient((6.0, 0.0, 7.0), (3.0, 3.0, 3.0)) == (2.0, 0.0, math.inf)


def test_inverse_turns_the_ends() -> None:
    """A latency of a quarter is a speedup of four; an end at 0 becomes an open one."""
    assert stats.inverse((0.25, 0.2, 0.5)) == (4.0, 2.0, 5.0)
    assert stats.inverse((0.25, 0.0, 0.5)) == (4.0, 2.0, math.inf)


@pytest.mark.parametrize(
    ("freedom", "confidence", "expected"),
    [
        (1, 0.95, 12.7062047364),
        (2, 0.95, 4.3026527297),
        (3, 0.95, 3.1824463053),
        (4, 0.99, 4.6040948713),
        (10, 0.95, 2.2281388520),
        (29, 0.90, 1.6991270265),
        (120, 0.95, 1.9799304051),
        (100_000, 0.95, 1.9599877077),
    ],
)
def test_student_t_is_the_tables(freedom: int, confidence: float, expected: float) -> None:
    """Quantiles as scipy.stats.t.ppf gives them."""
    assert stats.student_t(freedom, confidence) == pytest.approx(expected, abs=1e-9)


def test_student_t_meets_itself_where_the_method_changes() -> None:
    """The finite sum at 1000 degrees and the expansion at 1001 lie on one curve."""
    step = stats.student_t(999) - stats.student_t(1000)
    assert stats.student_t(1000) - stats.student_t(1001) == pytest.approx(step, rel=0.01)


def test_student_t_refuses_no_freedom() -> None:
    """Zero degrees of freedom have no distribution."""
    with pytest.raises(ValueError, match="1 degree of freedom or more"):
        stats.student_t(0)


def test_mean_interval_by_hand() -> None:
    """Three seeds: t(2) = 4.303 times the standard error."""
    mean, low, high = stats.mean_interval([1.0, 2.0, 3.0])
    assert (mean, low, high) == pytest.approx((2.0, 2 - 2.48414, 2 + 2.48414), abs=1e-5)


def test_one_value_says_nothing_of_its_spread() -> None:
    """A single seed has an interval without ends."""
    assert stats.mean_interval([5.0]) == (5.0, -math.inf, math.inf)


def test_trimmed_interval_by_hand() -> None:
    """One of ten dropped at either end: the mean of 1 to 8, whose squares with 1 and 8 counted twice are 66.5, over 8 times 7 for the mean's."""
    mean, low, high = stats.trimmed_interval([0.0, 3.0, 2.0, 1.0, 4.0, 5.0, 6.0, 7.0, 100.0, 8.0], 0.1)
    assert mean == 4.5
    assert (mean - low, high - mean) == pytest.approx((2.5768, 2.5768), abs=1e-4)


@given(values=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30), trim=st.floats(0, 0.6))
def test_a_trimmed_mean_lies_within_and_moves_along(values: list[float], trim: float) -> None:
    """Among the values, whatever their order; shifted and scaled as they are; the plain mean where none is dropped."""
    mean, low, high = stats.trimmed_interval(values, trim)
    assert min(values) - 1e-9 <= mean <= max(values) + 1e-9
    assert low <= mean <= high
    assert stats.trimmed_interval(values[::-1], trim) == pytest.approx((mean, low, high), rel=1e-9, abs=1e-9)
    moved = stats.trimmed_interval([3 - 2 * value for value in values], trim)
    assert moved == pytest.approx((3 - 2 * mean, 3 - 2 * high, 3 - 2 * low), rel=1e-6, abs=1e-6)
    if int(trim * len(values)) == 0 or len(values) < 4:
        assert (mean, low, high) == stats.mean_interval(values)


def test_a_trimmed_interval_holds_as_often_as_it_says() -> None:
    """Of 2,000 dozens of normal values some 95 % of the intervals hold their mean, and as many where a tenth of the values lie far off."""
    draw = random.Random(0)
    for far in (1.0, 8.0):
        dozens = [[draw.gauss(0, far if draw.random() < 0.1 else 1.0) for _ in range(12)] for _ in range(2000)]
        held = sum(low <= 0 <= high for _, low, high in (stats.trimmed_interval(dozen, 0.1) for dozen in dozens))
        assert 0.93 < held / 2000 < 0.98


def test_mean_ratio_by_hand() -> None:
    """Of a half and a double it is one; the interval is Student's, of the logarithms."""
    value, low, high = stats.mean_ratio([0.5, 2.0])
    assert value == pytest.approx(1.0)
    half = stats.student_t(1) * math.log(2) * math.sqrt(2) / math.sqrt(2)
    assert (math.log(low), math.log(high)) == pytest.approx((-half, half))
    assert stats.mean_ratio([0.25] * 3) == pytest.approx((0.25, 0.25, 0.25))
    assert stats.mean_ratio([0.25])[1:] == (0.0, math.inf)


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=8))
def test_a_ratio_the_other_way_round_is_its_inverse(ratios: list[float]) -> None:
    """It does not matter which of two files is called the first; and more confidence is a wider interval."""
    there, back = stats.mean_ratio(ratios), stats.mean_ratio([1 / ratio for ratio in ratios])
    assert there == pytest.approx(stats.inverse(back), rel=1e-6)
    surer = stats.mean_ratio(ratios, 0.99)
    assert surer[1] <= there[1] <= there[2] <= surer[2]


@pytest.mark.parametrize(("ratios", "message"), [([], "one sample or more"), ([0.0], "above 0"), ([math.nan], "above 0"), ([math.inf], "finite")])
def test_a_ratio_refuses_what_has_none(ratios: list[float], message: str) -> None:
    """None at all, zeros and NaN have no mean."""
    with pytest.raises(ValueError, match=message):
        stats.mean_ratio(ratios)

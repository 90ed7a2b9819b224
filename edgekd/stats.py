"""Percentiles with their validity, intervals, ratios: numbers in, numbers out, standard library only.

Intervals are 95 % unless said otherwise, and come as `(value, low, high)`. Times that were taken in turn are `timings`'; what is too much is
budget's, and how it reads units'.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import TypeAlias

Interval: TypeAlias = tuple[float, float, float]
"""value, low, high"""
_Z = statistics.NormalDist().inv_cdf(0.975)


# Samples --------------------------------------------------------------------------------------------------------------


def median(samples: Sequence[float]) -> float:
    """The middle of the samples.

    Raises:
        ValueError: there are none, or one is not finite.
    """
    _finite(samples)
    return statistics.median(samples)


@cache
def samples_needed(p: float, confidence: float = 0.99) -> int:
    """How many samples the `p`-th percentile asks for (50 ≤ p < 100): 64 for 90, 130 for 95, 662 for 99.

    The least n at which one sample at most lies above the true percentile with a probability of no more than 1 - confidence
    (MLPerf Inference's early stopping, single stream).
    """
    if not 50 <= p < 100:
        raise ValueError(f"a percentile is from 50 to below 100 (95, not 0.95), got {p}")
    above = 1 - p / 100
    n = 2
    while (1 - above) ** n + n * above * (1 - above) ** (n - 1) > 1 - confidence:
        n += 1
    return n


def percentile(samples: Sequence[float], p: float) -> float | None:
    """The `p`-th percentile (50 ≤ p < 100), linear between neighbours; None where the samples are too few to state it."""
    if len(samples) < samples_needed(p):
        return None
    _finite(samples)
    return quantile(sorted(samples), p / 100)


def early_stopping(samples: Sequence[float], p: float = 90, confidence: float = 0.99) -> float | None:
    """The `p`-th percentile as MLPerf Inference estimates it: at least the true one with that confidence; None where the samples are too few.

    The largest that is left when all but one of the samples are dropped that may lie above the true percentile (`allowed_above`). It takes samples as
    independent, as LoadGen does.
    """
    n = len(samples)
    if n < samples_needed(p, confidence):
        return None
    _finite(samples)
    return sorted(samples)[n - allowed_above(n, p, confidence)]


@lru_cache(maxsize=1024)
def allowed_above(n: int, p: float, confidence: float = 0.99) -> int:
    """How many of `n` samples may lie above the true `p`-th percentile, so that so few do with a probability of no more than 1 - confidence; 0 where
    not even one may.

    MLPerf Inference's early stopping, without tolerance: 1 of 64 samples at p90, 6 of 148.
    """
    above, total, count = 1 - p / 100, 0.0, 0
    log_n, log_above, log_below = math.lgamma(n + 1), math.log(above), math.log1p(-above)
    while count <= n:
        total += math.exp(log_n - math.lgamma(count + 1) - math.lgamma(n - count + 1) + count * log_above + (n - count) * log_below)
        if total > 1 - confidence:
            break
        count += 1
    return max(0, count - 1)


def quantile(ordered: Sequence[float], share: float) -> float:
    """What so large a share of rising values lies below, between neighbours where it falls between them."""
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _finite(samples: Sequence[float]) -> None:
    if not samples:
        raise ValueError("a statistic needs one sample or more, got none")
    if not all(map(math.isfinite, samples)):
        raise ValueError("a statistic needs finite samples, got one that is not")


# Shares ---------------------------------------------------------------------------------------------------------------


def proportion(k: float, n: int) -> Interval:
    """The share `k` of `n` with Wilson's score interval (Wilson 1927)."""
    if n < 1 or not 0 <= k <= n:
        raise ValueError(f"a proportion is k of n with 0 ≤ k ≤ n and n ≥ 1, got {k} of {n}")
    share, z2 = k / n, _Z * _Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return share, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))


def paired_difference(only_first: int, only_second: int, n: int) -> Interval:
    """Accuracy of the first minus accuracy of the second on the same `n` images.

    `only_first` images were right in the first alone, `only_second` in the second alone. Adjusted Wald interval for paired
    proportions (Bonett and Price 2012): one image added to each of the two counts, which keeps it honest when both are small.
    """
    if n < 1 or only_first < 0 or only_second < 0 or only_first + only_second > n:
        raise ValueError(f"discordant counts are parts of n ≥ 1, got {only_first} and {only_second} of {n}")
    value = (only_first - only_second) / n
    first, second = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    half = _Z * math.sqrt((first + second - (first - second) ** 2) / (n + 2))
    return value, min(value, max(-1.0, first - second - half)), max(value, min(1.0, first - second + half))


def difference(first: Interval, second: Interval) -> Interval:
    """The first minus the second, measured independently, from their own intervals (Newcombe 1998, method 10; Zou and Donner 2008)."""
    value = first[0] - second[0]
    low = value - math.hypot(first[0] - first[1], second[2] - second[0])
    high = value + math.hypot(first[2] - first[0], second[0] - second[1])
    return value, low, high


def quotient(first: Interval, second: Interval) -> Interval:
    """The first over the second, measured independently, both above 0: `difference` of logarithms."""
    if min(first[1], second[1]) <= 0:
        return first[0] / second[0], 0.0, math.inf
    logs = difference(_map(math.log, first), _map(math.log, second))
    value = first[0] / second[0]
    return value, min(value, math.exp(logs[1])), max(value, math.exp(logs[2]))


def inverse(ratio: Interval) -> Interval:
    """One over a ratio, whose ends change places: a latency of a quarter is a speedup of four."""
    value, low, high = (1 / bound if bound else math.inf for bound in (ratio[0], ratio[2], ratio[1]))
    return value, low, high


def _map(function: Callable[[float], float], interval: Interval) -> Interval:
    return function(interval[0]), function(interval[1]), function(interval[2])


# Means ----------------------------------------------------------------------------------------------------------------


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """The mean of independent values, as of seeds, with Student's t. One value alone says nothing of its spread: (value, −∞, ∞)."""
    _finite(values)
    mean = statistics.fmean(values)
    if len(values) == 1:
        return mean, -math.inf, math.inf
    half = student_t(len(values) - 1, confidence) * statistics.stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def trimmed_interval(values: Sequence[float], trim: float, confidence: float = 0.95) -> Interval:
    """The mean of independent values but for a share `trim` of them, rounded down, at either end, as the least and greatest may say little of where
    the others lie; two stay in any case. Its spread is that of the values with those that were dropped put on the nearest that were kept (Tukey and
    McLaughlin 1963, Yuen 1974). As `mean_interval` where none is dropped.
    """
    _finite(values)
    dropped, ordered = max(0, min(int(trim * len(values)), len(values) // 2 - 1)), sorted(values)
    kept = ordered[dropped : len(ordered) - dropped]
    if not dropped:
        return mean_interval(values, confidence)
    winsorised = [kept[0]] * dropped + kept + [kept[-1]] * dropped
    squares = (len(values) - 1) * statistics.variance(winsorised)
    mean = statistics.fmean(kept)
    half = student_t(len(kept) - 1, confidence) * math.sqrt(squares / (len(kept) * (len(kept) - 1)))
    return mean, mean - half, mean + half


def mean_ratio(ratios: Sequence[float], confidence: float = 0.95, *, trim: float = 0.0) -> Interval:
    """The geometric mean of independent ratios above 0, as of launches, with Student's t of their logarithms: the ratio the other way round is its
    inverse. One alone gives (value, 0, ∞). `trim` as of `trimmed_interval`.

    Raises:
        ValueError: none, or one that is not finite and above 0.
    """
    if not all(ratio > 0 for ratio in ratios):
        raise ValueError("a mean of ratios needs ratios above 0, got one that is not")
    mean, low, high = trimmed_interval([math.log(ratio) for ratio in ratios], trim, confidence)
    return math.exp(mean), math.exp(low), math.exp(high)


@cache
def student_t(freedom: int, confidence: float = 0.95) -> float:
    """The t that a Student variable with `freedom` ≥ 1 degrees stays within, either side of 0, with probability `confidence`.

    Solves the finite sums of Abramowitz and Stegun 26.7.3 and 26.7.4 for the angle; above 1000 degrees Fisher's expansion around
    the normal (26.7.5) is exact to 1e-9.
    """
    if freedom < 1 or not 0 < confidence < 1:
        raise ValueError(f"Student's t needs 1 degree of freedom or more and a confidence in (0, 1), got {freedom} and {confidence}")
    if freedom > 1000:
        z = statistics.NormalDist().inv_cdf(0.5 + confidence / 2)
        return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < confidence else (low, middle)
    return math.sqrt(freedom) * math.tan((low + high) / 2)


def _within(angle: float, freedom: int) -> float:
    """P(|T| < √freedom · tan(angle)), by the finite sums of even and odd degrees."""
    cosine, odd = math.cos(angle), freedom % 2
    total, term = 0.0, cosine if odd else 1.0
    for step in range((freedom - odd) // 2):
        total += term
        term *= cosine * cosine * (2 * step + 1 + odd) / (2 * step + 2 + odd)
    return (angle + math.sin(angle) * total) * 2 / math.pi if odd else math.sin(angle) * total

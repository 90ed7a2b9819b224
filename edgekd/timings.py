"""Times of several contenders that were measured in turn: whose turn is when, and what their median and percentiles are worth.

Times come as launches → rounds → samples, and are resampled by launches and rounds, never by single samples: those of one round share the machine's
state. Standard library only.
"""

import math
import random
import statistics
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, TypeAlias, TypeVar

from edgekd.stats import Interval, median, percentile, quantile, student_t

Launches: TypeAlias = Sequence[Sequence[Sequence[float]]]
"""launches → rounds → samples"""

_T = TypeVar("_T")
FEWEST_ROUNDS = 6
"""The range of six medians holds the true median with 97 % confidence; fewer rounds say too little."""


def median_interval(launches: Launches, *, seed: int = 0, confidence: float = 0.95, resamples: int = 1000) -> Interval:
    """The median of all samples, with a bootstrap interval over launches, then rounds.

    Each round enters by its own median, so a resample costs rounds, not samples. Under six rounds the whole range of the samples stands instead.
    """
    samples = [sample for rounds in launches for block in rounds for sample in block]
    value = median(samples)
    medians = [[statistics.median(block) for block in rounds if block] for rounds in launches if any(rounds)]
    if sum(map(len, medians)) < FEWEST_ROUNDS:
        return value, min(samples), max(samples)
    draws = _resampled(medians, seed=seed, resamples=resamples)
    return _bracket(value, draws, _tail(medians, confidence))


def percentile_interval(launches: Launches, p: float, *, seed: int = 0, confidence: float = 0.95) -> Interval | None:
    """The `p`-th percentile of all samples with an interval; None where the samples are too few to state it.

    Wide enough for both: order statistics, which take samples as independent, and each launch's own percentile.
    """
    ordered = sorted(sample for rounds in launches for block in rounds for sample in block)
    value = percentile(ordered, p)
    if value is None:
        return None
    n, share = len(ordered), p / 100
    half = statistics.NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(n * share * (1 - share))
    low, high = ordered[max(0, math.floor(n * share - half) - 1)], ordered[min(n - 1, math.ceil(n * share + half))]
    own = [quantile(sorted(s for block in rounds for s in block), share) for rounds in launches if any(rounds)]
    return value, min(value, low, *own), max(value, high, *own)


def turns(contenders: Sequence[_T], launch: int, rounds: int, number: int) -> list[_T]:
    """Whose turn is when in round `number` of the `rounds` of a launch, so that times compare: everybody has each place about as often.

    Each round begins one further on, and every other launch goes round the other way, so that nobody always follows the same one.
    """
    if not contenders:
        return []
    first = (launch // 2 * rounds + number) % len(contenders)
    order = [*contenders[first:], *contenders[:first]]
    return order[::-1] if launch % 2 else order


def _resampled(launches: Sequence[Sequence[float]], *, seed: int, resamples: int) -> list[float]:
    """The medians of `resamples` draws: as many launches with replacement, of each as many rounds with replacement; in rising order.

    Medians without the checks and calls of `statistics.median`: a gate on a hundred files asks a hundred thousand times.
    """
    blocks = [block for rounds in launches for block in rounds]
    if len(blocks) == 1:
        return blocks * resamples
    drawn = [sorted(redraw(blocks)) for redraw in _draws(tuple(map(len, launches)), seed, resamples)]
    return sorted([(each[(len(each) - 1) // 2] + each[len(each) // 2]) / 2 for each in drawn])


@lru_cache(maxsize=64)
def _draws(rounds: tuple[int, ...], seed: int, resamples: int) -> list[Callable[[Sequence[Any]], tuple[Any, ...]]]:
    """What picks each draw's blocks out of all, for launches of so many rounds: a report's timings mostly share one shape, and so their draws."""
    draw = random.Random(seed).choices
    first = [sum(rounds[:launch]) for launch in range(len(rounds))]
    places = [range(start, start + count) for start, count in zip(first, rounds, strict=True)]
    return [itemgetter(*(place for launch in draw(places, k=len(places)) for place in draw(launch, k=len(launch)))) for _ in range(resamples)]


def _bracket(value: float, draws: Sequence[float], tail: float) -> Interval:
    return value, min(value, quantile(draws, tail)), max(value, quantile(draws, 1 - tail))


def _tail(launches: Sequence[Sequence[object]], confidence: float) -> float:
    """How much of the draws to cut off at either end: less for fewer launches, whose draws vary too little.

    Expanded percentile interval (Hesterberg 2015, section 5.3). A single launch counts its rounds.
    """
    units = len(launches) if len(launches) > 1 else len(launches[0])
    z = student_t(units - 1, confidence) * math.sqrt(units / (units - 1))
    return statistics.NormalDist().cdf(-z)

"""Times of several contenders that were measured in turn: whose turn is when, and what their median and percentiles are worth.

Times come as launches → rounds → samples. Launches are what varies most, and what intervals are drawn from, never single samples: those of one round
share the machine's state. Standard library only.
"""

import math
import statistics
from collections.abc import Sequence
from typing import TypeAlias, TypeVar

from edgekd.stats import Interval, mean_ratio, median, percentile, quantile

Launches: TypeAlias = Sequence[Sequence[Sequence[float]]]
"""launches → rounds → samples"""

_T = TypeVar("_T")


def median_interval(launches: Launches, *, confidence: float = 0.95) -> Interval:
    """The median of all samples above 0, with Student's t of the logarithms of the launches' own medians.

    Where a process happens to lie changes its speed, and no number of rounds within it tells by how much: one launch alone gives (value, 0, ∞).
    """
    value = median([sample for rounds in launches for block in rounds for sample in block])
    own = [median([statistics.median(block) for block in rounds if block]) for rounds in launches if any(rounds)]
    _, low, high = mean_ratio(own, confidence)
    return value, min(value, low), max(value, high)


def percentile_interval(launches: Launches, p: float, *, confidence: float = 0.95) -> Interval | None:
    """The `p`-th percentile of all samples above 0 with an interval; None where the samples are too few to state it.

    Wide enough for both: order statistics, which take samples as independent, and Student's t of the logarithms of each launch's own percentile.
    """
    ordered = sorted(sample for rounds in launches for block in rounds for sample in block)
    value = percentile(ordered, p)
    if value is None:
        return None
    n, share = len(ordered), p / 100
    half = statistics.NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(n * share * (1 - share))
    low, high = ordered[max(0, math.floor(n * share - half) - 1)], ordered[min(n - 1, math.ceil(n * share + half))]
    own = mean_ratio([quantile(sorted(s for block in rounds for s in block), share) for rounds in launches if any(rounds)], confidence)
    return value, min(value, low, own[1]), max(value, high, own[2])


def turns(contenders: Sequence[_T], launch: int, rounds: int, number: int) -> list[_T]:
    """Whose turn is when in round `number` of the `rounds` of a launch, so that times compare: everybody has each place about as often.

    Each round begins one further on, and every other launch goes round the other way, so that nobody always follows the same one.
    """
    if not contenders:
        return []
    first = (launch // 2 * rounds + number) % len(contenders)
    order = [*contenders[first:], *contenders[:first]]
    return order[::-1] if launch % 2 else order

"""By what fraction a quantity grew over a baseline, and what part of another file's it is, as an interval, or in words why there is none.

What depends on the machine is compared on equal hosts only; where both files were measured in one session, by the ratio that was taken there.
"""

import math
from dataclasses import replace
from functools import partial

import msgspec

from edgekd import stats
from edgekd.budget import choose
from edgekd.budget.figures import Ask, Figure, Seen, Unknown, energy, exact, latency, macs, measured, memory, params, size, speedup
from edgekd.record import Artifact
from edgekd.stats import Interval


def growth(quantity: str, now: Ask, then: Ask) -> Seen:
    """By what fraction a quantity rose from `then` to `now`; what depends on the machine is compared on equal hosts only."""
    ratio = _in_turn(now, then) if quantity in PACE else None
    if ratio is None:
        both = _both(quantity, now, then, "the baseline")
        if isinstance(both, Unknown):
            return both
        if _without_noise(*both):
            return exact((both[0][0] - both[1][0]) / both[1][0])  # 1.1 - 1 is more than a tenth
        ratio = stats.quotient(*both)
    return ratio[0] - 1, ratio[1] - 1, ratio[2] - 1


def relative(quantity: str, ask: Ask) -> Seen:
    """Which part a quantity is of the teacher's fp32 file's, or of what the limit is against. Times are those that were taken in turn."""
    if quantity in PACE:
        faster = speedup(ask)
        if isinstance(faster, Unknown):
            return faster
        damaged = not all(0 < end < math.inf for end in faster)
        return Unknown("the ratio of the two times is no ratio of times. Measure again.") if damaged else stats.inverse(faster)
    other = choose.against(ask.report, ask.artifact, ask.against)
    both = Unknown(other) if isinstance(other, str) else _both(quantity, ask, replace(ask, artifact=other), other.name)
    if isinstance(both, Unknown):
        return both
    return exact(both[0][0] / both[1][0]) if _without_noise(*both) else stats.quotient(*both)


def plain(quantity: str) -> str:
    """What a growth or a part is of: size of growth.size."""
    return quantity.removeprefix("growth.").removeprefix("relative.")


def _without_noise(*intervals: Interval) -> bool:
    return all(low == high for _, low, high in intervals)


def _both(quantity: str, now: Ask, then: Ask, whose: str) -> tuple[Interval, Interval] | Unknown:
    """The two figures, where the one may be divided by the other."""
    foreign = other_host(now, then, whose) if quantity in TIMED else None
    first, second = GROWS[quantity](now), GROWS[quantity](then)
    if isinstance(first, Unknown):
        return first
    if isinstance(second, Unknown):
        return Unknown(f"in {whose}, {second.why}")
    if foreign is not None:
        return foreign
    if first[0] < 0 or not second[0] > 0:
        which, value = (quantity, first[0]) if first[0] < 0 else (f"{quantity} of {whose}", second[0])
        return Unknown(f"the {which} is {value:g}, and nothing can be compared with that.")
    return first, second


def twin(artifact: Artifact) -> Artifact:
    """A baseline's file under the name that it bears while it is measured beside the one that took its place."""
    return msgspec.structs.replace(artifact, network=f"baseline {artifact.network}")


def _in_turn(now: Ask, then: Ask) -> Interval | None:
    """The ratio of the two latencies, where both files were measured in one session: what slowed the machine slowed both."""
    pair = (now.artifact.name, twin(then.artifact).name, now.target, "latency")
    for ratio in now.report.ratios:
        if (ratio.artifact, ratio.against, ratio.target, ratio.quantity) == pair:
            return ratio.value, ratio.low, ratio.high
    return None


def other_host(now: Ask, then: Ask, whose: str = "the baseline") -> Unknown | None:
    """In words how the two hosts differ, where both measured and they do."""
    first, second = measured(now), measured(then)
    if isinstance(first, Unknown) or isinstance(second, Unknown):
        return None
    here, there = now.report.hosts.get(first.host), then.report.hosts.get(second.host)
    if here is None or there is None:
        return Unknown("it is not known which machine measured. Measure both again.", "undecided")
    pairs = [(field, getattr(there, field), getattr(here, field)) for field in here.__struct_fields__ if field != "runtimes"]
    # A runtime that only one of the two was asked for has measured nothing of what is compared.
    both = [name for name in there.runtimes if name in here.runtimes]
    pairs.append(("runtimes", {name: there.runtimes[name] for name in both}, {name: here.runtimes[name] for name in both}))
    changed = [f"{field} was {old!r} and is {new!r}" for field, old, new in pairs if old != new]
    return Unknown(f"another host measured {whose}: {', '.join(changed)}. Measure both on one.", "undecided") if changed else None


PACE = ("latency", "latency_p50")
"""What a ratio of medians is about."""
TIMED = ("memory", "energy", "latency", "latency_p50", "latency_p95")
"""What depends on the machine."""

GROWS: dict[str, Figure] = {
    "size": size,
    "params": params,
    "macs": macs,
    "memory": memory,
    "energy": energy,
    "latency": partial(latency, 50),
    "latency_p50": partial(latency, 50),
    "latency_p95": partial(latency, 95),
}

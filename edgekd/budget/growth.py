"""By what fraction a quantity grew over a baseline, and what part of another file's it is, as an interval, or in words why there is none.

What depends on the machine is compared on equal hosts only; where both files were measured in one session, by the ratio that was taken there.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

import msgspec

from edgekd import stats
from edgekd.budget import choose
from edgekd.budget.figures import Ask, Figure, Seen, Unknown, energy, exact, latency, macs, measured, memory, params, size, speedup
from edgekd.measurements import Host
from edgekd.record import Artifact
from edgekd.stats import Interval


def growth(quantity: str, now: Ask, then: Ask) -> Seen:
    """By what fraction a quantity rose from `then` to `now`; what depends on the machine is compared on equal hosts only."""
    ratio = _in_turn(now, then) if quantity in PACE else None
    if ratio is None:
        both = _both(quantity, now, then, "the baseline")
        both = both if isinstance(both, Unknown) else (other_way(quantity, now, then) or both)
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
    first, second = GROWS[quantity](now), GROWS[quantity](then)
    if isinstance(first, Unknown):
        return first
    if isinstance(second, Unknown):
        return Unknown(f"in {whose}, {second.why}")
    if quantity in TIMED and (foreign := other_host(now, then, whose)) is not None:
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
    changed = _changed(_of_hosts(here, there, {first.runtime, second.runtime}))
    return Unknown(f"another host measured {whose}: {changed}. Measure both on one.", "undecided") if changed else None


def other_way(quantity: str, now: Ask, then: Ask) -> Unknown | None:
    """In words how what was measured ran in another way than the baseline, where both were measured and it did."""
    first, second = measured(now), measured(then)
    if quantity not in TIMED or isinstance(first, Unknown) or isinstance(second, Unknown):
        return None
    ways = (*_WAYS, *(("energy_rail",) if quantity == "energy" else ()))
    changed = _changed((way, getattr(second, way), getattr(first, way)) for way in ways)
    return Unknown(f"the baseline was run in another way: {changed}. Measure both in one.", "undecided") if changed else None


def _changed(pairs: Iterable[tuple[str, object, object]]) -> str:
    return ", ".join(f"{what} was {old!r} and is {new!r}" for what, old, new in pairs if old != new)


def _of_hosts(here: Host, there: Host, ran: set[str]) -> Iterator[tuple[str, object, object]]:
    """Each fact of two hosts, the earlier one's first. A kernel keeps some pages to itself and other releases keep others: as much memory, nearly, is
    as much. Of runtimes those count that ran the files: the others measured nothing of what is compared."""
    alike = abs(here.memory - there.memory) <= _MEMORY * there.memory
    yield "memory", there.memory, there.memory if alike else here.memory
    yield from ((name, getattr(there, name), getattr(here, name)) for name in here.__struct_fields__ if name not in ("runtimes", "memory"))
    for name in sorted(ran & (here.runtimes.keys() | there.runtimes.keys())):
        yield name, there.runtimes.get(name), here.runtimes.get(name)


_WAYS = ("runtime", "provider", "batch", "threads", "fps")
"""What of a measurement must be equal for its figures to compare."""
_MEMORY = 0.02
"""Up to so much of a machine's memory is no other machine."""

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

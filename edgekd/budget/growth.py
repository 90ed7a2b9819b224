"""By what fraction a quantity grew over a baseline, as an interval, or in words why that cannot be said. Judges nothing.

What depends on the machine is compared on equal hosts only; where both files were measured in one session, by the ratio that was taken there.
"""

from functools import partial

import msgspec

from edgekd import stats
from edgekd.budget.figures import Ask, Figure, Seen, Unknown, energy, latency, macs, measured, memory, params, size
from edgekd.record import Artifact
from edgekd.stats import Interval


def growth(quantity: str, now: Ask, then: Ask) -> Seen:
    """By what fraction a quantity rose from `then` to `now`; what depends on the machine is compared on equal hosts only."""
    if quantity in PACE and (ratio := _in_turn(now, then)) is not None:
        return ratio[0] - 1, ratio[1] - 1, ratio[2] - 1
    foreign = other_host(now, then) if quantity in TIMED else None
    first, second = GROWS[quantity](now), GROWS[quantity](then)
    if isinstance(first, Unknown):
        return first
    if isinstance(second, Unknown):
        return Unknown(f"in the baseline, {second.why}")
    if foreign is not None:
        return foreign
    if first[0] < 0 or not second[0] > 0:
        which, value = ("", first[0]) if first[0] < 0 else ("baseline's ", second[0])
        return Unknown(f"the {which}{quantity} is {value:g}, and nothing grows from that.")
    value, low, high = stats.quotient(first, second)
    return value - 1, low - 1, high - 1


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


def other_host(now: Ask, then: Ask) -> Unknown | None:
    """In words how the two hosts differ, where both measured and they do."""
    first, second = measured(now), measured(then)
    if isinstance(first, Unknown) or isinstance(second, Unknown):
        return None
    here, there = now.report.hosts.get(first.host), then.report.hosts.get(second.host)
    if here is None or there is None:
        return Unknown("it is not known which machine measured. Measure both again.", "undecided")
    pairs = [(field, getattr(there, field), getattr(here, field)) for field in here.__struct_fields__]
    changed = [f"{field} was {old!r} and is {new!r}" for field, old, new in pairs if old != new]
    return Unknown(f"another host measured the baseline: {', '.join(changed)}. Measure both on one.", "undecided") if changed else None


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

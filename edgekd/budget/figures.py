"""One quantity of one artifact, read from a report as an interval, or in words why there is none. Judges nothing."""

import base64
import binascii
import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

from edgekd import stats
from edgekd.budget import choose
from edgekd.record import Artifact, Measurement, Metric, Report, Score
from edgekd.stats import Interval


@dataclass(frozen=True)
class Ask:
    """One artifact of a report on a target; `against` as a limit has it."""

    report: Report
    artifact: Artifact
    target: str | None = None
    against: str | None = None


@dataclass(frozen=True)
class Unknown:
    """Why there is no number, or none that may be compared."""

    why: str
    state: Literal["missing", "undecided"] = "missing"


Seen: TypeAlias = Interval | Unknown
Figure: TypeAlias = Callable[[Ask], Seen]


def exact(value: float) -> Interval:
    """A value without noise."""
    return value, value, value


def size(ask: Ask) -> Seen:
    """Bytes of the file."""
    return exact(ask.artifact.size)


def params(ask: Ask) -> Seen:
    """Parameters in the file."""
    return exact(ask.artifact.params)


def macs(ask: Ask) -> Seen:
    """Multiply-accumulates of one image."""
    known = ask.artifact.macs
    return exact(known) if known is not None else Unknown("the file has an operator whose MACs are not known.")


# On a device ----------------------------------------------------------------------------------------------------------


def measured(ask: Ask) -> Measurement | Unknown:
    """The artifact's measurement on the target."""
    if ask.target is None:
        return Unknown(choose.no_target(ask.report))
    for measurement in ask.report.measurements:
        if (measurement.artifact, measurement.target) == (ask.artifact.name, ask.target):
            return measurement
    return Unknown(f"{ask.artifact.name} was not measured on {ask.target}. Measure it with `edgekd bench`.")


def latency(p: Literal[50, 95], ask: Ask) -> Seen:
    """The median or the 95th percentile of the time of a batch, ms."""
    measurement = measured(ask)
    if isinstance(measurement, Unknown):
        return measurement
    launches = [launch.rounds for launch in measurement.timing.launches]
    samples = measurement.timing.samples
    if not samples or not all(map(math.isfinite, samples)):
        return Unknown("its timing has no samples, or some that are not numbers. Measure again.")
    if p == 50:
        return stats.median_interval(launches)
    needed = stats.samples_needed(p)
    return stats.percentile_interval(launches, p) or Unknown(f"a 95th percentile takes {needed} samples, there are {len(samples)}. Measure longer.")


def memory(ask: Ask) -> Seen:
    """Peak bytes."""
    measurement = measured(ask)
    if isinstance(measurement, Unknown):
        return measurement
    return exact(measurement.memory) if measurement.memory is not None else Unknown("peak memory was not measured.")


def energy(ask: Ask) -> Seen:
    """Joules per image."""
    measurement = measured(ask)
    if isinstance(measurement, Unknown):
        return measurement
    reason = measurement.energy_reason or "no reason is given"
    return exact(measurement.energy) if measurement.energy is not None else Unknown(f"energy was not measured: {reason}.")


def speedup(ask: Ask) -> Seen:
    """How many times faster than what it is compared with: the inverse of the ratio of their latencies."""
    other = choose.against(ask.report, ask.artifact, ask.against)
    if isinstance(other, str):
        return Unknown(other)
    if ask.target is None:
        return Unknown(choose.no_target(ask.report))
    for ratio in ask.report.ratios:
        pair = (ratio.artifact, ratio.against) if (ratio.quantity, ratio.target) == ("latency", ask.target) else None
        if pair == (ask.artifact.name, other.name):
            return stats.inverse((ratio.value, ratio.low, ratio.high))
        if pair == (other.name, ask.artifact.name):
            return ratio.value, ratio.low, ratio.high
    if other.name == ask.artifact.name:
        return exact(1.0)
    return Unknown(f"{ask.artifact.name} was not timed in turn with {other.name} on {ask.target}. Measure both in one `edgekd bench`.")


# On test images -------------------------------------------------------------------------------------------------------


def scored(ask: Ask) -> Score | Unknown:
    """The artifact's score on test images."""
    score = ask.report.score(ask.artifact.name)
    return score or Unknown(f"{ask.artifact.name} was not scored on test images. Score it with `edgekd evaluate`.")


def metric(name: str, ask: Ask) -> Seen:
    """A score of its own, as accuracy."""
    score = scored(ask)
    return score if isinstance(score, Unknown) else _interval(score.metrics.get(name), name)


def paired(name: str, ask: Ask) -> Seen:
    """A score against the teacher on the same images, as agreement."""
    score = scored(ask)
    return score if isinstance(score, Unknown) else _interval(score.against.get(name), f"{name} (against the teacher)")


def recall(label: str, ask: Ask) -> Seen:
    """The share of one class's images that were told."""
    score = scored(ask)
    if isinstance(score, Unknown):
        return score
    if label in score.recall:
        return _interval(score.recall[label], label)
    near = difflib.get_close_matches(label, score.recall, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"The classes are: {', '.join(score.recall) or 'none'}."
    return Unknown(f"no class {label!r} was scored. {hint}")


def accuracy_drop(ask: Ask) -> Seen:
    """Against the teacher as `evaluate` paired it; against another file by the images that each had right."""
    if ask.against is None:
        return paired("accuracy_drop", ask)
    other = choose.against(ask.report, ask.artifact, ask.against)
    if isinstance(other, str):
        return Unknown(other)
    theirs, mine = scored(Ask(ask.report, other)), scored(ask)
    if isinstance(theirs, Unknown):
        return theirs
    if isinstance(mine, Unknown):
        return mine
    first, second = _right(theirs), _right(mine)
    if first is None or second is None or (theirs.images, theirs.n) != (mine.images, mine.n):
        return Unknown(f"{ask.artifact.name} and {other.name} were not scored on the same images. Score both in one `edgekd evaluate`.")
    only_first, only_second = (bin(bits).count("1") for bits in (first & ~second, second & ~first))
    return stats.paired_difference(only_first, only_second, mine.n)


def _interval(known: Metric | None, what: str) -> Seen:
    if known is None:
        return Unknown(f"{what} was not scored. Score it with `edgekd evaluate`.")
    return known.value, known.low, known.high


def _right(score: Score) -> int | None:
    """Which images were right, as the bits of one whole number; None where that was not kept."""
    try:
        packed = base64.b64decode(score.correct, validate=True)
    except binascii.Error:
        return None
    return int.from_bytes(packed, "big") if packed and score.images and len(packed) == (score.n + 7) // 8 else None


# Over a baseline ------------------------------------------------------------------------------------------------------


def growth(quantity: str, now: Ask, then: Ask) -> Seen:
    """By what fraction a quantity rose from `then` to `now`; what depends on the machine is compared on equal hosts only."""
    foreign = None if quantity in ("size", "params", "macs") else _other_host(now, then)
    first, second = GROWS[quantity](now), GROWS[quantity](then)
    if isinstance(first, Unknown):
        return first
    if isinstance(second, Unknown):
        return Unknown(f"in the baseline, {second.why}")
    if foreign is not None:
        return foreign
    if not second[0] > 0:
        return Unknown(f"the baseline's {quantity} is {second[0]:g}, and nothing grows from that.")
    value, low, high = stats.quotient(first, second)
    return value - 1, low - 1, high - 1


def _other_host(now: Ask, then: Ask) -> Unknown | None:
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

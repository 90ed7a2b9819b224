"""One quantity of one artifact, read from a report as an interval, or in words why there is none. Judges nothing."""

import base64
import binascii
import difflib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from edgekd import stats, timings
from edgekd.budget import choose
from edgekd.measurements import Measurement
from edgekd.record import Artifact, Report
from edgekd.scores import Metric, Score
from edgekd.stats import Interval


@dataclass(frozen=True)
class Ask:
    """One artifact of a report on a target; `against` and `host` as a limit has them, `looks` as `judge` does."""

    report: Report
    artifact: Artifact
    target: str | None = None
    against: str | None = None
    host: str | None = None
    looks: int = 1


def confidence(looks: int) -> float:
    """What an interval must have for `looks` of them together to be as sure as one at 95 % (Bonferroni)."""
    return 1 - 0.05 / looks


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


_SHUT = Unknown("the file was not looked into when this report was made. Make it anew where edgekd[measure] is installed.")


def params(ask: Ask) -> Seen:
    """Parameters in the file."""
    return exact(ask.artifact.params) if ask.artifact.opset else _SHUT


def macs(ask: Ask) -> Seen:
    """Multiply-accumulates of one image."""
    known = ask.artifact.macs
    if not ask.artifact.opset:
        return _SHUT
    return exact(known) if known is not None else Unknown("the file has an operator whose MACs are not known.")


def opset(ask: Ask) -> Seen:
    """The version of ONNX's operators that the file asks for."""
    return exact(ask.artifact.opset) if ask.artifact.opset else _SHUT


def other_operators(allowed: Sequence[str], ask: Ask) -> dict[str, int] | None:
    """How many nodes there are of each operator that is not allowed; None where the operators are not known."""
    return {name: count for name, count in ask.artifact.operators.items() if name not in allowed} if ask.artifact.operators else None


def operators(allowed: Sequence[str], ask: Ask) -> Seen:
    """How many nodes are of other operators than those allowed."""
    others = other_operators(allowed, ask)
    return _SHUT if others is None else exact(sum(others.values()))


def layers(precision: str, ask: Ask) -> Seen:
    """How many layers have weights of a precision."""
    if not ask.artifact.operators:
        return _SHUT
    return exact(sum(layer.precision == precision and layer.params > 0 for layer in ask.artifact.layers))


READING = 0.03
"""By how much readings of one file's peak memory differ (benchmarks/LOG.md)."""

# On a device ----------------------------------------------------------------------------------------------------------


def measured(ask: Ask) -> Measurement | Unknown:
    """The artifact's measurement on the target, by the limit's host where it names one."""
    if ask.target is None:
        return Unknown(choose.no_target(ask.report))
    found = [each for each in ask.report.measurements if (each.artifact, each.target) == (ask.artifact.name, ask.target)]
    for measurement in found:
        if ask.host is None or choose.is_host(ask.report, measurement.host, ask.host):
            return measurement
    if found:
        return Unknown(f"asked of the host {ask.host}, and {choose.host_names(ask.report)} measured it. Measure it there.", "undecided")
    return Unknown(f"{ask.artifact.name} was not measured on {ask.target}. Measure it with `edgekd bench`.")


def latency(p: Literal[50, 95], ask: Ask) -> Seen:
    """The median or the 95th percentile of the time of a batch, ms."""
    measurement = measured(ask)
    if isinstance(measurement, Unknown):
        return measurement
    launches = [launch.rounds for launch in measurement.timing.launches]
    samples = measurement.timing.samples
    if not samples or not all(map(math.isfinite, samples)) or min(samples) <= 0:
        return Unknown("its timing has no samples, or some that are no times. Measure again.")
    if p == 50:
        return timings.median_interval(launches, confidence=confidence(ask.looks))
    needed = stats.samples_needed(p)
    seen = timings.percentile_interval(launches, p, confidence=confidence(ask.looks))
    return seen or Unknown(f"a 95th percentile takes {needed} samples, there are {len(samples)}. Measure longer.")


def memory(ask: Ask) -> Seen:
    """Peak bytes; one reading, and the next may be another by `READING`."""
    measurement = measured(ask)
    if isinstance(measurement, Unknown):
        return measurement
    peak = measurement.memory
    return (peak, peak * (1 - READING), peak * (1 + READING)) if peak is not None else Unknown("peak memory was not measured.")


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
    if ask.host is not None and isinstance(here := measured(ask), Unknown):
        return here
    for ratio in ask.report.ratios:
        # One runtime against another is no file against another.
        told = (ratio.quantity, ratio.target, ratio.against_target) == ("latency", ask.target, None)
        pair = (ratio.artifact, ratio.against) if told else None
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
    bare = "A bare file has no scores here: check the run that it is of" if ask.artifact.role == "file" else "Score it with `edgekd evaluate`"
    return score or Unknown(f"{ask.artifact.name} was not scored on test images. {bare}.")


def metric(name: str, ask: Ask) -> Seen:
    """A score of its own, as accuracy."""
    score = scored(ask)
    if isinstance(score, Unknown):
        return score
    if name not in score.metrics:
        return Unknown(f"{name} is none of the scores of these images, which are {', '.join(score.metrics)}.")
    return _interval(score.metrics[name])


def paired(name: str, ask: Ask) -> Seen:
    """A score against the teacher on the same images, as agreement."""
    score = scored(ask)
    if isinstance(score, Unknown):
        return score
    if name not in score.against:
        if not any(artifact.role == "teacher" for artifact in ask.report.artifacts):
            return Unknown(f"{name} is against a teacher, and {ask.report.name} has none.")
        return Unknown(f"{name} (against the teacher) was not scored. Score it with `edgekd evaluate`.")
    return _interval(score.against[name])


def lead(ask: Ask) -> Seen:
    """The score that files are judged by first: accuracy, or the mean average precision of several labels an image."""
    return metric(ask.report.leading, ask)


def lead_drop(ask: Ask) -> Seen:
    """How much less of that than the teacher."""
    return accuracy_drop(ask) if ask.report.leading == "accuracy" else paired("map_drop", ask)


def recall(label: str, ask: Ask) -> Seen:
    """The share of one class's images that were told."""
    score = scored(ask)
    if isinstance(score, Unknown):
        return score
    if label in score.recall:
        return _interval(score.recall[label])
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
    return paired_drop(Ask(ask.report, other), ask)


def paired_drop(before: Ask, after: Ask) -> Seen:
    """The first file's accuracy minus the second's, by the images that each had right."""
    theirs, mine = scored(before), scored(after)
    if isinstance(theirs, Unknown):
        return theirs
    if isinstance(mine, Unknown):
        return mine
    names = after.artifact.name, before.artifact.name
    if not mine.images or (theirs.images, theirs.n) != (mine.images, mine.n):
        return Unknown(f"{names[0]} and {names[1]} were not scored on the same images. Score both in one `edgekd evaluate`.")
    drop = paired_right(theirs.correct, mine.correct, mine.n)
    if drop is None:
        return Unknown(f"the scores of {names[0]} and {names[1]} do not tell which images were right. Score both in one `edgekd evaluate`.")
    return drop


def paired_right(first: str, second: str, n: int) -> Interval | None:
    """The share of `n` images that the first had right minus the second's, of marks as `Score.correct`; None where either's do not tell."""
    before, now = _marks(first, n), _marks(second, n)
    if before is None or now is None:
        return None
    only_first, only_second = (bin(bits).count("1") for bits in (before & ~now, now & ~before))
    return stats.paired_difference(only_first, only_second, n)


def _interval(known: Metric) -> Interval:
    return known.value, known.low, known.high


def _marks(correct: str, n: int) -> int | None:
    """Which of `n` images were right, as the bits of one whole number; None where that was not kept, or marks others."""
    try:
        packed = base64.b64decode(correct, validate=True)
    except binascii.Error:
        return None
    whole = n > 0 and len(packed) == (n + 7) // 8
    bits = int.from_bytes(packed, "big")
    return bits if whole and bits % (1 << (-n % 8)) == 0 else None

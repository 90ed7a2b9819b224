"""What a report comes to, in sentences: what distilling bought, what ships and why, by which of several runtimes it is fastest, whether quantising
the teacher would have done, what to doubt.

Each says only what was measured, and says so when the difference is within the noise. Numbers come by `figures` and `stats`, text by `units`.
"""

import math
import re
from collections.abc import Iterator, Sequence

from edgekd import stats, units
from edgekd.budget import choose, figures
from edgekd.budget.figures import Ask, Unknown
from edgekd.measurements import VNNI, Measurement
from edgekd.record import FULL_RANGE, Artifact, Network, Report
from edgekd.report import kept, runtimes
from edgekd.report.cells import led, named, reference
from edgekd.scores import Score
from edgekd.stats import Interval

_FIGURE = re.compile(r"(?<![\w.])(?<!batch )\d+(?:\.\d+)?(?!\w|\.\d)")
"""A measured number: no part of a name, and no batch, of which each is another one."""
WORTH = 1.2
"""An int8 file that is not so many times as fast as its network's fp32 file is said to gain little."""


def sentences(report: Report) -> list[str]:
    """What students that learnt on kept, one headline a student, then what ships on each target and what the teacher's own quantised files would
    have given, and whose runtime to take."""
    found = [*kept.sentences(report), *headlines(report)]
    for key, name in report.shipped.items():
        target, _, _ = key.rpartition("/")
        found += [shipping(report, target, name), gaining(report, target, name), quantising(report, target, name)]
    return [sentence for sentence in [*found, *runtimes.sentences(report)] if sentence]


def headlines(report: Report) -> list[str]:
    """As "resnet20: −68 % parameters at 98.8 % of the teacher's accuracy; distilling bought 1.9 points over …", one a student."""
    teacher = reference(report)
    if teacher is None or teacher.role != "teacher":
        return []
    students = {artifact.network: artifact for artifact in reversed(report.artifacts) if artifact.role == "student"}
    return [_headline(report, teacher, student) for student in reversed(students.values())]


def _headline(report: Report, teacher: Artifact, student: Artifact) -> str:
    first, second = (_accuracy(report, artifact.name) for artifact in (teacher, student))
    kept = f" at {units.percent_text(second[0] / first[0])} of the teacher's {led(report)}" if first and second and first[0] else ""
    bought = _bought(report, student)
    return f"{student.network}: {_change(student.params, teacher.params)} parameters{kept}{f'; {bought}' if bought else ''}."


def _change(now: int, before: int) -> str:
    """As "−92 %"; a decimal more where whole percents would read as everything or nothing."""
    change = now / before - 1 if before else 0.0
    text = units.percent_text(change, 0 if 0.01 <= abs(change) <= 0.99 else 1)
    return f"+{text}" if change > 0 else text


def _bought(report: Report, student: Artifact) -> str:
    """What the soft terms added to the same schedule without them."""
    balanced = _by_class(report)
    alone = _alone(report, student.network, balanced=balanced)
    gain = None if alone is None else _gain(report, student, alone, balanced=balanced)
    if gain is None:
        return ""
    value, low, high = gain
    span = f"95 % interval {units.span_text(units.points_text(low), units.points_text(high))}"
    over = f"over training the same student alone{' by balanced accuracy' if balanced else ''}"
    if low > 0:
        return f"distilling bought {units.points_text(value)} {over} ({span})"
    if high < 0:
        return f"distilling cost {units.points_text(-value)} {over.replace('over', 'against')} ({span})"
    return f"whether distilling bought anything {over} is within the noise: {units.points_text(value)} ({span})"


def _by_class(report: Report) -> bool:
    """Whether all classes count alike on the device, so that a gain is one of balanced accuracy."""
    alone = [network for network in report.networks if network.role.startswith("alone")]
    return report.recipe.get("train", {}).get("prior") == "uniform" and all(network.test_balanced is not None for network in alone)


def _alone(report: Report, name: str, *, balanced: bool) -> Network | None:
    """Of the ways of teaching a student alone the better one: a gain is counted over that."""
    found = [network for network in report.networks if network.role.startswith("alone") and network.name == name]
    known = [(score.value, network) for network in found if (score := network.test_balanced if balanced else network.test_accuracy) is not None]
    return max(known, key=lambda pair: pair[0], default=(0.0, None))[1]


def _gain(report: Report, student: Artifact, alone: Network, *, balanced: bool) -> Interval | None:
    """A student's score minus that of the network alone: accuracy by the images that each had right, where that was kept; else the two are taken as
    independent, which widens the interval."""
    score, before = figures.scored(Ask(report, student)), alone.test_balanced if balanced else alone.test_accuracy
    if isinstance(score, Unknown) or before is None:
        return None
    now = score.metrics.get("balanced_accuracy") if balanced else score.lead
    if now is None:
        return None
    counted = not balanced and "map" not in score.metrics and score.n == before.n
    paired = figures.paired_right(score.correct, alone.correct, score.n) if counted else None
    return paired or stats.difference((now.value, now.low, now.high), (before.value, before.low, before.high))


def shipping(report: Report, target: str, name: str) -> str:
    """What ships on a target, why, and how it stands to the teacher's own file."""
    artifact = named(report, name)
    if artifact is None:
        return ""
    speed = _compared(report, artifact, target)
    accuracy = _accuracy(report, name)
    parts = [units.bytes_text(artifact.size)]
    parts += [f"{units.ratio_text(speed[0])} the speed of the teacher{_between(speed)}"] if speed else []
    parts += [f"{units.percent_text(accuracy[0])} {led(report)}"] if accuracy else []
    allowed = report.recipe.get("max_drop")
    within = f" that lost at most {_allowed(allowed)} to its own fp32 file on validation images" if allowed is not None else ""
    lost = choose.losses(report, artifact)
    times = choose.paces(report, target, list(lost))
    most = math.inf if allowed is None else units.parse_fraction(allowed)
    eligible = [time for each, time in times.items() if choose.within(lost[each], most) or each == name]
    # Files that tie ship in the target's order (`choose.fastest`).
    which = "the fastest file" if times.get(name, 0.0) <= min(eligible, default=0.0) else "first choice among the fastest files"
    faster = [each for each, time in times.items() if time < times.get(name, 0.0) and lost[each] < math.inf and not choose.within(lost[each], most)]
    out = "; ".join(f"{each} is faster and lost {units.points_text(lost[each])}" for each in faster)
    return f"On {target}, {name} ships, {which}{within}: {', '.join(parts)}.{f' Left out: {out}.' if out else ''}"


def _between(speed: Interval) -> str:
    """Where a speed may lie, where it is known from measuring."""
    value, low, high = speed
    return f" (95 % interval {units.span_text(units.ratio_text(low), units.ratio_text(high))})" if low < value < high < math.inf else ""


def gaining(report: Report, target: str, name: str) -> str:
    """Where int8 of a network that ships gains little over its fp32 file there, that it does, by their speeds over the teacher's own file."""
    shipped = named(report, name)
    if shipped is None:
        return ""
    files = [each for each in report.artifacts if (each.role, each.network) == (shipped.role, shipped.network)]
    speeds = {each.precision: speed[0] for each in files if (speed := _compared(report, each, target))}
    fast = max((speed for precision, speed in speeds.items() if precision.startswith("int8")), default=None)
    if fast is None or "fp32" not in speeds or fast >= WORTH * speeds["fp32"]:
        return ""
    return f"In int8 {shipped.network} gains little there: {units.ratio_text(fast / speeds['fp32'])} the speed of its fp32 file."


def _allowed(drop: object) -> str:
    return drop if isinstance(drop, str) else units.points_text(units.parse_fraction(drop if isinstance(drop, float) else 0.0), None)


def quantising(report: Report, target: str, name: str) -> str:
    """Why not just quantise the teacher: its own best reduced file beside the student's that ships."""
    student = named(report, name)
    own = _quantised(report, target)
    if student is None or own is None or student.role != "student":
        return ""
    quick, slow = _compared(report, student, target), _compared(report, own, target)
    mine, theirs = _accuracy(report, name), _accuracy(report, own.name)
    ahead = [_times(own.size / student.size, "smaller", "larger")]
    ahead += [_times(quick[0] / slow[0], "faster", "slower")] if quick and slow and quick[0] and slow[0] else []
    loss = f", for {_more(theirs[0] - mine[0], led(report))}" if mine and theirs else ""
    facts = [units.bytes_text(own.size)]
    facts += [f"{units.ratio_text(slow[0])} its fp32 speed"] if slow else []
    facts += [f"{units.percent_text(theirs[0])} {led(report)}"] if theirs else []
    worse = mine is not None and theirs is not None and theirs[2] < mine[1]
    wins = own.size > student.size or worse or (quick is not None and slow is not None and quick[0] > slow[0])
    verdict = (
        f"The student's is {' and '.join(ahead)}{loss}"
        if wins
        else "Quantising the teacher alone does as well: distil to a smaller student, or ship it"
    )
    return f"Why not just quantise the teacher? Its own {own.precision} file: {', '.join(facts)}. {verdict}."


def _times(ratio: float, more: str, less: str) -> str:
    return f"{units.ratio_text(ratio)} {more}" if ratio >= 1 else f"{units.ratio_text(1 / ratio)} {less}"


def _more(loss: float, what: str) -> str:
    if units.points_text(abs(loss)) == units.points_text(0.0):
        return f"the same {what}"
    return f"{units.points_text(abs(loss))} {'less' if loss > 0 else 'more'} {what}"


def _quantised(report: Report, target: str) -> Artifact | None:
    """Of the teacher's reduced files the fastest on the target, else the smallest."""
    found = [artifact for artifact in report.artifacts if artifact.role == "teacher" and artifact.precision not in ("fp32", "as-is")]
    timed = [(faster[0], artifact) for artifact in found if (faster := _compared(report, artifact, target))]
    if timed:
        return max(timed, key=lambda pair: pair[0])[1]
    return min(found, key=lambda artifact: artifact.size, default=None)


def doubts(report: Report) -> list[str]:
    """What there is to doubt: of the run, of its data, of each measurement; what holds for several files is said once, figures by their range."""
    notes = report.data.notes if report.data else []
    measured: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for each in report.measurements:
        for doubt in [*each.doubts, *_overflowing(report, each)]:
            measured.setdefault((_FIGURE.sub("#", doubt), each.target), []).append((each.artifact, doubt))
    told = []
    for (_, target), found in measured.items():
        names = list(dict.fromkeys(name for name, _ in found))
        told.append(f"{names[0] if len(names) == 1 else f'{len(names)} files'} on {target}: {_ranged([doubt for _, doubt in found])}")
    return list(dict.fromkeys([*report.doubts, *notes, *told]))


def _overflowing(report: Report, measurement: Measurement) -> Iterator[str]:
    """Where a file's products of 8 bits may overflow: it was made on a CPU with VNNI, whose weights take all 8, and ran on an x86 without."""
    file, host = named(report, measurement.artifact), report.hosts.get(measurement.host)
    full = file is not None and file.precision == "int8-cpu" and (file.calibration or {}).get("weights") == FULL_RANGE
    if full and host is not None and host.architecture in ("x86_64", "AMD64") and host.instructions and not VNNI & set(host.instructions):
        yield (
            "this CPU has no VNNI, and the file was made on one that has: its products may overflow here. `edgekd evaluate FILE --host HOST` tells; "
            "exported on such a machine its weights take 7 bits"
        )


def _ranged(texts: Sequence[str]) -> str:
    """Texts that differ in their figures alone, as one: each figure, or the least and the largest."""
    ranges = []
    for figures_there in zip(*map(_FIGURE.findall, texts), strict=True):
        least, most = min(figures_there, key=float), max(figures_there, key=float)
        ranges.append(least if least == most else f"{least}–{most}")
    left = iter(ranges)
    return _FIGURE.sub(lambda _: next(left), texts[0])


def _accuracy(report: Report, name: str) -> Interval | None:
    artifact = named(report, name)
    seen = figures.lead(Ask(report, artifact)) if artifact else None
    return None if seen is None or isinstance(seen, Unknown) else seen


def _compared(report: Report, artifact: Artifact, target: str) -> Interval | None:
    """Its speed over that of the teacher's own file."""
    seen = figures.speedup(Ask(report, artifact, target))
    return None if isinstance(seen, Unknown) or not 0 < seen[0] < math.inf else seen


def two_machines(there: Score, here: Score) -> str:
    """How a file answered the same images on another machine and on this one."""
    alike = there.against.get("agreement")
    name = "mAP" if "map" in there.metrics else "accuracy"
    parts = [] if alike is None else [f"{units.percent_text(alike.value)} of its answers as here"]
    parts.append(f"{name} {units.percent_text(there.lead.value)} ({units.percent_text(here.lead.value)} here)")
    return f"{there.artifact} on {there.host}, {there.n:,} test images: {', '.join(parts)}"

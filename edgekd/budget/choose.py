"""Which artifacts a limit names, and which of several is the fastest: spec strings → artifacts, or in words why there are none. Judges nothing."""

import math
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from edgekd.limit import Limit
from edgekd.record import Artifact, Report
from edgekd.stats import median
from edgekd.target import named

TIE = 1.05
"""So many times the least time is as good: the smaller or exacter file is worth more than a twentieth."""
_ROUNDING = 1e-9


def target(report: Report, limit: Limit) -> str | None:
    """The limit's target, or the only one that the report knows."""
    known = targets(report)
    return limit.target or (known[0] if len(known) == 1 else None)


def targets(report: Report) -> list[str]:
    """Every target that something was measured on or shipped to."""
    return sorted({measurement.target for measurement in report.measurements} | {key.rpartition("/")[0] for key in report.shipped})


MEASURE_BARE = "Add --measure to time the files here."
"""What to do where a limit on bare files is about times: no report of `bench` is read beside them."""


def is_bare(report: Report) -> bool:
    """Whether it is of bare files alone."""
    return bool(report.artifacts) and all(artifact.role == "file" for artifact in report.artifacts)


def no_target(report: Report) -> str:
    """Why a limit without a target has none."""
    known = targets(report)
    if known:
        return f"the report has several targets ({', '.join(known)}). Name one with target = in [[limit]]."
    return f"nothing was measured on any target. {MEASURE_BARE if is_bare(report) else 'Measure with `edgekd bench`.'}"


def artifacts(report: Report, spec: str, on: str | None) -> list[Artifact] | str:
    """The artifacts that `ROLE/NAME/PRECISION`, a bare precision (every student's) or `shipped` names.

    `int8` stands for either flavour, and where a network has both, for the one that ran on the target. A report of bare files ships them all;
    one of them may be named by its file, as in `model.onnx`.
    """
    if spec == "shipped":
        return list(report.artifacts) if is_bare(report) else _shipped(report, on)
    if exact := [artifact for artifact in report.artifacts if artifact.role == "file" and PurePath(artifact.path) == PurePath(spec)]:
        found = exact
    elif spec.endswith(".onnx"):
        found = [artifact for artifact in report.artifacts if PurePath(artifact.path).parts[-len(PurePath(spec).parts) :] == PurePath(spec).parts]
    elif "/" in spec:
        found = [artifact for artifact in report.artifacts if (name := artifact.name) == spec or flavourless(name) == spec]
    else:
        students = [artifact for artifact in report.artifacts if artifact.role == "student"] or report.artifacts
        found = [artifact for artifact in students if spec in (artifact.precision, flavourless(artifact.precision))]
    ran = {measurement.artifact for measurement in report.measurements if measurement.target == on}
    if len(found) > 1:
        found = [artifact for artifact in found if artifact.name in ran or not any(_twins(artifact, other) and other.name in ran for other in found)]
    return found or f"no artifact matches {spec!r}; the report has: {names(report)}."


def against(report: Report, artifact: Artifact, spec: str | None) -> Artifact | str:
    """What an artifact is compared with: the teacher's own file (None), one by name, or another precision of the same network."""
    if spec is None:
        found = [other for other in report.artifacts if other.role == "teacher" and other.precision in ("fp32", "as-is")]
    elif "/" in spec:
        found = [other for other in report.artifacts if spec in (other.name, flavourless(other.name))]
    else:
        same = [other for other in report.artifacts if (other.role, other.network) == (artifact.role, artifact.network)]
        found = [other for other in same if spec in (other.precision, flavourless(other.precision))]
    if found:
        return found[0]
    wanted = spec or "fp32 file of a teacher"
    return f"there is no {wanted} to compare with; the report has: {names(report)}. Name one with against = in [[limit]]."


def is_host(report: Report, key: str, wanted: str) -> bool:
    """Whether a host is the one that a limit names: by its key, or by whole words of its CPU's or GPU's name."""
    host = report.hosts.get(key)
    said = [host.cpu, host.gpu or ""] if host is not None else []
    return key == wanted or any(named(wanted, name) for name in said)


def host_names(report: Report) -> str:
    """The machines of a report, for messages."""
    return ", ".join(f"{key} ({host.gpu or host.cpu})" for key, host in report.hosts.items()) or "another"


def names(report: Report) -> str:
    """What the report has, for messages."""
    return ", ".join(artifact.name for artifact in report.artifacts) or "none"


def flavourless(name: str) -> str:
    """`int8` for either flavour of it."""
    return name[:-4] if name.endswith(("int8-cpu", "int8-trt")) else name


def _twins(artifact: Artifact, other: Artifact) -> bool:
    return artifact.name != other.name and flavourless(artifact.name) == flavourless(other.name)


def paces(report: Report, target: str, files: Sequence[str]) -> dict[str, float]:
    """How long each of these files takes on a target, as far as it was measured there: over one file that all were held against in turn, which load
    on the machine moves least; where they were not, the median in ms."""
    taken = {
        each.artifact: median(each.timing.samples)
        for each in report.measurements
        if each.target == target and each.artifact in files and each.timing.samples
    }
    held = [each for each in report.ratios if (each.quantity, each.target, each.against_target) == ("latency", target, None)]
    for against in dict.fromkeys(each.against for each in held):
        relative = {each.artifact: each.value for each in held if each.against == against} | {against: 1.0}
        if taken.keys() <= relative.keys():
            return {name: relative[name] for name in taken}
    return taken


def fastest(times: Mapping[str, float], precisions: Mapping[str, str], order: Sequence[str]) -> str:
    """The name with the least time; of those within `TIE` of it the one whose precision stands first in a target's order.

    Args:
        times: by name; one or more.
        precisions: by the same names.
        order: what is not in it comes last.
    """
    tied = [name for name, time in times.items() if time <= TIE * min(times.values())]
    return min(tied, key=lambda name: (order.index(precisions[name]) if precisions[name] in order else len(order), times[name]))


def losses(report: Report, artifact: Artifact) -> dict[str, float]:
    """What each file of an artifact's network lost on validation images to the first of them, a share: of what the network is judged by, or of
    balanced accuracy where the recipe says that classes are met alike. Infinite where no score tells: nothing is chosen by a guess."""
    own = [each.name for each in report.artifacts if (each.role, each.network) == (artifact.role, artifact.network)]
    balanced = report.recipe.get("train", {}).get("prior", "data") != "data" and report.leading != "map"

    def right(name: str) -> float:
        score = report.score(name, "valid")
        metric = None if score is None else score.metrics.get("balanced_accuracy") if balanced else score.lead
        return math.nan if metric is None else metric.value

    lost = {name: right(own[0]) - right(name) for name in own[1:]}
    return {own[0]: 0.0, **{name: math.inf if math.isnan(drop) else drop for name, drop in lost.items()}}


def within(lost: float, allowed: float) -> bool:
    """Whether a loss is allowed; both are shares, and one comes of a subtraction."""
    return lost <= allowed + _ROUNDING


def shipped_on(report: Report, target: str) -> set[str]:
    """The names of the files that ship on a target."""
    return {name for key, name in report.shipped.items() if key.rpartition("/")[0] == target}


def _shipped(report: Report, on: str | None) -> list[Artifact] | str:
    if on is None:
        return no_target(report) if targets(report) else "nothing was shipped. Name an artifact with artifact = in [[limit]]."
    shipped = shipped_on(report, on)
    found = [artifact for artifact in report.artifacts if artifact.name in shipped]
    students = dict.fromkeys(each.network for each in report.artifacts if each.role == "student")
    lacking = [name for name in students if f"{on}/{name}" not in report.shipped]
    if found and lacking:
        timed = {report.artifact(each.artifact).network for each in report.measurements if each.target == on}
        why = "was not measured there. Measure it with `edgekd bench`" if lacking[0] not in timed else "has no file that may ship: score it anew"
        return f"nothing of {lacking[0]} was shipped on {on}: it {why}."
    if found and len(found) == len(shipped):
        return found
    known = ", ".join(targets(report))
    one = "one of them, or " if known else ""
    return f"nothing was shipped on {on}; the report has the targets: {known or 'none'}. Name {one}an artifact with artifact = in [[limit]]."

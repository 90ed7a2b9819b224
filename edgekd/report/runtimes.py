"""By which of several runtimes what ships is fastest, in sentences, and which one may be worth a try."""

import math

from edgekd import stats, units
from edgekd.budget import figures
from edgekd.budget.figures import Ask, Unknown
from edgekd.record import Report
from edgekd.report.cells import named
from edgekd.stats import Interval

SLOW_MS = 0.2
"""Of networks quicker than this, ones of 0.1 ms, OpenVINO ran one as fast as ONNX Runtime and one half as fast (benchmarks/LOG.md, 2026-11-27)."""


def sentences(report: Report) -> list[str]:
    """Which runtime to take where several were held against each other, and OpenVINO where it was not tried and may be much faster."""
    return [sentence for sentence in (*_held(report), _untried(report)) if sentence]


def _held(report: Report) -> list[str]:
    """Where runtimes of one machine were held against each other, which of them runs what ships there the faster: one sentence a network and pair."""
    pairs = dict.fromkeys((each.against_target, each.target) for each in report.ratios if each.against_target is not None)
    found = []
    for first, other in pairs:
        for key, name in report.shipped.items():
            target, _, network = key.rpartition("/")
            rival = report.shipped.get(f"{other}/{network}")
            if target == first and rival is not None:
                found.append(_faster(report, (name, target), (rival, other)))
    return found


def _untried(report: Report) -> str:
    """Where OpenVINO may run what ships several times as fast, that it was not tried: int8 on a CPU with AMX (benchmarks/export.json)."""
    if any(each.runtime == "openvino" for each in report.measurements):
        return ""
    for each in report.measurements:
        artifact = named(report, each.artifact)
        int8 = artifact is not None and artifact.precision == "int8-cpu" and artifact.name in report.shipped.values()
        amx = each.host in report.hosts and "amx_int8" in report.hosts[each.host].instructions
        if int8 and amx and each.runtime == "onnxruntime" and each.timing.samples and stats.median(each.timing.samples) >= SLOW_MS:
            return (
                "This CPU has AMX, where OpenVINO ran int8 of ResNets up to 3 times as fast as ONNX Runtime. "
                "To hold one against the other: --on cpu=local --on cpu-openvino=local."
            )
    return ""


def _faster(report: Report, one: tuple[str, str], two: tuple[str, str]) -> str:
    """Which of two files, each on the target that it ships on, is the faster, and by how much; what ships is one file where both name the same."""
    speed = _speed(report, one, two)
    if speed is None:
        return ""
    first, second = (two, one) if speed[0] >= 1 else (one, two)
    value, low, high = speed if speed[0] >= 1 else (1 / speed[0], 1 / speed[2], 1 / speed[1])
    span = f"{units.ratio_text(value)}, 95 % interval {units.span_text(units.number_text(low), units.number_text(high))}"
    if low <= 1:
        files = " and ".join(dict.fromkeys((one[0], two[0])))
        return f"{files}: {one[1]} and {two[1]} are equally fast within the noise ({span})."
    than = "" if one[0] == two[0] else f"{second[0]} "
    return f"{first[0]} by {first[1]} is faster than {than}by {second[1]} ({span}): where you may choose, choose {first[1]}."


def _speed(report: Report, one: tuple[str, str], two: tuple[str, str]) -> Interval | None:
    """The first's latency over the second's: as held against each other where it is one file, else from both medians, taken as independent."""
    for each in report.ratios:
        if one[0] == two[0] and (each.artifact, each.target, each.against_target) == (*two, one[1]):
            return 1 / each.value, 1 / each.high, 1 / each.low
    files = {artifact.name: artifact for artifact in report.artifacts}
    seen = [figures.latency(50, Ask(report, files[name], target)) for name, target in (one, two) if name in files]
    if len(seen) < 2 or any(isinstance(each, Unknown) or each[1] <= 0 for each in seen):
        return None
    first, second = [(math.log(each[0]), math.log(each[1]), math.log(each[2])) for each in seen if not isinstance(each, Unknown)]
    value, low, high = map(math.exp, stats.difference(first, second))
    return value, low, high

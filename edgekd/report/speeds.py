"""How fast a report's files run, a table a target: times, what a process takes once, images a second.

In: a report. Out: tables of text, one row an artifact. What is computed and not measured is `floors`'s.
"""

from collections.abc import Callable, Sequence

from edgekd import stats, units
from edgekd.budget import figures
from edgekd.budget.choose import shipped_on
from edgekd.budget.figures import Ask, Seen, Unknown
from edgekd.measurements import EngineRun, Measurement, Ratio
from edgekd.record import Artifact, Report
from edgekd.report import floors
from edgekd.report.cells import Table, cell, interval, label, middle, over, reference, tabled, value


def speeds(report: Report, target: str) -> Table:
    """Median and p95, how many times faster than the reference, throughput, memory and energy."""
    found = {each.artifact: each for each in reversed(report.measurements) if each.target == target}
    rows = [artifact for artifact in report.artifacts if artifact.name in found]
    first = reference(report)
    base = found.get(first.name) if first else None
    shipped = shipped_on(report, target)

    def column(read: Callable[[Ask], Seen], text: units.Text) -> list[str]:
        seen = [read(Ask(report, row, target, first.name if first else None)) for row in rows]
        return [value(each, text) for each in seen]

    beside = _beside(report, rows, target)
    compared = [figures.speedup(Ask(report, row, target, first.name)) if first else Unknown("") for row in rows]
    columns = [
        ("median", [cell(_median(found[row.name]), units.ms_text) for row in rows]),
        ("speedup", [value(each, units.ratio_text) for each in compared]),
        ("95 % interval", [interval(each, units.ratio_text) for each in compared]),
        ("p95", [cell(stats.percentile(found[row.name].timing.samples, 95), units.ms_text) for row in rows]),
        *beside,
        ("GPU work", [cell(_work(found[row.name]), units.ms_text) for row in rows]),
        ("images/s", [cell(found[row.name].throughput, units.count_text) for row in rows]),
        ("images/s ×", [cell(over(found[row.name].throughput, base.throughput if base else None), units.ratio_text) for row in rows]),
        ("memory", column(figures.memory, units.bytes_text)),
        ("memory ÷", [cell(over(base.memory if base else None, found[row.name].memory), units.ratio_text) for row in rows]),
        ("J/image", column(figures.energy, units.energy_text)),
    ]
    note = "; ".join([_conditions(report, [found[row.name] for row in rows]), *(f"{head}: how many times faster than there" for head, _ in beside)])
    return tabled(f"On {target}", note, [label(row.name, shipped) for row in rows], columns)


def further(report: Report, target: str) -> Table:
    """What a process takes once, percentiles that the first table has no room for, as far as there are samples enough, and the computed floor."""
    found = {each.artifact: each for each in reversed(report.measurements) if each.target == target}
    rows = [artifact for artifact in report.artifacts if artifact.name in found]
    timings = [found[row.name].timing for row in rows]
    columns = [
        ("load", [cell(middle([launch.load_ms for launch in each.launches]), units.ms_text) for each in timings]),
        ("first inference", [cell(middle([launch.first_ms for launch in each.launches]), units.ms_text) for each in timings]),
        ("p90", [cell(stats.percentile(each.samples, 90), units.ms_text) for each in timings]),
        ("p90 (MLPerf)", [cell(stats.early_stopping(each.samples), units.ms_text) for each in timings]),
        ("p99", [cell(stats.percentile(each.samples, 99), units.ms_text) for each in timings]),
        *floors.beside(report, rows, found, target),
    ]
    note = "load and first inference: medians of the launches"
    estimated = any(len(each.samples) >= stats.samples_needed(90) for each in timings)
    note += "; MLPerf: as its single-stream results are estimated, above the plain one" if estimated else ""
    note += (
        "; computed floor: from the maker's data, and what part of the median it is" if any(each.target == target for each in report.floors) else ""
    )
    return tabled(f"Further times on {target}", note, [label(row.name, shipped_on(report, target)) for row in rows], columns)


def flows(report: Report, target: str) -> Table:
    """Images a second by batch size, where it was measured at several."""
    found = {each.artifact: each for each in reversed(report.measurements) if each.target == target and each.flows}
    rows = [artifact for artifact in report.artifacts if artifact.name in found]
    batches = sorted({flow.batch for each in found.values() for flow in each.flows})
    if len(batches) < 2:
        return tabled("", "", [], [])
    by_batch = {name: {flow.batch: flow.images_per_s for flow in each.flows} for name, each in found.items()}
    columns = [(f"batch {batch}", [cell(by_batch[row.name].get(batch), units.count_text) for row in rows]) for batch in batches]
    streams = sorted({flow.streams for each in found.values() for flow in each.flows})
    note = f"images a second, {' or '.join(map(str, streams))} batches in flight; no latency"
    return tabled(f"Throughput on {target}", note, [label(row.name, shipped_on(report, target)) for row in rows], columns)


def _beside(report: Report, rows: Sequence[Artifact], target: str) -> list[tuple[str, list[str]]]:
    """How many times less each file takes by this target's runtime than by another of the same machine."""
    ratios = {(each.artifact, each.against_target): each for each in report.ratios if each.target == target and each.against_target is not None}
    others = dict.fromkeys(str(other) for _, other in ratios)
    return [(f"× {other}", [cell(_inverse(ratios.get((row.name, other))), units.ratio_text) for row in rows]) for other in others]


def _inverse(ratio: Ratio | None) -> float | None:
    return None if ratio is None else 1 / ratio.value


def _work(measurement: Measurement) -> float | None:
    """What the GPU's own work takes of an inference, without the copies."""
    engine = measurement.engine
    return stats.median(engine.compute_ms) if engine is not None and engine.compute_ms else None


def _conditions(report: Report, measurements: Sequence[Measurement]) -> str:
    """Machine, runtime, batch and threads, each said once."""
    hosts = [report.hosts[each.host] for each in measurements if each.host in report.hosts]
    parts = [
        [host.gpu or host.cpu for host in hosts],
        [" ".join([each.runtime, _version(report, each)]).strip() for each in measurements],
        [each.provider for each in measurements],
        [f"batch {each.batch}" for each in measurements],
        [f"{each.threads} thread{'s' if each.threads != 1 else ''}" for each in measurements if each.engine is None],
        [_launched(each.engine) for each in measurements if each.engine is not None],
    ]
    return ", ".join(" or ".join(dict.fromkeys(part)) for part in parts if part)


def _launched(engine: EngineRun) -> str:
    """How an engine's inferences are launched and waited for, and who ran it."""
    words = ["CUDA graph" if engine.cuda_graph else "no CUDA graph", "spin-wait" if engine.spin_wait else "blocking wait"]
    return " and ".join(words) + (", by trtexec" if engine.by == "trtexec" else "")


def _version(report: Report, measurement: Measurement) -> str:
    host = report.hosts.get(measurement.host)
    return host.runtimes.get(measurement.runtime, "") if host else ""


def _median(measurement: Measurement) -> float | None:
    return middle(measurement.timing.samples)

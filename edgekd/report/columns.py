"""A report as tables of text, whoever draws them: the files, how fast they run on each target, how well they answer. One row an artifact.

Knows no widths and no markup; a cell without a number holds the sign for none, and a column of nothing else is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from edgekd import stats, units
from edgekd.budget import figures
from edgekd.budget.choose import shipped_on
from edgekd.budget.figures import Ask, Seen, Unknown
from edgekd.measurements import EngineRun, Measurement, Ratio
from edgekd.record import Artifact, Report
from edgekd.report import atbest, groups
from edgekd.report.domains import domains
from edgekd.report.inherit import inherited
from edgekd.report.kept import kept
from edgekd.report.labels import labels
from edgekd.report.steps import steps

SHIPS = "*"
"""Marks the file that ships."""


_SEVERAL = (("macro-F1", "macro_f1"), ("AUC", "auc"), ("all right", "accuracy"))
"""What is shown where an image may have several labels, and its metric."""


@dataclass(frozen=True)
class Column:
    """A heading and a cell for each row."""

    head: str
    cells: list[str]


@dataclass(frozen=True)
class Table:
    """Columns side by side; the first, or the first `keys`, name the rows. `note` says what holds for all of it."""

    title: str
    note: str
    columns: list[Column]
    keys: int = 1


def tables(report: Report) -> list[Table]:
    """Files, one table a target, scores, labels, source and target, steps from teacher to student, what was kept, what it inherits: those that have a
    row."""
    found = [_files(report)]
    found += [table for target in measured_targets(report) for table in (_speeds(report, target), _further(report, target), _flows(report, target))]
    found += [_at_best(report), _scores(report), _labels(report)]
    found += [_domains(report), _steps(report), *kept_tables(report)]
    found += [_table(told.title, told.note, told.names, told.columns, first=told.first) for told in inherited(report)]
    return [table for table in found if len(table.columns) > 1]


def kept_tables(report: Report) -> list[Table]:
    """Of each student that went on from another run, how it does on that run's test images and on its own."""
    found = [_table(told.title, told.note, told.names, told.columns, first="images") for told in kept(report)]
    return [table for table in found if len(table.columns) > 1]


def measured_targets(report: Report) -> list[str]:
    """The targets that something was measured on, in the order they were."""
    return list(dict.fromkeys(measurement.target for measurement in report.measurements))


def reference(report: Report) -> Artifact | None:
    """What every ratio is against: the teacher's own file; among bare files the first."""
    teacher = [artifact for artifact in report.artifacts if artifact.role == "teacher" and artifact.precision in ("fp32", "as-is")]
    bare = [artifact for artifact in report.artifacts if artifact.role == "file"]
    return next(iter(teacher or bare), None)


def _table(title: str, note: str, names: Sequence[str], columns: Sequence[tuple[str, Sequence[str]]], *, first: str = "artifact") -> Table:
    full = [Column(head, list(cells)) for head, cells in columns if any(cell != units.NOTHING for cell in cells)]
    return Table(title, note, [Column(first, list(names)), *full] if names and full else [])


def _files(report: Report) -> Table:
    rows = report.artifacts
    first = reference(report)
    shipped = set(report.shipped.values())
    sizes: list[tuple[str, Callable[[Artifact], int | None], units.Text]] = [
        ("params", lambda artifact: artifact.params, units.count_text),
        ("MACs", lambda artifact: artifact.macs, units.count_text),
        ("size", lambda artifact: artifact.size, units.bytes_text),
    ]
    columns: list[tuple[str, list[str]]] = []
    for head, read, text in sizes:
        columns.append((head, [_cell(read(row), text) for row in rows]))
        if first is not None and len(rows) > 1:
            columns.append((f"{head} ÷", [_cell(_over(read(first), read(row)), units.ratio_text) for row in rows]))
    notes = ([f"÷: how many times less than {said(first)}"] if first and len(rows) > 1 else []) + ([f"{SHIPS} ships"] if shipped else [])
    return _table("Files", "; ".join(notes), [_label(row.name, shipped) for row in rows], columns)


def _speeds(report: Report, target: str) -> Table:
    found = {each.artifact: each for each in reversed(report.measurements) if each.target == target}
    rows = [artifact for artifact in report.artifacts if artifact.name in found]
    first = reference(report)
    base = found.get(first.name) if first else None
    shipped = shipped_on(report, target)

    def column(read: Callable[[Ask], Seen], text: units.Text) -> list[str]:
        seen = [read(Ask(report, row, target, first.name if first else None)) for row in rows]
        return [_value(each, text) for each in seen]

    beside = _beside(report, rows, target)
    compared = [figures.speedup(Ask(report, row, target, first.name)) if first else Unknown("") for row in rows]
    columns = [
        ("median", [_cell(_median(found[row.name]), units.ms_text) for row in rows]),
        ("speedup", [_value(each, units.ratio_text) for each in compared]),
        ("95 % interval", [_interval(each, units.ratio_text) for each in compared]),
        ("p95", [_cell(stats.percentile(found[row.name].timing.samples, 95), units.ms_text) for row in rows]),
        *beside,
        ("GPU work", [_cell(_work(found[row.name]), units.ms_text) for row in rows]),
        ("images/s", [_cell(found[row.name].throughput, units.count_text) for row in rows]),
        ("images/s ×", [_cell(_over(found[row.name].throughput, base.throughput if base else None), units.ratio_text) for row in rows]),
        ("memory", column(figures.memory, units.bytes_text)),
        ("memory ÷", [_cell(_over(base.memory if base else None, found[row.name].memory), units.ratio_text) for row in rows]),
        ("J/image", column(figures.energy, units.energy_text)),
    ]
    note = "; ".join([_conditions(report, [found[row.name] for row in rows]), *(f"{head}: how many times faster than there" for head, _ in beside)])
    return _table(f"On {target}", note, [_label(row.name, shipped) for row in rows], columns)


def _further(report: Report, target: str) -> Table:
    """What a process takes once, percentiles that the first table has no room for, as far as there are samples enough, and the computed floor."""
    found = {each.artifact: each for each in reversed(report.measurements) if each.target == target}
    rows = [artifact for artifact in report.artifacts if artifact.name in found]
    timings = [found[row.name].timing for row in rows]
    columns = [
        ("load", [_cell(_middle([launch.load_ms for launch in each.launches]), units.ms_text) for each in timings]),
        ("first inference", [_cell(_middle([launch.first_ms for launch in each.launches]), units.ms_text) for each in timings]),
        ("p90", [_cell(stats.percentile(each.samples, 90), units.ms_text) for each in timings]),
        ("p90 (MLPerf)", [_cell(stats.early_stopping(each.samples), units.ms_text) for each in timings]),
        ("p99", [_cell(stats.percentile(each.samples, 99), units.ms_text) for each in timings]),
        *atbest.beside(report, rows, found, target),
    ]
    note = "load and first inference: medians of the launches"
    estimated = any(len(each.samples) >= stats.samples_needed(90) for each in timings)
    note += "; MLPerf: as its single-stream results are estimated, above the plain one" if estimated else ""
    note += (
        "; computed floor: from the maker's data, and what part of the median it is" if any(each.target == target for each in report.floors) else ""
    )
    return _table(f"Further times on {target}", note, [_label(row.name, shipped_on(report, target)) for row in rows], columns)


def _flows(report: Report, target: str) -> Table:
    """Images a second by batch size, where it was measured at several."""
    found = {each.artifact: each for each in reversed(report.measurements) if each.target == target and each.flows}
    rows = [artifact for artifact in report.artifacts if artifact.name in found]
    batches = sorted({flow.batch for each in found.values() for flow in each.flows})
    if len(batches) < 2:
        return _table("", "", [], [])
    by_batch = {name: {flow.batch: flow.images_per_s for flow in each.flows} for name, each in found.items()}
    columns = [(f"batch {batch}", [_cell(by_batch[row.name].get(batch), units.count_text) for row in rows]) for batch in batches]
    streams = sorted({flow.streams for each in found.values() for flow in each.flows})
    note = f"images a second, {' or '.join(map(str, streams))} batches in flight; no latency"
    return _table(f"Throughput on {target}", note, [_label(row.name, shipped_on(report, target)) for row in rows], columns)


def _beside(report: Report, rows: Sequence[Artifact], target: str) -> list[tuple[str, list[str]]]:
    """How many times less each file takes by this target's runtime than by another of the same machine."""
    ratios = {(each.artifact, each.against_target): each for each in report.ratios if each.target == target and each.against_target is not None}
    others = dict.fromkeys(str(other) for _, other in ratios)
    return [(f"× {other}", [_cell(_inverse(ratios.get((row.name, other))), units.ratio_text) for row in rows]) for other in others]


def _inverse(ratio: Ratio | None) -> float | None:
    return None if ratio is None else 1 / ratio.value


def _work(measurement: Measurement) -> float | None:
    """What the GPU's own work takes of an inference, without the copies."""
    engine = measurement.engine
    return stats.median(engine.compute_ms) if engine is not None and engine.compute_ms else None


def _at_best(report: Report) -> Table:
    note, names, columns = atbest.unmeasured(report)
    return _table("At best, computed", note, [_label(name, set(report.shipped.values())) for name in names], columns)


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


def led(report: Report) -> str:
    """What the figure is called that networks and files are judged by first."""
    return "mAP" if report.leading == "map" else "accuracy"


def capital(what: str) -> str:
    """As a sentence begins; an abbreviation stays as it is."""
    return what if what.startswith("mAP") else what[:1].upper() + what[1:]


def _scores(report: Report) -> Table:
    rows = [artifact for artifact in report.artifacts if report.score(artifact.name) is not None]
    asks = [Ask(report, row) for row in rows]
    alone = [network for network in report.networks if network.role.startswith("alone") and network.test_accuracy is not None]
    drops = [_drop(ask) for ask in asks]
    several = report.leading == "map"

    def column(read: Callable[[Ask], Seen], text: units.Text) -> list[str]:
        return [_value(read(ask), text) for ask in asks] + [units.NOTHING] * len(alone)

    balanced = column(partial(figures.metric, "balanced_accuracy"), units.percent_text)
    balanced[len(rows) :] = [units.percent_text(network.test_balanced.value) if network.test_balanced else units.NOTHING for network in alone]
    accuracies = [*column(figures.lead, units.percent_text)]
    accuracies[len(rows) :] = [units.percent_text(network.test_accuracy.value) for network in alone if network.test_accuracy]
    columns = [
        (led(report), accuracies),
        ("kept", [_kept(ask) for ask in asks] + [units.NOTHING] * len(alone)),
        ("lost, points", [bare(_value(each, units.points_text)) for each in drops] + [units.NOTHING] * len(alone)),
        ("95 % interval", [bare(_interval(each, units.points_text)) for each in drops] + [units.NOTHING] * len(alone)),
        ("balanced", balanced),
        *([(head, column(partial(figures.metric, name), units.percent_text)) for head, name in _SEVERAL] if several else []),
        *((head, [*cells, *[units.NOTHING] * len(alone)]) for head, cells in groups.columns(report, rows)),
        ("agreement", column(partial(figures.paired, "agreement"), units.percent_text)),
        ("ECE", column(partial(figures.metric, "ece"), units.percent_text)),
        ("NLL", column(partial(figures.metric, "nll"), units.number_text)),
    ]
    counts, first = sorted({score.n for score in report.scores if score.split == "test"}), reference(report)
    note = f"test images: {' or '.join(map(str, counts))}"
    if first is not None and first.role == "teacher" and len(report.artifacts) > 1:
        note = f"{note}; kept, lost and agreement: against the teacher on the same images"
    elif first is not None and len(rows) > 1:
        note = f"{note}; kept: of what {said(first)} has"
    note += "; mAP, macro-F1 and AUC: means over the labels; all right: images without a wrong label" if several else ""
    note = "; ".join(filter(None, [note, groups.rule(report)]))
    names = [_label(row.name, set(report.shipped.values())) for row in rows] + [f"{network.role}/{network.name}" for network in alone]
    return _table("Scores", note if counts else "", names, columns)


def _labels(report: Report) -> Table:
    note, names, columns = labels(report)
    return _table("Label by label", note, names, columns, first="label")


def _domains(report: Report) -> Table:
    note, names, columns = domains(report)
    return _table("Source and target", note, names, columns)


def _steps(report: Report) -> Table:
    note, names, columns = steps(report)
    return _table("From teacher to student", note, names, columns, first="network")


def _kept(ask: Ask) -> str:
    """Accuracy, or what leads in its place, as a share of the teacher's; a bare file alone has nothing to keep."""
    first = reference(ask.report) if len(ask.report.artifacts) > 1 else None
    own, whole = figures.lead(ask), Unknown("") if first is None else figures.lead(Ask(ask.report, first))
    return units.NOTHING if isinstance(own, Unknown) or isinstance(whole, Unknown) or not whole[0] else units.percent_text(own[0] / whole[0])


def _drop(ask: Ask) -> Seen:
    """The teacher's own file has nothing to lose against itself."""
    first = reference(ask.report)
    return Unknown("") if first is not None and first.name == ask.artifact.name else figures.lead_drop(ask)


def _median(measurement: Measurement) -> float | None:
    return _middle(measurement.timing.samples)


def _middle(values: Sequence[float]) -> float | None:
    return stats.median(values) if values else None


def _over(first: float | None, second: float | None) -> float | None:
    return first / second if first is not None and second else None


def _cell(value: float | None, text: units.Text) -> str:
    return units.NOTHING if value is None else text(value, 1 if text in (units.percent_text, units.points_text) else 3)


def _value(seen: Seen, text: units.Text) -> str:
    return units.NOTHING if isinstance(seen, Unknown) else _cell(seen[0], text)


def _interval(seen: Seen, text: units.Text) -> str:
    if isinstance(seen, Unknown) or seen[1] == seen[2]:
        return units.NOTHING
    return units.span_text(_cell(seen[1], text), _cell(seen[2], text))


def bare(text: str) -> str:
    """Without the unit that stands in the heading."""
    return text.removesuffix("s").removesuffix(" point")


def said(first: Artifact) -> str:
    """What ratios are against, in words."""
    return f"the teacher's {first.precision} file" if first.role == "teacher" else first.name


def _label(name: str, shipped: set[str]) -> str:
    return f"{name} {SHIPS}" if name in shipped else name

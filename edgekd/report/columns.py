"""A report as tables of text, whoever draws them: the files, how fast they run on each target, how well they answer. One row an artifact.

In: a report. Out: `cells`' tables. Times are `speeds`'.
"""

from collections.abc import Callable
from functools import partial

from edgekd import units
from edgekd.budget import figures
from edgekd.budget.figures import Ask, Seen, Unknown
from edgekd.record import Artifact, Report
from edgekd.report import floors, groups
from edgekd.report.cells import SHIPS, Table, bare, cell, interval, label, led, measured_targets, over, reference, said, tabled, value
from edgekd.report.domains import domains
from edgekd.report.inherit import inherited
from edgekd.report.kept import kept
from edgekd.report.labels import labels
from edgekd.report.speeds import flows, further, speeds
from edgekd.report.steps import steps

_SEVERAL = (("macro-F1", "macro_f1"), ("AUC", "auc"), ("all right", "accuracy"))
"""What is shown where an image may have several labels, and its metric."""


def tables(report: Report) -> list[Table]:
    """Files, one table a target, scores, labels, source and target, steps from teacher to student, what was kept, what it inherits: those that have a
    row."""
    found = [_files(report)]
    found += [table for target in measured_targets(report) for table in (speeds(report, target), further(report, target), flows(report, target))]
    found += [floors.unmeasured(report), _scores(report), labels(report)]
    found += [domains(report), steps(report), *kept(report), *inherited(report)]
    return [table for table in found if len(table.columns) > 1]


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
        columns.append((head, [cell(read(row), text) for row in rows]))
        if first is not None and len(rows) > 1:
            columns.append((f"{head} ÷", [cell(over(read(first), read(row)), units.ratio_text) for row in rows]))
    notes = ([f"÷: how many times less than {said(first)}"] if first and len(rows) > 1 else []) + ([f"{SHIPS} ships"] if shipped else [])
    return tabled("Files", "; ".join(notes), [label(row.name, shipped) for row in rows], columns)


def _scores(report: Report) -> Table:
    rows = [artifact for artifact in report.artifacts if report.score(artifact.name) is not None]
    asks = [Ask(report, row) for row in rows]
    alone = [network for network in report.networks if network.role.startswith("alone") and network.test_accuracy is not None]
    drops = [_drop(ask) for ask in asks]
    several = report.leading == "map"

    def column(read: Callable[[Ask], Seen], text: units.Text) -> list[str]:
        return [value(read(ask), text) for ask in asks] + [units.NOTHING] * len(alone)

    balanced = column(partial(figures.metric, "balanced_accuracy"), units.percent_text)
    balanced[len(rows) :] = [units.percent_text(network.test_balanced.value) if network.test_balanced else units.NOTHING for network in alone]
    accuracies = [*column(figures.lead, units.percent_text)]
    accuracies[len(rows) :] = [units.percent_text(network.test_accuracy.value) for network in alone if network.test_accuracy]
    columns = [
        (led(report), accuracies),
        ("kept", [_kept(ask) for ask in asks] + [units.NOTHING] * len(alone)),
        ("lost, points", [bare(value(each, units.points_text)) for each in drops] + [units.NOTHING] * len(alone)),
        ("95 % interval", [bare(interval(each, units.points_text)) for each in drops] + [units.NOTHING] * len(alone)),
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
    note += _ALONE.get(frozenset(network.role for network in alone), "")
    note += "; mAP, macro-F1 and AUC: means over the labels; all right: images without a wrong label" if several else ""
    note = "; ".join(filter(None, [note, groups.rule(report)]))
    names = [label(row.name, set(report.shipped.values())) for row in rows] + [f"{network.role}/{network.name}" for network in alone]
    return tabled("Scores", note if counts else "", names, columns)


_ALONE = {
    frozenset({"alone"}): "; alone: the student taught without the teacher",
    frozenset({"alone", "alone-on-subset"}): "; alone: the student taught without the teacher, once on all images and once on the phases' subsets",
}


def _kept(ask: Ask) -> str:
    """Accuracy, or what leads in its place, as a share of the teacher's; a bare file alone has nothing to keep."""
    first = reference(ask.report) if len(ask.report.artifacts) > 1 else None
    own, whole = figures.lead(ask), Unknown("") if first is None else figures.lead(Ask(ask.report, first))
    return units.NOTHING if isinstance(own, Unknown) or isinstance(whole, Unknown) or not whole[0] else units.percent_text(own[0] / whole[0])


def _drop(ask: Ask) -> Seen:
    """The teacher's own file has nothing to lose against itself."""
    first = reference(ask.report)
    return Unknown("") if first is not None and first.name == ask.artifact.name else figures.lead_drop(ask)

"""Source and target below each other: how well each network's file tells the run's own images, and those of where it will work.

In: a report with a domain. Out: a table, a row a file and place; without any where there is no domain, or nothing was scored yet.
"""

from edgekd import units
from edgekd.record import Report
from edgekd.report.cells import Table, tabled
from edgekd.scores import Metric

_TITLE = "Source and target"


def domains(report: Report) -> Table:
    """A row a file and place."""
    domain = report.domain
    if domain is None:
        return tabled(_TITLE, "", [], [])
    scores = [(score.artifact, {"source": score.source, "target": score.target}) for score in domain.scores]
    rows = [(f"{artifact}, {place}", found) for artifact, places in scores for place, found in places.items() if found]
    source = report.data.spec if report.data is not None else "the run's data"
    tested = f"{domain.test} labelled test images" if domain.test else "no labelled images, so that nobody can tell how well it is done there"
    note = (
        f"source: {source}; target: {domain.target}, {domain.images} images to learn from without labels, {tested}; AUC: the mean over the classes "
        "of the area under the ROC curve, each class against the rest"
    )
    columns = [
        ("accuracy", [_value(found.get("accuracy")) for _, found in rows]),
        ("95 % interval", [_span(found.get("accuracy")) for _, found in rows]),
        ("balanced", [_value(found.get("balanced_accuracy")) for _, found in rows]),
        ("AUC", [_value(found.get("macro_auc")) for _, found in rows]),
    ]
    return tabled(_TITLE, note, [name for name, _ in rows], columns)


def _value(metric: Metric | None) -> str:
    return units.NOTHING if metric is None else units.percent_text(metric.value)


def _span(metric: Metric | None) -> str:
    return units.NOTHING if metric is None else units.span_text(units.percent_text(metric.low), units.percent_text(metric.high))

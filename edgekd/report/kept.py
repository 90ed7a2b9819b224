"""What a student that learnt on kept of the run it went on from, in words and columns: accuracy on old and new test images, before and after.

In: a report with `kept`. Out: sentences, and tables, a row for the test images of each run and, where they are few, for each class. A run
that went on from none has neither.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from edgekd import units
from edgekd.record import Report
from edgekd.report.cells import Table, tabled
from edgekd.scores import Held, Kept, Metric

_FEW = 20
"""So many classes have rows of their own."""


@dataclass(frozen=True)
class _Row:
    name: str
    before: Metric | None
    after: Metric | None
    lost: Metric | None = None


def kept(report: Report) -> list[Table]:
    """A table for each student of whom there is something to say."""
    found = [table(each, "What it kept" if len(report.kept) == 1 else f"What {each.student} kept") for each in report.kept]
    return [each for each in found if each.columns]


def sentences(report: Report) -> list[str]:
    """What each student forgot and what it learnt, one each."""
    return [_sentence(each) for each in report.kept]


def table(each: Kept, title: str, *, classes: bool = True) -> Table:
    """What one student kept; without `classes` a row for all test images of each run, and no other."""
    rows = [row for held in each.tests for row in _rows(held, classes)]
    return tabled(
        title,
        _note(each),
        [row.name for row in rows],
        [
            ("images", [_count(row.after or row.before) for row in rows]),
            ("before", [_share(row.before) for row in rows]),
            ("after", [_share(row.after) for row in rows]),
            ("lost, points", [_lost(row) for row in rows]),
            ("95 % interval", [_span(row.lost) for row in rows]),
        ],
        first="test images",
    )


def _rows(held: Held, classes: bool) -> Iterator[_Row]:
    """All images of a run, then class by class."""
    yield _Row(f"{held.images} test images", held.before, held.after, held.lost)
    if classes and len(held.recall) <= _FEW:
        for label, after in held.recall.items():
            yield _Row(f"{held.images}: {label}", held.recall_before.get(label), after)


def _note(each: Kept) -> str:
    again = f"{each.replayed} old images were shown again" if each.replayed else "no old images were shown again"
    parts = [
        f"old: the test images of {each.run}; new: this run's; before and after it learnt on, the network itself, not its files",
        "lost: before less after, on the same images; what it could not name before counts as wrong",
        again,
    ]
    if any(len(held.recall) > _FEW for held in each.tests):
        parts.append(f"more than {_FEW} classes stand in report.json")
    return "; ".join([*parts, *(f"not measured: {reason.removesuffix('.')}" for reason in each.untold)])


def _sentence(each: Kept) -> str:
    found = {held.images: held for held in each.tests}
    old, new = found.get("old"), found.get("new")
    learnt = f"; of the new ones it has {units.percent_text(new.after.value)} right" if new is not None else ""
    if old is None or old.before is None or old.lost is None:
        whether = f"What {each.student} kept of {each.run} was not measured"
        return f"{whether}{learnt.replace('; of the new ones', ': of the new test images')}."
    scores = f"{units.percent_text(old.after.value)} of the old test images right, {units.percent_text(old.before.value)} before"
    return f"{each.student} has {scores}: {_forgotten(old.lost)}{learnt}."


def _forgotten(lost: Metric) -> str:
    if lost.high < 0:
        return f"it gained {units.points_text(-lost.value)} ({_interval(-lost.high, -lost.low)})"
    span = _interval(lost.low, lost.high)
    if lost.low > 0:
        return f"it forgot {units.points_text(lost.value)} ({span})"
    return f"whether it forgot anything is within the noise: {units.points_text(lost.value)} ({span})"


def _interval(low: float, high: float) -> str:
    return f"95 % interval {units.span_text(units.points_text(low), units.points_text(high))}"


def _count(metric: Metric | None) -> str:
    return units.NOTHING if metric is None else str(metric.n)


def _share(metric: Metric | None) -> str:
    return units.NOTHING if metric is None else units.percent_text(metric.value)


def _lost(row: _Row) -> str:
    if row.before is None or row.after is None:
        return units.NOTHING
    return _bare(row.before.value - row.after.value if row.lost is None else row.lost.value)


def _span(lost: Metric | None) -> str:
    return units.NOTHING if lost is None or lost.low == lost.high else units.span_text(_bare(lost.low), _bare(lost.high))


def _bare(share: float) -> str:
    """Points without the unit, which stands in the heading."""
    return units.points_text(share).partition(" ")[0]

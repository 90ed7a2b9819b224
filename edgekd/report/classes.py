"""Class by class: the share of each class's images that a student tells, beside its teacher's, the worst first; where classes are unbalanced, head,
middle and tail above them."""

from collections.abc import Sequence
from functools import partial

from edgekd import units
from edgekd.record import Artifact, Report
from edgekd.report import axes, groups
from edgekd.report.axes import Axis
from edgekd.report.cells import reference
from edgekd.report.markup import NONE, Markup, folded, framed, grid, lines, name, percent, plain, tag
from edgekd.report.pictures import keyed, mark
from edgekd.report.rows import PICTURED, cell, head, scale, strip
from edgekd.scores import Metric, Score

_OPEN, _MOST = 12, 400
"""Classes that are drawn, and listed behind a click."""


def recalls(report: Report) -> list[tuple[str, Markup]]:
    """For each student, under the name of its file: the share of each class's images that it tells, beside the teacher's, the worst first."""
    teacher, found = teachers(report), []
    for artifact in shown(report):
        score = report.score(artifact.name)
        if score is not None and score.recall:
            grouped = _groups(report, score, teacher.groups if teacher else {})
            found.append((artifact.name, lines([grouped, _recall(score, teacher.recall if teacher else {})])))
    return found


def shown(report: Report) -> list[Artifact]:
    """Each student's files that ship, else its first."""
    shipped = set(report.shipped.values())
    students = [artifact for artifact in report.artifacts if artifact.role == "student"]
    served = {artifact.network for artifact in students if artifact.name in shipped}
    firsts = {artifact.network: artifact for artifact in reversed(students)}
    return [each for each in students if each.name in shipped or (each.network not in served and firsts[each.network] is each)]


def teachers(report: Report) -> Score | None:
    """The score of the teacher's own file."""
    first = reference(report)
    return report.score(first.name) if first is not None and first.role == "teacher" else None


def _groups(report: Report, score: Score, teacher: dict[str, Metric]) -> Markup:
    """Head, middle and tail, where classes are unbalanced."""
    told = groups.rule(report)
    rows = [(group, score.groups[group], teacher.get(group)) for group in groups.GROUPS if group in score.groups]
    return _pictured(f"Mean recall of {told}", "classes", rows) if rows else NONE


def _recall(score: Score, teacher: dict[str, Metric]) -> Markup:
    worst = sorted(score.recall.items(), key=lambda each: each[1].value)
    drawn, listed = worst[:_OPEN], worst[_OPEN:]
    table = _pictured("Recall by class, worst first", "class", [(label, metric, teacher.get(label)) for label, metric in drawn])
    key = keyed((mark("fp32", role), role) for role in ("student", *(["teacher"] if teacher else [])))
    rest = [
        [name(label), plain(units.percent_text(metric.value)), plain(_value(teacher.get(label))), plain(str(metric.n))]
        for label, metric in listed[:_MOST]
    ]
    note = f"{len(listed) - _MOST} more stand in report.json." if len(listed) > _MOST else ""
    more = grid("The other classes", ["class", "student", "teacher", "images"], rest, note=note, class_="wide figures") if rest else NONE
    return lines([table, key, folded(f"The other {len(listed)} classes", more)])


def _pictured(caption: str, what: str, shares: Sequence[tuple[str, Metric, Metric | None]]) -> Markup:
    """A row for each share of the student, the teacher's beside it."""
    values = [metric.value for _, *both in shares for metric in both if metric is not None]
    axis = axes.around([*values, max(values)], partial(units.percent_text, digits=None), least=0.05, ends=(0.0, 1.0))
    text = Axis(axis.low, axis.high, lambda share: units.percent_text(round(share, 6), None))
    heads = [tag("th", plain(what), scope="col"), scale(text, "recall"), head("student"), head("teacher")]
    rows = [tag("tr", tag("th", name(label), scope="row"), *_told_apart(label, student, teacher, text)) for label, student, teacher in shares]
    table = tag("table", tag("caption", plain(caption)), tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_=f"{PICTURED} classes")
    return framed(table, caption)


def _told_apart(label: str, student: Metric, teacher: Metric | None, axis: Axis) -> list[Markup]:
    parts, at = [], percent(axis.place(student.value))
    if teacher is not None:
        there = percent(axis.place(teacher.value))
        parts = [tag("line", x1=at, x2=there, y1="50%", y2="50%", class_="link"), tag("circle", cx=there, cy="50%", r=6, class_="mark teacher")]
    told = f"{label}: student {units.percent_text(student.value)}, teacher {_value(teacher)}, {student.n} images"
    return [
        strip(told, axis, *parts, tag("circle", cx=at, cy="50%", r=4, class_="mark student")),
        cell(units.percent_text(student.value)),
        cell(_value(teacher)),
    ]


def _value(metric: Metric | None) -> str:
    return units.NOTHING if metric is None else units.percent_text(metric.value)

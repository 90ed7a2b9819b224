"""How sure a student is and how often it is right, beside its teacher: the bins of confidence that the calibration error is taken over, as a diagram
and as numbers. Nothing where a report does not hold them.
"""

from collections.abc import Sequence
from functools import partial

from edgekd import stats, units
from edgekd.record import Report
from edgekd.report import axes
from edgekd.report.axes import Axis
from edgekd.report.classes import shown, teachers
from edgekd.report.markup import NONE, Markup, folded, grid, percent, plain, tag
from edgekd.report.pictures import anchored, frame, keyed, mark, stretched
from edgekd.scores import Bin, Score

_HEIGHT, _COUNTS = 280, 60
"""px: of the diagram, and of the images in each bin under it."""
_ROOM = 0.4
"""Of a bin's width, that each of the two bars in it takes."""

Drawn = Sequence[tuple[str, Score]]
"""The role that colours it, and whose bins they are: the teacher's before the student's, which is drawn over it."""


def reliabilities(report: Report) -> list[tuple[str, Markup]]:
    """A figure for each student's file that is shown, under its name."""
    found = []
    for artifact in shown(report):
        score = report.score(artifact.name)
        if score is not None and score.reliability:
            other = teachers(report)
            teacher = [("teacher", other)] if other is not None and len(other.reliability) == len(score.reliability) else []
            found.append((artifact.name, _figure(artifact.name, [*teacher, ("student", score)])))
    return found


def _figure(file: str, drawn: Drawn) -> Markup:
    x = Axis(0.0, 1.0, lambda share: units.percent_text(share, 0))
    upper = frame(f"How often {file} is right", _told(drawn), x, x, _diagram(drawn, x), height=_HEIGHT, notes=("", "share that is right"))
    shares = [share for _, score in drawn for share in _shares(score)]
    y = axes.from_zero(shares, partial(units.percent_text, digits=None))
    lower = frame(f"How sure {file} is", _crowd(drawn), x, y, _bars(drawn, x, y), height=_COUNTS, notes=("confidence", "share of the images"))
    note = "Under the line it is surer than it is right, over it less sure; lines through the student's dots are 95 % intervals."
    caption = tag("figcaption", _legend(drawn), tag("p", plain(note), class_="note"))
    return tag("figure", upper, lower, caption, _listed(drawn), class_="narrow")


def _told(drawn: Drawn) -> str:
    return "; ".join(f"{role}: {_missed(score)}" for role, score in reversed(drawn))


def _missed(score: Score) -> str:
    """How far confidence and accuracy lie apart on average."""
    ece = score.metrics.get("ece")
    return units.NOTHING if ece is None else f"ECE {units.percent_text(ece.value)}"


def _crowd(drawn: Drawn) -> str:
    """Where most answers are."""
    said = []
    for role, score in reversed(drawn):
        place, share = max(enumerate(_shares(score)), key=lambda each: each[1])
        said.append(f"{role}: {units.percent_text(share, 0)} of the answers at {_range(place, len(score.reliability))} confidence")
    return "; ".join(said)


def _range(place: int, count: int) -> str:
    return units.span_text(*(units.percent_text(edge / count, 0) for edge in (place, place + 1)))


def _shares(score: Score) -> list[float]:
    whole = sum(each.images for each in score.reliability) or 1
    return [each.images / whole for each in score.reliability]


# Drawing --------------------------------------------------------------------------------------------------------------


def _diagram(drawn: Drawn, axis: Axis) -> list[Markup]:
    parts = [stretched(tag("line", x1=0, y1=100, x2=100, y2=0, class_="ideal"))]
    for role, score in drawn:
        bins = [each for each in score.reliability if each.images]
        places = " ".join(f"{100 * axis.place(each.confidence):.2f},{100 - 100 * axis.place(each.accuracy):.2f}" for each in bins)
        parts.append(stretched(tag("polyline", points=places, class_=f"line {role}")))
        parts += [_whisker(each, axis) for each in bins] if role == "student" else []
        parts += [anchored(each.confidence, each.accuracy, tag("title", plain(_said(role, each))), _dot(role)) for each in bins]
    return parts


def _dot(role: str) -> Markup:
    return tag("circle", r=4, class_=f"mark {role}")


def _whisker(each: Bin, axis: Axis) -> Markup:
    _, low, high = stats.proportion(round(each.accuracy * each.images), each.images)
    at = percent(axis.place(each.confidence))
    return tag("line", x1=at, x2=at, y1=percent(1 - axis.place(low)), y2=percent(1 - axis.place(high)), class_="whisker thin student")


def _said(role: str, each: Bin) -> str:
    return f"{role}: of {each.images} images at {units.percent_text(each.confidence)} confidence, {units.percent_text(each.accuracy)} are right"


def _bars(drawn: Drawn, x: Axis, y: Axis) -> list[Markup]:
    """Side by side in each bin, the student's first."""
    parts = []
    for number, (role, score) in enumerate(reversed(drawn)):
        count = len(score.reliability)
        for place, share in enumerate(_shares(score)):
            left = x.place((place + 0.1 + _ROOM * number) / count)
            height = y.place(share)
            rect = tag("rect", x=percent(left), y=percent(1 - height), width=percent(_ROOM / count), height=percent(height), class_=f"bar {role}")
            parts += [rect] if share else []
    return parts


def _legend(drawn: Drawn) -> Markup:
    keys = [(mark("fp32", role), f"{role}, {_missed(score)}") for role, score in reversed(drawn)]
    return keyed([*keys, (tag("path", d="M-8 0H8", class_="ideal"), "as sure as right")])


def _listed(drawn: Drawn) -> Markup:
    """The numbers of the picture."""
    heads = ["confidence", *(f"{role}'s {what}" for role, _ in reversed(drawn) for what in ("images", "mean confidence", "share right"))]
    count = len(drawn[0][1].reliability)
    rows = [
        [plain(_range(place, count)), *(plain(text) for _, score in reversed(drawn) for text in _cells(score.reliability[place]))]
        for place in range(count)
        if any(score.reliability[place].images for _, score in drawn)
    ]
    return folded("Numbers of this diagram", grid("Answers by their confidence", heads, rows, class_="wide figures")) if rows else NONE


def _cells(each: Bin) -> list[str]:
    values = (each.confidence, each.accuracy) if each.images else (None, None)
    return [str(each.images), *map(units.percent_text, values)]

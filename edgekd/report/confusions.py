"""What distilling added to the mix-ups: how many images of each class the student calls another, less how many its teacher does, the worst first.

Both counts stand in the report, of the same images; of few classes they are shown as a matrix, too. Nothing where a report does not hold them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edgekd import units
from edgekd.record import Report
from edgekd.report import axes
from edgekd.report.axes import Axis
from edgekd.report.classes import shown, teachers
from edgekd.report.markup import NONE, Markup, folded, framed, grid, lines, name, percent, plain, tag
from edgekd.report.pictures import keyed, mark, short
from edgekd.report.rows import PICTURED, cell, head, scale, strip
from edgekd.scores import Score

_OPEN, _MOST = 12, 200
"""Pairs of classes that are drawn, and listed behind a click."""
_MATRIX = 12
"""So many classes have a matrix."""
_LONGEST = 40
_LEVELS = 4
"""Shades of a matrix."""


@dataclass(frozen=True)
class Pair:
    """Images of a class that were called another, by the student and by its teacher."""

    true: str
    answered: str
    student: int
    teacher: int

    @property
    def added(self) -> int:
        return self.student - self.teacher


def confusions(report: Report) -> list[tuple[str, Markup]]:
    """A figure for each student's file that is shown, under its name."""
    teacher, found = teachers(report), []
    for artifact in shown(report):
        score = report.score(artifact.name)
        if score is not None and teacher is not None and score.images == teacher.images and (score.confusion or teacher.confusion):
            found.append((artifact.name, _figure(report, score, teacher)))
    return found


def pairs(student: Score, teacher: Score) -> list[Pair]:
    """Every pair of classes that either mixes up, the one first to which the student added most images."""
    seen = dict.fromkeys((true, answered) for score in (student, teacher) for true, row in score.confusion.items() for answered in row)
    found = [Pair(*pair, *(score.confusion.get(pair[0], {}).get(pair[1], 0) for score in (student, teacher))) for pair in seen]
    return sorted(found, key=lambda pair: (-pair.added, -pair.student))


def _figure(report: Report, student: Score, teacher: Score) -> Markup:
    found = pairs(student, teacher)
    classes = report.data.classes if report.data is not None else []
    matrix = _matrix(classes, student, teacher) if 2 <= len(classes) <= _MATRIX else NONE
    drawn = [pair for pair in found if pair.added > 0][:_OPEN]
    rest = found[len(drawn) :]
    listed = grid(
        "Other pairs",
        ["class", "called", "student", "teacher", "added"],
        [_cells(pair) for pair in rest[:_MOST]],
        note=_left(len(rest) - _MOST),
        class_="wide figures",
    )
    more = folded(f"The other {len(rest)} pairs of classes", listed) if rest else NONE
    return lines([tag("p", plain(_told(found, student.n))), matrix, _table(drawn) if drawn else NONE, more])


def _left(count: int) -> str:
    return f"{count} more stand in report.json." if count > 0 else ""


def _told(found: Sequence[Pair], n: int) -> str:
    """What it comes to, in a sentence."""
    student, teacher = (sum(getattr(pair, role) for pair in found) for role in ("student", "teacher"))
    more, less = ([pair.added for pair in found if sign * pair.added > 0] for sign in (1, -1))
    changes = [f"{sum(more)} more in {_counted(more)}"] if more else []
    changes += [f"{-sum(less)} fewer in {_counted(less)}"] if less else []
    return f"Of {n} images the student calls {student} by another class, the teacher {teacher}{': ' if changes else ''}{', '.join(changes)}."


def _counted(pairs: Sequence[int]) -> str:
    return f"{len(pairs)} pair{'s' if len(pairs) > 1 else ''} of classes"


# Pairs ----------------------------------------------------------------------------------------------------------------


def _table(found: Sequence[Pair]) -> Markup:
    axis = axes.from_zero((float(max(pair.student, pair.teacher)) for pair in found), lambda count: units.number_text(count, None))
    heads = [tag("th", plain("class, and what it is called"), scope="col"), scale(axis, "images"), head("student"), head("teacher"), head("added")]
    rows = [tag("tr", tag("th", *_named(pair), scope="row"), *_told_apart(pair, axis)) for pair in found]
    caption = "What distilling mixes up more often, worst first"
    table = tag("table", tag("caption", plain(caption)), tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_=f"{PICTURED} confused")
    return lines([framed(table, caption), keyed((mark("fp32", role), role) for role in ("student", "teacher"))])


def _named(pair: Pair) -> list[Markup]:
    return [name(short(pair.true, _LONGEST)), plain(" → "), name(short(pair.answered, _LONGEST))]


def _told_apart(pair: Pair, axis: Axis) -> list[Markup]:
    now, before = (percent(axis.place(count)) for count in (pair.student, pair.teacher))
    told = f"{pair.true}, called {pair.answered}: by the student {pair.student} times, by the teacher {pair.teacher}"
    parts = [
        tag("line", x1=now, x2=before, y1="50%", y2="50%", class_="link"),
        tag("circle", cx=before, cy="50%", r=6, class_="mark teacher"),
        tag("circle", cx=now, cy="50%", r=4, class_="mark student"),
    ]
    return [strip(told, axis, *parts), *map(cell, (str(pair.student), str(pair.teacher), _signed(pair.added)))]


def _cells(pair: Pair) -> list[Markup]:
    return [name(pair.true), name(pair.answered), *map(plain, (str(pair.student), str(pair.teacher), _signed(pair.added)))]


def _signed(count: int) -> str:
    return f"+{count}" if count > 0 else units.number_text(float(count), None)


# Matrix ---------------------------------------------------------------------------------------------------------------


def _matrix(classes: Sequence[str], student: Score, teacher: Score) -> Markup:
    """The student's counts less the teacher's, a row a class; on the diagonal what is right."""
    table = [[_count(student, true, answered) - _count(teacher, true, answered) for answered in classes] for true in classes]
    most = max((abs(count) for at, row in enumerate(table) for to, count in enumerate(row) if at != to), default=0)
    heads = [tag("th", plain("class"), scope="col"), *(tag("th", name(label), scope="col") for label in classes)]
    rows = [
        tag("tr", tag("th", name(true), scope="row"), *(_shaded(count, most, own=at == to) for to, count in enumerate(row)))
        for at, (true, row) in enumerate(zip(classes, table, strict=True))
    ]
    caption = "Images called another class: the student's count less the teacher's"
    drawn = tag("table", tag("caption", plain(caption)), tag("thead", tag("tr", *heads)), tag("tbody", lines(rows)), class_="matrix")
    note = "Rows are what an image is, columns what it is called; on the diagonal stands how many more or fewer are right."
    return lines([framed(drawn, caption), tag("p", plain(note), class_="note")])


def _count(score: Score, true: str, answered: str) -> int:
    if true != answered:
        return score.confusion.get(true, {}).get(answered, 0)
    recall = score.recall.get(true)
    return round(recall.value * recall.n) if recall is not None else 0


def _shaded(count: int, most: int, *, own: bool) -> Markup:
    level = -(-_LEVELS * abs(count) // most) if most and not own else 0
    kind = "own" if own else f"{'more' if count > 0 else 'less'}-{level}" if level else None
    return tag("td", plain(_signed(count) if count else ""), class_=kind)

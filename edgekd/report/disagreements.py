"""Where a student and its teacher answer differently, as images: what each shows, what each of the two says and how surely.

The images stand in the report as small PNG files. A page holds only so many bytes of them; the rest it counts.
"""

from collections.abc import Sequence

from edgekd import units
from edgekd.record import Report
from edgekd.report.classes import shown
from edgekd.report.markup import NONE, Markup, lines, name, plain, tag
from edgekd.report.text import firm
from edgekd.scores import Disagreement

_MOST = 480_000
"""Characters of images on a page, all students together."""


def disagreements(report: Report) -> list[tuple[str, Markup]]:
    """The images for each student's file that is shown, under its name."""
    scores = [(artifact.name, score) for artifact in shown(report) if (score := report.score(artifact.name)) is not None and score.disagreements]
    return [(file, _images(score.disagreements, _MOST // len(scores))) for file, score in scores]


def _images(found: Sequence[Disagreement], most: int) -> Markup:
    drawn = list(fitting(found, most))
    left = len(found) - len(drawn)
    note = f"{left} more stand in report.json." if left else ""
    listed = tag("ul", *map(_image, drawn), class_="images") if drawn else NONE
    return lines([listed, tag("p", plain(note), class_="note") if note else NONE])


def fitting(found: Sequence[Disagreement], most: int) -> Sequence[Disagreement]:
    """The first of them, as far as their images have at most so many characters together."""
    total = 0
    for number, each in enumerate(found):
        total += len(each.png)
        if total > most:
            return found[:number]
    return found


def _image(each: Disagreement) -> Markup:
    alt = f"Test image {each.index}, {each.label}"
    picture = tag("img", src=f"data:image/png;base64,{each.png}", alt=alt, title=alt, width=96, height=96)
    answers = [_answer(role, label, share, each.label) for role, label, share in _answers(each)]
    return tag("li", tag("figure", picture, tag("figcaption", tag("b", name(each.label)), *answers)))


def _answers(each: Disagreement) -> list[tuple[str, str, float]]:
    return [("teacher", each.teacher, each.teacher_probability), ("student", each.student, each.student_probability)]


def _answer(role: str, label: str, share: float, true: str) -> Markup:
    """As "student ✗ dog, 88 %"."""
    right = label == true
    sign = tag("span", plain("✓" if right else "✗"), class_="pass" if right else "over", role="img", aria_label="right" if right else "wrong")
    return tag("span", plain(f"{role} "), sign, plain(" "), name(label), plain(firm(f", {units.percent_text(share, 0)}")))

"""How steady networks are, as pictures: accuracy by severity for each family of corruptions, and by the step of FGSM; teacher, student and the
student taught alone as lines in each. Nothing where a report has no `robustness`.
"""

from collections.abc import Sequence
from functools import partial

from edgekd import units
from edgekd.record import Report
from edgekd.report import axes
from edgekd.report.axes import Axis
from edgekd.report.curves import line
from edgekd.report.inherit import ordered
from edgekd.report.markup import Markup, folded, grid, plain, tag
from edgekd.report.pictures import frame, legend
from edgekd.scores import Inheritance, Robustness

_HEIGHT = 150
"""px of each picture."""
_OF_CLEAN = "Severity 0 and step 0 are the images as they are. Further right they are worse; a line that falls less is steadier."

Points = list[tuple[float, float]]


def steadiness(report: Report) -> list[tuple[str, Markup]]:
    """A figure for each student, under its name; where there is none, one for the teacher."""
    robustness = report.robustness
    if robustness is None:
        return []
    networks = [each for each in ordered(robustness) if each.role != "file"]
    teacher = [each for each in networks if each.role == "teacher"]
    own = [each for each in networks if each.role != "teacher"]
    names = list(dict.fromkeys(_name(each) for each in own)) or [_name(each) for each in teacher]
    return [(name, _figure(robustness, [*teacher, *(each for each in own if _name(each) == name)])) for name in names]


def _name(each: Inheritance) -> str:
    return each.name.partition("/")[2]


def _figure(robustness: Robustness, networks: Sequence[Inheritance]) -> Markup:
    drawn: dict[str, dict[str, Points]] = {}
    for family, names in robustness.families.items():
        drawn[f"under {family}"] = {each.role: _worse(each, names) for each in networks}
    moved: dict[str, Points] = {each.role: _moved(each, each.fgsm, robustness) for each in networks if each.fgsm}
    shown: dict[str, Points] = {each.role: _moved(each, each.transferred, robustness) for each in networks if each.transferred}
    drawn |= ({"moved along their own gradients": moved} if moved else {}) | ({"moved along the teacher's": shown} if shown else {})
    values = [value for lines in drawn.values() for points in lines.values() for _, value in points]
    y = axes.around(values, partial(units.percent_text, digits=None), least=0.05, ends=(0.0, 1.0))
    panels = [tag("div", _panel(title, lines, y, "severity" if title.startswith("under") else "step, 255ths")) for title, lines in drawn.items()]
    kinds = [kind for names in robustness.families.values() for kind in names]
    keys = legend((f"line {each.role}", f"{each.role}, {units.percent_text(each.under(kinds))} of all corrupted images right") for each in networks)
    caption = tag("figcaption", keys, tag("p", plain(_OF_CLEAN), class_="note"))
    return tag("figure", tag("div", *panels, class_="beside"), caption, _listed(robustness, networks))


def _worse(each: Inheritance, names: Sequence[str]) -> Points:
    """Mean accuracy over some corruptions, by severity."""
    by_severity = zip(*(each.corrupted[name] for name in names), strict=True)
    return [(0.0, each.clean.value), *((float(number), sum(found) / len(found)) for number, found in enumerate(by_severity, start=1))]


def _moved(each: Inheritance, accuracies: Sequence[float], robustness: Robustness) -> Points:
    return [(0.0, each.clean.value), *((float(step), accuracy) for step, accuracy in zip(robustness.steps, accuracies, strict=True))]


def _panel(title: str, lines: dict[str, Points], y: Axis, across: str) -> Markup:
    x = Axis(0.0, max(points[-1][0] for points in lines.values()), partial(units.number_text, digits=None))
    parts = [part for kind, points in lines.items() for part in line(points, x, y, kind)]
    told = "; ".join(f"{kind} from {units.percent_text(points[0][1])} to {units.percent_text(points[-1][1])}" for kind, points in lines.items())
    return frame(f"accuracy {title}", told, x, y, parts, height=_HEIGHT, notes=(across, title))


def _listed(robustness: Robustness, networks: Sequence[Inheritance]) -> Markup:
    """The numbers of the pictures, corruption by corruption."""
    heads = ["corruption", *(f"{each.role}, severity {number}" for each in networks for number in range(1, 6))]
    rows = [
        [plain(kind), *(plain(units.percent_text(value)) for each in networks for value in each.corrupted[kind])]
        for names in robustness.families.values()
        for kind in names
    ]
    return folded("Numbers of these pictures", grid("Accuracy by corruption and severity", heads, rows, class_="wide figures"))

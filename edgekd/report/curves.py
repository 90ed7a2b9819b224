"""How training went, as pictures: validation accuracy, loss, temperature and each term's share over the epochs, phases shaded. One figure a student,
with the same student taught alone beside it. Draws what the curves hold, and thins only what no eye would tell apart.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby

from edgekd import units
from edgekd.record import CurvePoint, Network, Report
from edgekd.report import axes
from edgekd.report.axes import Axis
from edgekd.report.cells import led
from edgekd.report.markup import NONE, Markup, folded, grid, name, plain, tag
from edgekd.report.pictures import anchored, frame, legend, short, stretched

_MOST_POINTS, _MOST_ROWS = 160, 24
"""Of a curve: drawn, and listed beside it."""
_TERMS = 5
"""So many terms have a colour of their own."""
_MANY_PHASES = 4
"""So many names of phases fit beside each other."""

_BESIDE = {"assistant": "an assistant", "teacher": "the teacher", "co-teacher": "a co-teacher"}
"""How networks beside the students are called, in the order in which they are drawn."""
_COLOURED = {"assistant": "student", "co-teacher": "teacher"}
"""Roles that are drawn in another's colour."""

Line = tuple[str, Network]
"""The class that colours it, and whose it is."""


def training(report: Report) -> list[tuple[str, Markup]]:
    """A figure for each network that was taught here, under its name: students first, each with its own `alone`, then those that they learn from."""
    taught = [network for network in report.networks if network.training.curve]
    students = [network for network in taught if network.role == "student"]
    found = [(network.name, _figure(report, network, [each for each in taught if each.name == network.name])) for network in students]
    others = [(network, called) for role, called in _BESIDE.items() for network in taught if network.role == role]
    return found + [(f"{network.name}, {called}", _figure(report, network, [network])) for network, called in others]


def _figure(report: Report, network: Network, together: Sequence[Network]) -> Markup:
    lines = [(_COLOURED.get(each.role, each.role), each) for each in together if each is network or each.role.startswith("alone")]
    curve = thinned(network.training.curve, _MOST_POINTS)
    x = Axis(0.0, max(each.training.curve[-1].epoch for _, each in lines) or 1.0, partial(units.number_text, digits=None))
    panels = [panel for panel in (_accuracy(report, network, lines, x), _loss(curve, x), _temperature(curve, x), _shares(curve, x)) if panel]
    drawn = [panel(number == len(panels) - 1, number == 0) for number, panel in enumerate(panels)]
    return tag("figure", *drawn, tag("figcaption", _legend(report, network, lines)), _listed(network.training.curve, led(report)))


Panel = Callable[[bool, bool], Markup]
"""Draws itself: whether it is the last, which has the numbers of x, and whether the first, which names the phases."""


def _panel(title: str, told: str, x: Axis, y: Axis, height: int, curve: Sequence[CurvePoint], drawn: Sequence[Markup]) -> Panel:
    def draw(last: bool, first: bool) -> Markup:
        shaded = [_shading(curve, x), *(_phase_names(curve, x) if first else [])]
        return frame(title, told, x, y, [*shaded, *drawn], height=height, notes=("epochs" if last else "", title))

    return draw


def _accuracy(report: Report, network: Network, lines: Sequence[Line], x: Axis) -> Panel | None:
    found = {
        kind: [(p.epoch, p.valid_accuracy) for p in thinned(each.training.curve, _MOST_POINTS) if p.valid_accuracy is not None]
        for kind, each in lines
    }
    found = {kind: points for kind, points in found.items() if points}
    if network.role not in found:
        return None
    goal = _teachers(report) if network.role == "student" else None
    values = [value for points in found.values() for _, value in points] + ([goal] if goal is not None else [])
    y = axes.around(values, units.percent_text, least=0.01, ends=(0.0, 1.0))
    drawn = (
        [tag("line", x1=0, x2="100%", y1=f"{100 - 100 * y.place(goal):.2f}%", y2=f"{100 - 100 * y.place(goal):.2f}%", class_="goal")]
        if goal is not None
        else []
    )
    drawn += [drawing for kind, points in reversed(found.items()) for drawing in line(points, x, y, kind)]
    told = "; ".join(f"{kind} ends at {units.percent_text(points[-1][1])}" for kind, points in found.items())
    return _panel(f"validation {led(report)}", told, x, y, 190, network.training.curve, drawn)


def _loss(curve: Sequence[CurvePoint], x: Axis) -> Panel:
    y = axes.from_zero((point.loss for point in curve), partial(units.number_text, digits=None))
    told = f"from {units.number_text(curve[0].loss)} to {units.number_text(curve[-1].loss)}"
    return _panel("loss", told, x, y, 90, curve, line([(point.epoch, point.loss) for point in curve], x, y, "loss"))


def _temperature(curve: Sequence[CurvePoint], x: Axis) -> Panel | None:
    pieces = temperatures(curve)
    if not pieces:
        return None
    y = axes.from_zero((value for piece in pieces for _, value in piece), partial(units.number_text, digits=None))
    drawn = [drawing for piece in pieces for drawing in line(piece, x, y, "temperature")]
    return _panel("temperature T", ", then ".join(map(_went, pieces)), x, y, 70, curve, drawn)


def _shares(curve: Sequence[CurvePoint], x: Axis) -> Panel | None:
    terms = _terms(curve)
    if len(terms) < 2:
        return None
    y = Axis(0.0, 1.0, partial(units.percent_text, digits=0))
    areas = [tag("path", d=_area(curve, terms[:number], term, x), class_=f"area term-{number % _TERMS}") for number, term in enumerate(terms)]
    told = "; ".join(f"{term} ends at {units.percent_text(curve[-1].shares.get(term, 0.0), 0)}" for term in terms)
    return _panel("share of each term in the loss", told, x, y, 90, curve, [stretched(*areas)])


def temperatures(curve: Sequence[CurvePoint]) -> list[list[tuple[float, float]]]:
    """Epoch and T of each phase that has one, a piece each, as T may leap between them: from the phase's first step on, where the report has that."""
    pieces, begin = [], 0.0
    for _, group in groupby(curve, lambda point: point.phase):
        points = list(group)
        piece = [(point.epoch, point.temperature) for point in points if point.temperature is not None]
        first = points[0].first_temperature
        if piece:
            pieces.append(piece if first is None else [(begin, first), *piece])
        begin = points[-1].epoch
    return pieces


def _went(piece: Sequence[tuple[float, float]]) -> str:
    """How T went in a phase, in words."""
    texts = [units.number_text(value) for _, value in piece]
    return f"held at {texts[0]}" if len(set(texts)) == 1 else f"from {texts[0]} to {texts[-1]}"


# Lines and areas ------------------------------------------------------------------------------------------------------


def line(points: Sequence[tuple[float, float]], x: Axis, y: Axis, kind: str) -> list[Markup]:
    """A line through the points; a lone one is a dot."""
    if len(points) == 1:
        return [anchored(x.place(points[0][0]), y.place(points[0][1]), tag("circle", r=3.5), class_=f"dot {kind}")]
    places = " ".join(f"{100 * x.place(at):.2f},{100 - 100 * y.place(value):.2f}" for at, value in points)
    return [stretched(tag("polyline", points=places, class_=f"line {kind}"))]


def _area(curve: Sequence[CurvePoint], below: Sequence[str], term: str, x: Axis) -> str:
    """What a term adds on top of those below it, in steps: each point speaks for the time since the one before."""
    edges = [0.0, *(100 * x.place(point.epoch) for point in curve)]
    floors = [100 - 100 * min(1.0, sum(point.shares.get(other, 0.0) for other in below)) for point in curve]
    tops = [floor - 100 * min(point.shares.get(term, 0.0), floor / 100) for floor, point in zip(floors, curve, strict=True)]
    there = "".join(f"V{top:.1f}H{edge:.1f}" for top, edge in zip(tops, edges[1:], strict=True))
    back = "".join(f"V{floor:.1f}H{edge:.1f}" for floor, edge in zip(floors[::-1], edges[-2::-1], strict=True))
    return f"M0 {floors[0]:.1f}{there}{back}Z"


def phases(curve: Sequence[CurvePoint]) -> list[tuple[str, float, float]]:
    """Name, begin and end of each phase, in epochs: one begins where the last point of the one before stands."""
    found: list[tuple[str, float, float]] = []
    before = 0.0
    for point in curve:
        if found and found[-1][0] == point.phase:
            found[-1] = (point.phase, found[-1][1], point.epoch)
        else:
            found.append((point.phase, before, point.epoch))
        before = point.epoch
    return found


def _shading(curve: Sequence[CurvePoint], x: Axis) -> Markup:
    bands = [(100 * x.place(begin), 100 * x.place(end)) for _, begin, end in phases(curve)[1::2]]
    return stretched(*(tag("rect", x=begin, y=0, width=end - begin, height=100, class_="phase") for begin, end in bands)) if bands else NONE


def _phase_names(curve: Sequence[CurvePoint], x: Axis) -> list[Markup]:
    """At the foot of each phase, in its middle; the last, which is often short, ends where it ends."""
    found = phases(curve)
    if not 1 < len(found) <= _MANY_PHASES:
        return []
    *before, (last, _, end) = found
    names = [_phase_name(phase, x.place((begin + stop) / 2), "middle") for phase, begin, stop in before]
    return [*names, _phase_name(last, x.place(end), "end")]


def _phase_name(phase: str, at: float, side: str) -> Markup:
    return anchored(at, 0, tag("text", plain(short(phase, 14)), x=-5 if side == "end" else 0, y=-7, text_anchor=side, class_="label"))


def thinned(curve: Sequence[CurvePoint], most: int) -> list[CurvePoint]:
    """At most about that many points, evenly, with the last of each phase among them."""
    stride = -(-len(curve) // most)
    last = len(curve) - 1
    return [point for number, point in enumerate(curve) if number % stride == 0 or number == last or curve[number + 1].phase != point.phase]


def _terms(curve: Sequence[CurvePoint]) -> list[str]:
    return list(dict.fromkeys(term for point in curve for term in point.shares))


# Beside the picture ---------------------------------------------------------------------------------------------------


def _teachers(report: Report) -> float | None:
    return next((network.valid_accuracy for network in report.networks if network.role == "teacher"), None)


def _legend(report: Report, network: Network, lines: Sequence[Line]) -> Markup:
    goal = _teachers(report) if network.role == "student" else None
    entries = [
        (f"line {kind}", f"{each.role}, {units.percent_text(each.valid_accuracy)}" if each.valid_accuracy is not None else each.role)
        for kind, each in lines
    ]
    entries += [("goal", f"teacher, {units.percent_text(goal)}")] if goal is not None else []
    terms = _terms(network.training.curve)
    entries += [(f"swatch term-{number % _TERMS}", short(term)) for number, term in enumerate(terms)] if len(terms) > 1 else []
    return legend(entries)


def _listed(curve: Sequence[CurvePoint], what: str) -> Markup:
    """The numbers of the picture."""
    rows, terms = thinned(curve, _MOST_ROWS), _terms(curve)
    heads = ["epoch", "phase", f"validation {what}", "loss", "T", *(f"share of {term}" for term in terms), "learning rate"]
    cells = [
        [
            plain(units.number_text(point.epoch, None)),
            name(point.phase),
            plain(units.percent_text(point.valid_accuracy)),
            plain(units.number_text(point.loss)),
            plain(units.number_text(point.temperature)),
            *(plain(units.percent_text(point.shares.get(term))) for term in terms),
            plain(units.number_text(point.learning_rate)),
        ]
        for point in rows
    ]
    left = len(curve) - len(rows)
    note = f"{left} epochs between them stand in report.json." if left else ""
    return folded("Numbers of these curves", grid("After each epoch", heads, cells, note=note, class_="wide figures"))

"""Pictures on two axes as inline SVG, and the first of them: accuracy against latency. Training is `curves`', what is said file by file `rows`'.

A frame is as wide as the page leaves it: places are shares of it, while text, strokes and marks keep their size, so that a phone shows legible
letters without a script.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgekd import stats, units
from edgekd.budget import figures
from edgekd.budget.choose import shipped_on
from edgekd.budget.figures import Ask, Unknown
from edgekd.record import Artifact, Report
from edgekd.report import axes
from edgekd.report.axes import Axis
from edgekd.report.cells import capital, led, reference
from edgekd.report.markup import NONE, Markup, clean, percent, plain, tag
from edgekd.report.text import without_middle

_HEIGHT = 320
_NARROWEST = 245
"""px: the width of a frame on a phone, at which labels are placed."""
_LETTER, _LINE = 6.6, 15.0
"""px: about how wide a letter and how high a line of a label is."""
_LONGEST = 28

_SHAPES = {
    "fp32": tag("circle", r=5.5),
    "as-is": tag("circle", r=5.5),
    "fp16": tag("rect", x=-5, y=-5, width=10, height=10),
    "int8-cpu": tag("path", d="M0-7 7 0 0 7-7 0Z"),
    "int8-trt": tag("path", d="M0-7 7 0 0 7-7 0Z"),
}


# Frames ---------------------------------------------------------------------------------------------------------------


def frame(title: str, told: str, x: Axis, y: Axis, drawn: Iterable[Markup], *, height: int, notes: tuple[str, str]) -> Markup:
    """A drawing within two axes. `told` says in words what is seen; `notes` are the captions of x and y, x without one shows no numbers."""
    across, upward = notes
    parts = [tag("title", plain(title)), tag("desc", plain(told)), tag("text", plain(upward), x=0, y=-14, class_="axis")]
    for value in y.ticks(max(4, min(axes.MOST + 1, height // 35))):
        place = percent(1 - y.place(value))
        parts += [
            tag("line", x1=0, x2="100%", y1=place, y2=place, class_="grid"),
            tag("text", plain(y.text(value)), x=-8, y=place, dy=".33em", class_="tick y"),
        ]
    for value in x.ticks() if across else []:
        place = percent(x.place(value))
        parts += [
            tag("line", x1=place, x2=place, y1="100%", y2="100%", class_="grid"),
            tag("text", plain(x.text(value)), x=place, y="100%", dy=18, class_="tick"),
        ]
    parts += [tag("text", plain(across), x="100%", y="100%", dy=36, class_="axis end")] if across else []
    kind = "plot" if across else "plot bare"
    return tag("svg", *parts, tag("line", x1=0, x2="100%", y1="100%", y2="100%", class_="base"), *drawn, class_=kind, height=height, role="img")


def stretched(*parts: Markup) -> Markup:
    """Lines and areas on a plane of 100 by 100 that fills its frame, with y downward; strokes keep their width."""
    return tag("svg", *parts, viewBox="0 0 100 100", preserveAspectRatio="none", width="100%", height="100%", class_="plane")


def anchored(x: float, y: float, *parts: Markup, class_: str = "") -> Markup:
    """Parts in px around a place of the frame, 0 to 1 rightward and upward."""
    return tag("svg", tag("g", *parts, class_=class_ or None), x=percent(x), y=percent(1 - y), class_="at")


def mark(precision: str, role: str) -> Markup:
    """The sign of a file: its shape says the precision, its fill the role."""
    return tag("g", _SHAPES[precision], class_=f"mark {role}")


# Accuracy against latency ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """A file on a plane of latency and accuracy."""

    artifact: Artifact
    ms: float
    accuracy: float
    run: str = ""
    """The letter of its run, where several are drawn."""
    kind: str = ""
    """The class that colours it, where that is not its role."""

    @property
    def said(self) -> str:
        return f"{self.run} {self.artifact.name}: {units.ms_text(self.ms)}, {units.percent_text(self.accuracy)}".lstrip()

    @property
    def label(self) -> str:
        return f"{self.run} {self.artifact.network} {self.artifact.precision}".lstrip()


def against_latency(report: Report, target: str) -> Markup:
    """Every file that was timed on the target and scored; nothing where there are fewer than two."""
    points, first = points_of(report, target), reference(report)
    ships = [point for point in points if point.artifact.name in shipped_on(report, target)]
    title = f"{capital(led(report))} against latency on {target}"
    named = [point for point in points if point.artifact == first]
    return plane(title, points, ships, named, _roles(points), led(report)) if len(points) > 1 else NONE


def plane(
    title: str, points: Sequence[Point], ships: Sequence[Point], named: Sequence[Point], keys: Sequence[tuple[Markup, str]], what: str = "accuracy"
) -> Markup:
    """Points by latency and accuracy with their front. Those that ship are ringed, they, the front and `named` have their names beside them."""
    x = axes.scaled((point.ms for point in points), lambda ms: units.ms_text(ms, None))
    y = axes.around((point.accuracy for point in points), units.percent_text, least=0.01, ends=(0.0, 1.0))
    best = front(points)
    drawn = [
        stretched(tag("path", d=_stairs(best, x, y), class_="front")),
        *(_drawn(point, x, y, point in ships) for point in sorted(points, key=lambda p: p in ships)),
        *_labels([p for p in points if p in best or p in ships or p in named], points, x, y),
    ]
    told = f"{len(points)} files; left is faster, up is more accurate. On the front: {'; '.join(point.said for point in best)}."
    svg = frame(title, told, x, y, drawn, height=_HEIGHT, notes=("median latency", f"{what} on test images"))
    return tag("figure", svg, tag("figcaption", _legend(points, keys, bool(ships))))


def front(points: Sequence[Point]) -> list[Point]:
    """The points that no other one beats by being as fast and as accurate and better in one of the two; the fastest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (p.ms, -p.accuracy)):
        if not best or point.accuracy > best[-1].accuracy:
            best.append(point)
    return best


def points_of(report: Report, target: str) -> list[Point]:
    """The files that were timed on a target and scored."""
    timed = {each.artifact: each.timing.samples for each in reversed(report.measurements) if each.target == target and each.timing.samples}
    found = []
    for artifact in report.artifacts:
        accuracy = figures.lead(Ask(report, artifact))
        if artifact.name in timed and not isinstance(accuracy, Unknown):
            found.append(Point(artifact, stats.median(timed[artifact.name]), accuracy[0]))
    return found


def _stairs(best: Sequence[Point], x: Axis, y: Axis) -> str:
    """The line that no file lies above and left of."""
    places = [(100 * x.place(point.ms), 100 - 100 * y.place(point.accuracy)) for point in best]
    ends = [at for at, _ in places[1:]] + [100.0]
    return f"M{places[0][0]:.2f} 100" + "".join(f"V{top:.2f}H{end:.2f}" for (_, top), end in zip(places, ends, strict=True))


def _drawn(point: Point, x: Axis, y: Axis, ships: bool) -> Markup:
    ring = [tag("circle", r=11, class_="ring")] if ships else []
    shape = mark(point.artifact.precision, point.kind or point.artifact.role)
    return anchored(x.place(point.ms), y.place(point.accuracy), tag("title", plain(point.said)), *ring, shape)


def _roles(points: Sequence[Point]) -> list[tuple[Markup, str]]:
    return [(mark("fp32", role), str(role)) for role in dict.fromkeys(point.artifact.role for point in points)]


def _legend(points: Sequence[Point], keys: Sequence[tuple[Markup, str]], ships: bool) -> Markup:
    """What the marks say, as far as they are there: `keys` their colours, then shapes."""
    precisions = {point.artifact.precision: "fp32" if point.artifact.precision == "as-is" else point.artifact.precision for point in points}
    shapes = [(mark(precision, "plain"), str(precision)) for precision in precisions] if len(precisions) > 1 else []
    rings = [(tag("circle", r=7, class_="ring"), "ships")] if ships else []
    return keyed([*keys, *shapes, *rings, (tag("path", d="M-8 0H8", class_="front"), "front: nothing is faster and as accurate")])


def _key(sign: Markup, text: str) -> Markup:
    return tag("li", tag("svg", sign, viewBox="-9 -9 18 18", width=18, height=18, aria_hidden="true"), plain(text))


# Labels ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    width: float
    height: float

    def meets(self, other: "_Box") -> bool:
        return (
            self.left < other.left + other.width
            and other.left < self.left + self.width
            and self.top < other.top + other.height
            and other.top < self.top + self.height
        )


def _labels(named: Sequence[Point], points: Sequence[Point], x: Axis, y: Axis) -> list[Markup]:
    """Names beside their points where there is room on the narrowest page; a wider one only moves them apart."""
    taken = [_Box(at - 6, top - 6, 12, 12) for at, top in (_px(point, x, y) for point in points)]
    found = []
    for point in named:
        text = short(point.label)
        at, top = _px(point, x, y)
        for side, box in _places(at, top, len(text) * _LETTER).items():
            if 0 <= box.left and box.left + box.width <= _NARROWEST + 10 and 0 <= box.top <= _HEIGHT - _LINE and not any(map(box.meets, taken)):
                taken.append(box)
                found.append(anchored(x.place(point.ms), y.place(point.accuracy), _label(text, side)))
                break
    return found


def _px(point: Point, x: Axis, y: Axis) -> tuple[float, float]:
    return x.place(point.ms) * _NARROWEST, (1 - y.place(point.accuracy)) * _HEIGHT


def _places(at: float, top: float, width: float) -> dict[str, _Box]:
    """Where a label may stand, the best first."""
    return {
        "under": _Box(at + 11, top + 8, width, _LINE),
        "over": _Box(at + 11, top - 8 - _LINE, width, _LINE),
        "right": _Box(at + 13, top - _LINE / 2, width, _LINE),
        "left": _Box(at - 13 - width, top - _LINE / 2, width, _LINE),
        "below": _Box(at - width / 2, top + 12, width, _LINE),
        "above": _Box(at - width / 2, top - 12 - _LINE, width, _LINE),
    }


def _label(text: str, side: str) -> Markup:
    shifts = {
        "under": (11, 20, "start"),
        "over": (11, -11, "start"),
        "right": (14, 4, "start"),
        "left": (-14, 4, "end"),
        "below": (0, 24, "middle"),
        "above": (0, -15, "middle"),
    }
    right, down, anchor = shifts[side]
    return tag("text", plain(text), x=right, y=down, text_anchor=anchor, class_="label")


def short(text: str, most: int = _LONGEST) -> str:
    """A long name without its middle."""
    return without_middle(clean(text), most)


def legend(entries: Iterable[tuple[str, str]]) -> Markup:
    """What lines and areas are: (class, text) each, with a sample of its colour."""
    return keyed((tag("path", d="M-8 0H8", class_=kind), text) for kind, text in entries)


def keyed(entries: Iterable[tuple[Markup, str]]) -> Markup:
    """What signs stand for."""
    return tag("ul", *(_key(sign, text) for sign, text in entries), class_="legend")

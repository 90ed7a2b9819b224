"""Pictures in the rows of tables, each beside its numbers: size, energy, accuracy lost, the spread of latencies.

A row is a file; its drawing is as wide as its column, so that fifty rows read as well as six. The drawings of a column share one axis.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from edgekd import stats, units
from edgekd.budget import figures
from edgekd.budget.choose import shipped_on
from edgekd.budget.figures import Ask, Seen, Unknown
from edgekd.measurements import Measurement
from edgekd.record import Artifact, Report
from edgekd.report import axes
from edgekd.report.axes import Axis
from edgekd.report.cells import bare, capital, led, reference
from edgekd.report.markup import NONE, Markup, framed, lines, name, percent, plain, tag
from edgekd.report.pictures import anchored, stretched
from edgekd.report.text import firm
from edgekd.stats import Interval

PICTURED = "rows pictured"
"""The class of a table with drawings, which a phone shows under their numbers."""
_QUANTILES = 50
_SLOWEST = 4.0
"""Times its median: where the axis of a distribution ends at the latest."""


@dataclass(frozen=True)
class Row:
    """One file's drawing and cells."""

    artifact: Artifact
    cells: Sequence[Markup]
    ships: bool = False


def by_network(caption: str, heads: Sequence[Markup], rows: Sequence[Row], *, note: str = "", class_: str) -> Markup:
    """A table of files: their network is said once above them, a row is named by its precision."""
    if not rows:
        return NONE
    head = tag("tr", tag("th", plain("file"), scope="col"), *heads)
    bodies = [tag("tbody", _group(first.artifact, len(heads)), *map(_row, same)) for first, same in _runs(rows)]
    table = tag("table", tag("caption", plain(caption)), tag("thead", head), *bodies, class_=class_)
    return lines([framed(table, caption), tag("p", plain(firm(note)), class_="note") if note else NONE])


def _runs(rows: Sequence[Row]) -> list[tuple[Row, list[Row]]]:
    groups = [list(same) for _, same in groupby(rows, key=lambda row: (row.artifact.role, row.artifact.network))]
    return [(same[0], same) for same in groups]


def _group(artifact: Artifact, columns: int) -> Markup:
    return tag(
        "tr", tag("th", name(artifact.network), plain(" "), tag("small", plain(artifact.role)), scope="rowgroup", colspan=columns + 1), class_="group"
    )


def _row(row: Row) -> Markup:
    label = [plain(row.artifact.precision), *([plain(" "), tag("span", plain("ships"), class_="ships")] if row.ships else [])]
    return tag("tr", tag("th", *label, scope="row"), *row.cells, class_=row.artifact.role)


def head(text: str) -> Markup:
    """The heading of a column of numbers."""
    return tag("th", plain(text), scope="col")


def cell(text: str, below: str = "") -> Markup:
    """A number, and what belongs to it in small letters beneath."""
    return tag("td", plain(text), *([tag("small", plain(firm(below)))] if below and below != units.NOTHING else []))


def scale(axis: Axis, what: str) -> Markup:
    """The heading of a column of drawings: what it shows, and its axis."""
    ticks = [tag("text", plain(axis.text(value)), x=percent(axis.place(value)), y=12, class_="tick") for value in axis.ticks()]
    return tag("th", tag("span", plain(what)), tag("svg", *ticks, class_="scale", height=16, aria_hidden="true"), scope="col", class_="drawn")


def strip(told: str, axis: Axis, *parts: Markup, height: int = 28) -> Markup:
    """A cell with a drawing on the column's axis; `told` says it in words."""
    marks = [tag("line", x1=place, x2=place, y1=0, y2="100%", class_="grid") for place in (percent(axis.place(value)) for value in axis.ticks())]
    return tag("td", tag("svg", tag("title", plain(told)), *marks, *parts, class_="strip", height=height, role="img"), class_="drawn")


# Bars -----------------------------------------------------------------------------------------------------------------


def sizes(report: Report) -> Markup:
    """Bytes of each file."""
    first = reference(report)
    rows = [
        (artifact, float(artifact.size), units.ratio_text(first.size / artifact.size) if first and artifact.size else "")
        for artifact in report.artifacts
    ]
    return _bars(report, "Size of each file", "size", rows, units.bytes_text, set(report.shipped.values()))


def energies(report: Report, target: str) -> Markup:
    """Joules per image of each file, where they were measured."""
    seen = [(artifact, figures.energy(Ask(report, artifact, target))) for artifact in report.artifacts]
    rows = [(artifact, value[0], "") for artifact, value in seen if not isinstance(value, Unknown)]
    return _bars(report, f"Energy of one image on {target}", "energy", rows, units.energy_text, shipped_on(report, target))


def _bars(report: Report, caption: str, what: str, rows: Sequence[tuple[Artifact, float, str]], text: units.Text, ships: set[str]) -> Markup:
    axis = axes.from_zero((value for _, value, _ in rows), lambda value: text(value, None))
    drawn = []
    for artifact, value, times in rows:
        bar = tag("rect", x=0, y=6, width=percent(axis.place(value)), height=16, class_=f"bar {artifact.role}")
        cells = [
            strip(f"{artifact.name}: {text(value, 3)}", axis, bar),
            cell(text(value, 3)),
            *([cell(times)] if any(row[2] for row in rows) else []),
        ]
        drawn.append(Row(artifact, cells, artifact.name in ships))
    heads = [scale(axis, what), head(what), *([head("times less")] if any(row[2] for row in rows) else [])]
    return by_network(caption, heads, drawn, class_=PICTURED)


# Accuracy lost --------------------------------------------------------------------------------------------------------


def losses(report: Report) -> Markup:
    """What each file loses to the teacher's own, paired image by image, with its interval; and the images that it has wrong and the teacher right."""
    first = reference(report)
    seen = [(artifact, figures.lead_drop(Ask(report, artifact))) for artifact in report.artifacts if artifact != first]
    known = [(artifact, drop) for artifact, drop in seen if not isinstance(drop, Unknown)]
    if not known:
        return NONE
    axis = axes.around([0.0, *(bound for _, drop in known for bound in drop)], _points, least=0.005)
    zero = percent(axis.place(0.0))
    rows = []
    for artifact, drop in known:
        told = f"{artifact.name}: {_points(drop[0])} points lost, 95 % interval {units.span_text(_points(drop[1]), _points(drop[2]))}"
        parts = [tag("line", x1=zero, x2=zero, y1=0, y2="100%", class_="zero"), *_whisker(axis, drop, artifact.role)]
        flips = figures.paired("flips", Ask(report, artifact))
        wrong = units.NOTHING if isinstance(flips, Unknown) else units.percent_text(flips[0])
        span = units.span_text(_points(drop[1]), _points(drop[2]))
        rows.append(Row(artifact, [strip(told, axis, *parts), cell(_points(drop[0]), span), cell(wrong)], artifact.name in report.shipped.values()))
    heads = [scale(axis, "points lost"), head("points lost"), head("newly wrong")]
    note = (
        "Against the teacher's own file on the same test images, with 95 % intervals; right of the line is worse. Newly wrong: the teacher is right."
    )
    return by_network(f"{capital(led(report))} lost to the teacher", heads, rows, note=note, class_=PICTURED)


def _points(share: float) -> str:
    return bare(units.points_text(share))


def _whisker(axis: Axis, interval: Interval, role: str) -> list[Markup]:
    value, low, high = map(axis.place, interval)
    line = tag("line", x1=percent(low), x2=percent(high), y1="50%", y2="50%", class_=f"whisker {role}")
    return [line, tag("circle", cx=percent(value), cy="50%", r=4.5, class_=f"mark {role}")]


# Latency --------------------------------------------------------------------------------------------------------------


def spreads(report: Report, target: str) -> Markup:
    """How long inferences took, as shares of the file's own median: the whole distribution, p50 and p95 with their intervals."""
    timed = {each.artifact: each for each in reversed(report.measurements) if each.target == target and each.timing.samples}
    files = [artifact for artifact in report.artifacts if artifact.name in timed]
    middles = {artifact.name: stats.median(timed[artifact.name].timing.samples) for artifact in files}
    files = [artifact for artifact in files if middles[artifact.name] > 0]
    if not files:
        return NONE
    curves = {artifact.name: [ms / middles[artifact.name] for ms in _quantiles(timed[artifact.name])] for artifact in files}
    low = max(0.5, min(0.95, *(curve[1] for curve in curves.values())))
    high = min(_SLOWEST, max(1.2, *(curve[-2] for curve in curves.values())))
    axis = Axis(low, high, partial(units.ratio_text, digits=None), log=True)
    ships = shipped_on(report, target)
    rows = [Row(artifact, _spread(report, artifact, target, curves[artifact.name], axis), artifact.name in ships) for artifact in files]
    note = (
        "Share of inferences, from none at the lower edge to all at the upper, that took at most so many times the file's own median; what lies "
        f"beyond the axis stands at its end. Dots are p50 and p95, bands their 95 % intervals. {_counted([timed[each.name] for each in files])}."
    )
    return by_network(f"Latency on {target}", [scale(axis, "times the median"), head("p50"), head("p95")], rows, note=note, class_=PICTURED)


def _counted(measurements: Sequence[Measurement]) -> str:
    counts = [len(measurement.timing.samples) for measurement in measurements]
    return " to ".join(str(count) for count in dict.fromkeys((min(counts), max(counts)))) + " samples a file"


def _quantiles(measurement: Measurement) -> list[float]:
    ordered = sorted(measurement.timing.samples)
    return [ordered[round(step / _QUANTILES * (len(ordered) - 1))] for step in range(_QUANTILES + 1)]


def _spread(report: Report, artifact: Artifact, target: str, curve: Sequence[float], axis: Axis) -> list[Markup]:
    ask = Ask(report, artifact, target)
    half, most = figures.latency(50, ask), figures.latency(95, ask)
    middle = half[0] if not isinstance(half, Unknown) else 1.0
    places = " ".join(f"{100 * axis.place(value):.2f},{100 - 100 * step / _QUANTILES:.1f}" for step, value in enumerate(curve))
    parts = [stretched(tag("polyline", points=places, class_=f"line {artifact.role}"))]
    for share, seen in ((0.5, half), (0.95, most)):
        parts += (
            _percentile(axis, share, (seen[0] / middle, seen[1] / middle, seen[2] / middle), artifact.role) if not isinstance(seen, Unknown) else []
        )
    told = f"{artifact.name}: p50 {_timed(half)}, p95 {_timed(most)}"
    cells = [cell("" if isinstance(seen, Unknown) else units.ms_text(seen[0]), _span(seen)) for seen in (half, most)]
    return [strip(told, axis, *parts, height=46), *cells]


def _percentile(axis: Axis, share: float, interval: Interval, role: str) -> list[Markup]:
    value, low, high = map(axis.place, interval)
    band = tag(
        "rect", x=percent(low), width=percent(high - low), y=percent(1 - share), height=7, transform="translate(0 -3.5)", class_=f"band {role}"
    )
    return [band, anchored(value, share, tag("circle", r=3), class_=f"dot {role}")]


def _timed(seen: Seen) -> str:
    return "not known" if isinstance(seen, Unknown) else f"{units.ms_text(seen[0])} (95 % interval {_span(seen)})"


def _span(seen: Seen) -> str:
    if not isinstance(seen, Unknown) and math.isinf(seen[2]):
        return "of one launch"
    return "" if isinstance(seen, Unknown) else units.span_text(units.ms_text(seen[1]), units.ms_text(seen[2]))

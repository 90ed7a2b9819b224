"""How latency held under sustained load: over the time with the machine's clock and temperature below it, and in words, the last seconds against the
first. Draws what the moments hold; a clock or temperature that the machine does not tell has no picture.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from edgekd import stats, timings, units
from edgekd.measurements import Measurement, Moment
from edgekd.record import Report
from edgekd.report import axes
from edgekd.report.axes import Axis
from edgekd.report.curves import line
from edgekd.report.markup import Markup, folded, grid, percent, plain, tag
from edgekd.report.pictures import frame, legend
from edgekd.report.text import firm
from edgekd.stats import Interval

WINDOW_S = 10.0
"""Seconds at either end that are compared, a third of the whole at the most."""
_MOST_POINTS, _MOST_ROWS = 400, 24
"""Drawn, and listed beside the picture."""
_NUMBER = partial(units.number_text, digits=None)


def sustained(report: Report) -> list[tuple[str, Markup]]:
    """A figure for each file on each target that was loaded for long, under their names."""
    several = len({each.target for each in report.measurements}) > 1
    return [
        (f"{each.artifact} on {each.target}" if several else each.artifact, _figure(report, each)) for each in report.measurements if _known(each)
    ]


def sentences(report: Report) -> list[str]:
    """What the load came to, one sentence for each file on each target, with the clock and the temperature in a second one."""
    return [f"{each.artifact} on {each.target}: {_said(each)}" for each in report.measurements if _known(each)]


def change(moments: Sequence[Moment]) -> Interval:
    """How many times longer inferences took at the end than at the beginning, with its 95 % interval; each moment is one draw, as a launch is."""
    first, last = (timings.median_interval([[[moment.ms]] for moment in part]) for part in _ends(moments))
    return stats.quotient(last, first)


def _ends(moments: Sequence[Moment]) -> tuple[Sequence[Moment], Sequence[Moment]]:
    """The moments of the first and of the last window."""
    window, end = _window(moments), moments[-1].at_s
    return [each for each in moments if each.at_s <= window] or moments[:1], [each for each in moments if each.at_s > end - window]


def _window(moments: Sequence[Moment]) -> float:
    return min(WINDOW_S, moments[-1].at_s / 3)


def _known(measurement: Measurement) -> list[Moment]:
    """Moments that can be drawn and compared; a report made by hand may hold others."""
    return [moment for moment in measurement.sustained if moment.ms > 0 and moment.at_s > 0]


# In words -------------------------------------------------------------------------------------------------------------


def _said(measurement: Measurement) -> str:
    moments = _known(measurement)
    window = units.seconds_text(_window(moments))
    ratio, low, high = change(moments)
    paced = f" at {units.number_text(measurement.fps, None)} images a second" if measurement.fps else ""
    span = units.span_text(units.percent_text(low - 1), units.percent_text(high - 1))
    if math.isinf(high):
        moved = f"too little was seen to tell whether it changed: the last {window} against the first {units.percent_text(ratio - 1)}"
    elif low > 1:
        moved = f"the last {window} were {units.percent_text(ratio - 1)} slower than the first (95 % interval {span})"
    elif high < 1:
        moved = f"the last {window} were {units.percent_text(1 - ratio)} faster than the first (95 % interval {_faster(low, high)})"
    else:
        moved = f"latency did not change beyond noise: the last {window} against the first {units.percent_text(ratio - 1)} (95 % interval {span})"
    parts = [f"in {units.seconds_text(moments[-1].at_s)} of sustained load{paced} {moved}"]
    parts += [_between("the clock", "MHz", moments, _clock), _between("the temperature", "°C", moments, _warmth)]
    slowed = [moment for moment in moments if moment.throttled]
    parts += [f"the processor was slowed for its heat in {len(slowed)} of {len(moments)} moments"] if slowed else []
    parts += [measurement.untold] if measurement.untold else []
    return "; ".join(part for part in parts if part) + "."


def _faster(low: float, high: float) -> str:
    return units.span_text(units.percent_text(1 - high), units.percent_text(1 - low))


def _between(what: str, unit: str, moments: Sequence[Moment], read: Callable[[Moment], float | None]) -> str:
    """As "the clock went from 3400 to 2800 MHz", or stayed."""
    values = [value for moment in moments if (value := read(moment)) is not None]
    if not values:
        return ""
    first, last = units.number_text(values[0]), units.number_text(values[-1])
    return f"{what} stayed at {first} {unit}" if first == last else f"{what} went from {first} to {last} {unit}"


def _clock(moment: Moment) -> float | None:
    """MHz of the fastest core."""
    return max(moment.clock_mhz) if any(moment.clock_mhz) else None


def _warmth(moment: Moment) -> float | None:
    """°C of the hottest sensor."""
    return max(moment.temperature_c.values(), default=None)


# Drawn ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Panel:
    """One quantity over the seconds: (second, value) points, how its values read, how high it is drawn, and what lies over its line."""

    title: str
    points: Sequence[tuple[float, float]]
    y: Axis
    text: units.Text
    height: int = 80
    more: Sequence[Markup] = ()

    def draw(self, whose: str, x: Axis, kind: str, last: bool) -> Markup:
        """The panel; the last one has the numbers of x."""
        values = [value for _, value in self.points]
        begin, end, least, most = (self.text(value, 3) for value in (values[0], values[-1], min(values), max(values)))
        told = f"from {begin} to {end}, at least {least}, at most {most}"
        drawn = [*line(self.points, x, self.y, kind), *self.more]
        return frame(f"{self.title}: {whose}", told, x, self.y, drawn, height=self.height, notes=("seconds of load" if last else "", self.title))


def _figure(report: Report, measurement: Measurement) -> Markup:
    moments = _known(measurement)
    role = next((each.role for each in report.artifacts if each.name == measurement.artifact), "file")
    x = Axis(0.0, moments[-1].at_s, _NUMBER)
    shown = moments[:: -(-len(moments) // _MOST_POINTS)]
    panels = [_latency(moments, shown, x), _machine("clock of the fastest core, MHz", shown, _clock), _machine("hottest sensor, °C", shown, _warmth)]
    panels = [panel for panel in panels if panel.points]
    drawn = [panel.draw(measurement.artifact, x, role, panel is panels[-1]) for panel in panels]
    window = units.seconds_text(_window(moments))
    key = legend([(f"line {role}", "as measured"), ("goal", f"median of the first and of the last {window}")])
    said = _said(measurement)
    return tag("figure", *drawn, tag("figcaption", tag("p", plain(firm(said[0].upper() + said[1:])), class_="note"), key), _listed(moments))


def _latency(moments: Sequence[Moment], shown: Sequence[Moment], x: Axis) -> Panel:
    """With the medians of either end."""
    points = [(moment.at_s, moment.ms) for moment in shown]
    y = axes.around((ms for _, ms in points), partial(units.ms_text, digits=None), least=0.1 * max(ms for _, ms in points))
    ends = []
    for part in _ends(moments):
        level = percent(1 - y.place(stats.median([moment.ms for moment in part])))
        ends.append(tag("line", x1=percent(x.place(part[0].at_s)), x2=percent(x.place(part[-1].at_s)), y1=level, y2=level, class_="goal"))
    return Panel("median latency", points, y, units.ms_text, 190, ends)


def _machine(title: str, shown: Sequence[Moment], read: Callable[[Moment], float | None]) -> Panel:
    points = [(moment.at_s, value) for moment in shown if (value := read(moment)) is not None]
    values = [value for _, value in points] or [0.0]
    return Panel(title, points, axes.around(values, _NUMBER, least=0.1 * max(map(abs, values)) or 1.0), units.number_text)


def _listed(moments: Sequence[Moment]) -> Markup:
    """The numbers of the picture, evenly thinned."""
    stride = -(-len(moments) // _MOST_ROWS)
    rows = [
        [
            plain(units.number_text(moment.at_s)),
            plain(units.ms_text(moment.ms)),
            plain(str(moment.inferences)),
            plain(units.number_text(_clock(moment))),
            plain(units.number_text(_warmth(moment))),
            plain(units.NOTHING if moment.throttled is None else "yes" if moment.throttled else "no"),
        ]
        for moment in moments[::stride]
    ]
    heads = ["until, s", "median latency", "inferences", "fastest core, MHz", "hottest sensor, °C", "slowed for heat"]
    note = f"{len(moments) - len(rows)} moments between them stand in report.json." if stride > 1 else ""
    return folded("Numbers of this load", grid("Moment by moment", heads, rows, note=note, class_="wide figures"))

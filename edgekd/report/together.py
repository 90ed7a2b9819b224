"""Several runs as one page: in what they differ, their files on one picture, their students' training on another, and a table of every figure.

Accuracy against latency is drawn for the runs that one machine measured, as absolute times compare only there. The tables are those of `runs`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from edgekd import units
from edgekd.budget.choose import shipped_on
from edgekd.record import Network
from edgekd.report import axes
from edgekd.report.axes import Axis
from edgekd.report.cells import capital, led, measured_targets
from edgekd.report.curves import line, thinned
from edgekd.report.html import ALONE, moment, page, section
from edgekd.report.markup import NONE, Markup, columned, grid, lines, name, plain, tag
from edgekd.report.pictures import Point, frame, legend, mark, plane, points_of
from edgekd.report.runs import Run, alike, differences, figure_table, letters

_COLOURS = 6
"""Runs that have a colour of their own."""
_MOST_POINTS = 160


def together(runs: Sequence[Run]) -> str:
    """The page."""
    title = f"{len(runs)} runs"
    opening = tag("header", tag("h1", plain(f"{title} side by side")), tag("ul", *map(_named, runs), class_="runs"))
    figured = figure_table(runs)
    parts = [
        opening,
        section("What differs", _differences(runs)),
        section(f"{capital(_led(runs))} against latency", *_planes(runs)),
        section("How the students were taught", _training(runs)),
        section("Figures", columned(figured)) if figured is not None else NONE,
    ]
    versions = " and ".join(dict.fromkeys(run.report.edgekd for run in runs))
    return page(title, parts, f"Written by edgekd {versions} from report.json of each run. {ALONE}")


def _led(runs: Sequence[Run]) -> str:
    """What the figure is called that the runs are judged by first."""
    return " or ".join(dict.fromkeys(led(run.report) for run in runs))


def _named(run: Run) -> Markup:
    when = moment(run.report)
    return tag("li", tag("b", plain(f"{run.letter}: ")), name(run.report.name), tag("small", plain(f" {when}")))


def _differences(runs: Sequence[Run]) -> Markup:
    table = differences(runs)
    keys, *columns = table.columns
    rows = [[name(key), *(name(column.cells[number]) for column in columns)] for number, key in enumerate(keys.cells)]
    return grid("Keys of the recipe, and what else is not the same", [column.head for column in table.columns], rows, note=table.note)


def _colour(number: int) -> str:
    return f"run-{number % _COLOURS}"


# Accuracy against latency ---------------------------------------------------------------------------------------------


def _planes(runs: Sequence[Run]) -> Iterator[Markup]:
    """One picture for each target of each machine that measured anything."""
    numbers = {run.letter: number for number, run in enumerate(runs)}
    groups = alike(runs)
    for group in groups:
        for target in dict.fromkeys(target for run in group for target in measured_targets(run.report)):
            points = [point for run in group for point in _points(run, target, numbers[run.letter])]
            ships = [point for run in group for point in points if point.run == run.letter and point.artifact.name in shipped_on(run.report, target)]
            if len(points) > 1:
                keys = [(mark("fp32", _colour(numbers[run.letter])), run.said) for run in group]
                where = target if len(groups) == 1 else f"{target} ({letters(group)})"
                hollow = [(mark("fp32", "plain hollow"), "hollow: a teacher's")] if any(point.artifact.role == "teacher" for point in points) else []
                yield lines([tag("h3", name(f"On {where}")), _plane(group, where, points, ships, [*keys, *hollow])])


def _plane(group: Sequence[Run], where: str, points: Sequence[Point], ships: Sequence[Point], keys: Sequence[tuple[Markup, str]]) -> Markup:
    what = _led(group)
    return plane(f"{capital(what)} against latency on {where}", points, ships, [], keys, what)


def _points(run: Run, target: str, number: int) -> list[Point]:
    """A run's files in its colour, the teacher's hollow."""
    return [
        replace(point, run=run.letter, kind=f"{_colour(number)}{' hollow' if point.artifact.role == 'teacher' else ''}")
        for point in points_of(run.report, target)
    ]


# Training -------------------------------------------------------------------------------------------------------------


def _training(runs: Sequence[Run]) -> Markup:
    """Validation accuracy of every student over the epochs."""
    found = [
        (f"{run.letter} {network.name}", _colour(number), curve)
        for number, run in enumerate(runs)
        for network in run.report.networks
        if network.role == "student" and (curve := _curve(network))
    ]
    if not found:
        return NONE
    x = Axis(0.0, max(curve[-1][0] for _, _, curve in found) or 1.0, partial(units.number_text, digits=None))
    y = axes.around((value for _, _, curve in found for _, value in curve), units.percent_text, least=0.01, ends=(0.0, 1.0))
    drawn = [part for _, colour, curve in found for part in line(curve, x, y, colour)]
    told = "; ".join(f"{whose} ends at {units.percent_text(curve[-1][1])}" for whose, _, curve in found)
    what = _led(runs)
    svg = frame(f"Validation {what} of each student", told, x, y, drawn, height=260, notes=("epochs", f"validation {what}"))
    entries = [(f"line {colour}", f"{whose}, {units.percent_text(curve[-1][1])}") for whose, colour, curve in found]
    return tag("figure", svg, tag("figcaption", legend(entries)))


def _curve(network: Network) -> list[tuple[float, float]]:
    points = thinned(network.training.curve, _MOST_POINTS) if network.training.curve else []
    return [(point.epoch, point.valid_accuracy) for point in points if point.valid_accuracy is not None]

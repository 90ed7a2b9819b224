"""Changes since a baseline as a table of text: a row for each quantity of each file. Computes nothing but what is drawn."""

import math
from collections.abc import Sequence

from edgekd import units
from edgekd.budget.compare import Change, is_share
from edgekd.budget.rules import unit_of
from edgekd.report.cells import Column, Table


def changes_table(changes: Sequence[Change], notes: Sequence[str] = ()) -> Table:
    """What it was, what it is, by how much it rose, with the interval; where no rise can be told, a sign, and why below. Figures that are as they
    were are counted there, too."""
    every, changes = len(changes), [change for change in changes if change.rise is None or change.now != change.then]
    names = [f"{change.artifact} on {change.target}" if change.target else change.artifact for change in changes]
    columns = [
        Column("artifact", names),
        Column("quantity", [change.quantity for change in changes]),
        Column("baseline", [_value(change, change.then) for change in changes]),
        Column("now", [_value(change, change.now) for change in changes]),
        Column("change", [_rise(change) for change in changes]),
        Column("95 % interval", [_span(change) for change in changes]),
    ]
    if all(cell == units.NOTHING for cell in columns[-1].cells):
        columns.pop()
    reasons = dict.fromkeys(change.why for change in changes if change.why)
    return Table("Since the baseline", "; ".join([*notes, *reasons, *_unchanged(every - len(changes))]), columns if changes else [], keys=2)


def _unchanged(count: int) -> list[str]:
    return [f"{count} {'figure is' if count == 1 else 'figures are'} as before"] if count else []


def _value(change: Change, value: float) -> str:
    unit = unit_of(change.quantity)
    return units.number_text(value) if unit is None else unit.text(value, unit.digits)


def _rise(change: Change) -> str:
    return units.NOTHING if change.rise is None else _signed(change, change.rise[0])


def _span(change: Change) -> str:
    if change.rise is None or change.rise[1] == change.rise[2]:
        return units.NOTHING
    if math.isinf(change.rise[2]):
        return "of one launch"
    return units.span_text(_signed(change, change.rise[1]), _signed(change, change.rise[2]))


def _signed(change: Change, rise: float) -> str:
    """No change that there is reads as none."""
    text = units.beside(rise, 0.0, units.points_text if is_share(change.quantity) else units.percent_text, 1)
    return f"+{text}" if rise > 0 else text

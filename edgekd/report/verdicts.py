"""Verdicts in the order of their trouble, and what a row of them says beside the verdict's own text: the baseline and the change since.

Strings and orders only: what holds and what does not was judged before.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from edgekd import units
from edgekd.budget.rules import POINTS, SHARE, unit_of
from edgekd.record import Verdict

_TROUBLE: tuple[Literal["over", "missing", "undecided", "pass"], ...] = ("over", "missing", "undecided", "pass")
_SAID = {"over": "over", "missing": "missing", "undecided": "undecided", "pass": "within limits"}


def by_trouble(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """What fails first and by how much it does, then what only warns, then what holds, the nearest to its bound first."""

    def trouble(verdict: Verdict) -> tuple[bool, bool, int, float]:
        holds = verdict.state == "pass"
        return holds, verdict.warn and not holds, _TROUBLE.index(verdict.state), _excess(verdict) * (1 if holds else -1)

    return sorted(verdicts, key=trouble)


def counts(verdicts: Sequence[Verdict]) -> str:
    """As "1 over, 7 within limits"; those that only warn are counted apart."""
    found = Counter((verdict.warn and verdict.state != "pass", verdict.state) for verdict in verdicts)
    parts = [(found[warn, state], f"{_SAID[state]}{' (warning)' if warn else ''}") for warn in (False, True) for state in _TROUBLE]
    return ", ".join(f"{count} {said}" for count, said in parts if count) or "nothing was checked"


def before(verdict: Verdict) -> str:
    """The baseline's value."""
    unit = unit_of(verdict.quantity.removeprefix("growth."))
    return units.NOTHING if unit is None or verdict.before is None else unit.text(verdict.before, unit.digits)


def change(verdict: Verdict) -> str:
    """How far it is from the baseline, as "+3.1 %", or "−0.4 points" where it is a share itself; no change reads as none."""
    value, then = verdict.measured, verdict.before
    if value is None or then is None:
        return units.NOTHING
    unit = unit_of(verdict.quantity)
    if verdict.quantity.startswith("growth."):
        return _signed(value, units.percent_text)
    if unit in (SHARE, POINTS):
        return _signed(value - then, units.points_text)
    return _signed(value / then - 1, units.percent_text) if then else units.NOTHING


def _signed(difference: float, text: units.Text) -> str:
    shown = units.beside(difference, 0.0, text, 1)
    return f"+{shown}" if difference > 0 else shown


def _excess(verdict: Verdict) -> float:
    """How far a figure is from its bound, as a share of the bound, so that sizes and times sort together."""
    if verdict.measured is None or verdict.bound is None:
        return 0.0
    gap = abs(verdict.measured - verdict.bound)
    return gap / abs(verdict.bound) if verdict.bound else math.inf if gap else 0.0

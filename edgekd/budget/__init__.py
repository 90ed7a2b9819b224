"""Limits × report (× baseline) → one verdict for each quantity and artifact that is bounded.

A pure function of its arguments: it measures nothing and prints nothing. `choose` finds what a limit names, `rules` says on which side of its
bound each quantity must stay, `figures` and `growth` read the numbers, `verdict` compares them with their bounds, `layers` tells what is behind
them. The other way round, `margin` makes bounds of what was measured, and `compare` says what changed without any.
"""

from edgekd.budget.verdict import exit_code, judge

__all__ = ["exit_code", "judge"]

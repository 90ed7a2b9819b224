"""Limits × report (× baseline) → one verdict for each quantity and artifact that is bounded.

A pure function of its arguments: it measures nothing and prints nothing. `choose` finds what a limit names, `figures` reads its numbers from the
report, `verdict` compares them with their bounds.
"""

from edgekd.budget.verdict import exit_code, judge

__all__ = ["exit_code", "judge"]

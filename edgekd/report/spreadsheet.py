"""Runs as a table for a spreadsheet: CSV, a row for each file of each run on each target, every number as the report has it, in the unit that its
heading names. Returns the text and writes nothing.
"""

import csv
import io
from collections.abc import Sequence

from edgekd.report.runs import QUANTITIES, Row, Run, rows

HEADS = ("run", "name", "role", "network", "precision", "target", "host", "ships")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With what a cell begins that a spreadsheet would compute."""


def sheet(runs: Sequence[Run]) -> str:
    """The rows under their headings; a column for every quantity, empty where it is not known."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*HEADS, *(quantity.key for quantity in QUANTITIES)])
    writer.writerows(_line(row) for row in rows(runs))
    return out.getvalue()


def _line(row: Row) -> list[str]:
    artifact = row.artifact
    names = [row.run.letter, row.run.report.name, artifact.role, artifact.network, artifact.precision, row.target or "", row.host]
    values = [row.values.get(quantity.key) for quantity in QUANTITIES]
    return [*map(inert, names), "yes" if row.ships else "no", *("" if value is None else _number(value) for value in values)]


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def inert(text: str) -> str:
    """A name that a person chose, as text whatever it begins with."""
    return f"'{text}" if text.startswith(_FORMULA) else text

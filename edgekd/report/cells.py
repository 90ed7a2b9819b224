"""What a report's tables are made of: columns of cells, and the words that they share.

Knows no widths and no markup; a cell without a number holds the sign for none, and a column of nothing else is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edgekd import stats, units
from edgekd.budget.figures import Seen, Unknown
from edgekd.record import Artifact, Report

SHIPS = "*"
"""Marks the file that ships."""


@dataclass(frozen=True)
class Column:
    """A heading and a cell for each row."""

    head: str
    cells: list[str]


@dataclass(frozen=True)
class Table:
    """Columns side by side; the first, or the first `keys`, name the rows. `note` says what holds for all of it."""

    title: str
    note: str
    columns: list[Column]
    keys: int = 1

    @property
    def cells(self) -> dict[str, list[str]]:
        """The cells by heading."""
        return {column.head: column.cells for column in self.columns}


def tabled(title: str, note: str, names: Sequence[str], columns: Sequence[tuple[str, Sequence[str]]], *, first: str = "artifact") -> Table:
    """A table with a row a name, under the heading `first`; without rows or columns it has none."""
    full = [Column(head, list(cells)) for head, cells in columns if any(cell != units.NOTHING for cell in cells)]
    return Table(title, note, [Column(first, list(names)), *full] if names and full else [])


def measured_targets(report: Report) -> list[str]:
    """The targets that something was measured on, in the order they were."""
    return list(dict.fromkeys(measurement.target for measurement in report.measurements))


def reference(report: Report) -> Artifact | None:
    """What every ratio is against: the teacher's own file; among bare files the first."""
    teacher = [artifact for artifact in report.artifacts if artifact.role == "teacher" and artifact.precision in ("fp32", "as-is")]
    bare = [artifact for artifact in report.artifacts if artifact.role == "file"]
    return next(iter(teacher or bare), None)


def led(report: Report) -> str:
    """What the figure is called that networks and files are judged by first."""
    return "mAP" if report.leading == "map" else "accuracy"


def capital(what: str) -> str:
    """As a sentence begins; an abbreviation stays as it is."""
    return what if what.startswith("mAP") else what[:1].upper() + what[1:]


def middle(values: Sequence[float]) -> float | None:
    """The median; of nothing there is none."""
    return stats.median(values) if values else None


def over(first: float | None, second: float | None) -> float | None:
    """A quotient, where both are known."""
    return first / second if first is not None and second else None


def cell(value: float | None, text: units.Text) -> str:
    """A number with its unit, shares to a tenth of a percent."""
    return units.NOTHING if value is None else text(value, 1 if text in (units.percent_text, units.points_text) else 3)


def value(seen: Seen, text: units.Text) -> str:
    """The cell of a figure without its interval."""
    return units.NOTHING if isinstance(seen, Unknown) else cell(seen[0], text)


def interval(seen: Seen, text: units.Text) -> str:
    """The cell of its interval; of a figure that is exact there is none."""
    if isinstance(seen, Unknown) or seen[1] == seen[2]:
        return units.NOTHING
    return units.span_text(cell(seen[1], text), cell(seen[2], text))


def bare(text: str) -> str:
    """Without the unit that stands in the heading."""
    return text.removesuffix("s").removesuffix(" point")


def said(first: Artifact) -> str:
    """What ratios are against, in words."""
    return f"the teacher's {first.precision} file" if first.role == "teacher" else first.name


def label(name: str, shipped: set[str]) -> str:
    """How a file is named in its row."""
    return f"{name} {SHIPS}" if name in shipped else name


def named(report: Report, name: str) -> Artifact | None:
    """The file of a name; None where the report has none."""
    return next((artifact for artifact in report.artifacts if artifact.name == name), None)

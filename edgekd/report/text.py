"""A report for a terminal or a pipe: sentences, tables that fit the width, verdicts. Returns text (or Rich renderables), prints nothing."""

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgekd import units
from edgekd.record import Report, Verdict
from edgekd.report import words
from edgekd.report.cells import SHIPS, Column, Table
from edgekd.report.columns import tables
from edgekd.report.verdicts import before, change

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

_GAP = 2
_FRAME = 3
"""What Rich's box adds to the columns."""
_LONGEST_NAME = 36
_UNIT = re.compile(r"(?<=\d) (?=%|[kMGTµmn]?[BsJ]\b|min\b|points?\b)")
_FIRM = "\u00a0"
_SECOND = "\ue000"
"""Stands where a wide character takes a second column; of Unicode's private ones, which no name has."""
STATES = {"pass": "✓", "over": "✗", "undecided": "?", "missing": "–"}


def text(report: Report, *, width: int = 80) -> str:
    """The whole report as plain lines of at most `width` characters."""
    parts = [_wrapped(words.sentences(report), width), table(report, width=width)]
    parts += [verdict_lines(report.verdicts, width=width)] if report.verdicts else []
    doubts = words.doubts(report)
    parts += ["Doubts\n" + _wrapped([f"· {doubt}" for doubt in doubts], width, "  ")] if doubts else []
    return "\n\n".join(part for part in parts if part) + "\n"


def table(report: Report, *, width: int = 80) -> str:
    """The tables as plain text, split into as many as it takes to fit `width`."""
    return drawn(tables(report), width=width) or untold(report)


def untold(report: Report) -> str:
    """What to say where no file was made: who has learnt, if anybody has."""
    learnt = [each for each in report.networks if each.valid_accuracy is not None]
    if not learnt:
        return "Nothing was made yet: this report has no artifacts."
    told = (f"{each.role} {each.name}: {units.percent_text(each.valid_accuracy)} of validation images right" for each in learnt)
    return "\n".join([*told, "No file was made of them yet: `edgekd export RUN` does."])


def drawn(found: Sequence[Table], *, width: int = 80) -> str:
    """Tables as plain text, split into as many as it takes to fit `width`."""
    return "\n\n".join(_plain(part, width) for part in fitted(found, width))


def verdict_lines(verdicts: Sequence[Verdict], *, width: int = 80) -> str:
    """One paragraph a verdict: state, limit, artifact, by how much, and the layers behind it."""
    paragraphs = [[f"{STATES[v.state]} {verdict_head(v)}: {verdict_text(v)}", *(f"  · {line}" for line in v.why)] for v in verdicts]
    return _wrapped([line for lines in paragraphs for line in lines], width, "  ")


def verdict_head(verdict: Verdict) -> str:
    """What was asked of what, and whether it held."""
    where = f" on {verdict.target}" if verdict.target else ""
    state = f"{verdict.state}, only a warning" if verdict.warn and verdict.state != "pass" else verdict.state
    return f"{state}: {verdict.artifact}{where}, {verdict.limit}"


def verdict_text(verdict: Verdict) -> str:
    """By how much, and how far from the baseline."""
    ended = verdict.text if verdict.text.endswith(".") else f"{verdict.text}."
    return verdict.text if verdict.before is None else f"{ended} Baseline: {before(verdict)}, {change(verdict)}."


def render(report: Report, *, width: int = 80) -> "Group":
    """The whole report for a Rich console of that width."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(sentence) for sentence in words.sentences(report)]
    found = fitted(tables(report), width - _FRAME)
    for part in found:
        parts += [Text(), _rich(part)]
    parts += [] if found else [Text(untold(report))]
    if report.verdicts:
        parts += [Text(), render_verdicts(report.verdicts)]
    parts += [Text(f"doubt: {doubt}", style="yellow") for doubt in words.doubts(report)]
    return Group(*parts)


def render_verdicts(verdicts: Sequence[Verdict]) -> "Group":
    """The verdicts for a Rich console, coloured by state."""
    from rich.console import Group
    from rich.text import Text

    styles = {"pass": "green", "over": "red", "undecided": "yellow", "missing": "red"}
    return Group(
        *(
            Text.assemble((f"{STATES[v.state]} {verdict_head(v)}", styles[v.state]), f": {verdict_text(v)}", *(f"\n  · {line}" for line in v.why))
            for v in verdicts
        )
    )


# Fitting --------------------------------------------------------------------------------------------------------------


def fitted(found: Sequence[Table], width: int) -> list[Table]:
    """The same columns in tables that are no wider than `width`: each table cut between columns where it must be."""
    return [part for table in found for part in _cut(table, width)]


def _cut(table: Table, width: int) -> list[Table]:
    keys, rest = table.columns[1 : table.keys], table.columns[table.keys :]
    most = min(_LONGEST_NAME, width - max(_width([*keys, column]) for column in rest or keys) - _GAP)
    names = [Column(table.columns[0].head, [without_middle(name, most) for name in table.columns[0].cells]), *keys]
    groups: list[list[Column]] = [[]]
    for column in rest:
        if groups[-1] and _width([*names, *groups[-1], column]) > width:
            groups.append([])
        groups[-1].append(column)
    titles = [table.title] + [f"{table.title} (continued)"] * (len(groups) - 1)
    notes = [table.note] + [""] * (len(groups) - 1)
    return [Table(title, note, [*names, *group]) for title, note, group in zip(titles, notes, groups, strict=True)]


def without_middle(name: str, most: int) -> str:
    """A long name without its middle: role and precision stand at the ends."""
    if places(name) <= most:
        return name
    half = max(most, 4) // 2
    first = next(end for end in range(len(name), -1, -1) if places(name[:end]) <= half - 1)
    last = next(begin for begin in range(len(name) + 1) if places(name[begin:]) <= half)
    return f"{name[:first]}…{name[last:]}"


def places(text: str) -> int:
    """How many columns of a terminal a text takes: two for each wide character, none for one that is drawn over the one before (Unicode Standard
    Annex 11)."""
    return len(text) if text.isascii() else sum(0 if unicodedata.combining(c) else 2 if _is_wide(c) else 1 for c in text)


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def _width(columns: Sequence[Column]) -> int:
    return sum(_widest(column) for column in columns) + _GAP * (len(columns) - 1)


def _widest(column: Column) -> int:
    return max(places(cell) for cell in (column.head, *column.cells))


# Drawing --------------------------------------------------------------------------------------------------------------


def _plain(table: Table, width: int) -> str:
    widths = [_widest(column) for column in table.columns]
    rule = "─" * _width(table.columns)
    lines = []
    for name, *values in zip(*([column.head, *column.cells] for column in table.columns), strict=True):
        right = (" " * (size - places(value)) + value for value, size in zip(values, widths[1:], strict=True))
        lines.append((" " * _GAP).join([name + " " * (widths[0] - places(name)), *right]).rstrip())
    lines = [table.title, rule, lines[0], rule, *lines[1:]]
    return "\n".join([*lines, *([_wrapped([table.note], width)] if table.note else [])])


def _rich(table: Table) -> "RenderableType":
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(
        title=table.title, caption=table.note or None, box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left", padding=(0, 1, 0, 0)
    )
    for column in table.columns:
        drawn.add_column(column.head, justify="left" if column is table.columns[0] else "right", no_wrap=True)
    for row, name in enumerate(table.columns[0].cells):
        style = "bold green" if name.endswith(f" {SHIPS}") else "dim" if name.startswith("teacher/") else ""
        drawn.add_row(*(Text(column.cells[row]) for column in table.columns), style=style)
    return drawn


def firm(text: str) -> str:
    """With spaces that no line ends at between a number and its unit."""
    return _UNIT.sub(_FIRM, text)


def _wrapped(paragraphs: Sequence[str], width: int, indent: str = "") -> str:
    """Filled to `width`; no line ends between a number and its unit."""
    return "\n".join(
        textwrap.fill(firm(_doubled(paragraph)), width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)
        for paragraph in paragraphs
    ).translate({ord(_FIRM): " ", ord(_SECOND): None})


def _doubled(text: str) -> str:
    """With a mark behind each wide character, so that a count of characters is one of columns."""
    return text if text.isascii() else "".join(c + _SECOND if _is_wide(c) else c for c in text)

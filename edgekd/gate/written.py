"""budget.toml as text: a first one from what was measured, and an existing one with tighter bounds, its comments and its order kept.

In: limits, or a file's text and what shall change in it. Out: text. What is written is read back before it is handed out.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from edgekd import units
from edgekd.budget.margin import Tightening
from edgekd.errors import RecipeError, UsageError
from edgekd.gate.limits import bounds, own_part
from edgekd.limit import Limit
from edgekd.toml import decode

_HEADER = re.compile(r"\s*\[")
_LIMIT = re.compile(r"\s*\[\[\s*(?:tool\s*\.\s*edgekd\s*\.\s*)?limit\s*\]\]\s*(?:#.*)?$")
_VALUE = r"""(?:"[^"\\]*"|'[^']*'|[^\s#"']+)"""


def first_budget(limits: Sequence[Limit], checked: Sequence[str], margin: float) -> str:
    """A budget.toml with these limits on these paths, and a line on how to go on."""
    lines = [
        f"# What was measured, and {units.percent_text(margin, None)} beyond it. `edgekd check` alone holds what is",
        "# named here to these limits; `edgekd budget tighten` lowers them as the model",
        "# shrinks. `reason` is printed where a limit breaks; `warn = true` fails none.",
        _line("check", list(checked)),
    ]
    for limit in limits:
        table = {name: value for name, value in msgspec.to_builtins(limit).items() if value not in (None, False, [], {}) and value != ""}
        if table.get("artifact") == "shipped":
            del table["artifact"]
        lines += ["", "[[limit]]", *(_line(name, value) for name, value in table.items())]
    return "\n".join(lines) + "\n"


def tightened(text: str, file: Path, changes: Sequence[Tightening]) -> str:
    """The text of a budget file or pyproject.toml with these bounds put in their places.

    Raises:
        UsageError: a bound stands in a form that is not found line by line; the message says what to write by hand.
    """
    lines = text.splitlines(keepends=True)
    tables = _limit_tables(lines)
    for change in changes:
        key = r"\s*\.\s*".join(rf"""["']?{re.escape(part)}["']?""" for part in change.quantity.split(".", 1))
        pattern = re.compile(rf"^(\s*{key}\s*=\s*){_VALUE}(\s*(?:#.*)?\r?\n?)$")
        for at in tables[change.place] if change.place < len(tables) else ():
            lines[at] = pattern.sub(lambda found, after=change.after: f'{found[1]}"{after}"{found[2]}', lines[at])  # type: ignore[misc]
    written = "".join(lines)
    if not _holds(text, written, file, changes):
        asked = "; ".join(f"limit {change.place + 1}: {change.quantity} = {change.after!r}" for change in changes)
        raise UsageError(f"{file} has its limits in another form than [[limit]] tables with a bound a line. Write into it by hand: {asked}")
    return written


def _line(name: str, value: object) -> str:
    """`name = value` on one line, as TOML has it."""
    if isinstance(value, list):
        return f"{name} = [{', '.join(_line('x', item)[4:] for item in value)}]"
    return tomli_w.dumps({name: value}).strip()


def _limit_tables(lines: Sequence[str]) -> list[list[int]]:
    """The lines of each [[limit]] table."""
    tables: list[list[int]] = []
    inside = False
    for at, line in enumerate(lines):
        if _LIMIT.match(line):
            tables.append([])
            inside = True
        elif _HEADER.match(line):
            inside = False
        elif inside:
            tables[-1].append(at)
    return tables


def _holds(before: str, written: str, file: Path, changes: Sequence[Tightening]) -> bool:
    """Whether the text says all that was to change, and nothing else."""
    try:
        expected, found = _bounds(before, file), _bounds(written, file)
    except RecipeError:
        return False
    for change in changes:
        expected[change.place][change.quantity] = change.after
    return expected == found


def _bounds(text: str, file: Path) -> list[dict[str, Any]]:
    own = own_part(decode(text, str(file)), file)
    return [bounds(limit) for limit in msgspec.convert(own.get("limit", []), list[Limit])]

"""What `export --why` prints: a bare ONNX file by its layers, the largest first, and what changed against another file."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.cli.face import Face
from edgekd.cli.options import Flags

if TYPE_CHECKING:
    from edgekd import units
    from edgekd.bench.why import Change, Part, Why
    from edgekd.report.cells import Column, Table

WIDTH = 80
SHOWN = 20
"""Layers that are printed, without --verbose."""
_SHORTEST = 12
"""Characters that a name keeps at least."""
_OP = 16


def export_why(face: Face, file: Path, flags: Flags, against: Path | None) -> None:
    """Print what a file's bytes, MACs and time are spent on; `against` another, what differs."""
    from edgekd import target
    from edgekd.bench.why import changes, why
    from edgekd.errors import UsageError
    from edgekd.gate.bare import inspect
    from edgekd.report.text import drawn

    if file.suffix != ".onnx" or (against is not None and against.suffix != ".onnx"):
        raise UsageError(f"--why takes .onnx files, got {file if file.suffix != '.onnx' else against}. Export the network first.")
    if len(flags.on or ()) > 1:
        raise UsageError("--why times layers on one target; name it once, as in --on cpu=user@orin")
    name, _, host = (flags.on or ["cpu"])[0].partition("=")
    what = target.load(name)
    with face.watching():
        found = [why(inspect(each), each, what, host or "local") for each in (file, against) if each is not None]
    shown = None if face.verbose else SHOWN
    if len(found) == 1:
        listed = drawn([_layers(found[0], shown)]) if found[0].parts else "No layer holds weights or multiplies."
        face.result(f"{_head(found[0])}\n\n{listed}", found[0])
        return
    differing = changes(*found)
    lines = [_head(found[0]), f"against {_head(found[1])}", "", drawn([_changes(differing, shown)]) if differing else "No layer differs."]
    face.result("\n".join(lines), {"file": found[0], "against": found[1], "changes": differing})


def _head(why: "Why") -> str:
    """The whole of a file in a line or two."""
    from edgekd import units

    facts = [units.bytes_text(why.size), f"{units.count_text(why.params)} parameters", f"{units.count_text(why.macs)} MACs"]
    if why.untimed is not None:
        untimed = textwrap.fill(f"not timed on {why.target}: {why.untimed}", WIDTH, initial_indent="  ", subsequent_indent="  ")
        return f"{why.file}: {', '.join(facts)}\n{untimed}"
    own = sum(part.ms_share or 0.0 for part in why.parts if part.own)
    told = f"its operators take {units.ms_text(why.ms)} on {why.target}"
    return f"{why.file}: {', '.join(facts)}\n  {told}, {units.percent_text(own, 0)} of it the runtime's own between layers"


def _layers(why: "Why", most: int | None) -> "Table":
    from edgekd import units
    from edgekd.report.cells import Column

    parts = why.parts[:most]
    columns = [
        Column("operator", [_cut(part.op) for part in parts]),
        Column("weights", [_shared(part.bytes, part.bytes_share, units.bytes_text) for part in parts]),
        Column("MACs", [_shared(part.macs, part.macs_share, units.count_text) for part in parts]),
    ]
    columns += [] if why.untimed else [Column("time", [_shared(part.ms, part.ms_share, units.ms_text) for part in parts])]
    return _table("Layers, the largest first", _rest(why.parts, most), "layer", [part.name for part in parts], columns)


def _rest(parts: "Sequence[Part]", most: int | None) -> str:
    """What the layers that are not printed come to."""
    from edgekd import units

    rest = parts[most:] if most is not None else []
    if not rest:
        return ""
    weights, time = (sum(share or 0.0 for share in shares) for shares in zip(*((part.bytes_share, part.ms_share) for part in rest), strict=True))
    told = f"{units.percent_text(weights, 0)} of the weights" + (f" and {units.percent_text(time, 0)} of the time" if time else "")
    return f"{len(rest)} more hold {told}; --verbose prints all."


def _changes(differing: "Sequence[Change]", most: int | None) -> "Table":
    from edgekd import units
    from edgekd.report.cells import Column

    shown = differing[:most]
    columns = [
        Column("weights", [_moved(each, "bytes", units.bytes_text) for each in shown]),
        Column("MACs", [_moved(each, "macs", units.count_text) for each in shown]),
        Column("time", [_moved(each, "ms", units.ms_text) for each in shown]),
    ]
    columns = [column for column in columns if any(cell != units.NOTHING for cell in column.cells)]
    left = len(differing) - len(shown)
    note = f"{left} more changed less; --verbose prints all." if left else ""
    return _table("What changed, the most first", note, "layer", [each.name for each in shown], columns)


def _moved(change: "Change", quantity: str, text: "units.Text") -> str:
    """As "590 kB → 148 kB"; nothing where neither has any, or both the same."""
    from edgekd import units

    before, after = ((None if part is None else getattr(part, quantity)) or 0.0 for part in (change.before, change.after))
    told = [text(value, 3) if value else units.NOTHING for value in (before, after)]
    return units.NOTHING if before == after else " → ".join(told)


def _shared(value: float | None, share: float | None, text: "units.Text") -> str:
    from edgekd import units

    return units.NOTHING if not value else f"{text(value, 3)} {units.percent_text(share, 0):>5}"


def _table(title: str, note: str, first: str, names: Sequence[str], columns: "list[Column]") -> "Table":
    """Names are cut so that all columns stand in one table."""
    from edgekd.report.cells import Column, Table
    from edgekd.report.text import without_middle

    room = WIDTH - sum(2 + max(len(cell) for cell in (column.head, *column.cells)) for column in columns)
    return Table(title, note, [Column(first, [without_middle(name, max(room, _SHORTEST)) for name in names]), *columns])


def _cut(op: str) -> str:
    from edgekd.report.text import without_middle

    return without_middle(op, _OP)

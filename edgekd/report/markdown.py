"""A report as Markdown: report.md, a step's summary, a comment on a pull request. Returns the text and writes nothing."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec
import tomli_w

from edgekd import units
from edgekd.record import Report, Verdict
from edgekd.report import words
from edgekd.report.cells import Table
from edgekd.report.columns import tables
from edgekd.report.markup import clean
from edgekd.report.text import STATES
from edgekd.report.verdicts import before, by_trouble, change, counts

COMMENT = 64_000
"""Bytes of a comment's body; GitHub takes no more than 65,536 characters."""
_LONGEST = 1000
"""Characters of one cell."""


def markdown(report: Report) -> str:
    """Headline, tables, verdicts, doubts, and how to repeat it."""
    parts = [f"# {_escaped(report.name)}", *(_escaped(sentence) for sentence in words.sentences(report))]
    for table in tables(report):
        parts += [f"## {_escaped(table.title)}", _table(table), *([_escaped(table.note)] if table.note else [])]
    if report.verdicts:
        parts += ["## Limits", verdict_table(report.verdicts)]
    doubts = words.doubts(report)
    if doubts:
        parts += ["## Doubts", _list(doubts)]
    if report.notes:
        parts += ["## Notes", _list(report.notes)]
    return "\n\n".join([*parts, "## How to repeat it", *_repeating(report)]) + "\n"


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """The verdicts as a Markdown table; where there is a baseline, with its values and the changes since."""
    compared = any(v.before is not None for v in verdicts)

    def row(v: Verdict) -> list[str]:
        state = STATES[v.state] + " " + v.state + (" (warning)" if v.warn else "")
        return [state, v.artifact, v.target or units.NOTHING, v.limit, *([before(v), change(v)] if compared else []), v.text]

    heads = ["", "artifact", "target", "limit", *(["baseline", "change"] if compared else []), ""]
    return _rows([heads, *map(row, verdicts)], "llll" + ("rr" if compared else "") + "l")


def comment(verdicts: Sequence[Verdict]) -> str:
    """The verdicts for a step's summary or a pull request's comment: the worst first, at most `COMMENT` bytes, what was left out counted."""
    ordered = [_clipped(verdict) for verdict in by_trouble(verdicts)]
    shown = ordered
    while True:
        parts = [f"### edgekd: {counts(verdicts)}", *([verdict_table(shown)] if shown else [])]
        left = len(ordered) - len(shown)
        parts += [f"{left} more are left out here; `edgekd check` prints all."] if left else []
        parts += [f"Behind {_escaped(v.quantity)} of {_escaped(v.artifact)}:\n\n{_list(v.why)}" for v in shown if v.why]
        body = "\n\n".join(parts) + "\n"
        if len(body.encode()) <= COMMENT or not shown:
            return body
        shown = shown[: len(shown) * COMMENT // (len(body.encode()) + 1)]


def _clipped(verdict: Verdict) -> Verdict:
    """With no text longer than a table bears."""
    clipped = {name: _clip(getattr(verdict, name)) for name in ("artifact", "limit", "text")}
    return msgspec.structs.replace(verdict, **clipped, why=[_clip(line) for line in verdict.why])


def _clip(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def drawn(found: Sequence[Table]) -> str:
    """Tables on their own, each under its title."""
    parts = [[f"### {_escaped(table.title)}", _table(table), *([_escaped(table.note)] if table.note else [])] for table in found]
    return "\n\n".join(line for part in parts for line in part) + "\n"


def _table(table: Table) -> str:
    rows = [list(cells) for cells in zip(*(column.cells for column in table.columns), strict=True)]
    return _rows([[column.head for column in table.columns], *rows], "l" + "r" * (len(table.columns) - 1))


def _rows(rows: Sequence[Sequence[str]], sides: str) -> str:
    rule = ["---" if side == "l" else "--:" for side in sides]
    escaped = [[_escaped(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [escaped[0], rule, *escaped[1:]])


def _list(items: Sequence[str]) -> str:
    return "\n".join(f"- {_escaped(item)}" for item in items)


def _repeating(report: Report) -> list[str]:
    """Recipe, seed, data and versions: all that a second run needs to be the same."""
    facts = [f"edgekd {report.edgekd}, seed {report.seed}, {report.created}"]
    if report.data is not None:
        data = report.data
        shape = "×".join(map(str, data.shape))
        images = f"{data.train} / {data.valid} / {data.test} images for training, validation and test"
        facts.append(f"data {_code(data.spec)}: {images}, {shape}, sha256 {_code(data.sha256)}")
    for name, host in report.hosts.items():
        versions = ", ".join(f"{runtime} {version}" for runtime, version in host.runtimes.items())
        known = (host.gpu, host.cpu, f"{host.cores} cores", host.system, versions)
        facts.append(_escaped(f"host {name}: {', '.join(part for part in known if part)}"))
    facts += [f"{_code(artifact.path)}: sha256 {_code(artifact.sha256)}" for artifact in report.artifacts]
    parts = ["\n".join(f"- {_line(fact)}" for fact in facts)]
    if report.recipe:
        parts += ["Save this as `recipe.toml` and run `edgekd compress recipe.toml`:", f"````toml\n{recipe_text(report)}\n````"]
    return parts


def recipe_text(report: Report) -> str:
    """The recipe in force as TOML."""
    return tomli_w.dumps(_without_none(report.recipe)).rstrip()


def _without_none(value: Any) -> Any:
    """TOML has no word for nothing: a key that is absent says it."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, (list, tuple)) else value


def _escaped(text: str) -> str:
    """Text that a person chose, as file and class names, drawn as it is written: no tables broken, no markup, no HTML."""
    for mark in "\\`*_[]<>|":
        text = text.replace(mark, f"\\{mark}" if mark not in "<>" else {"<": "&lt;", ">": "&gt;"}[mark])
    return _line(text)


def _code(text: str) -> str:
    """Text as it is written, behind a fence of more backticks than stand in it (CommonMark 6.1)."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text[:1] == "`" or text[-1:] == "`" else ""
    return f"{fence}{pad}{_line(text)}{pad}{fence}"


def _line(text: str) -> str:
    return " ".join(clean(text).split())

"""Limits: those of a report's own recipe, of budget.toml, or of pyproject.toml under [tool.edgekd], and those that are typed.

In: a folder to look upward from, a file, or text. Out: `Limit`s, and which file they stood in. It holds nothing to them.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from edgekd.errors import MissingError, RecipeError, UsageError
from edgekd.explain import explain
from edgekd.limit import Limit
from edgekd.record import Report
from edgekd.toml import decode


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """budget.toml, and [tool.edgekd] of pyproject.toml. `check` and `baseline` stand for what the command line does not name."""

    check: list[str] = []
    """What is checked: runs, reports and .onnx files, relative to this file."""
    baseline: str | None = None
    """What growth is counted from: a path relative to this file, or REF:PATH in git."""
    limit: list[Limit] = []


@dataclass(frozen=True)
class Found:
    """A budget and the file that it was read from; `own_targets` has by name those targets that its limits gave as FILE.toml."""

    file: Path
    budget: Budget
    own_targets: dict[str, str] = field(default_factory=dict)

    @property
    def checked(self) -> list[Path]:
        """What it says is checked, from where it stands."""
        return [self.file.parent / path for path in self.budget.check]

    def limits_on(self, report: Report) -> list[Limit]:
        """Its limits, those on bare files by the paths that a report has: from where the budget stands, whatever else is called like them."""
        given = {os.path.abspath(artifact.path): artifact.path for artifact in report.artifacts if artifact.role == "file"}
        paths = [given.get(os.path.abspath(self.file.parent / limit.artifact)) for limit in self.budget.limit]
        named = zip(self.budget.limit, paths, strict=True)
        return [limit if path is None else msgspec.structs.replace(limit, artifact=path) for limit, path in named]


def nearest_budget(start: Path) -> Found | None:
    """The first budget.toml, or pyproject.toml with [tool.edgekd], in `start` or above it.

    Raises:
        RecipeError: that file does not read, bounds something twice, or has another beside it.
    """
    for folder in (start, *start.parents):
        tables = {file: table for file in (folder / "budget.toml", folder / "pyproject.toml") if (table := _own_table(file)) is not None}
        if len(tables) > 1:
            raise RecipeError(f"{folder} has limits in budget.toml and in pyproject.toml ([tool.edgekd]), and only one can hold. Keep one.")
        for file, table in tables.items():
            return _found(file, table)
    return None


def read_budget(file: Path) -> Found:
    """The budget in one file; raises as `nearest_budget`, and MissingError where it is not there."""
    table = None if file.is_dir() else _own_table(file)
    if table is None:
        raise MissingError(f'no budget at {file}. It holds [[limit]] tables, as in: [[limit]] size = "4 MB"')
    return _found(file, table)


def recipe_limits(report: Report) -> list[Limit]:
    """The limits of the recipe that a report was made by; raises RecipeError where they do not read."""
    table = {"limit": report.recipe.get("limit", [])}
    return _convert(table, f"the recipe in the report of {report.name}").limit


def limits_from(texts: Sequence[str], *, artifact: str = "shipped", target: str | None = None) -> list[Limit]:
    """Limits as typed, QUANTITY=VALUE or QUANTITY.KEY=VALUE, as in `size=4MB`, `recall.cat=90%`, `growth.size=1%`.

    Raises:
        UsageError: not of that form, or the same one twice.
        RecipeError: no such quantity (the nearest is named).
    """
    table: dict[str, Any] = {"artifact": artifact}
    if target is not None:
        table["target"] = target
    for text in texts:
        path, equals, value = text.partition("=")
        name, dot, key = path.strip().partition(".")
        place = table.setdefault(name, {}) if dot and key else table
        if not equals or not value.strip() or not isinstance(place, dict):
            raise UsageError(f"--limit takes QUANTITY=VALUE, as in size=4MB or recall.CLASS=90%, got {text!r}")
        if (key or name) in place:
            raise UsageError(f"--limit {path.strip()} stands twice; keep one")
        place[key or name] = _operators(value) if name == "operators" else value.strip()
    return limits_of(table, "--limit")


def _operators(text: str) -> list[str]:
    """Names between commas, as TOML has them in a list, too."""
    return [part.strip().strip("\"'") for part in text.strip().removeprefix("[").removesuffix("]").split(",")]


def limits_of(table: Mapping[str, Any], name: str) -> list[Limit]:
    """One limit in a table; `name` stands in the error.

    Raises:
        RecipeError: no such quantity (the nearest is named).
    """
    return _convert({"limit": [table]}, name).limit


def _own_table(file: Path) -> Any:
    """What a file says about edgekd; None where it is not there, or is a pyproject.toml that says nothing. One that cannot be read is an error."""
    try:
        return own_part(decode(file.read_bytes(), str(file)), file)
    except FileNotFoundError:
        return None


def own_part(table: Mapping[str, Any], file: Path) -> Any:
    """The part of a file's table that is a budget: [tool.edgekd] of a pyproject.toml, None where there is none; of any other file all."""
    if file.name != "pyproject.toml":
        return table
    tools = table.get("tool")
    return tools.get("edgekd") if isinstance(tools, dict) else None


def named(limits: Sequence[Limit], base: Path) -> tuple[list[Limit], dict[str, str]]:
    """The limits with each target by its name, as measurements have it, and by name the files of those that were given as FILE.toml.

    Args:
        base: the folder that such a path is relative to.

    Raises:
        MissingError, UsageError: as `target.load`.
    """
    files = {limit.target: str(base / limit.target) for limit in limits if limit.target is not None and limit.target.endswith(".toml")}
    if not files:
        return list(limits), {}
    from edgekd import target  # its resources cost the gate's start a tenth, and targets of one's own are rare

    names = {given: target.load(file).name for given, file in files.items()}
    held = [msgspec.structs.replace(limit, target=names.get(limit.target or "", limit.target)) for limit in limits]
    return held, {name: files[given] for given, name in names.items()}


def _found(file: Path, table: Mapping[str, Any]) -> Found:
    budget = _convert(table, str(file))
    limits, own_targets = named(budget.limit, file.parent)
    refuse_repeats(limits, str(file))
    return Found(file, msgspec.structs.replace(budget, limit=limits), own_targets)


def refuse_repeats(limits: Sequence[Limit], name: str) -> None:
    """Refuse limits that bound one thing twice.

    Raises:
        RecipeError: the first such thing; `name` says whose limits they are.
    """
    seen: dict[tuple[object, ...], object] = {}
    for limit in limits:
        whose = (limit.artifact, limit.target, limit.host, limit.against, limit.warn)
        for quantity, bound in bounds(limit).items():
            key = (*whose, quantity)
            if key in seen:
                raise RecipeError(f"{name} bounds {quantity} of {limit.artifact} twice, by {seen[key]!r} and {bound!r}. Keep one.")
            seen[key] = bound


def bounds(limit: Limit) -> dict[str, Any]:
    """What a limit bounds, as in {"size": "4 MB", "recall.cat": "90 %"}."""
    table: dict[str, Any] = {}
    for name in limit.__struct_fields__:
        value = getattr(limit, name)
        if name in SELECTS or value is None:
            continue
        table.update({f"{name}.{key}": item for key, item in value.items()} if isinstance(value, dict) else {name: value} if value != [] else {})
    return table


SELECTS = ("artifact", "target", "host", "against", "warn", "reason")
"""What of a limit says which figure is meant, and bounds nothing."""


def _convert(table: Mapping[str, Any], name: str) -> Budget:
    try:
        return msgspec.convert(table, Budget)
    except msgspec.ValidationError as error:
        raise RecipeError(f"{name}: {explain(error, Budget, table)}") from None

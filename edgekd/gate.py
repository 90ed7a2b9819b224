"""Does it still fit? Finds limits and what they are held against, looks into bare files, and asks `budget` for the
verdicts.

In: run folders, report.json files or bare .onnx files, and limits: given, or those of the report's own recipe together
with the nearest budget.toml or pyproject.toml ([tool.edgekd]). Out: one Verdict per limit and artifact. It trains
nothing, times nothing, prints nothing and loads no torch; a bare file's size needs nothing but the core install, its
parameters and MACs the extra `measure`.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import msgspec

from edgekd import __version__, budget
from edgekd.errors import MissingError, MissingExtra, RecipeError, UsageError
from edgekd.explain import explain
from edgekd.recipe import Limit
from edgekd.record import Artifact, Report, Verdict, read_report

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NEED_GRAPH = {"params", "macs"}
"""Quantities of a bare file that take a look at its graph."""


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """budget.toml, and [tool.edgekd] of pyproject.toml."""

    limit: list[Limit] = []


# The gate -------------------------------------------------------------------------------------------------------------


def check(paths: Sequence[Path | str], limits: Sequence[Limit] | None = None, *, baseline: Path | str | None = None) -> list[Verdict]:
    """Hold each report, and all bare files together, to the limits; without `limits` to those that `find_limits` finds.

    Where there are several reports, a verdict's artifact begins with the report's path.

    Raises:
        MissingError: a path that is not there, or nothing to check: a gate that checks nothing does not pass.
        UsageError: a report, file or limit that does not read.
        MissingExtra: a limit on parameters or MACs of a bare file, and no onnx to read them with.
    """
    if not paths:
        raise MissingError("nothing to check: give a run's folder, a report.json or .onnx files.")
    asked = None if limits is None else _graph_needed(limits)
    reports = read_all(paths, deep=asked)
    against = None if baseline is None else _baseline(Path(baseline), paths, deep=asked)
    several = len(reports) > 1
    verdicts = []
    for where, report in reports:
        held = list(limits) if limits is not None else find_limits(report)
        if not held:
            raise MissingError(
                f"no limits for {where}: a gate that checks nothing does not pass. "
                "Give --limit size=4MB, a [[limit]] in the recipe, or a budget.toml here or above."
            )
        found = budget.judge(report, held, against)
        verdicts += [msgspec.structs.replace(v, artifact=f"{where}: {v.artifact}") for v in found] if several else found
    return verdicts


def read_all(paths: Sequence[Path | str], *, deep: bool | None = None) -> list[tuple[str, Report]]:
    """A report for each run folder or report.json, and one for all bare .onnx files; with what to call them.

    `deep` False leaves a bare file's parameters and MACs unread; None decides by whether limits found on disk ask for them.
    """
    bare = [Path(path) for path in paths if _is_bare(path)]
    reports = [(str(path), read_report(Path(path))) for path in paths if not _is_bare(path)]
    if bare:
        deep = _graph_needed(nearest_limits(Path.cwd())) if deep is None else deep
        reports.append((", ".join(map(str, bare)), bare_report(bare, deep=deep)))
    return reports


def _baseline(path: Path, paths: Sequence[Path | str], *, deep: bool | None) -> Report:
    """The report to grow from. A bare file stands for the one bare file that is checked, whatever either is called."""
    ((_, report),) = read_all([path], deep=deep)
    bare = [Path(each) for each in paths if _is_bare(each)]
    if _is_bare(path) and len(bare) == 1:
        renamed = [msgspec.structs.replace(artifact, network=bare[0].stem) for artifact in report.artifacts]
        return msgspec.structs.replace(report, artifacts=renamed)
    return report


def _is_bare(path: Path | str) -> bool:
    return PurePath(path).suffix == ".onnx"


def _graph_needed(limits: Sequence[Limit]) -> bool:
    return any(getattr(limit, name) is not None or name in limit.growth for limit in limits for name in NEED_GRAPH)


# Limits ---------------------------------------------------------------------------------------------------------------


def find_limits(report: Report) -> list[Limit]:
    """Those of the report's own recipe, then those of the nearest budget file, looked for upward from here."""
    own = _limits({"limit": report.recipe.get("limit", [])}, f"the recipe in the report of {report.name}")
    return own + nearest_limits(Path.cwd())


def nearest_limits(start: Path) -> list[Limit]:
    """The limits in the first budget.toml, or pyproject.toml with [tool.edgekd], in `start` or above it; [] where there is none.

    Raises:
        RecipeError: that file does not read.
    """
    for folder in (start, *start.parents):
        for file, table in _budget_tables(folder):
            return _limits(table, str(file))
    return []


def read_limits(file: Path) -> list[Limit]:
    """The limits in one budget file; raises as `nearest_limits`, and MissingError where it is not there."""
    table = _table(file)
    if table is None:
        raise MissingError(f'no budget at {file}. It holds [[limit]] tables, as in: [[limit]] size = "4 MB"')
    return _limits(table, str(file))


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
        place[key or name] = value.strip()
    return limits_of(table, "--limit")


def limits_of(table: Mapping[str, Any], name: str) -> list[Limit]:
    """One limit in a table; `name` stands in the error.

    Raises:
        RecipeError: no such quantity (the nearest is named).
    """
    return _limits({"limit": [table]}, name)


def _budget_tables(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    file = folder / "budget.toml"
    table = _table(file)
    if table is not None:
        yield file, table
    file = folder / "pyproject.toml"
    table = _table(file)
    if table is not None and "edgekd" in table.get("tool", {}):
        yield file, table["tool"]["edgekd"]


def _table(file: Path) -> dict[str, Any] | None:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError:
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{file} is not TOML: {error}") from None


def _limits(table: Mapping[str, Any], name: str) -> list[Limit]:
    try:
        return msgspec.convert(table, Budget).limit
    except msgspec.ValidationError as error:
        raise RecipeError(f"{name}: {explain(error, Budget, table)}") from None


# Bare files -----------------------------------------------------------------------------------------------------------


def bare_report(files: Sequence[Path], *, deep: bool = True) -> Report:
    """A report of nothing but these files, as artifacts `file/NAME/as-is`."""
    names = short_names(files)
    artifacts = [inspect(file, name, deep=deep) for file, name in zip(files, names, strict=True)]
    return Report(edgekd=__version__, name=", ".join(names), created="", artifacts=artifacts)


def inspect(file: Path, name: str | None = None, *, deep: bool = True) -> Artifact:
    """What can be known of an .onnx file without running it.

    Not `deep`: its size and hash only. The record has no word for parameters that were not counted, so nothing may be asked about them then.

    Raises:
        MissingError: no such file. UsageError: it is not an ONNX model.
        MissingExtra: `deep`, and onnx is not installed.
    """
    from edgekd.files import sha256_file

    if not file.is_file():
        raise MissingError(f"no file at {file}. Give the path of an .onnx file.")
    network = name or file.stem
    if not deep and not _has_external_data(file):
        size = file.stat().st_size
        return Artifact(
            role="file", network=network, precision="as-is", path=str(file), sha256=sha256_file(file), size=size, params=0, macs=None, opset=0
        )
    try:
        from edgekd.graph import summary
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "onnx", "measure") from None
    graph = summary(file)
    return Artifact(
        role="file",
        network=network,
        precision="as-is",
        path=str(file),
        sha256=sha256_file(file),
        size=graph.size,
        params=graph.params,
        macs=graph.macs,
        opset=graph.opset,
        quantised=graph.quantised,
    )


def _has_external_data(file: Path) -> bool:
    """Whether tensors lie in other files, whose bytes count too: onnx.proto names such a file under the key `location`."""
    return b"\x0a\x08location\x12" in file.read_bytes()


def short_names(files: Sequence[Path]) -> list[str]:
    """The files' stems; where several are equal, as many folders before them as tell them apart: main-model and pr-model.

    Raises:
        UsageError: one file given twice.
    """
    parts = [file.absolute().with_suffix("").parts for file in files]
    if len(set(parts)) < len(parts):
        raise UsageError(f"each file once: {', '.join(map(str, files))}")
    names = [own[-1] for own in parts]
    for depth in range(2, max((len(own) for own in parts), default=0) + 1):
        if len(set(names)) == len(names):
            break
        names = ["-".join(own[-depth:]) if names.count(name) > 1 else name for own, name in zip(parts, names, strict=True)]
    return names

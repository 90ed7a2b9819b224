"""Does it still fit? Finds limits and what they are held against, looks into bare files, and asks `budget` for the
verdicts.

In: run folders, report.json files or bare .onnx files, and limits: given, or those of the report's own recipe together
with the nearest budget.toml or pyproject.toml ([tool.edgekd]). Out: one Verdict per limit and artifact. It trains
nothing, prints nothing and loads no torch; a bare file's size needs nothing but the core install, what stands inside it
the extra `measure`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from edgekd import budget
from edgekd.budget import choose
from edgekd.budget.growth import plain
from edgekd.errors import EdgekdError, MissingError, UsageError
from edgekd.events import Emit, Note, silent
from edgekd.externaldata import model_sha256
from edgekd.gate.bare import bare_report, is_bare
from edgekd.gate.limits import Found, bounds, named, nearest_budget, read_budget, recipe_limits
from edgekd.limit import Limit
from edgekd.record import Report, Verdict
from edgekd.reportfile import read_report
from edgekd.run import of_before, run_folder

NEED_GRAPH = {"params", "macs", "opset", "operators", "layers"}
"""Quantities of a bare file that take a look at its graph."""


def check(
    paths: Sequence[Path | str] = (),
    limits: Sequence[Limit] | None = None,
    *,
    budget_file: Path | str | None = None,
    baseline: Path | str | None = None,
    why: bool = False,
    measure: bool = False,
    max_time: float = 60.0,
    emit: Emit = silent,
) -> list[Verdict]:
    """Hold each report, and all bare files together, to the limits.

    Without `limits` and `budget_file` those of each report's recipe hold, and those of the nearest budget.toml or pyproject.toml; that file also
    stands in for `paths` and `baseline` that are not given. `baseline` is a path, or REF:PATH in git. With `why`, what does not hold names the
    layers behind it. With `measure`, bare files are timed here, in turn with the baseline where that is an .onnx file too, at most `max_time`
    seconds for each limit on a time. Where there are several reports, a verdict's artifact begins with the report's path.

    Raises:
        MissingError: a path that is not there, or nothing to check: a gate that checks nothing does not pass.
        UsageError: a report, file or limit that does not read.
        MissingExtra: a limit on what stands inside a bare file, and no onnx to read it with.
    """
    grows = baseline is None and any(limit.growth for limit in limits or [])
    near = limits is None or not paths or grows
    found = read_budget(Path(budget_file)) if budget_file is not None else nearest_budget(Path.cwd()) if near else None
    paths = _checked(paths, found)
    own = limits is None and budget_file is None
    ruling = found if own or budget_file is not None else None
    typed, own_targets = named(limits or [], Path())
    given = [*typed, *(ruling.budget.limit if ruling is not None else [])]
    own_targets |= ruling.own_targets if ruling is not None else {}
    if grows and found is not None and found.budget.baseline is not None:
        emit(Note(text=f"baseline read from {found.file}"))
    if ruling is not None and ruling.budget.limit:
        emit(Note(text=f"limits read from {ruling.file}"))
    deep = why or graph_needed(given)
    reports = read_all(paths, deep=deep)
    for text in filter(None, (of_before(Path(path)) for path in paths)):
        emit(Note(text=text, level="warning"))
    recipes = [recipe_limits(report) if own else [] for _, report in reports]
    for (where, _), limits_of_recipe in zip(reports, recipes, strict=True):
        if limits_of_recipe:
            emit(Note(text=f"limits read from the recipe in {where}"))
    stated = [[*typed, *(ruling.limits_on(report) if ruling is not None else [])] for _, report in reports]
    held = [_distinct(_own(report, own_limits, others, reports)) for (_, report), own_limits, others in zip(reports, recipes, stated, strict=True)]
    _warn_of_others(reports, held, emit)
    with _baseline(baseline, found, paths, deep=deep) as (against, model):
        if measure:
            where, report = reports[-1]
            _refuse_unmeasurable(where, paths, max_time)
            from edgekd.gate.measuring import SITTINGS, Contest, measured, placed

            _refuse_unlimited(reports, held)
            held[-1] = list(map(placed, held[-1]))
            report, then = measured(Contest(report, held[-1], against, model, own_targets), max_s=max_time, emit=emit)
            before = _verdicts(reports[:-1], held[:-1], against, why=why, several=len(reports) > 1)
            return before + _verdicts([(where, report)], held[-1:], then, why=why, several=len(reports) > 1, looks=SITTINGS)
        return _verdicts(reports, held, against, why=why, several=len(reports) > 1)


def _checked(paths: Sequence[Path | str], found: Found | None) -> list[Path | str]:
    """What was named, else what the budget file names; raises MissingError where neither names anything."""
    checked = list(paths) or ([] if found is None else list(found.checked))
    if not checked:
        raise MissingError(
            'nothing to check: give a run\'s folder, a report.json or .onnx files, or name them in budget.toml: check = ["model.onnx"]'
        )
    return checked


def _warn_of_others(reports: Sequence[tuple[str, Report]], held: Sequence[Sequence[Limit]], emit: Emit) -> None:
    for (where, report), limits in zip(reports, held, strict=True):
        for file in _other_files(run_folder(Path(where)), report, limits):
            emit(Note(text=f"{file} is not the file that the report of {where} tells of: what holds there was measured of another", level="warning"))


def _other_files(folder: Path, report: Report, limits: Sequence[Limit]) -> Iterator[Path]:
    """Files under limits that are no longer those of their report, as one that was exported over or cut off."""
    found = [choose.artifacts(report, limit.artifact, choose.target(report, limit)) for limit in limits]
    for path, sha256 in {artifact.path: artifact.sha256 for each in found if isinstance(each, list) for artifact in each}.items():
        file = folder / path
        if folder.is_dir() and file.suffix == ".onnx" and file.is_file():
            try:
                same = model_sha256(file) == sha256
            except OSError:
                continue  # nothing is known of it, and nothing needs it
            except EdgekdError:
                same = False
            if not same:
                yield file


def read_all(paths: Sequence[Path | str], *, deep: bool) -> list[tuple[str, Report]]:
    """A report for each run folder or report.json, and one for all bare .onnx files; with what to call them.

    Not `deep`: a bare file's size is all that is known of it.
    """
    bare = [Path(path) for path in paths if is_bare(path)]
    reports = [(str(path), read_report(Path(path))) for path in paths if not is_bare(path)]
    return [*reports, (", ".join(map(str, bare)), bare_report(bare, deep=deep))] if bare else reports


def graph_needed(limits: Sequence[Limit]) -> bool:
    """Whether a limit is about what stands inside a file."""
    return any(part in NEED_GRAPH for limit in limits for name in bounds(limit) for part in plain(name).split("."))


def _verdicts(
    reports: Sequence[tuple[str, Report]], held: Sequence[Sequence[Limit]], against: Report | None, *, why: bool, several: bool, looks: int = 1
) -> list[Verdict]:
    _refuse_unlimited(reports, held)
    verdicts: list[Verdict] = []
    for (where, report), limits in zip(reports, held, strict=True):
        found = budget.judge(report, limits, against, why=why, looks=looks)
        verdicts += [msgspec.structs.replace(v, artifact=f"{where}: {v.artifact}") for v in found] if several else found
    return verdicts


def _refuse_unlimited(reports: Sequence[tuple[str, Report]], held: Sequence[Sequence[Limit]]) -> None:
    for (where, _), limits in zip(reports, held, strict=True):
        if not limits:
            raise MissingError(
                f"no limits for {where}: a gate that checks nothing does not pass. "
                "Give --limit size=4MB, a [[limit]] in the recipe, or a budget.toml here or above."
            )


def _own(report: Report, own: Sequence[Limit], stated: Sequence[Limit], reports: Sequence[tuple[str, Report]]) -> list[Limit]:
    """A report's limits: its recipe's `own` and those `stated` for all reports, without those that are another report's. None is nobody's."""
    others = [other for _, other in reports if other is not report]
    mine = [limit for limit in stated if not _is_on_others(limit, report, others)]
    return [limit for limit in (*own, *mine) if not _is_of_others(limit, report, others)]


def _is_of_others(limit: Limit, report: Report, others: Sequence[Report]) -> bool:
    """Whether a limit names one file, which this report lacks and another has: not one of a network that this report has other files of."""
    network, _, precision = limit.artifact.rpartition("/")
    own = any(artifact.name.rpartition("/")[0] == network for artifact in report.artifacts)
    one = (bool(network and precision) and not own) or is_bare(limit.artifact)
    return one and not _names(limit, report) and any(_names(limit, other) for other in others)


def _is_on_others(limit: Limit, report: Report, others: Sequence[Report]) -> bool:
    """Whether a limit names a target that this run was not for, and another, which has such a file, was. Bare files are for any."""
    if limit.target is None or choose.is_bare(report) or _is_on(limit.target, report):
        return False
    return any(_is_on(limit.target, other) and _names(limit, other) for other in others)


def _is_on(target: str, report: Report) -> bool:
    """Whether a run was measured on a target, or should have been; it may have named it by a file of which no more is known here."""
    measured, wanted = choose.targets(report), report.recipe.get("on", {})
    untold = any(spec.endswith(".toml") and Path(spec).stem not in measured for spec in wanted)
    return target in measured or target in wanted or untold


def _names(limit: Limit, report: Report) -> bool:
    return isinstance(choose.artifacts(report, limit.artifact, choose.target(report, limit)), list)


def _distinct(limits: Sequence[Limit]) -> list[Limit]:
    """Each limit once: a recipe's may stand in the budget file too."""
    return list({msgspec.json.encode(limit): limit for limit in limits}.values())


def own_baseline(found: Found | None) -> tuple[str, Path] | None:
    """The baseline that a budget file names, and the folder that it is named from."""
    return None if found is None or found.budget.baseline is None else (found.budget.baseline, found.file.parent)


def _refuse_unmeasurable(where: str, paths: Sequence[Path | str], max_s: float) -> None:
    if not any(map(is_bare, paths)):
        raise UsageError(f"--measure times .onnx files, and {where} is a report. Give the files, or measure it anew with `edgekd bench`.")
    if not 0 < max_s < float("inf"):
        raise UsageError(f"--max-time takes seconds above 0, got {max_s:g}")


@contextmanager
def _baseline(
    typed: Path | str | None, budget_file: Found | None, paths: Sequence[Path | str], *, deep: bool
) -> Iterator[tuple[Report | None, Path | None]]:
    """The report to grow from, and its file where that is a model which may be measured beside the one that took its place."""
    named = (typed, Path()) if typed is not None else own_baseline(budget_file)
    if named is None:
        yield None, None
        return
    from edgekd.gate.origin import fetched

    with fetched(*named) as path:
        ((_, report),) = read_all([path], deep=deep)
        yield renamed(report, paths), path if is_bare(path) else None


def renamed(baseline: Report, paths: Sequence[Path | str]) -> Report:
    """A baseline of one bare file stands for the one bare file that is checked, whatever either is called."""
    bare = [Path(path) for path in paths if is_bare(path)]
    if len(bare) != 1 or [artifact.role for artifact in baseline.artifacts] != ["file"]:
        return baseline
    return msgspec.structs.replace(baseline, artifacts=[msgspec.structs.replace(baseline.artifacts[0], network=bare[0].stem)])

"""budget init and tighten, baseline save, show and compare: the limits and the figures that people keep in git."""

import codecs
import os
import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekd.cli.face import Face

if TYPE_CHECKING:
    from edgekd.record import Report

Measured = Annotated[
    list[Path] | None,
    typer.Argument(metavar="RUN|REPORT.json|FILE.onnx", help="What was measured.  [default: what budget.toml names under check]"),
]
Kept = Annotated[list[Path], typer.Argument(metavar="RUN|REPORT.json|FILE.onnx", help="What is to be the baseline.")]
Margin = Annotated[str, typer.Option("--margin", metavar="SHARE", help="Room beyond what was measured.")]
NewBudget = Annotated[Path, typer.Option("--out", metavar="FILE.toml", help="The file to write.")]
OldBudget = Annotated[Path | None, typer.Option("--budget", metavar="FILE.toml", help="The file to tighten instead of the nearest one.")]
NewBaseline = Annotated[Path, typer.Option("--out", metavar="FILE.json", help="The file to write.")]
Which = Annotated[str | None, typer.Argument(metavar="PATH|REF:PATH", help="A baseline.  [default: budget.toml's, else budget/report.json]")]
Over = Annotated[str | None, typer.Option("--baseline", metavar="PATH|REF:PATH", help="What to compare with.  [default: as for show]")]
Format = Annotated[str, typer.Option("--format", metavar="text|markdown|json", help="How to print the changes.")]


def budget_init(paths: Kept, *, margin: Margin = "10 %", out: NewBudget = Path("budget.toml"), face: Face) -> None:
    """Write budget.toml from what was measured, and a margin.

    Sizes, parameters and MACs of each file that ships, how much faster it is and how often it is right; times only for the machine that took them.
    """
    from edgekd.budget.margin import left_out, suggested, vague
    from edgekd.errors import MissingError, RecipeError, UsageError
    from edgekd.files import write_atomic
    from edgekd.gate.limits import refuse_repeats
    from edgekd.gate.written import first_budget

    if out.exists():
        raise UsageError(f"{out} is there already, and its limits would be lost. Lower them with `edgekd budget tighten`, or choose another --out.")
    share = _margin(margin)
    reports = _reports(paths, out)
    found = [(report, suggested(report, share, alone=len(reports) == 1)) for report in reports]
    limits = [limit for _, own in found for limit in own]
    if not limits:
        raise MissingError(f"{', '.join(map(str, paths))} has no file to bound: nothing ships there. Name a run that is done, or .onnx files.")
    try:
        refuse_repeats(limits, "a budget for all of these")
    except RecipeError as error:
        raise UsageError(f"{error} Runs that ship on one target take a budget each: give one run, and another --out for the other.") from None
    text = first_budget(limits, [_beside(path, out) for path in paths], share)
    write_atomic(out, text)
    notes = [note for report, own in found for note in (*vague(report, own), *left_out(report))]
    said = "".join(f"{textwrap.fill(note, 80, subsequent_indent='  ', break_on_hyphens=False)}\n" for note in notes)
    check = "edgekd check" if out.name == "budget.toml" and out.parent == Path() else f"edgekd check --budget {shlex.quote(str(out))}"
    face.result(f"{text}\n{said}wrote {out}; check with: {check}", {"file": str(out), "limits": limits, "notes": notes})


def budget_tighten(paths: Measured = None, *, margin: Margin = "10 %", budget: OldBudget = None, face: Face) -> None:
    """Lower the limits of budget.toml to what is kept, and a margin.

    None is loosened, growth stays, and the file keeps its comments and its order.
    """
    from edgekd.budget.margin import tighter, unseen
    from edgekd.budget.rules import claims
    from edgekd.errors import MissingError
    from edgekd.files import write_atomic
    from edgekd.gate.limits import nearest_budget, read_budget
    from edgekd.gate.written import tightened

    found = read_budget(budget) if budget is not None else nearest_budget(Path.cwd())
    if found is None:
        raise MissingError("there is no budget.toml here or above. `edgekd budget init` writes one.")
    named = list(paths or []) or found.checked
    if not named:
        raise MissingError(
            'nothing was measured: give a run\'s folder, a report.json or .onnx files, or name them in budget.toml: check = ["model.onnx"]'
        )
    share = _margin(margin)
    reports = _reports(named, found.file)
    limits = found.limits_on(reports[-1])  # bare files are the last of them
    changes, notes = list(tighter(reports, limits, share)), list(unseen(reports, limits))
    if changes:
        data = found.file.read_bytes()
        mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
        write_atomic(found.file, mark + tightened(data.decode("utf-8-sig"), found.file, changes).encode())
    lines = [f"{each.quantity}: {each.before} → {each.after} ({each.measured} was measured)" for each in changes]
    if notes and len(notes) == sum(len(list(claims(limit))) for limit in limits):
        raise MissingError(f"no limit of {found.file} bounds a file of {', '.join(map(str, named))}: {notes[0]}")
    none = f"no{' other' if notes else ''} limit of {found.file} has more room than the margin of {margin}"
    face.result("\n".join([*notes, *([*lines, f"wrote {found.file}"] if lines else [none])]), {"changes": changes, "notes": notes})


def baseline_save(paths: Kept, *, out: NewBaseline = Path("budget/report.json"), face: Face) -> None:
    """Write down what later changes are compared with.

    A report without its curves: plain JSON, to be committed.
    """
    from edgekd.gate.baseline import save

    report = save(paths, out)
    face.result(
        f"wrote {out}, with {len(report.artifacts)} files; commit it", {"file": str(out), "artifacts": [each.name for each in report.artifacts]}
    )


def baseline_show(which: Which = None, *, face: Face) -> None:
    """Print a baseline: files, times, scores."""
    from edgekd.cli.jobs import show_report
    from edgekd.gate.baseline import opened

    with opened(which) as report:
        show_report(face, report)


def baseline_compare(paths: Kept, *, baseline: Over = None, format: Format = "text", face: Face) -> None:
    """Say what changed since the baseline, file by file.

    Times are compared on the same machine only. It holds nothing to a limit: `edgekd check --baseline` does.
    """
    from edgekd.budget.compare import changes, strangers
    from edgekd.errors import MissingError, UsageError
    from edgekd.gate import read_all, renamed
    from edgekd.gate.baseline import opened
    from edgekd.report import markdown, text
    from edgekd.report.changes import changes_table

    if format not in ("text", "markdown", "json"):
        raise UsageError(f"--format takes text, markdown, json; got {format!r}")
    reports = read_all(paths, deep=True)
    with opened(baseline) as kept:
        then = renamed(kept, paths)
    found = [change for _, report in reports for change in changes(report, then)]
    notes = [note for _, report in reports for note in strangers(report, then)]
    if not found:
        raise MissingError(f"nothing can be compared with the baseline: {'; '.join(notes) or 'both are empty'}. Name what it was saved from.")
    table = changes_table(found, notes)
    shown = f"{table.title}: {table.note}"
    if table.columns:
        shown = markdown.drawn([table]) if format == "markdown" else text.drawn([table])
    face.result(shown, {"changes": found, "notes": notes})


def _margin(text: str) -> float:
    from edgekd.errors import UsageError
    from edgekd.units import parse_fraction

    try:
        share = parse_fraction(text)
    except UsageError as error:
        raise UsageError(f"--margin: {error}") from None
    if share < 0:
        raise UsageError(f"--margin is room to spare and never below 0, got {text!r}. Write it as 10 %.")
    return share


def _reports(paths: Sequence[Path], budget: Path) -> "list[Report]":
    """What was measured; the paths of bare files as the budget file names them."""
    import msgspec

    from edgekd.gate import read_all

    return [
        msgspec.structs.replace(
            report,
            artifacts=[
                msgspec.structs.replace(each, path=_beside(Path(each.path), budget)) if each.role == "file" else each for each in report.artifacts
            ],
        )
        for _, report in read_all(paths, deep=True)
    ]


def _beside(path: Path, budget: Path) -> str:
    """A path as a file in the budget's folder names it."""
    return Path(os.path.relpath(path, budget.absolute().parent)).as_posix()

"""check: whether a finished run or a bare file keeps its limits, read from what is written down. Loads no torch, and numpy or
onnx only for bare files.
"""

import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekd.cli.face import Face
from edgekd.cli.faults import add_to_summary

if TYPE_CHECKING:
    from edgekd.record import Verdict

Paths = Annotated[
    list[Path] | None,
    typer.Argument(metavar="RUN|REPORT.json|FILE.onnx", help="What to hold to the limits.  [default: what budget.toml names under check]"),
]
Limits = Annotated[
    list[str] | None,
    typer.Option(
        "--limit", metavar="QUANTITY=VALUE", help="As in size=4MB, latency_p50=12ms, recall.CLASS=90%; these replace any in files but --budget's."
    ),
]
BudgetFile = Annotated[Path | None, typer.Option("--budget", metavar="FILE.toml", help="Limits from this file instead of the nearest one.")]
Artifact = Annotated[str, typer.Option("--artifact", metavar="NAME", help="What --limit is about: ROLE/NAME/PRECISION, a precision, or shipped.")]
Target = Annotated[str | None, typer.Option("--target", metavar="NAME", help="On which target --limit is held.")]
Baseline = Annotated[
    str | None, typer.Option("--baseline", metavar="PATH|REF:PATH", help="What growth is counted from: a report or .onnx file, or one in git.")
]
Why = Annotated[bool, typer.Option("--why", help="Name the layers behind what does not hold.")]
Measure = Annotated[bool, typer.Option("--measure", help="Time bare files here and now, in turn with the baseline where it is an .onnx file.")]
MaxTime = Annotated[float, typer.Option("--max-time", metavar="SECONDS", help="Of measuring, for each limit on a time.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 2 where noise leaves a verdict open.")]
CheckFormat = Annotated[str, typer.Option("--format", metavar="text|markdown|junit|github|json", help="How to print the verdicts.")]


def check(
    paths: Paths = None,
    *,
    limit: Limits = None,
    budget: BudgetFile = None,
    artifact: Artifact = "shipped",
    target: Target = None,
    baseline: Baseline = None,
    why: Why = False,
    measure: Measure = False,
    max_time: MaxTime = 60.0,
    strict: Strict = False,
    format: CheckFormat = "text",
    face: Face,
) -> None:
    """Hold a run's report or bare ONNX files to their limits.

    Exits with 0 where all hold, 1 where something is over, 2 where something is missing, 3 for any other failure.

    The limits are those of the run's recipe and of the nearest budget.toml or pyproject.toml ([tool.edgekd]), unless --limit or
    --budget gives others. What is checked and the baseline may stand there too. On GitHub it writes the step's summary and annotates the run.
    """
    from edgekd import gate
    from edgekd.budget import exit_code
    from edgekd.gate.limits import limits_from
    from edgekd.report.verdicts import by_trouble

    _check_format(format, (*CHECK_FORMATS, "json"))
    held = limits_from(limit, artifact=artifact, target=target) if limit else None
    with face.watching() as emit:
        verdicts = gate.check(list(paths or []), held, budget_file=budget, baseline=baseline, why=why, measure=measure, max_time=max_time, emit=emit)
    code = exit_code(verdicts, strict=strict)
    document = {"exit_code": code, "verdicts": verdicts}
    if face.json:
        face.result("", document)
    elif format == "text" and sys.stdout.isatty():
        from edgekd.report.text import render_verdicts

        face.result("", document, lambda width: render_verdicts(by_trouble(verdicts)))
    else:
        face.result(CHECK_FORMATS[format](verdicts, strict), document)
    _tell_github(verdicts, annotate=format != "github" or face.json, strict=strict)
    raise typer.Exit(code)


def _check_format(name: str, known: Collection[str]) -> None:
    from edgekd.errors import UsageError

    if name not in known:
        raise UsageError(f"--format takes {', '.join(known)}; got {name!r}")


def _tell_github(verdicts: "Sequence[Verdict]", *, annotate: bool, strict: bool) -> None:
    """In a workflow, add to the step's summary and annotate the run; stdout stays the result's own."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if not summary:
        return
    from edgekd.report.github import annotations

    add_to_summary(summary, _markdown(verdicts, strict) + "\n")
    for line in annotations(verdicts, strict=strict) if annotate else []:
        print(line, file=sys.stderr)


def _text(verdicts: "Sequence[Verdict]", strict: bool) -> str:
    from edgekd.report.text import verdict_lines
    from edgekd.report.verdicts import by_trouble

    return verdict_lines(by_trouble(verdicts))


def _markdown(verdicts: "Sequence[Verdict]", strict: bool) -> str:
    from edgekd.report.markdown import comment

    return comment(verdicts)


def _junit(verdicts: "Sequence[Verdict]", strict: bool) -> str:
    from edgekd.report.junit import junit

    return junit(verdicts, strict=strict)


def _github(verdicts: "Sequence[Verdict]", strict: bool) -> str:
    from edgekd.report.github import log

    return log(verdicts, strict=strict)


CHECK_FORMATS = {"text": _text, "markdown": _markdown, "junit": _junit, "github": _github}

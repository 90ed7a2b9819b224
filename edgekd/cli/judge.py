"""check, report: what a finished run or a bare file comes to, read from what is written down. Loads no torch, and numpy or
onnx only for bare files.
"""

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekd.cli import options
from edgekd.cli.face import Face

if TYPE_CHECKING:
    from edgekd.record import Verdict

Paths = Annotated[list[Path], typer.Argument(metavar="RUN|REPORT.json|FILE.onnx", help="What to hold to the limits.")]
Limits = Annotated[
    list[str] | None,
    typer.Option("--limit", metavar="QUANTITY=VALUE", help="As in size=4MB, latency_p50=12ms, recall.CLASS=90%; these replace any in files."),
]
BudgetFile = Annotated[Path | None, typer.Option("--budget", metavar="FILE.toml", help="Limits from this file instead of the nearest one.")]
Artifact = Annotated[str, typer.Option("--artifact", metavar="NAME", help="What --limit is about: ROLE/NAME/PRECISION, a precision, or shipped.")]
Target = Annotated[str | None, typer.Option("--target", metavar="NAME", help="On which target --limit is held.")]
Baseline = Annotated[Path | None, typer.Option("--baseline", metavar="RUN|REPORT.json|FILE.onnx", help="What growth is counted from.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 2 where noise leaves a verdict open.")]
CheckFormat = Annotated[str, typer.Option("--format", metavar="text|markdown|junit|github|json", help="How to print the verdicts.")]
ReportFormat = Annotated[str, typer.Option("--format", metavar="text|markdown|json", help="How to print the report.")]


def check(
    paths: Paths,
    *,
    limit: Limits = None,
    budget: BudgetFile = None,
    artifact: Artifact = "shipped",
    target: Target = None,
    baseline: Baseline = None,
    strict: Strict = False,
    format: CheckFormat = "text",
    face: Face,
) -> None:
    """Hold a run's report or bare ONNX files to their limits.

    Exits with 0 where all hold, 1 where something is over, 2 where something is missing, 3 for any other failure.

    The limits are those of the run's recipe and of the nearest budget.toml or pyproject.toml ([tool.edgekd]), unless --limit or
    --budget gives others.
    """
    from edgekd import gate
    from edgekd.budget import exit_code

    _check_format(format, CHECK_FORMATS)
    held = None
    if limit or budget is not None:
        held = [*(gate.limits_from(limit, artifact=artifact, target=target) if limit else []), *(gate.read_limits(budget) if budget else [])]
    verdicts = gate.check(list(paths), held, baseline=baseline)
    code = exit_code(verdicts, strict=strict)
    document = {"exit_code": code, "verdicts": verdicts}
    if format == "json":
        Face(json=True).result("", document)
    elif format == "text" and sys.stdout.isatty():
        from edgekd.report.text import render_verdicts

        face.result("", document, lambda width: render_verdicts(verdicts))
    else:
        face.result(CHECK_FORMATS[format](verdicts), document)
    raise typer.Exit(code)


def report(run: options.Report, *, format: ReportFormat = "text", face: Face) -> None:
    """Print a run's report from its report.json."""
    from edgekd.cli.jobs import show_report
    from edgekd.record import read_report

    _check_format(format, REPORT_FORMATS)
    found = read_report(run)
    if format == "markdown" and not face.json:
        from edgekd.report.markdown import markdown

        face.result(markdown(found), found)
    else:
        show_report(Face(json=True) if format == "json" else face, found)


def _check_format(name: str, known: Collection[str]) -> None:
    from edgekd.errors import UsageError

    if name not in known:
        raise UsageError(f"--format takes {', '.join(known)}; got {name!r}")


def _text(verdicts: "Sequence[Verdict]") -> str:
    from edgekd.report.text import verdict_lines

    return verdict_lines(verdicts)


def _markdown(verdicts: "Sequence[Verdict]") -> str:
    from edgekd.report.markdown import verdict_table

    return verdict_table(verdicts)


def _junit(verdicts: "Sequence[Verdict]") -> str:
    from edgekd.report.junit import junit

    return junit(verdicts)


def _github(verdicts: "Sequence[Verdict]") -> str:
    """Workflow commands that GitHub draws as annotations; a limit that holds is a line of the log."""
    return "\n".join(_annotation(verdict) for verdict in verdicts)


def _annotation(verdict: "Verdict") -> str:
    if verdict.state == "pass":
        return f"pass: {verdict.artifact}: {verdict.limit}: {verdict.text}".replace("\n", " ")
    level = "warning" if verdict.warn or verdict.state == "undecided" else "error"
    title = _property(f"{verdict.artifact}: {verdict.limit}")
    return f"::{level} title={title}::{_data(f'{verdict.state}: {verdict.text}')}"


def _data(text: str) -> str:
    """Escaped as the runner's command syntax asks (actions/toolkit, command.ts)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


CHECK_FORMATS = {"text": _text, "markdown": _markdown, "junit": _junit, "github": _github, "json": _text}
REPORT_FORMATS = ("text", "markdown", "json")

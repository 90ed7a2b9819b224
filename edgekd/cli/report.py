"""report, watch: what runs come to, and how far one has come, read from what they write down. Loads no torch and no numpy."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from edgekd.cli.face import Face

if TYPE_CHECKING:
    from edgekd.record import Report
    from edgekd.report.live import Told

Runs = Annotated[list[Path], typer.Argument(metavar="RUN...", help="A run's folder, or its report.json; several stand side by side.")]
Format = Annotated[str, typer.Option("--format", metavar="text|markdown|html|csv|json", help="How to print the report.")]
Watched = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run that goes on.")]
Every = Annotated[float, typer.Option("--every", metavar="SECONDS", help="How often the page is written, and loads itself again.")]

FORMATS = ("text", "markdown", "html", "csv", "json")


def report(runs: Runs, *, format: Format = "text", face: Face) -> None:
    """Print a run's report, or several runs side by side.

    Of several: in what their recipes differ, then the figures of every file. --format html draws them, csv is for a spreadsheet.
    """
    from edgekd.errors import UsageError
    from edgekd.events import Note
    from edgekd.reportfile import read_report
    from edgekd.run import of_before

    if format not in FORMATS:
        raise UsageError(f"--format takes {', '.join(FORMATS)}; got {format!r}")
    found = [read_report(run) for run in runs]
    with face.watching() as emit:
        for text in filter(None, map(of_before, runs)):
            emit(Note(text=text, level="warning"))
    if format == "csv" and not face.json:
        from edgekd.report.runs import lettered
        from edgekd.report.spreadsheet import sheet

        face.result(sheet(lettered(found)), None)
    elif len(found) > 1:
        _compare(face, found, format)
    else:
        _single(face, found[0], format)


def watch(run: Watched, *, every: Every = 5.0, face: Face) -> None:
    """Write a run's report.html while the run goes on.

    Open the page in a browser: it loads itself again until the run has ended, and then is its report. Ctrl-C stops watching, not the run.
    """
    from edgekd.errors import MissingError, RunError, UsageError
    from edgekd.files import write_atomic
    from edgekd.lock import is_held
    from edgekd.report.html import html
    from edgekd.report.live import Told, live
    from edgekd.reportfile import read_report

    if not 1 <= every < 3600:
        raise UsageError(f"--every takes seconds from 1 to an hour, got {every:g}")
    events, page = run / "events.jsonl", run / "report.html"
    if not events.is_file():
        raise MissingError(f"no events at {events}: no run has begun there. Start one with `edgekd compress`, and name its folder.")
    told = Told()
    with events.open("rb") as file:
        while True:
            goes_on = is_held(run)  # before its last words are read
            if _caught_up(file, told):
                break
            if not goes_on:
                raise RunError(f"{run} stopped before it had a report: no process works there. Its command, given again, goes on with it.")
            write_atomic(page, live(run.resolve().name, told, refresh=max(1, round(every))))
            time.sleep(every)
    write_atomic(page, html(read_report(run)))
    face.result(f"the run has ended; its report is {page}", {"finished": True, "page": str(page)})


def _caught_up(file: BinaryIO, told: "Told") -> bool:
    """Take the lines that were written since the last time, all but one that is not whole yet; whether the run has ended."""
    start = file.tell()
    data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    file.seek(start + len(whole))
    told.read(whole)
    return told.finished


def _single(face: Face, found: "Report", format: str) -> None:
    from edgekd.cli.jobs import show_report

    if format == "markdown" and not face.json:
        from edgekd.report.markdown import markdown

        face.result(markdown(found), found)
    elif format == "html" and not face.json:
        from edgekd.report.html import html

        face.result(html(found), found)
    else:
        show_report(face, found)


def _compare(face: Face, found: "Sequence[Report]", format: str) -> None:
    from edgekd.report import markdown, text
    from edgekd.report.runs import lettered, tables
    from edgekd.report.together import together

    runs = lettered(found)
    if format == "html" and not face.json:
        face.result(together(runs), found)
    else:
        view = markdown.drawn if format == "markdown" else text.drawn
        face.result(view(tables(runs)), found)

"""edgekd report and watch: one run in each format, several side by side, one that goes on."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgekd.cli.app import app
from edgekd.lock import acquire, release
from edgekd.reportfile import encode_report
from tests.needs import ROOT
from tests.report.pages import run_reports
from tests.report.sample import sample_report

runner = CliRunner()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder, with the working directory beside it."""
    monkeypatch.chdir(tmp_path)
    return written(tmp_path / "run")


def written(folder: Path, number: int | None = None) -> Path:
    """A folder with the sample's report, or with one of several."""
    folder.mkdir()
    report = sample_report() if number is None else run_reports()[number]
    (folder / "report.json").write_bytes(encode_report(report))
    return folder


def printed(*typed: object) -> str:
    """What `edgekd report` prints."""
    result = runner.invoke(app, ["report", *map(str, typed)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_report_in_each_format(run: Path) -> None:
    """Text within 80 columns, Markdown, a page, a sheet, and the document itself."""
    text = printed(run)
    assert "student/resnet20/int8-cpu" in text
    assert max(map(len, text.splitlines())) <= 80
    assert printed(run, "--format", "markdown").startswith("# sample")
    assert "<title>sample: edgekd report</title>" in printed(run, "--format", "html")
    assert printed(run, "--format", "csv").startswith("run,name,role,network,precision,target,host,ships,size_bytes,")
    assert json.loads(printed(run, "--format", "json"))["name"] == "sample"


def test_several_runs_stand_side_by_side(tmp_path: Path) -> None:
    """In each format, in the order they were named; text stays within 80 columns."""
    runs = [written(tmp_path / f"run-{number}", number) for number in (0, 3)]
    text = printed(*runs)
    assert text.startswith("What differs")
    assert max(map(len, text.splitlines())) <= 80
    assert printed(*runs, "--format", "markdown").startswith("### What differs")
    assert "<h1>2 runs side by side</h1>" in printed(*runs, "--format", "html")
    assert len(printed(*runs, "--format", "csv").splitlines()) == 1 + 2 * 6
    assert [report["name"] for report in json.loads(printed(*runs, "--json"))] == ["sample", "elsewhere"]


def test_an_unknown_format_is_refused(run: Path) -> None:
    """The known ones are named."""
    result = runner.invoke(app, ["report", str(run), "--format", "pdf"])
    assert (result.exit_code, "--format takes text, markdown, html, csv, json; got 'pdf'" in result.stderr) == (2, True)


def test_each_run_must_be_there(run: Path) -> None:
    """The one that is not is named."""
    result = runner.invoke(app, ["report", str(run), "nowhere"])
    assert result.exit_code == 2
    assert "no report at nowhere" in result.stderr


def test_a_comparison_needs_no_slow_import(tmp_path: Path) -> None:
    """It is made where reports are read: no torch, NumPy or drawing library."""
    folders = [str(written(tmp_path / f"run-{number}", number)) for number in (0, 1)]
    code = (
        f"import sys; from edgekd.cli.app import app; app({['report', *folders, '--format', 'html']!r}, standalone_mode=False); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT).stdout.splitlines()[-1].split()
    assert not {"torch", "torchvision", "numpy", "onnx", "onnxruntime", "matplotlib"} & set(loaded)


# watch ----------------------------------------------------------------------------------------------------------------


def event(**told: object) -> bytes:
    """A line of events.jsonl."""
    return json.dumps({"time": 1.0, **told}).encode() + b"\n"


def test_a_page_follows_a_run_until_it_ends(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it goes on the page loads itself again; a line that is half written waits; then the page is the report, and watching ends."""
    ended, page = event(kind="wrote", path="report.json", what="report"), run / "report.html"
    pieces = [event(kind="note", text="the batch shrank"), ended[:20], ended[20:]]
    (run / "events.jsonl").write_bytes(event(kind="stage-started", stage="teach"))
    seen: list[str] = []

    def sleep(seconds: float) -> None:
        assert seconds == 2
        seen.append(page.read_text())
        with (run / "events.jsonl").open("ab") as file:
            file.write(pieces.pop(0))

    monkeypatch.setattr(time, "sleep", sleep)
    lock = acquire(run)
    try:
        result = runner.invoke(app, ["watch", str(run), "--every", "2"])
    finally:
        release(lock)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"the run has ended; its report is {page}\n"
    assert [('http-equiv="refresh" content="2"' in text, "the batch shrank" in text) for text in seen] == [(True, False), (True, True), (True, True)]
    assert page.read_text().rstrip() == printed(run, "--format", "html").rstrip()


def test_a_run_that_has_died_is_not_waited_for(run: Path) -> None:
    """No process holds it, and its events end before a report."""
    (run / "events.jsonl").write_bytes(event(kind="stage-started", stage="teach"))
    result = runner.invoke(app, ["watch", str(run)])
    assert result.exit_code == 3
    assert "run stopped before it had a report: no process works there." in " ".join(result.stderr.split())


def test_what_is_no_run_is_not_watched(tmp_path: Path) -> None:
    """The message says what was looked for and how a run begins."""
    result = runner.invoke(app, ["watch", str(tmp_path)])
    assert result.exit_code == 2
    assert "no run has begun there. Start one with `edgekd compress`, and name its folder" in " ".join(result.stderr.split())


@pytest.mark.parametrize("every", ["0", "nan", "-1", "3600"])
def test_a_page_is_written_every_second_at_most(run: Path, every: str) -> None:
    """And every hour at least."""
    result = runner.invoke(app, ["watch", str(run), "--every", every])
    assert result.exit_code == 2
    assert "--every takes seconds from 1 to an hour, got" in result.stderr

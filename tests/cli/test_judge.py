"""edgekd check and edgekd report."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from edgekd.cli.app import app
from edgekd.record import encode_report
from tests.report.sample import SHIPPED, sample_report
from tests.toys import brightness

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "torchvision", "numpy", "onnx", "onnxruntime", "matplotlib")
runner = CliRunner()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder, with the working directory beside it."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "report.json").write_bytes(encode_report(sample_report()))
    return folder


def checked(run: Path, *typed: str) -> Result:
    """`edgekd check RUN` about the int8 file."""
    return runner.invoke(app, ["check", str(run), "--artifact", SHIPPED, *typed])


@pytest.mark.parametrize(
    ("limits", "code"),
    [(["size=400kB"], 0), (["size=300kB"], 1), (["auc=90%"], 2), (["size=300kB", "auc=90%"], 1), (["size=lots"], 2), (["sise=1MB"], 2)],
)
def test_the_exit_code_is_the_verdict(run: Path, limits: list[str], code: int) -> None:
    """0 pass, 1 over, 2 missing or wrong usage."""
    assert checked(run, *(part for limit in limits for part in ("--limit", limit))).exit_code == code


def test_a_broken_report_is_wrong_usage(tmp_path: Path) -> None:
    """It is no pass, and no bug."""
    file = tmp_path / "report.json"
    file.write_text('{"schema": 1, "edgekd"')
    assert runner.invoke(app, ["check", str(file), "--limit", "size=1MB"]).exit_code == 2


def test_verdicts_as_text(run: Path) -> None:
    """What was asked, whether it held, by how much."""
    result = checked(run, "--limit", "size=300kB")
    assert "✗ over" in result.stdout
    assert SHIPPED in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_verdicts_as_markdown(run: Path) -> None:
    """A table."""
    assert checked(run, "--limit", "size=300kB", "--format", "markdown").stdout.startswith("|")


def test_verdicts_as_junit(run: Path) -> None:
    """XML that parses, with one failure."""
    root = ElementTree.fromstring(checked(run, "--limit", "size=300kB", "--format", "junit").stdout.encode())
    assert root[0].get("failures") == "1"


def test_verdicts_as_github_annotations(run: Path) -> None:
    """An error for what is over, a plain line for what holds, no raw line ends or commas in a title."""
    lines = checked(run, "--limit", "size=300kB", "--limit", "params=1M", "--format", "github").stdout.splitlines()
    assert lines[0].startswith(f"::error title={SHIPPED}%3A size ≤ 300kB::over: ")
    assert lines[1].startswith("pass: ")


@pytest.mark.parametrize("how", [["--json"], ["--format", "json"]])
def test_verdicts_as_one_document(run: Path, how: list[str]) -> None:
    """The exit code stands in it."""
    document = json.loads(checked(run, "--limit", "size=300kB", *how).stdout)
    assert document["exit_code"] == 1
    assert [verdict["state"] for verdict in document["verdicts"]] == ["over"]


def test_an_unknown_format_is_refused(run: Path) -> None:
    """The known ones are named."""
    result = checked(run, "--limit", "size=1MB", "--format", "xml")
    assert result.exit_code == 2
    assert "--format takes text, markdown, junit, github, json; got 'xml'" in result.stderr
    assert "--format takes text, markdown, json; got 'html'" in runner.invoke(app, ["report", str(run), "--format", "html"]).stderr


def test_budget_file_and_limits_hold_together(run: Path) -> None:
    """Both were asked for."""
    (run.parent / "b.toml").write_text(f'[[limit]]\nartifact = "{SHIPPED}"\nparams = "1M"\n')
    document = json.loads(checked(run, "--limit", "size=400kB", "--budget", "b.toml", "--json").stdout)
    assert [verdict["quantity"] for verdict in document["verdicts"]] == ["size", "params"]


def test_bare_files(tmp_path: Path) -> None:
    """`edgekd check model.onnx --limit …`."""
    result = runner.invoke(app, ["check", str(brightness(tmp_path / "m.onnx")), "--limit", "params=34", "--limit", "size=1kB"])
    assert result.exit_code == 0, result.output


def test_a_report_in_each_format(run: Path) -> None:
    """Text within 80 columns, Markdown, and the document itself."""
    text = runner.invoke(app, ["report", str(run)]).stdout
    assert "student/resnet20/int8-cpu" in text
    assert max(map(len, text.splitlines())) <= 80
    assert runner.invoke(app, ["report", str(run), "--format", "markdown"]).stdout.startswith("# sample")
    assert json.loads(runner.invoke(app, ["report", str(run), "--format", "json"]).stdout)["name"] == "sample"


@pytest.mark.parametrize("typed", [["check", "run", "--limit", "size=400kB"], ["report", "run", "--format", "markdown"]])
def test_the_gate_starts_in_half_a_second_without_torch(run: Path, typed: list[str]) -> None:
    """CPU time of a whole process, the best of three; nothing heavy is loaded."""
    code = f"import sys, atexit\natexit.register(lambda: print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr))\n"
    code += "from edgekd.cli import main\nmain()"
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", code, *typed], capture_output=True, text=True, cwd=run.parent, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.stderr == "[]\n"
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.5

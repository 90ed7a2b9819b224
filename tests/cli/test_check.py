"""edgekd check."""

import json
import os
import resource
import shlex
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from typer.testing import CliRunner, Result

from edgekd.cli.app import app
from edgekd.reportfile import encode_report
from tests.gate.folders import committed
from tests.report.sample import SHIPPED, sample_report
from tests.toys import brightness

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "torchvision", "numpy", "onnx", "onnxruntime", "matplotlib")
runner = CliRunner()


@pytest.fixture(autouse=True)
def _outside_a_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests on GitHub gets no summary of theirs."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder, with the working directory beside it."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "report.json").write_bytes(encode_report(sample_report()))
    return folder


def process(folder: Path, *typed: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """The command as a process in a folder, outside any workflow but the one that is told."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
    return subprocess.run(
        [sys.executable, "-m", "edgekd", *typed],
        capture_output=True, text=True, cwd=folder, check=False, env={**own, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip


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
    """A headline and a table."""
    assert checked(run, "--limit", "size=300kB", "--format", "markdown").stdout.startswith("### edgekd: 1 over\n\n|")


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


def test_budget_file_and_limits_hold_together(run: Path) -> None:
    """Both were asked for."""
    (run.parent / "b.toml").write_text(f'[[limit]]\nartifact = "{SHIPPED}"\nparams = "1M"\n')
    document = json.loads(checked(run, "--limit", "size=400kB", "--budget", "b.toml", "--json").stdout)
    assert [verdict["quantity"] for verdict in document["verdicts"]] == ["size", "params"]


def test_bare_files(tmp_path: Path) -> None:
    """`edgekd check model.onnx --limit …`."""
    result = runner.invoke(app, ["check", str(brightness(tmp_path / "m.onnx")), "--limit", "params=34", "--limit", "size=1kB"])
    assert result.exit_code == 0, result.output


def test_a_folder_with_limits_needs_no_words(tmp_path: Path) -> None:
    """`edgekd check` alone, as a process: what the nearest pyproject.toml names, and which file that was."""
    brightness(tmp_path / "m.onnx")
    (tmp_path / "pyproject.toml").write_text('[tool.edgekd]\ncheck = ["m.onnx"]\n[[tool.edgekd.limit]]\nsize = "1 MB"\n')
    done = process(tmp_path, "check")
    assert (done.returncode, done.stderr) == (0, f"  limits read from {tmp_path / 'pyproject.toml'}\n")
    assert done.stdout.startswith("✓ pass: file/m/as-is, size ≤ 1 MB: ")
    assert process(tmp_path, "check", "-q").stderr == ""


def test_in_a_workflow_summary_and_annotations_are_written(run: Path) -> None:
    """The summary is added to, the annotations stand on stderr, stdout keeps the one document."""
    (run.parent / "summary.md").write_text("before\n")
    asked = ["check", "run", "--artifact", SHIPPED, "--limit", "size=300kB", "--limit", "params=1M"]
    done = process(run.parent, *asked, "--json", GITHUB_STEP_SUMMARY="summary.md")
    assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (1, 1)
    assert done.stderr.startswith(f"::error title={SHIPPED}%3A size ≤ 300kB::over: 332 kB")
    assert (run.parent / "summary.md").read_text().startswith("before\n### edgekd: 1 over, 1 within limits\n\n|")
    twice = process(run.parent, *asked, "--format", "github", GITHUB_STEP_SUMMARY="summary.md")
    assert (twice.stdout.count("::error"), twice.stderr) == (1, "")


def test_a_summary_that_cannot_be_written_changes_no_verdict(run: Path) -> None:
    """It is said, and the exit code stays."""
    done = process(run.parent, "check", "run", "--artifact", SHIPPED, "--limit", "size=1MB", GITHUB_STEP_SUMMARY="no/such/folder")
    assert (done.returncode, done.stderr) == (0, "the step's summary at no/such/folder cannot be written: No such file or directory\n")


def test_why_and_a_baseline_in_git(tmp_path: Path) -> None:
    """What grew since another commit, by its layers; the exit code is the same with --why."""
    brightness(tmp_path / "m.onnx", {})
    committed(tmp_path, "m.onnx")
    brightness(tmp_path / "m.onnx")
    done = process(tmp_path, "check", "m.onnx", "--limit", "growth.size=1%", "--baseline", "main:m.onnx", "--why")
    assert done.returncode == 1
    assert "Baseline: " in done.stdout
    assert "  · no layer grew: what did stands between them, as metadata or constants" in done.stdout


def test_latency_is_measured_on_the_spot(tmp_path: Path) -> None:
    """In turn with the file of another commit; the exit code is that of the limits."""
    committed(tmp_path, brightness(tmp_path / "m.onnx").name)
    asked = ["check", "m.onnx", "--baseline", "main:m.onnx", "--measure", "--max-time", "20", "--limit", "latency_p50=1ns", "--limit"]
    done = process(tmp_path, *asked, "growth.latency=9900%", "--json", "-q")
    assert done.returncode == 1, done.stderr
    absolute, growth = json.loads(done.stdout)["verdicts"]
    assert (absolute["quantity"], absolute["state"]) == ("latency_p50", "over")
    assert growth["before"] > 0
    assert growth["state"] in ("pass", "undecided")  # a machine that is busy all through leaves it open


HOSTILE = [
    (b"", "is not a report"),
    (b'{"schema": 1, "edgekd": "0', "is not a report"),
    (b'{"notes":' + b"[" * 200_000, "is not a report: it is nested too deep"),
    (b"\xff\xfe\x00", "is not a report"),
    (b"[]", "is not a report"),
    (b'{"schema": 99}', "schema 99"),
    (b'{"schema": 1, "edgekd": "0", "name": "x", "created": "", "artifacts": [{"size": NaN}]}', "is not a report"),
    (b'{"schema": 1, "edgekd": "0", "name": "x", "created": "", "seed": 1e999}', "is not a report"),
]


@pytest.mark.parametrize(("data", "said"), HOSTILE)
def test_a_hostile_report_is_wrong_usage(tmp_path: Path, data: bytes, said: str) -> None:
    """Empty, cut short, nested without end, no text, no report, newer, with numbers that are none: exit code 2 and a sentence."""
    (tmp_path / "report.json").write_bytes(data)
    result = runner.invoke(app, ["check", str(tmp_path / "report.json"), "--limit", "size=1MB"])
    assert result.exit_code == 2
    assert said in result.stderr


def test_what_cannot_have_been_measured_does_not_pass(run: Path) -> None:
    """Sizes below 0, accuracies above 1, times below 0: each is missing."""
    text = (run / "report.json").read_text()
    document = json.loads(text)
    for artifact in document["artifacts"]:
        artifact["size"] = artifact["params"] = artifact["macs"] = -1
    for score in document["scores"]:
        score["metrics"]["accuracy"] = {"value": 2.0, "low": 1.5, "high": 2.5, "n": 10}
        score["against"]["agreement"] = {"value": 0.9, "low": 0.99, "high": 0.1, "n": 10}
    for measurement in document["measurements"]:
        measurement["memory"] = -5
        measurement["timing"]["launches"][0]["rounds"][0][0] = -1.0
    (run / "report.json").write_text(json.dumps(document))
    limits = ["size=1MB", "params=1M", "macs=1G", "accuracy=50%", "agreement=50%", "memory=1GB", "latency_p50=1s"]
    typed = [part for limit in limits for part in ("--limit", limit)]
    document = json.loads(checked(run, *typed, "--target", "cpu", "--json").stdout)
    assert [verdict["state"] for verdict in document["verdicts"]] == ["missing"] * 7
    assert document["exit_code"] == 2


@pytest.mark.parametrize(
    "typed", [["check", "run", "--limit", "size=400kB"], ["report", "run", "--format", "markdown"], ["report", "run", "--format", "html"]]
)
def test_the_gate_starts_in_half_a_second_without_torch(run: Path, typed: list[str]) -> None:
    """CPU time of a whole process; nothing heavy is loaded."""
    assert min(cpu_seconds(run.parent, *typed)) < 0.5


def test_a_hundred_files_and_five_hundred_limits_take_half_a_second(tmp_path: Path) -> None:
    """Sizes, counts, times and accuracies of a hundred measured files."""
    report = sample_report()
    file, measurement, score = report.artifacts[-1], report.measurements[-1], report.scores[-1]
    files = [msgspec.structs.replace(file, network=f"n{at}") for at in range(100)]
    many = msgspec.structs.replace(
        report,
        artifacts=files,
        measurements=[msgspec.structs.replace(measurement, artifact=each.name) for each in files],
        scores=[msgspec.structs.replace(score, artifact=each.name) for each in files],
        ratios=[],
    )
    (tmp_path / "report.json").write_bytes(encode_report(many))
    limit = '[[limit]]\nartifact = "{}"\ntarget = "cpu"\nsize = "1 MB"\nparams = "1M"\nmacs = "1G"\nlatency_p50 = "2 ms"\naccuracy = 0.8\n'
    (tmp_path / "budget.toml").write_text("".join(limit.format(each.name) for each in files))
    assert min(cpu_seconds(tmp_path, "check", "report.json", "-q")) < 0.5


def slowness() -> float:
    """How many times slower than an ordinary machine, which sorts and counts these numbers in 45 ms, this one computes just now; never below 1."""
    before = time.process_time()
    for _ in range(5):
        Counter(sorted(number * 7919 % 100_003 for number in range(200_000)))
    return max(1.0, (time.process_time() - before) / 5 / 0.045)


def cpu_seconds(folder: Path, *typed: str) -> list[float]:
    """CPU seconds of a whole process on an ordinary machine, of up to eight, until one takes less than half a second; nothing heavy is loaded and all
    end well.

    How slow this machine is changes within seconds where others share it, so each time is divided by what was found right before and after it.
    """
    code = f"import sys, atexit\natexit.register(lambda: print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr))\n"
    code += "from edgekd.cli import main\nmain()"
    seconds: list[float] = []
    paces = [slowness()]
    while len(seconds) < 8 and min(seconds, default=1.0) >= 0.5:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", code, *typed], capture_output=True, text=True, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert (done.returncode, done.stderr) == (0, "[]\n")
        paces.append(slowness())
        seconds.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / (sum(paces[-2:]) / 2))
    return seconds


@pytest.mark.parametrize("how", ["--format=junit", "--format=github", "--format=markdown", "--json"])
def test_an_error_is_a_document_too(tmp_path: Path, how: str) -> None:
    """A CI server that reads the result finds why there is none; the step's summary has it."""
    done = process(tmp_path, "check", "nothing.onnx", "--limit", "size=1MB", how, GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"))
    said = "no file at nothing.onnx. Give the path of an .onnx file."
    assert done.returncode == 2
    if how == "--format=junit":
        (error,) = ElementTree.fromstring(done.stdout).iter("error")
        assert error.get("message") == said
    elif how == "--format=github":
        assert done.stdout == f"::error title=edgekd::{said}\n"
    elif how == "--format=markdown":
        assert done.stdout == f"**edgekd:** {said}\n"
        assert done.stderr.endswith(f"::error title=edgekd::{said}\n")
    else:
        assert json.loads(done.stdout)["error"]["message"] == said
    assert (tmp_path / "summary.md").read_text() == f"**edgekd:** {said}\n"


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize(("limit", "code"), [("size=1MB", 0), ("size=1B", 1)])
def test_a_reader_that_leaves_changes_no_verdict(tmp_path: Path, limit: str, code: int, buffered: str) -> None:
    """As `head` does."""
    brightness(tmp_path / "m.onnx")
    read, write = os.pipe()
    os.close(read)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": buffered}
    typed = [sys.executable, "-m", "edgekd", "check", "m.onnx", "--limit", limit]
    done = subprocess.run(typed, stdout=write, stderr=subprocess.PIPE, cwd=tmp_path, env=environment, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (code, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_result_that_cannot_be_written_is_no_pass(tmp_path: Path) -> None:
    """Whoever reads the file would find half of it, or nothing."""
    brightness(tmp_path / "m.onnx")
    with open("/dev/full", "w", encoding="utf-8") as full:
        typed = [sys.executable, "-m", "edgekd", "check", "m.onnx", "--limit", "size=1MB", "--json"]
        done = subprocess.run(typed, stdout=full, stderr=subprocess.PIPE, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert (done.returncode, b"The disk is full" in done.stderr, b"Traceback" in done.stderr) == (3, True, False)


def test_a_locale_of_few_letters_changes_no_result(tmp_path: Path) -> None:
    """What another program reads is UTF-8, as XML says of itself."""
    brightness(tmp_path / "m.onnx")
    done = process(tmp_path, "check", "m.onnx", "--limit", "size=1MB", "--format", "junit", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert "≤" in done.stdout


@pytest.mark.parametrize(
    ("closed", "asked", "code"), [("2>&-", "m.onnx", 0), (">&-", "m.onnx", 0), (">&- 2>&-", "m.onnx", 0), ("<&- 2>&-", "gone.onnx", 2)]
)
def test_closed_streams_change_no_exit_code(tmp_path: Path, closed: str, asked: str, code: int) -> None:
    """As a supervisor leaves them: what holds is not over, and what is missing is missing."""
    brightness(tmp_path / "m.onnx")
    line = f"{shlex.quote(sys.executable)} -m edgekd check {asked} --limit size=4MB {closed}"
    assert subprocess.run(["sh", "-c", line], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False).returncode == code

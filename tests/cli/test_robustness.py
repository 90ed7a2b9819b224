"""edgekd robustness at the command line: a run as a process, bare files, what is refused."""

import inspect
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edgekd.cli.app import app
from edgekd.cli.robustness import robustness
from edgekd.evaluate.robustness import IMAGES
from edgekd.reportfile import read_report
from tests.cli.processes import ended
from tests.toys import brightness

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def place(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a finished run and what it was made of."""
    folder = tmp_path_factory.mktemp("robustness") / "work"
    shutil.copytree(finished, folder)
    return folder


def run(place: Path, monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str]) -> Result:
    """The command in a folder."""
    monkeypatch.chdir(place)
    return CliRunner().invoke(app, ["robustness", *arguments])


def rows(text: str) -> dict[str, list[str]]:
    """The table's cells by the first one, without the signs of shares."""
    found = {}
    for line in text.splitlines():
        name, *cells = [cell.strip() for cell in line.split("  ") if cell.strip()] if line.strip() else [""]
        found[name] = [cell.removesuffix(" %") for cell in cells]
    return found


def test_a_run_as_a_person_asks_it(place: Path) -> None:
    """A real process: one table in 80 columns on stdout, progress on stderr, and the report tells it afterwards."""
    out, said = ended(place, ["robustness", "runs/images", "--images", "12"])
    assert max(map(len, out.splitlines())) <= 80
    assert out.startswith("What the student inherits\n")
    found = rows(out)
    assert found["on test images"] == ["teacher", "student"]
    assert {"accuracy", "ECE", "ECE, divided by T", "T", "corrupted: noise", "corrupted: all", "FGSM by 8/255"} <= set(found)
    assert len(found["agreement with the teacher"]) == 2
    assert "robustness/teacher-wide: done in" in said
    assert out.rstrip().endswith("report  runs/images/report.html")
    report = read_report(place / "runs" / "images")
    assert report.robustness is not None
    assert report.robustness.images == 12
    assert "What the student inherits" in (place / "runs" / "images" / "report.html").read_text()


def test_json_is_one_document(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the report has of it."""
    found = run(place, monkeypatch, ["runs/images", "--images", "12", "--json", "--quiet"])
    document = json.loads(found.stdout)
    assert (found.exit_code, found.stderr, document["images"]) == (0, "", 12)
    assert [each["name"] for each in document["networks"]] == ["teacher/wide", "student/thin"]


def test_bare_files_are_compared_with_a_teacher(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On images that are named; they have no gradient, which is said."""
    (student,) = (place / "runs").rglob("student-thin-fp32.onnx")
    (teacher,) = (place / "runs").rglob("teacher-wide-fp32.onnx")
    found = run(place, monkeypatch, [str(student), "--teacher", str(teacher), "--data", "npz:images.npz", "--images", "6"])
    assert found.exit_code == 0, found.stderr
    told = rows(found.stdout)
    assert told["on test images"] == ["teacher", "student-thin-fp32"]
    assert len(told["agreement with the teacher"]) == 2
    assert not any(name.startswith("FGSM by") for name in told)
    assert "a file has no gradient: FGSM takes the networks of a run" in " ".join(found.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument"),
        (["runs/images", "--images", "1"], "--images takes a number of 2 or more, got 1"),
        (["runs/images", "--images", "many"], "it takes a whole number, got 'many'"),
        (["runs/images", "runs/images"], "give one run, or .onnx files only"),
        (["runs/images", "--data", "digits"], "--data and --teacher are for bare files"),
        (["runs"], "runs is a folder and no run of edgekd"),
        (["none"], "got none: there is no such"),
        (["dark.onnx"], "bare files are asked about images of yours: add --data SPEC"),
        (["none.onnx", "--data", "digits"], "no file at none.onnx"),
        (["dark.onnx", "dark.onnx", "--data", "digits"], "each file once"),
        (["dark.onnx", "--data", "npz:none.npz"], "no npz file at"),
        (["dark.onnx", "--data", "npz:images.npz"], "dark.onnx tells dark, bright apart, the data has above, below, left"),
    ],
)
def test_wrong_usage_ends_with_2(place: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str) -> None:
    """And says what would be right; nothing on stdout."""
    brightness(place / "dark.onnx")
    found = run(place, monkeypatch, arguments)
    assert (found.exit_code, found.stdout) == (2, "")
    assert message in " ".join(found.stderr.split())


def test_its_default_is_the_one_of_python() -> None:
    """The command does not load what would tell it."""
    assert inspect.signature(robustness).parameters["images"].default == IMAGES

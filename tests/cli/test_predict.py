"""Tests of edgekd/cli/predict.py."""

import json
import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from edgekd.gate.bare import inspect
from edgekd.record import Report
from edgekd.reportfile import encode_report
from tests.cli.bare import fill, ran, refused
from tests.toys import brightness

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with files, images and a picture."""
    monkeypatch.chdir(tmp_path)
    return fill(tmp_path)


def test_predict_names_the_classes_and_the_teachers_answer_beside_them() -> None:
    """One picture, two files, likeliest first."""
    lines = ran("predict", "a.onnx", "bright.png", "--teacher", "b.onnx").stdout.splitlines()
    assert lines[0] == "bright.png"
    assert lines[1].split() == ["a.onnx", "b.onnx"]
    assert lines[2].split()[0] == "bright"
    assert lines[2].split()[3] == "dark"


def test_predict_as_the_readme_has_it(folder: Path) -> None:
    """The README's line names one file, the newest, where a run holds exports of several students."""
    (line,) = (line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("edgekd predict "))
    for age, name in enumerate(("new", "old")):
        file = folder / f"runs/photos/export/student-{name}-0" / f"student-{name}-int8-cpu.onnx"
        file.parent.mkdir(parents=True)
        os.utime(brightness(file), (1e9 - age, 1e9 - age))
    shown = subprocess.run(["sh", "-c", line.replace("edgekd predict", "printf '%s\\n'")], capture_output=True, text=True, check=True)
    file_name, picture = shown.stdout.splitlines()
    assert (Path(file_name).name, picture) == ("student-new-int8-cpu.onnx", "cat.jpg")
    (folder / "bright.png").rename(folder / picture)
    assert "bright" in ran("predict", file_name, picture).stdout


def test_predict_as_a_document() -> None:
    """Classes and probabilities that add up to 1."""
    (shown,) = json.loads(ran("predict", "a.onnx", "bright.png", "--json").stdout)
    assert shown["image"] == "bright.png"
    assert [each["class"] for each in shown["top"]] == ["bright", "dark"]
    assert sum(each["probability"] for each in shown["top"]) == pytest.approx(1)
    assert "teacher" not in shown


def test_predict_finds_the_teacher_of_its_run(folder: Path) -> None:
    """A student's file that lies in a run is shown beside the run's teacher; the teacher's own alone."""
    run = folder / "run"
    (run / "export").mkdir(parents=True)
    artifacts = []
    for role, name in (("teacher", "t"), ("student", "s")):
        artifact = inspect(brightness(run / "export" / f"{name}.onnx"))
        artifacts.append(msgspec.structs.replace(artifact, role=role, precision="fp32", path=f"export/{name}.onnx"))
    report = Report(edgekd="0.1.0", name="run", created="", artifacts=artifacts)
    (run / "report.json").write_bytes(encode_report(report))
    student = json.loads(ran("predict", "run/export/s.onnx", "bright.png", "--json").stdout)
    teacher = json.loads(ran("predict", "run/export/t.onnx", "bright.png", "--json").stdout)
    assert "teacher" in student[0]
    assert "teacher" not in teacher[0]
    brightness(run / "export" / "old.onnx")
    old = ran("predict", "run/export/old.onnx", "bright.png", "--json")
    assert "teacher" not in json.loads(old.stdout)[0]
    assert "run/export/old.onnx is none of the files that the report of run tells of" in " ".join(old.stderr.split())


def test_what_is_no_picture_is_named(folder: Path) -> None:
    """Broken and absent files alike."""
    (folder / "bad.png").write_text("no picture")
    assert "bad.png cannot be read: not a picture" in refused("predict", "a.onnx", "bad.png")
    assert "nope.png cannot be read: No such file" in refused("predict", "a.onnx", "nope.png")

"""edgekd evaluate, bench and predict on bare files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from edgekd.cli.app import app
from edgekd.gate.bare import inspect
from edgekd.record import Report
from edgekd.reportfile import encode_report
from tests.device.nets import heavy
from tests.toys import METADATA, brightness

ROOT = Path(__file__).resolve().parents[2]
runner = CliRunner()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with two files, images of both classes, and a picture."""
    monkeypatch.chdir(tmp_path)
    brightness(tmp_path / "a.onnx")
    brightness(tmp_path / "b.onnx", gain=-3.0)
    splits = {f"{axis}_{split}": array for split, n in (("train", 60), ("test", 40)) for axis, array in zip("xy", _images(n), strict=True)}
    np.savez(tmp_path / "d.npz", **splits, classes=np.array(["dark", "bright"]))  # type: ignore[arg-type]
    Image.fromarray(np.full((10, 7), 250, np.uint8)).save(tmp_path / "bright.png")
    return tmp_path


def _images(n: int) -> "tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], np.ndarray[tuple[int, ...], np.dtype[np.int64]]]":
    labels = np.arange(n) % 2
    pixels = np.random.default_rng(0).integers(0, 120, (n, 4, 4)) + (labels * 130)[:, None, None]
    return pixels.astype(np.uint8), labels.astype(np.int64)


def ran(*typed: str) -> Result:
    """A command that ends well."""
    result = runner.invoke(app, list(typed))
    assert result.exit_code == 0, result.output
    return result


def refused(*typed: str) -> str:
    """The message of a command that was typed wrongly."""
    result = runner.invoke(app, list(typed))
    assert result.exit_code == 2, result.output
    return result.stderr


def test_bare_files_are_scored_on_images_of_ones_own() -> None:
    """The file that tells dark from bright has every image right."""
    report = json.loads(ran("evaluate", "a.onnx", "--data", "npz:d.npz", "--json").stdout)
    assert report["scores"][0]["metrics"]["accuracy"]["value"] == 1.0
    assert report["scores"][0]["n"] == 40


def test_a_teacher_file_is_what_the_others_are_compared_with() -> None:
    """The contrary file agrees with it nowhere."""
    report = json.loads(ran("evaluate", "b.onnx", "--data", "npz:d.npz", "--teacher", "a.onnx", "--json").stdout)
    teacher, file = report["scores"]
    assert (teacher["artifact"], file["artifact"]) == ("file/a/as-is", "file/b/as-is")
    assert file["against"]["agreement"]["value"] == 0.0


def test_classes_are_matched_by_name(folder: Path) -> None:
    """A file whose outputs stand in another order is scored in the data's order."""
    brightness(folder / "c.onnx", {**METADATA, "edgekd.classes": '["bright", "dark"]'}, gain=-10.0)
    report = json.loads(ran("evaluate", "c.onnx", "--data", "npz:d.npz", "--json").stdout)
    assert report["scores"][0]["metrics"]["accuracy"]["value"] > 0.9


def test_a_file_for_other_classes_is_refused(folder: Path) -> None:
    """It is told apart what it tells apart."""
    brightness(folder / "c.onnx", {**METADATA, "edgekd.classes": '["cat", "dog"]'})
    assert "c.onnx tells cat, dog apart, the data has dark, bright" in refused("evaluate", "c.onnx", "--data", "npz:d.npz")


def test_a_file_that_does_not_say_how_it_wants_its_images_is_refused(folder: Path) -> None:
    """The remedy is a command that writes one that does."""
    brightness(folder / "c.onnx", {})
    assert "edgekd compress --no-student --teacher c.onnx" in refused("evaluate", "c.onnx", "--data", "npz:d.npz")


def test_bare_files_need_images() -> None:
    """Nothing is scored on digits by default."""
    assert "add --data SPEC" in refused("evaluate", "a.onnx")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("bench", "a.onnx", "--data", "digits"), "--data says nothing about bare files"),
        (("bench", "a.onnx", "--out", "x"), "--out says nothing about bare files"),
        (("bench", "a.onnx", "b.toml"), "give one recipe, one run, or .onnx files only; got a.onnx, b.toml"),
        (("bench", "a.onnx", "--max-time", "0"), "--max-time takes seconds above 0, got 0"),
        (("bench", "a.onnx", "--dim", "batch"), "--dim takes AXIS=N with a whole number above 0"),
        (("bench", "--max-time", "3"), "--max-time, --fps, --dim and --host are for bare files"),
        (("bench", "nope.onnx"), "no file at nope.onnx"),
        (("bench", "a.onnx", "--sustained", "60"), "--sustained takes a time from 1 s to 60 min with its unit, as in 60s or 10min; got '60'"),
        (("bench", "a.onnx", "--sustained", "2h"), "a time is written as 12 ms"),
        (("evaluate", "a.onnx", "--student", "resnet8"), "--student says nothing about bare files"),
    ],
)
def test_what_does_not_go_together(typed: tuple[str, ...], message: str) -> None:
    """Nothing typed is passed over in silence."""
    assert message in refused(*typed)


def test_bench_compares_files_without_torch() -> None:
    """Two files in turn: a measurement each, a ratio with its interval, layers and load where asked for; the process never loads torch."""
    code = "import sys, atexit\natexit.register(lambda: print('torch' in sys.modules, file=sys.stderr))\nfrom edgekd.cli import main\nmain()"
    asked = ["--max-time", "2", "--layers", "--sustained", "1s"]
    done = subprocess.run(
        [sys.executable, "-c", code, "bench", "a.onnx", "b.onnx", *asked, "--json", "-q"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (0, "False\n")
    report = msgspec.json.decode(done.stdout, type=Report)
    assert [measurement.artifact for measurement in report.measurements] == ["file/a/as-is", "file/b/as-is"]
    (ratio,) = report.ratios
    assert (ratio.artifact, ratio.against) == ("file/b/as-is", "file/a/as-is")
    assert ratio.low <= ratio.value <= ratio.high
    for measurement in report.measurements:
        assert ("Gemm", 30) in [(each.op, len(each.us)) for each in measurement.layer_times]
        assert measurement.sustained[-1].at_s >= 1


def test_an_open_axis_is_asked_for_by_its_flag(folder: Path) -> None:
    """The message says how the axis is given its length, and with that very flag the file is measured."""
    heavy(folder / "open.onnx", ("batch", "height", 256))
    result = runner.invoke(app, ["bench", "open.onnx", "--max-time", "1"])
    assert result.exit_code == 3
    message = " ".join(result.stderr.split())
    assert "axis 1 of input 'x0' has no fixed size" in message
    assert "say how long it is, as in edgekd bench --dim height=224" in message
    ran("bench", "open.onnx", "--dim", "height=2", "--max-time", "1")


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


def test_what_is_no_picture_is_named(folder: Path) -> None:
    """Broken and absent files alike."""
    (folder / "bad.png").write_text("no picture")
    assert "bad.png cannot be read: not a picture" in refused("predict", "a.onnx", "bad.png")
    assert "nope.png cannot be read: No such file" in refused("predict", "a.onnx", "nope.png")

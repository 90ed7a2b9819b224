"""Tests of edgekd/cli/measure.py: evaluate and bench on bare files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from edgekd.cli.app import app
from edgekd.record import Report
from tests.cli.bare import fill, ran, refused, runner
from tests.device.nets import heavy
from tests.toys import METADATA, brightness

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with files, images and a picture."""
    monkeypatch.chdir(tmp_path)
    return fill(tmp_path)


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
        (("bench", "a.onnx", "--fps", "0"), "--fps takes images a second above 0, got 0"),
        (("bench", "a.onnx", "--fps", "nan"), "--fps takes images a second above 0, got nan"),
        (("bench", "a.onnx", "--python", "it's"), "--python takes a command as a shell does, got it's: No closing quotation"),
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

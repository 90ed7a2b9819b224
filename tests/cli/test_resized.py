"""edgekd evaluate --resize on bare files."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edgekd.cli.app import app
from tests.toys import brightness


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a file for 4×4 images, and images of 8×8 and of 4×4."""
    monkeypatch.chdir(tmp_path)
    brightness(tmp_path / "a.onnx")
    labels = np.arange(60) % 2
    for side in (4, 8):
        pixels = (np.random.default_rng(0).integers(0, 120, (60, side, side)) + (labels * 130)[:, None, None]).astype(np.uint8)
        np.savez(tmp_path / f"{side}.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels, classes=np.array(["dark", "bright"]))
    return tmp_path


def test_each_library_stands_beside_edgekds_own() -> None:
    """Dark and bright are told apart whoever makes the images smaller: nothing is lost, no answer changes."""
    asked = ["evaluate", "a.onnx", "--data", "npz:8.npz", "--resize", "pil", "--resize", "torch"]
    result = CliRunner().invoke(app, [*asked, "--json", "-q"])
    assert result.exit_code == 0, result.output
    own, *others = json.loads(result.stdout)
    assert (own["file"], own["resize"], own["n"], own["accuracy"]["value"], "flips" in own) == ("a.onnx", "edgekd", 60, 1.0, False)
    assert [(each["resize"], each["accuracy"]["value"], each["accuracy_drop"]["value"], each["flips"]["value"]) for each in others] == [
        ("pil", 1.0, 0.0, 0.0),
        ("torch", 1.0, 0.0, 0.0),
    ]


def test_it_is_read_at_eighty_columns() -> None:
    """A table a file: who resized, accuracy, what was lost, flips, agreement."""
    result = CliRunner().invoke(app, ["evaluate", "a.onnx", "--data", "npz:8.npz", "--resize", "pil", "-q"])
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "resized by" in result.stdout
    assert [line.split()[0] for line in result.stdout.splitlines() if "%" in line] == ["edgekd", "pil"]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("a.onnx", "--data", "npz:8.npz", "--resize", "cv3"), "--resize takes opencv, pil, torch; got 'cv3'"),
        (("a.onnx", "--data", "npz:8.npz", "--resize", "opencv"), "opencv is not installed here"),
        (("a.onnx", "--data", "npz:4.npz", "--resize", "pil"), "a.onnx takes those of 4x4 as they are. Hold them as they come from the camera"),
        (("a.onnx", "--resize", "pil"), "add --data SPEC"),
        (("a.onnx", "--data", "npz:8.npz", "--resize", "pil", "--host", "x"), "take --host and --python away"),
        (
            ("a.onnx", "--data", "npz:8.npz", "--resize", "pil", "--teacher", "a.onnx"),
            "with --resize each file is compared with itself, and with no teacher; take --teacher away",
        ),
        (("r.toml", "--resize", "pil"), "--resize is for files"),
    ],
)
def test_what_cannot_be_asked(monkeypatch: pytest.MonkeyPatch, typed: tuple[str, ...], message: str) -> None:
    """With the remedy, before or instead of a score."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    result = CliRunner().invoke(app, ["evaluate", *typed])
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.split())

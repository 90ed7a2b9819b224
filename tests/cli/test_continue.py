"""`edgekd distill --from RUN`: a student of a run learns on, is measured on both, and errors are told in words."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from edgekd.cli.app import app
from tests.cli.processes import done
from tests.compress.jobs import images, recipe, run, workplace

ON = [
    "distill", "--from", "runs/images", "--data", "npz:new.npz", "--replay", "20 %", "--epochs", "4", "--set", "train.precision=fp32",
    "--set", "train.channels_last=false", "--set", "train.batch=16", "--set", "train.threads=1",
]  # fmt: skip
pytestmark = pytest.mark.timeout(600)
runner = CliRunner()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workplace with a run that taught a student, and images of an old class and of one that is new."""
    base = workplace(tmp_path_factory.mktemp("continue"))
    run(base, recipe(), verb="distill", out="runs/images")
    arrays: dict[str, Any] = {}
    for split, count in (("train", 120), ("test", 60)):
        arrays[f"x_{split}"], arrays[f"y_{split}"] = images(count, count, counts=(1, 1))
    np.savez(base / "new.npz", **arrays, classes=np.array(["above", "right"]))
    return base


def test_a_student_learns_on(place: Path) -> None:
    """A real process: at 80 columns, with what it kept; the report holds the same."""
    out = done(place, ON)
    assert max(map(len, out.splitlines())) <= 80
    assert "What it kept" in out
    assert "old test images" in out
    report = json.loads((place / "runs" / "new" / "report.json").read_text())
    assert report["data"]["classes"] == ["above", "below", "left", "right"]
    assert [held["images"] for held in report["kept"][0]["tests"]] == ["old", "new"]
    assert report["recipe"]["previous"] == {"run": "runs/images", "temperature": 2.0, "replay": "20 %"}


def test_a_dry_run_says_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is taught."""
    monkeypatch.chdir(place)
    result = runner.invoke(app, ["compress", *ON[1:], "--out", "dry", "--dry-run"])
    assert result.exit_code == 0, result.output
    assert "from      runs/images, which knew 3 classes; 43 old images are shown again" in result.stdout
    assert not (place / "dry").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["distill", "--from", "photos", "--data", "npz:new.npz"], "photos. A relative path starts at the recipe's folder, or where you are"),
        (["distill", "--from", ".", "--data", "npz:new.npz"], "it has no manifest.json"),
        (["distill", "--from", "runs/images", "--data", "npz:images.npz"], "Choose another folder with --out"),
        (["distill", "--replay", "10 %", "--data", "npz:new.npz"], "Add --from RUN"),
        (["evaluate", "a.onnx", "--from", "runs/images"], "--from says nothing about bare files"),
        (["init", "--from", "runs/images", "--data", "npz:new.npz"], "edgekd distill --from RUN --data SPEC"),
    ],
)
def test_what_cannot_be(place: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str) -> None:
    """Exit 2, in words, and nothing on stdout."""
    monkeypatch.chdir(place)
    result = runner.invoke(app, arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in " ".join(result.stderr.split())

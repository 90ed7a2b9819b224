"""docs/examples/ run as their pages say, shortened to a few steps; the workflow asks for nothing that the action does not have."""

import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from edgekd.cli.app import app
from edgekd.gate.limits import limits_from
from edgekd.units import parse_count
from tests.docs.blocks import DOCS, blocks_of
from tests.docs.test_blocks import understood
from tests.needs import ROOT

SHORT = [
    "--set", "train.teacher_epochs=0.5", "--set", "train.views=1", "--set", "train.precision=fp32", "--set", "train.channels_last=false",
    "--set", "train.threads=1", "--set", "on={}", "--quiet", "--json",
]  # fmt: skip
EXAMPLES = DOCS / "examples"


def done(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> dict[str, Any]:
    """A command with a folder's recipe, in few steps: its report. `distill` stops before the export, which takes longest."""
    monkeypatch.chdir(folder)
    ended = CliRunner().invoke(app, [command, "recipe.toml", *SHORT, *options])
    assert ended.exit_code == 0, ended.output
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def copied(example: str, place: Path) -> Path:
    """An example where it may write."""
    return Path(shutil.copytree(EXAMPLES / example, place / example, ignore=shutil.ignore_patterns("__pycache__", "*.onnx", "runs")))


@pytest.mark.timeout(600)
def test_a_network_of_your_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both functions are found, the student is taught with and without its teacher and keeps to its limit, and the weights load as the page says."""
    folder = copied("own", tmp_path)
    report = done("distill", folder, monkeypatch, "--epochs", "0.5")
    networks = {(each["role"], each["name"]): each for each in report["networks"]}
    assert networks.keys() >= {("teacher", "teacher"), ("student", "student"), ("alone", "student")}
    assert networks["student", "student"]["params"] < parse_count(report["recipe"]["limit"][0]["params"])
    (python,) = (block.text for block in blocks_of(folder / "index.md") if "load_file" in block.text)
    monkeypatch.syspath_prepend(folder)
    names: dict[str, Any] = {}
    exec(python, names)
    assert set(names["weights"]) == set(names["network"].state_dict())


@pytest.mark.timeout(600)
def test_a_folder_of_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PNG and JPEG files of several sizes in a folder each; one that is broken is told of."""
    folder = copied("folder", tmp_path)
    draw = np.random.default_rng(0)
    for kind, colour in (("cat", (200, 60, 60)), ("dog", (60, 200, 60)), ("fox", (60, 60, 200))):
        (folder / "photos" / kind).mkdir(parents=True)
        for number in range(30):
            noise = draw.integers(-50, 50, (40, 32 + number % 3, 3))
            picture = Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8))
            picture.save(folder / "photos" / kind / f"{number}.{'png' if number % 2 else 'jpg'}")
    (folder / "photos" / "cat" / "broken.png").write_bytes(b"no picture")
    report = done("compress", folder, monkeypatch, "--epochs", "1", "--set", "export.precisions=['fp32', 'int8']")
    assert report["data"]["classes"] == ["cat", "dog", "fox"]
    assert report["data"]["unreadable"]
    assert [(each["artifact"], each["state"]) for each in report["verdicts"]] == [("student/resnet8/int8-cpu", "pass")]


@pytest.mark.timeout(600)
def test_an_onnx_file_as_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script writes a good teacher, its softmax is seen, and a student learns from it."""
    folder = copied("blackbox", tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    runpy.run_path(str(folder / "make_teacher.py"))
    report = done("distill", folder, monkeypatch, "--epochs", "0.2")
    by = {each["role"]: each for each in report["networks"]}
    assert by["teacher"]["training"]["how"] == "brought"
    assert by["teacher"]["valid_accuracy"] > 0.85
    assert any("softmax" in note for note in report["notes"])
    assert by["student"]["training"]["how"] == "distilled"


def test_the_workflow_asks_the_action_for_what_it_has() -> None:
    """Every input and output that it uses exists, and its limits and options are such as the command takes."""
    workflow = yaml.safe_load((EXAMPLES / "workflow" / "edgekd.yml").read_text())
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    (steps,) = (job["steps"] for job in workflow["jobs"].values())
    (step,) = (step for step in steps if "edgekd@" in step.get("uses", ""))
    given = step["with"]
    assert set(given) <= set(action["inputs"])
    assert limits_from(given["limits"].split())
    understood(["check", *given["paths"].split(), "--baseline", given["baseline"], *given["options"].split()])
    used = {word.split(".")[-1] for step in steps for word in str(step).split() if word.startswith(f"steps.{step.get('id', 'check')}.outputs.")}
    assert used == set(action["outputs"])

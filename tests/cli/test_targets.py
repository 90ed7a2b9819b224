"""edgekd targets: those that are known, one of them, and a machine as a new one, on stdout or in a file and never over what is there."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgekd import target
from edgekd.cli.app import app
from edgekd.device.probe import described

runner = CliRunner()


def test_targets_are_listed_within_80_columns() -> None:
    """Each by name; those that never ran are marked."""
    text = runner.invoke(app, ["targets"]).stdout
    assert all(name in text for name in target.names())
    assert "jetson-orin-nano *" in text
    assert "cpu *" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert [each["name"] for each in json.loads(runner.invoke(app, ["targets", "--json"]).stdout)] == target.names()


def test_a_target_is_shown_as_its_file() -> None:
    """With the comments and sources in it."""
    result = runner.invoke(app, ["targets", "show", "jetson-orin-nano"])
    assert "never run on real hardware" in result.stdout
    assert "description" in result.stdout
    assert json.loads(runner.invoke(app, ["targets", "show", "cpu", "--json"]).stdout)["runtime"] == "onnxruntime"


def test_a_target_that_nobody_knows() -> None:
    """The nearest is named, and stdout holds nothing of the list."""
    result = runner.invoke(app, ["targets", "show", "cpuu"])
    assert result.exit_code == 2
    assert "Did you mean 'cpu'?" in result.stderr
    assert result.stdout == ""


@pytest.fixture(autouse=True)
def _probed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a machine comes to; that it is asked is `device/probe.py`'s own test."""
    facts = {"cpu": "Example 4000", "memory": 8_000_000_000, "instructions": [], "gpu": None, "gpu_memory": None, "tensorrt": None}
    copied = {"bytes_per_s": 1.2e10, "size": 1_000_000, "threads": 2}
    monkeypatch.setattr("edgekd.device.probe.probe", lambda session, name: described(name, {**facts, "compute_capability": None}, [], copied))


def test_a_target_is_written_and_reads_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named by its file; the next line to type is told."""
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(app, ["targets", "probe", "--out", "box.toml"])
    assert result.exit_code == 0, result.output
    found = target.load("box.toml")
    assert (found.name, found.tested) == ("box", False)
    assert "edgekd bench FILE.onnx --on box.toml=local" in result.stdout
    again = runner.invoke(app, ["targets", "probe", "--out", "box.toml"])
    assert again.exit_code == 2
    assert "is there already" in again.stderr


def test_without_a_file_it_is_printed(tmp_path: Path) -> None:
    """TOML that reads back, remarks included; under --json the target."""
    result = runner.invoke(app, ["targets", "probe"])
    assert result.exit_code == 0, result.output
    (tmp_path / "t.toml").write_text(result.stdout)
    assert target.load(str(tmp_path / "t.toml")).runtime in ("onnxruntime", "tensorrt")
    assert max(map(len, (line for line in result.stdout.splitlines() if line.startswith("#")))) <= 150


@pytest.mark.parametrize(
    ("typed", "message"),
    [(["--out", "box.json"], "ends in .toml"), (["--host", "-oProxyCommand=x"], "a host is 'local' or what `ssh` takes")],
)
def test_what_cannot_be(typed: list[str], message: str) -> None:
    """Refused before anything is asked."""
    result = runner.invoke(app, ["targets", "probe", *typed])
    assert result.exit_code == 2
    assert message in result.stderr


def test_under_json_it_is_one_document() -> None:
    """With the name that it has without a file."""
    assert json.loads(runner.invoke(app, ["targets", "probe", "--json"]).stdout)["name"] == "probed"

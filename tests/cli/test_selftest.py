"""edgekd selftest: the table at 80 columns, the file, and the exit code; what is tried is `device/selftest.py`'s own test."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgekd.cli.app import app
from edgekd.device.selftest import Selftest
from edgekd.device.tries import Check

runner = CliRunner()
FACTS: dict[str, Any] = {
    **{"cpu": "NVIDIA Orin Example, Cortex-A78AE", "cores": 6, "gpu": None},
    **{"system": "Ubuntu 22.04", "l4t": "36.4.3", "jetpack": "6.2"},
}


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    """What a stand-in for the device will have come to."""
    checks = [
        Check(name="state", state="works", text="6 clocks, 8 temperatures", figures={"load": 0.5}),
        Check(name="tensorrt fp16", state="refused", text="the library says no " * 12),
        Check(name="openvino", state="absent", text="not installed"),
    ]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "edgekd.device.selftest.selftest", lambda session, emit, only: Selftest(edgekd="0.1.0", date="2026-11-26", facts=FACTS, checks=checks)
    )
    return checks


def test_the_table_and_the_file(tried: list[Check]) -> None:
    """Facts first, a line a part, within 80 columns; the file is what --json prints."""
    result = runner.invoke(app, ["selftest"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("NVIDIA Orin Example, Cortex-A78AE, 6 cores; Ubuntu 22.04; L4T 36.4.3; JetPack")
    assert "✓ state          6 clocks, 8 temperatures" in lines
    assert "– openvino       absent: not installed" in lines
    assert lines[-1] == "wrote edgekd-selftest.json"
    printed = json.loads(runner.invoke(app, ["selftest", "--json", "--out", "other.json"]).stdout)
    assert printed == json.loads(Path("edgekd-selftest.json").read_text()) == json.loads(Path("other.json").read_text())


def test_a_part_that_fails(tried: list[Check]) -> None:
    """Is marked, and the exit code is 1; the file is written all the same."""
    tried.append(Check(name="energy", state="fails", text="it broke"))
    result = runner.invoke(app, ["selftest"])
    assert result.exit_code == 1
    assert "✗ energy         fails: it broke" in result.stdout
    assert Path("edgekd-selftest.json").is_file()


def test_where_it_cannot_be_written(tried: list[Check]) -> None:
    """Refused before the device is asked."""
    for name in ("there.txt", "folder.json"):
        Path("folder.json").mkdir(exist_ok=True)
        result = runner.invoke(app, ["selftest", "--out", name])
        assert result.exit_code == 2
        assert "ends in .json" in result.stderr

"""edgekd label: a run that was killed goes on where it was, and comes to the same bytes."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgekd.cli.app import app
from edgekd.label import answers
from tests.label.conftest import NETWORK
from tests.needs import ROOT

pytestmark = pytest.mark.timeout(600)
KILLS = {"killed": (signal.SIGKILL, 3, 0), "asked-to-stop": (signal.SIGTERM, 3, 3600), "at-once": (signal.SIGKILL, 1, 0)}
"""Signal, the batch during which it comes, seconds between parts."""
CODES = {"killed": -signal.SIGKILL, "asked-to-stop": 143, "at-once": -signal.SIGKILL}
STANDING = {"killed": 128, "asked-to-stop": 128, "at-once": 0}


@pytest.fixture(scope="module")
def stopped(place: Path) -> dict[str, int]:
    """The exit codes of processes that got a signal while the teacher answered, and what they said."""
    told = [str(part) for name, (number, batch, seconds) in KILLS.items() for part in (name, int(number), batch, seconds)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.label.killed", *told]
    ended = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=500, check=True)
    assert "label goes on from its last checkpoint." in ended.stderr
    return dict(zip(KILLS, map(int, ended.stdout.split()), strict=True))


def labelled(place: Path, out: str, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, bytes, str, int]:
    """The result of labelling into a folder, as bytes, what was said, and how many batches the teacher was asked about."""
    asked = 0
    ask = answers._answered

    def counted(*arguments: Any) -> Any:
        nonlocal asked
        asked += 1
        return ask(*arguments)

    monkeypatch.chdir(place)
    with monkeypatch.context() as patch:
        patch.setattr(answers, "_answered", counted)
        ended = CliRunner().invoke(app, ["label", "npz:x.npz", *NETWORK, "--out", out])
    assert ended.exit_code == 0, ended.stderr
    return (place / out / "labelled.npz").read_bytes(), (place / out / "rejected.jsonl").read_bytes(), ended.stderr, asked


@pytest.mark.parametrize("name", KILLS)
def test_a_stopped_run_goes_on(stopped: dict[str, int], place: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a kill at most what was asked since the last part is lost, by a plea to stop nothing; the result is that of an undisturbed run."""
    assert stopped[name] == CODES[name]
    assert not (place / name / "labelled.npz").exists()
    *result, said, asked = labelled(place, name, monkeypatch)
    assert (f"{STANDING[name]} of 200 images stand" in said) == bool(STANDING[name])
    assert asked == (200 - STANDING[name] + answers.BATCH - 1) // answers.BATCH
    *whole, _, all_ = labelled(place, "undisturbed", monkeypatch)
    assert result == whole
    assert all_ in (0, 4)

"""Several processes that a launcher starts: one run, one voice."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekd.compress import compress
from edgekd.errors import UsageError
from edgekd.recipe import Domain, Previous, Recipe
from edgekd.reportfile import read_report
from tests.cli.processes import JOB, ended
from tests.compress.jobs import recipe, run, workplace


def test_two_processes_teach_one_run(tmp_path: Path) -> None:
    """`distill` under torchrun, where the first process speaks and writes; then one by itself takes up what they taught."""
    base = workplace(tmp_path)
    line = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "edgekd", "distill", *JOB[1:]]
    done = subprocess.run(line, cwd=base, env={**os.environ, "COLUMNS": "80"}, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("report  runs/images/report.json") == 1
    assert done.stderr.count("2 processes teach together, each on its part of every batch") == 1
    told = read_report(base / "runs" / "images" / "report.json")
    assert {network.role for network in told.networks} >= {"teacher", "student"}
    _, said = ended(base, ["distill", *JOB[1:]])
    assert "teach: stood already" in said
    assert "distill/thin: stood already" in said


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a launcher's second process of two would be told."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")


@pytest.mark.usefixtures("launched")
def test_files_are_made_by_one_process(tmp_path: Path) -> None:
    """And the message says how to go on."""
    with pytest.raises(UsageError, match=r"2 were launched\. Launch `teach` or `distill`, then run this command by itself"):
        compress(Recipe(), folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("launched")
@pytest.mark.parametrize("beside", [{"domain": Domain(target="npz:images.npz")}, {"previous": Previous(run="old")}], ids=["domain", "from"])
def test_lessons_beside_the_terms_are_one_processs(tmp_path: Path, beside: dict[str, object]) -> None:
    """They are refused before the processes wait for each other."""
    with pytest.raises(UsageError, match=r"domain and --from are taught by one process, and 2 were launched"):
        run(tmp_path, recipe(**beside), verb="distill")

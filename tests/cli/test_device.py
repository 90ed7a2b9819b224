"""edgekd bench and evaluate on another machine: a real sshd, the command as a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.bare import fill
from tests.device.sshd import Sshd, served

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A machine that `ssh device` reaches."""
    with served(tmp_path_factory.mktemp("sshd")) as machine:
        yield machine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classifiers and images of both classes."""
    return fill(tmp_path)


def ran(folder: Path, machine: Sshd, *typed: str) -> "subprocess.CompletedProcess[str]":
    """The command in a folder, with the way to the machine."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "EDGEKD_SSH": machine.client}
    return subprocess.run(
        [sys.executable, "-m", "edgekd", *typed], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_files_are_timed_over_there(folder: Path, machine: Sshd) -> None:
    """Each on the host's own name, the second against the first."""
    done = ran(folder, machine, "bench", "a.onnx", "b.onnx", "--on", "cpu=device", "--max-time", "12", "--python", sys.executable, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {each["host"] for each in report["measurements"]} == {"device"}
    assert report["hosts"]["device"]["runtimes"]["onnxruntime"]
    assert report["ratios"][0]["against"] == "file/a/as-is"


def test_the_target_is_found(folder: Path, machine: Sshd) -> None:
    """A host alone is measured as what it fits, a machine that nothing was written for as a CPU."""
    done = ran(folder, machine, "bench", "a.onnx", "--host", "device", "--max-time", "8", "--python", sys.executable, "--json")
    assert done.returncode == 0, done.stderr
    assert [(each["target"], each["host"]) for each in json.loads(done.stdout)["measurements"]] == [("cpu", "device")]
    assert "measured as cpu" in done.stderr


def test_a_file_answers_over_there_as_it_does_here(folder: Path, machine: Sshd) -> None:
    """Scored on both machines, and compared with itself: two files are not compared with each other."""
    done = ran(folder, machine, "evaluate", "a.onnx", "b.onnx", "--data", "npz:d.npz", "--host", "device", "--python", sys.executable, "--json")
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)["scores"]
    assert [(each["artifact"], each["host"]) for each in scores] == [
        *(("file/a/as-is", host) for host in ("local", "device")),
        *(("file/b/as-is", host) for host in ("local", "device")),
    ]
    assert [each["metrics"]["accuracy"]["value"] for each in scores] == [1.0, 1.0, 0.0, 0.0]
    assert [each["against"].get("agreement", {}).get("value") for each in scores] == [None, 1.0, None, 1.0]
    text = ran(folder, machine, "evaluate", "b.onnx", "--data", "npz:d.npz", "--host", "device", "--python", sys.executable).stdout
    assert "file/b/as-is on device, " in text
    assert "100.0 % of its answers as here, accuracy 0.0 % (0.0 % here)" in text


def test_a_machine_that_is_not_there(folder: Path, machine: Sshd) -> None:
    """A panel with what to do, and the exit code of a failure."""
    machine.stop()
    try:
        done = ran(folder, machine, "bench", "a.onnx", "--on", "cpu=device")
    finally:
        machine.start()
    assert done.returncode == 3
    assert "device cannot be reached" in done.stderr
    assert "Start sshd there" in done.stderr
    assert "Traceback" not in done.stderr


def test_hosts_that_go_with_something_else(folder: Path, machine: Sshd) -> None:
    """A recipe's files are timed where it says, and a teacher is another comparison."""
    for typed, message in (
        (("evaluate", "r.toml", "--host", "device"), "--host and --python are for files"),
        (("evaluate", "a.onnx", "--data", "npz:d.npz", "--teacher", "b.onnx", "--host", "device"), "take --teacher away"),
        (("bench", "a.onnx", "--on", "cpu", "--host", "device"), "give one of them"),
        (("bench", "a.onnx", "--on", "cpu=-oProxyCommand=x"), "a host is 'local' or what `ssh` takes"),
    ):
        done = ran(folder, machine, *typed)
        assert done.returncode == 2, done.stderr
        assert message in " ".join(done.stderr.replace("│", " ").split())

"""The command line as a person runs it: real processes, real folders, killed and started again."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from edgekd.files import sha256_file
from tests.compress.jobs import workplace

JOB = [
    "compress", "--data", "npz:images.npz", "--teacher", "nets.py:wide", "--student", "nets.py:thin", "--epochs", "4",
    "--set", "train.teacher_epochs=2", "--set", "train.precision=fp32", "--set", "train.channels_last=false", "--set", "train.batch=16",
    "--set", "train.views=1", "--set", "train.threads=1", "--set", "checkpoint_s=0", "--set", "export.precisions=['fp32']",
]  # fmt: skip


@contextlib.contextmanager
def started(base: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """The command in a folder; it does not outlive the test."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edgekd", *arguments],
        cwd=base,
        env={**os.environ, "COLUMNS": "80"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        with process:
            yield process
    finally:
        process.kill()


def ended(base: Path, arguments: Sequence[str], code: int = 0) -> tuple[str, str]:
    """What the command prints and says, once it ended with the code that is asked for."""
    with started(base, *arguments) as process:
        out, said = process.communicate()
    assert process.returncode == code, said
    return out, said


def done(base: Path, arguments: Sequence[str], code: int = 0) -> str:
    """What the command prints."""
    return ended(base, arguments, code)[0]


def student(run: Path) -> str:
    """The hash of the student's weights."""
    (file,) = run.glob("distill/thin-*/weights.safetensors")
    return sha256_file(file)


def test_a_run_killed_while_the_student_learns_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    """SIGKILL once there is a checkpoint, then the same command: the same bits, no half file."""
    base = workplace(tmp_path)
    done(base, [*JOB, "--out", "undisturbed", "--set", "on={}"])
    with started(base, *JOB, "--out", "killed", "--set", "on={}") as process:
        while not list((base / "killed").glob("distill/thin-*/.checkpoint.pt")):
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert not list((base / "killed").glob("distill/thin-*/weights.safetensors"))
    done(base, [*JOB, "--out", "killed", "--set", "on={}"])
    assert student(base / "killed") == student(base / "undisturbed")
    assert not list((base / "killed").rglob(".part-*"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workplace with a finished run that was timed."""
    base = workplace(tmp_path_factory.mktemp("whole"))
    out = done(base, JOB)
    assert max(map(len, out.splitlines())) <= 80
    assert "thin: −" in out
    assert "report  runs/images/report.json" in out
    return base


def test_the_steps_after_it_work_on_its_folder(finished: Path) -> None:
    """report, check, bench of bare files and evaluate, as the README shows them."""
    assert "teacher/wide/fp32" in done(finished, ["report", "runs/images"])
    assert done(finished, ["report", "runs/images", "--format", "markdown"]).startswith("# ")
    assert "pass" in done(finished, ["check", "runs/images", "--limit", "size=1MB"])
    assert "over" in done(finished, ["check", "runs/images", "--limit", "size=1kB"], code=1)
    done(finished, ["check", "runs/images"], code=2)
    files = [str(file.relative_to(finished)) for file in sorted((finished / "runs").rglob("*.onnx"))]
    assert len(files) == 2
    timed = json.loads(done(finished, ["bench", *files, "--max-time", "3", "--json"]))
    assert [ratio["quantity"] for ratio in timed["ratios"]] == ["latency"]
    scored = json.loads(done(finished, ["evaluate", *files, "--data", "npz:images.npz", "--json"]))
    assert [score["n"] for score in scored["scores"]] == [90, 90]


def test_predict_shows_the_teachers_answer_beside(finished: Path) -> None:
    """For a picture of another size than the network's."""
    from PIL import Image

    Image.new("RGB", (40, 30), (200, 200, 200)).save(finished / "grey.png")
    (file,) = (finished / "runs").rglob("student-thin-fp32.onnx")
    (answer,) = json.loads(done(finished, ["predict", str(file), "grey.png", "--json"]))
    assert [{each["class"] for each in answer[who]} for who in ("top", "teacher")] == [{"above", "below", "left"}] * 2


def test_the_same_command_again_finds_everything_done(finished: Path) -> None:
    """Nothing is taught twice."""
    _, said = ended(finished, JOB)
    assert "teach: stood already" in said
    assert "bench: stood already" in said
    assert "done in" not in said

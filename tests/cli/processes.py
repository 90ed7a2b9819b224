"""The command line as real processes in real folders, and a small job for it."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

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

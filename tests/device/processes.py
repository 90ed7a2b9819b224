"""Processes that tests start and watch: agents as a host sees them, through their pipes alone."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

UNRULY = Path(__file__).with_name("unruly.py")
PATIENCE_S = 60.0
"""A bound for what comes at once, however busy the machine is."""


class Line:
    """A started agent: bytes in, JSON lines out."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    def write(self, *lines: bytes) -> None:
        """Send lines as they are."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(line + b"\n" for line in lines))
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        """The next answer."""
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def end(self) -> tuple[bytes, bytes]:
        """End its stdin; what it still wrote to stdout and stderr."""
        return self.process.communicate(timeout=PATIENCE_S)


@contextmanager
def started(program: Path, nonce: str = "n0nce", python: str = sys.executable, *options: str) -> Iterator[Line]:
    """An agent in a process of its own, not yet read from."""
    command = [python, *options, str(program), nonce]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield Line(process)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream is not None
            with suppress(BrokenPipeError):
                stream.close()


def gone(pid: int) -> bool:
    """Whether a process has ended, or does so soon; one that nobody has waited for yet has ended too."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.01)
    return False


def python38() -> str:
    """A Python 3.8, the oldest that a device may have; skips where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [shutil.which("python3.8"), *sorted(str(file) for file in pyenv.glob("versions/3.8.*/bin/python3.8"))]
    for python in filter(None, found):
        # pyenv puts a python3.8 on the path that only says that none was chosen.
        done = subprocess.run([python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True)
        if done.stdout.strip() == "3 8":
            return python
    pytest.skip("there is no Python 3.8 here")

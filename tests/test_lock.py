"""lock: one process at a time in a run's folder, whatever ended the last one."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgekd.errors import RunError
from edgekd.lock import acquire, release
from tests.runs import opened

HOLD = """
import sys, time
from pathlib import Path
from edgekd.events import silent
from edgekd.run import Run
with Run.open(Path(sys.argv[1]), origin="job.toml", recipe_toml="", emit=silent):
    print("held", flush=True)
    {then}
"""


def hold(folder: Path, then: str) -> "subprocess.Popen[str]":
    """A process that has the run open."""
    process = subprocess.Popen([sys.executable, "-c", HOLD.format(then=then), str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    """It is named; kill -9 frees the folder."""
    with hold(tmp_path / "r", "time.sleep(60)") as process:
        with pytest.raises(RunError, match=rf"r is in use by process {process.pid}\. Wait until it ends, or choose another folder with --out"):
            opened(tmp_path / "r")
        process.send_signal(signal.SIGKILL)
    with opened(tmp_path / "r"):
        pass


def test_a_worker_that_outlives_a_killed_run_does_not_hold_the_folder(tmp_path: Path) -> None:
    """A forked child gives up its copy of the lock, and the parent keeps it."""
    with hold(tmp_path / "r", "import os; child = os.fork(); print(child, flush=True) if child else None; time.sleep(60)") as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            time.sleep(0.1)
            with pytest.raises(RunError, match="in use by process"):
                opened(tmp_path / "r")
            process.send_signal(signal.SIGKILL)
            process.wait()
            with opened(tmp_path / "r"):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_run_can_be_opened_again_once_closed(tmp_path: Path) -> None:
    """Closing twice is no fault; within one process two at once are refused too."""
    with opened(tmp_path / "r") as it:
        with pytest.raises(RunError, match="in use"):
            opened(tmp_path / "r")
        it.close()
        with opened(tmp_path / "r"):
            pass


def test_a_full_disk_is_reported_and_the_lock_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening fails half way."""

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(RunError, match="no room to write"):
            opened(tmp_path / "r")
    with opened(tmp_path / "r"):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="flock is not Windows's")
def test_a_file_system_without_locks_is_not_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting would never help."""

    def refuse(handle: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(RunError, match=r"cannot be written: No locks available\. Choose another folder"):
        opened(tmp_path / "run")


def test_a_lock_whose_holder_cannot_be_written_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a full disk: the next try in the same process finds it free."""

    def full(handle: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", full)
        with pytest.raises(OSError, match="No space left"):
            acquire(tmp_path)
    release(acquire(tmp_path))


def test_an_unfinished_folder_is_cleared_away(tmp_path: Path) -> None:
    """As a kill leaves of a package that was being written into a run."""
    opened(tmp_path / "run").close()
    (tmp_path / "run" / ".part-7-pack" / "files").mkdir(parents=True)
    opened(tmp_path / "run").close()
    assert not list((tmp_path / "run").glob(".part-*"))

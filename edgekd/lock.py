"""One process at a time in a folder; the operating system frees the lock, whatever ends the process.

In: the folder. Out: a handle, to be given back to `release`. A child that this process forks holds no lock.
"""

import errno
import os
import sys
from pathlib import Path

from edgekd.errors import RunError

LOCK = ".lock"
"""Holds the number of the process, for those who wait."""
_HELD = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)
"""How systems say that another process has the lock; anything else is a file system that has none, or no room."""

if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> None:
        os.lseek(handle, 1 << 30, os.SEEK_SET)  # far behind the text, which others may then still read
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)

else:
    import fcntl

    def _try_lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


_held: set[int] = set()
"""Handles of the locks this process holds."""


def _let_go() -> None:
    """In a forked child: give up the lock's copy, lest workers that outlive a killed run keep its folder locked."""
    for handle in _held:
        os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


def acquire(folder: Path) -> int:
    """Lock a folder that is there.

    Raises:
        RunError: another process holds it.
        OSError: the folder cannot be written.
    """
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _try_lock(handle)
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
    except OSError as error:
        holder = os.read(handle, 20).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        if error.errno not in _HELD:
            raise
        raise RunError(f"{folder} is in use by process {holder}. Wait until it ends, or choose another folder with --out.") from None
    _held.add(handle)
    return handle


def is_held(folder: Path) -> bool:
    """Whether a process, this one or another, holds a folder that is there."""
    try:
        release(acquire(folder))
    except RunError:
        return True
    except OSError:
        return False
    return False


def release(handle: int) -> None:
    """Let go of what `acquire` gave."""
    _held.discard(handle)
    os.close(handle)

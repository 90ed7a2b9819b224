"""Files that are whole or absent, and their hashes.

In: a path and what shall stand there. Out: the file under its final name, or a RunError that names the full disk and no file at all.
It keeps no folder in order and locks nothing: that is `run`'s.
"""

import errno
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from edgekd.errors import EdgekdError, RunError
from edgekd.reportfile import check_finite

PART = ".part-"
"""What the name of an unfinished file starts with."""

_LONGEST = 50
"""Letters of a file's own name in that of its unfinished part: names end at 255 bytes."""
_UNASKED = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
"""How file systems say that a folder is nothing to be synced."""
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a file so that its name never stands for half of it.

    Raises:
        RunError: the disk is full.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A path beside `path`, with its suffix, to write to; it takes the final name when the block ends well, and is removed when it does not.

    A link stays one: what it leads to is written anew. What is no file, as a pipe or a terminal, is written to as it stands.

    Raises:
        RunError: the disk is full, whatever the writer made of that.
    """
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    if path.exists() and not path.is_file() and not path.is_dir():
        yield path
        return
    temporary = path.with_name(f"{PART}{os.getpid()}-{path.name[-_LONGEST:]}")
    try:
        with roomy(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            _sync(temporary)
            os.replace(temporary, path)
            _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sha256_file(path: Path) -> str:
    """The sha256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_json(value: Any) -> str:
    """The sha256 of a value's canonical JSON: structs and tables with sorted keys, nothing between the tokens."""
    check_finite(value, "what is hashed")
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def _sync(path: Path) -> None:
    """Have the file (or the folder's list of names) on the disk before going on; Windows cannot do so for folders."""
    if path.is_dir() and sys.platform == "win32":
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() or sys.platform != "win32" else os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as error:
        if not path.is_dir() or error.errno not in _UNASKED:
            raise
    finally:
        os.close(handle)


@contextmanager
def roomy(path: Path) -> Iterator[None]:
    """Turn a full disk into a RunError. Writers of tensors hide the error's number: then a disk with no room left is taken for the cause."""
    try:
        yield
    except EdgekdError:
        raise
    except Exception as error:
        mount = path.absolute().parent
        while not mount.is_dir() or not (os.path.ismount(mount) or mount == mount.parent):
            mount = mount.parent
        free = shutil.disk_usage(mount).free
        number = getattr(error, "errno", None)
        if number in _FULL or (number is None and free < 1 << 16):
            raise RunError(
                f"no room to write {path}: the disk at {mount} has {free / 1e6:.1f} MB free. "
                "Free some and run the same command again: it goes on from the last file that was finished."
            ) from error
        raise

"""Files on the device: a cache of what was brought, by its hash, and rooms for what comes and goes with a session.

In: pieces in base64 with the offset that they belong at, so that a broken transfer goes on. Out: paths, and pieces of what was written here.
A file counts as brought once its hash is right. Nothing outside the cache's folder is read, written or taken away.
"""

import base64
import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Optional

from . import machine
from .protocol import Answer, Job, RefusedError

ROOM_S = 86400.0
"""How long a room may stand that nobody took away, in seconds: its session was cut off."""
SPARE = 64 * 1024 * 1024
"""Bytes of the disk that are left to the device, whatever is brought."""


def default_cache() -> Path:
    """Where files are kept: EDGEKD_CACHE, else the user's cache folder."""
    own = os.environ.get("EDGEKD_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgekd"


class Store:
    """The cache of one user on one device, and the rooms of its sessions."""

    def __init__(self, folder: Optional[Path] = None) -> None:
        self._folder = folder or default_cache()

    def jobs(self) -> Dict[str, Job]:
        """Every job by its name."""
        return {"have": self.have, "put": self.put, "seal": self.seal, "room": self.room, "get": self.get, "leave": self.leave, "prune": self.prune}

    def have(self, sha256: str, size: int, suffix: str = "", room: Optional[str] = None) -> Answer:
        """Where a file lies or will lie, and how many of its bytes are there; refused where the disk has no room for the rest, or the memory none
        for it."""
        path = self._place(sha256, suffix, room)
        if path.is_file():
            if path.stat().st_size == size:
                os.utime(str(path), None)  # pruning takes what was not asked for longest
                _check_memory(size)
                return {"path": str(path), "have": size, "sealed": True}
            path.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        part = _part(path)
        there = part.stat().st_size if part.is_file() else 0
        if there > size:
            part.unlink()
            there = 0
        free = shutil.disk_usage(str(path.parent)).free
        if free < size - there + SPARE:
            raise RefusedError(
                "the disk there is too full: {} has {:.0f} MB free, and the file takes {:.0f} MB and leaves {:.0f} MB alone. "
                "Make room, or name another folder there in EDGEKD_CACHE.".format(path.parent, free / 1e6, (size - there) / 1e6, SPARE / 1e6)
            )
        _check_memory(size)
        return {"path": str(path), "have": there, "sealed": False}

    def put(self, path: str, offset: int, data: str) -> Answer:
        """Write a piece at its offset; a piece that is there already is written again to the same effect.

        Several sessions may bring one file at once: what one has finished is not begun again by another.
        """
        whole, piece = self._own(path), base64.b64decode(data)
        try:
            if not whole.is_file():
                # Neither cut off nor begun anew where another session has just begun it.
                with os.fdopen(os.open(str(_part(whole)), os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600), "wb") as file:
                    file.seek(offset)
                    file.write(piece)
        except OSError as error:
            raise RefusedError("a file cannot be written there: {}".format(error)) from None
        return {"have": offset + len(piece)}

    def seal(self, path: str, sha256: str) -> Answer:
        """Check what was brought, and give it its name; damaged, it is taken away."""
        whole = self._own(path)
        part = _part(whole)
        found = ""
        try:
            found = sha256_of(part)
            if found == sha256:
                os.replace(str(part), str(whole))
            else:
                part.unlink()
        except FileNotFoundError:
            pass  # another session has given it its name
        if not whole.is_file():
            raise RefusedError("the file came damaged: its hash there is {}, not {}".format(found[:12], sha256[:12]))
        return {"path": str(whole)}

    def room(self) -> Answer:
        """A new folder for files that come and go."""
        rooms = self._folder / "rooms"
        rooms.mkdir(parents=True, exist_ok=True)
        return {"path": tempfile.mkdtemp(prefix="room-", dir=str(rooms))}

    def get(self, path: str, offset: int, size: int) -> Answer:
        """A piece of a file that was written into a room."""
        with open(str(self._own(path)), "rb") as file:
            file.seek(offset)
            data = file.read(size)
            whole = os.fstat(file.fileno()).st_size
        return {"data": base64.b64encode(data).decode("ascii"), "size": whole}

    def leave(self, path: str) -> Answer:
        """Take a room away."""
        room = self._own(path)
        if room.parent.name != "rooms":
            raise RefusedError("{} is no room".format(path))
        shutil.rmtree(str(room), ignore_errors=True)
        return {}

    def prune(self, days: float, most: int) -> Answer:
        """Take away what was not asked for in so many days, then the oldest until at most `most` bytes are kept, and rooms that were left behind."""
        now, gone = time.time(), 0
        for room in _listed(self._folder / "rooms"):
            if now - room.stat().st_mtime > ROOM_S:
                shutil.rmtree(str(room), ignore_errors=True)
        files = sorted(_listed(self._folder / "files"), key=lambda file: file.stat().st_mtime)
        kept = sum(file.stat().st_size for file in files)
        for file in files:
            if now - file.stat().st_mtime > 86400 * days or kept > most:
                kept -= file.stat().st_size
                file.unlink()
                gone += 1
        return {"removed": gone, "kept": kept}

    def _place(self, sha256: str, suffix: str, room: Optional[str]) -> Path:
        if not (len(sha256) == 64 and all(letter in "0123456789abcdef" for letter in sha256)):
            raise RefusedError("a file is named by its sha256, got {!r}".format(sha256))
        if suffix and not (suffix[0] == "." and suffix[1:].isalnum()):
            raise RefusedError("a suffix is a dot and letters or digits, got {!r}".format(suffix))
        folder = self._own(room) if room else self._folder / "files"
        return folder / (sha256 + suffix)

    def _own(self, path: str) -> Path:
        """A path below the cache's folder; no other is touched."""
        real = Path(os.path.realpath(path))
        if os.path.realpath(str(self._folder)) not in [str(parent) for parent in real.parents]:
            raise RefusedError("{} lies outside edgekd's own folder {}".format(path, self._folder))
        return real


def free_memory() -> Optional[int]:
    """Bytes of memory that programs may still have; None where the machine does not tell."""
    return machine.kib(machine.ROOT / "proc/meminfo", "MemAvailable")


def _check_memory(size: int) -> None:
    """Refuse a file that could only be opened by swapping."""
    free = free_memory()
    if free is not None and size > free:
        raise RefusedError(
            "the memory there is too full: {:.0f} MB are free, and the file alone takes {:.0f} MB. End other programs there, or take a smaller "
            "file.".format(free / 1e6, size / 1e6)
        )


def sha256_of(file: Path) -> str:
    """Of a file, read in pieces."""
    digest = hashlib.sha256()
    with open(str(file), "rb") as opened:
        for piece in iter(lambda: opened.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _listed(folder: Path) -> List[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []

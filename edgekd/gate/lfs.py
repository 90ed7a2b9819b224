"""Files that git LFS keeps elsewhere: the small text that stands in their place in git, and the file behind it.

A pointer must never be judged in a model's stead: it is 130 bytes small and would keep to any limit.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from edgekd import units
from edgekd.errors import MissingError

_FIRST = b"version https://git-lfs.github.com/spec/v1\n"
LONGEST = 1024
"""Bytes of the longest pointer that git LFS reads."""


@dataclass(frozen=True)
class Pointer:
    """What stands in git for a file: the sha256 and the size of the file itself."""

    sha256: str
    size: int
    text: bytes


def pointer(data: bytes) -> Pointer | None:
    """The pointer in a file's bytes; None where they are the file itself."""
    if len(data) > LONGEST or not data.startswith(_FIRST):
        return None
    digest, size = re.search(rb"^oid sha256:([0-9a-f]{64})$", data, re.MULTILINE), re.search(rb"^size (\d+)$", data, re.MULTILINE)
    return Pointer(digest[1].decode(), int(size[1]), data) if digest and size else None


def refuse_pointer(file: Path) -> None:
    """Raise where a file is only a pointer.

    Raises:
        MissingError: it is one; the message says how to get the file.
    """
    with file.open("rb") as opened:
        found = pointer(opened.read(LONGEST + 1))
    if found is not None:
        raise MissingError(_absent(str(file), found, f"git lfs pull --include {file.name}"))


def resolved(data: bytes, name: str, folder: Path) -> bytes:
    """A file's bytes: the file behind it, where they are a pointer; raises as `behind`."""
    found = pointer(data)
    return data if found is None else behind(found, name, folder)


def behind(found: Pointer, name: str, folder: Path) -> bytes:
    """The file behind a pointer: from the own store of the repository around a folder, else fetched by git LFS where that is installed.

    Raises:
        MissingError: neither has it.
    """
    for way in (_kept, _smudged):
        data = way(found, folder)
        if data is not None and hashlib.sha256(data).hexdigest() == found.sha256:
            return data
    raise MissingError(_absent(name, found, "git lfs fetch"))


def _absent(name: str, found: Pointer, command: str) -> str:
    size = units.bytes_text(found.size)
    return f"{name} is not the file but git LFS's pointer to it ({size}). Get it with: {command} (in GitHub's checkout action: lfs: true)"


def _kept(found: Pointer, folder: Path) -> bytes | None:
    """From the repository's own store."""
    store = _git(["rev-parse", "--git-common-dir"], b"", folder)
    if store is None:
        return None
    file = folder.joinpath(store.decode().strip(), "lfs", "objects", found.sha256[:2], found.sha256[2:4], found.sha256)
    return file.read_bytes() if file.is_file() else None


def _smudged(found: Pointer, folder: Path) -> bytes | None:
    """By git LFS, which asks the remote where it must."""
    return _git(["lfs", "smudge"], found.text, folder)


def _git(arguments: list[str], given: bytes, folder: Path) -> bytes | None:
    """What git prints; None where there is no git, or it fails."""
    import subprocess  # costs the gate's start a few ms, and pointers are rare

    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], input=given, capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None

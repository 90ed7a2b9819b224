"""Where a baseline comes from: a path, or a file in git as in `origin/main:budget/report.json`.

Out: a path to read, a passing one where git had it. What git LFS keeps elsewhere is resolved; else nothing is fetched from a remote.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from edgekd.errors import MissingError, UsageError
from edgekd.externaldata import external_names, leads_out
from edgekd.gate import lfs


@contextmanager
def fetched(source: Path | str, folder: Path = Path()) -> Iterator[Path]:
    """The file or folder that `source` names as seen from a folder: a path, or REF:PATH in the git repository around it.

    Raises:
        MissingError: there is none, no git, or nothing but git LFS's pointer to it.
        UsageError: a ref that is none.
    """
    path, name = folder / source, str(source)
    in_git = is_in_git(source, folder)
    data = _blob(name, folder) if in_git else _beginning(path)
    if not in_git and lfs.pointer(data) is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="edgekd-") as place:
        copy = Path(place) / PurePosixPath(name.rpartition(":")[2]).name
        copy.write_bytes(lfs.resolved(data, name, folder))
        for beside in external_names(copy) if copy.suffix == ".onnx" else []:
            _bring(beside, copy, name, folder, in_git=in_git)
        yield copy


def _bring(beside: str, copy: Path, name: str, folder: Path, *, in_git: bool) -> None:
    """Put the weights beside a copied model that lie beside the model itself; a name that leads out of its folder is left to whoever reads it."""
    if leads_out(beside):
        return
    head, colon, inside = name.rpartition(":") if in_git else ("", "", name)
    parent, slash, _ = inside.rpartition("/")
    # as it was typed: git reads ./FILE from where one stands, and FILE from the top of the repository
    place = f"{head}{colon}{parent}{slash}{PurePosixPath(beside)}"
    data = _blob(place, folder) if in_git else (folder / place).read_bytes() if (folder / place).is_file() else None
    if data is not None:
        (copy.parent / beside).parent.mkdir(parents=True, exist_ok=True)
        (copy.parent / beside).write_bytes(lfs.resolved(data, place, folder))


def is_in_git(source: Path | str, folder: Path = Path()) -> bool:
    """Whether it is REF:PATH and no path that is there, seen from a folder; a single letter before the colon is a drive."""
    ref, colon, _ = str(source).partition(":")
    return bool(colon) and len(ref) > 1 and not os.path.lexists(folder / source)


def _beginning(path: Path) -> bytes:
    """Enough of a file to tell a pointer by; nothing of a folder, or of what cannot be read: whoever reads it says so."""
    try:
        with path.open("rb") as opened:
            return opened.read(lfs.LONGEST + 1)
    except OSError:
        return b""


def _blob(source: str, folder: Path) -> bytes:
    ref, _, inside = source.partition(":")
    if ref.startswith("-") or not inside:
        raise UsageError(f"a file in git is named REF:PATH, as in origin/main:budget/report.json, got {source!r}")
    try:
        done = subprocess.run(["git", "-C", str(folder), "cat-file", "blob", source], capture_output=True, check=False)
    except FileNotFoundError:
        raise MissingError(f"git is needed to read {source}, and it is not installed. Give the path of a file instead.") from None
    if done.returncode:
        said = (done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]
        remote, slash, branch = ref.partition("/")
        remote, branch = (remote, branch) if slash else ("origin", "BRANCH")
        fetch = f"git fetch --depth=1 {remote} +refs/heads/{branch}:refs/remotes/{remote}/{branch}"  # a shallow clone keeps no other branch by itself
        raise MissingError(f"git has no {source}: {said.rstrip('.')}. Name what stands there; a branch that was not fetched comes with: {fetch}")
    return done.stdout

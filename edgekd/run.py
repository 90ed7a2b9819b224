"""A run folder: stages that resume, files that are whole or absent, a lock, a manifest.

    runs/NAME/
      .lock           held while a process works here; the operating system frees it, whatever ends the process
      manifest.json   whose run it is; at the end also the sha256 of every file, versions, seed and host
      recipe.toml     as resolved
      events.jsonl    what happened, one JSON object a line, with the time in seconds since 1970
      STAGE-KEY/      one folder per stage and per hash of what went into it; stage.json says that it is done

In: where, whose run, the recipe. Out: `Stage` folders to work in, and their results. It does not know what a stage does,
what its files mean, or in which order stages come; readers of a finished run (`report`, `check`) need no `Run`, only report.json.
One process opens a run; in training with several, that is the main rank, and the others follow it (`following`).
"""

import errno
import importlib.metadata
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import msgspec

from edgekd import __version__
from edgekd.errors import RunError
from edgekd.events import Emit, Event, Note, StageFinished, StageStarted
from edgekd.files import PART, roomy, sha256_file, sha256_json, write_atomic
from edgekd.reportfile import check_finite

T = TypeVar("T")

_LOCK = ".lock"
_MANIFEST = "manifest.json"
_STAGE = "stage.json"
_SECONDS = ".seconds"


# The lock -------------------------------------------------------------------------------------------------------------

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


def _lock(folder: Path) -> int:
    handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _try_lock(handle)
    except OSError:
        holder = os.read(handle, 20).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        raise RunError(f"{folder} is in use by process {holder}. Wait until it ends, or choose another folder with --out.") from None
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    _held.add(handle)
    return handle


# The folder -----------------------------------------------------------------------------------------------------------


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Whose run a folder is; `files` (path → sha256) is empty until the run has ended."""

    schema: int = 1
    origin: str
    edgekd: str = __version__
    seed: int | None = None
    host: str = ""
    versions: dict[str, str] = {}
    files: dict[str, str] = {}


class Run:
    """A run folder, locked while it is open.

        with Run.open(Path("runs/digits"), origin="digits.toml", recipe_toml=text, emit=silent) as run:
            stage = run.stage("teach", {"data": sha256, "teacher": recipe.teacher})
            if not stage.done:
                stage.finish(teach(..., stage.folder))
            network = stage.result(Network)

    `emit` is handed on to whatever works inside: it writes each event to events.jsonl, then passes it to the listener.
    Where several processes train, the others are told by `agree` what the main rank finds here.
    """

    main = True
    """Whether this process writes what stands in the folder."""

    def __init__(self, folder: Path, origin: str, lock: int, listener: Emit, agree: Callable[[Any], Any]) -> None:
        self.folder = folder
        self.origin = origin
        self._lock: int | None = lock
        self._listener = listener
        self._agree = agree
        self._stages: list[Stage] = []
        _drop_torn_line(folder / "events.jsonl")
        self._events = (folder / "events.jsonl").open("ab", buffering=0)

    @classmethod
    def open(cls, folder: Path, *, origin: str, recipe_toml: str, emit: Emit, agree: Callable[[Any], Any] = lambda value: value) -> "Run":
        """Start a run in a folder that is new or empty, or go on with this origin's run.

        `origin` names whose run it is: the recipe's path, or what the flags said. The recipe may have changed since: what it changed is redone.

        Raises:
            RunError: the folder is no run, or another origin's, or in use by another process, or cannot be written.
        """
        try:
            _refuse_foreign(folder, origin)
            with roomy(folder / _LOCK):
                folder.mkdir(parents=True, exist_ok=True)
                lock = _lock(folder)
        except OSError as error:
            raise RunError(f"{folder} cannot be written: {error.strerror}. Choose another folder with --out.") from None
        try:
            _refuse_foreign(folder, origin)  # again: another process may have been first
            for left in folder.rglob(f"{PART}*"):
                left.unlink(missing_ok=True)
            write_atomic(folder / _MANIFEST, _json(Manifest(origin=origin)))
            write_atomic(folder / "recipe.toml", recipe_toml)
            agree(None)
            return cls(folder, origin, lock, emit, agree)
        except BaseException:
            _release(lock)
            raise

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Keep the time that unfinished stages took, and let go of the folder."""
        if self._lock is None:
            return
        try:
            for stage in self._stages:
                with suppress(RunError):  # a full disk was reported where it happened
                    stage.keep_seconds()
            self._events.close()
        finally:
            _release(self._lock)
            self._lock = None

    def emit(self, event: Event) -> None:
        """Write an event to events.jsonl and pass it on."""
        table = {"time": round(time.time(), 3), **msgspec.to_builtins(event)}
        line = msgspec.json.encode(table) + b"\n"
        with roomy(self.folder / "events.jsonl"):
            if self._events.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._listener(event)

    def stands(self, name: str, key: Mapping[str, Any]) -> bool:
        """Whether a stage was finished for that input; nothing is begun."""
        return bool(self._agree((stage_folder(self.folder, name, key) / _STAGE).is_file()))

    def stage(self, name: str, key: Mapping[str, Any], *, anew: bool = False) -> "Stage":
        """The stage of that name for that input; `done` where its result stands and its files are what it wrote.

        `key` holds all that decides the result (structs, tables, numbers, text); a stage of the same name and another key stands beside it.
        `anew` does it again where it stands.
        """
        if anew:
            (stage_folder(self.folder, name, key) / _STAGE).unlink(missing_ok=True)
        stage = Stage(self, name, key)
        self._stages.append(stage)
        self._agree(stage.done)
        if stage.done:
            self.emit(StageFinished(stage=name, seconds=stage.seconds, reused=True))
        else:
            self.emit(StageStarted(stage=name))
        return stage

    def write_manifest(self, *, seed: int | None = None, host: str = "") -> None:
        """Write manifest.json in full: the sha256 of every file, the versions of edgekd's packages, the seed and the host."""
        files = {str(file.relative_to(self.folder)): sha256_file(file) for file in _files(self.folder) if file.name != _MANIFEST}
        manifest = Manifest(origin=self.origin, seed=seed, host=host or platform.platform(), versions=_versions(), files=dict(sorted(files.items())))
        write_atomic(self.folder / _MANIFEST, _json(manifest))


class StageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """stage.json: what went in, what came out, how long all sittings took, and the sha256 of each file beside it."""

    stage: str
    edgekd: str
    inputs: dict[str, Any]
    result: Any
    seconds: float
    files: dict[str, str]


class Stage:
    """One stage of a run: a folder to work in, and a result once it is done.

    `done` says whether the result stands. Checkpoints go into `folder` under names of the stage's own choosing, through `atomic_path`.
    """

    def __init__(self, run: Run, name: str, key: Mapping[str, Any]) -> None:
        self.name = name
        self._run = run
        self._inputs: dict[str, Any] = dict(msgspec.to_builtins(key))
        self.folder = stage_folder(run.folder, name, key)
        self._record = self._read()
        with roomy(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._before = self._earlier_seconds()
        self._began = time.monotonic()

    @property
    def done(self) -> bool:
        """Whether the result stands."""
        return self._record is not None

    @property
    def seconds(self) -> float:
        """Wall seconds of all sittings, this one included."""
        if self._record is not None:
            return self._record.seconds
        return self._before + time.monotonic() - self._began

    def result(self, kind: type[T]) -> T:
        """What `finish` was given, as a `kind`.

        Raises:
            RunError: it is of another kind, as an older edgekd may have written it.
        """
        assert self._record is not None, f"stage {self.name} has no result yet"
        try:
            return msgspec.convert(self._record.result, kind)
        except msgspec.ValidationError as error:
            raise RunError(f"{self.folder / _STAGE} does not read: {error}. Remove {self.folder} and run again to redo this stage.") from None

    def keep_seconds(self) -> None:
        """Write down how long the stage took so far: call it with each checkpoint, so that killed sittings count."""
        if not self.done and self.folder.is_dir():
            write_atomic(self.folder / _SECONDS, f"{self.seconds:.3f}\n")

    def finish(self, result: msgspec.Struct) -> None:
        """Mark the stage done: hash its files and write stage.json.

        Raises:
            EdgekdError: a number of the result is not finite.
        """
        assert not self.done, f"stage {self.name} is done already"
        check_finite(result, self.name)
        (self.folder / _SECONDS).unlink(missing_ok=True)
        files = {str(file.relative_to(self.folder)): sha256_file(file) for file in _files(self.folder)}
        record = StageRecord(
            stage=self.name,
            edgekd=__version__,
            inputs=self._inputs,
            result=msgspec.to_builtins(result),
            seconds=round(self.seconds, 3),
            files=dict(sorted(files.items())),
        )
        write_atomic(self.folder / _STAGE, _json(record))
        self._record = record
        self._run.emit(StageFinished(stage=self.name, seconds=record.seconds))

    def _earlier_seconds(self) -> float:
        try:
            return float((self.folder / _SECONDS).read_text())
        except (OSError, ValueError):
            return 0.0

    def _read(self) -> StageRecord | None:
        """stage.json, None where the stage is not done. A stage whose files are not what it wrote is set aside, to be redone."""
        try:
            record = msgspec.json.decode((self.folder / _STAGE).read_bytes(), type=StageRecord)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError:
            self._set_aside(_STAGE)
            return None
        for name, digest in record.files.items():
            file = self.folder / name
            if not file.is_file() or sha256_file(file) != digest:
                self._set_aside(name)
                return None
        return record

    def _set_aside(self, file: str) -> None:
        number = 1
        while (aside := self.folder.with_name(f"{self.folder.name}.damaged-{number}")).exists():
            number += 1
        self.folder.rename(aside)
        text = f"{self.name}: {file} is not as this stage wrote it; the stage is redone, the old files are kept in {aside}"
        self._run.emit(Note(text=text, level="warning"))


# Parts ----------------------------------------------------------------------------------------------------------------


def _refuse_foreign(folder: Path, origin: str) -> None:
    """Raise unless the folder is new, empty, or this origin's run; another's that came to nothing, as with data mistyped, is nobody's."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file, a run needs a folder. Choose another with --out.")
    try:
        data = (folder / _MANIFEST).read_bytes()
    except FileNotFoundError:
        # A run that was killed before its manifest stood has left its lock, and perhaps a part, but nothing else.
        others = [f.name for f in folder.iterdir() if f.name != _LOCK and not f.name.startswith(PART)] if folder.is_dir() else []
        if others:
            raise RunError(f"{folder} is not empty and no run of edgekd: it holds {min(others)!r}. Choose another folder with --out.") from None
        return
    try:
        found = msgspec.json.decode(data, type=Manifest).origin
    except msgspec.MsgspecError:
        raise RunError(f"{folder / _MANIFEST} is not edgekd's, so {folder} is no run. Choose another folder with --out.") from None
    own = (_LOCK, _MANIFEST, "recipe.toml", "events.jsonl")
    if found != origin and any(f.name not in own and not f.name.startswith(PART) for f in folder.iterdir()):
        raise RunError(f"{folder} holds the run of {found}, not of {origin}. Choose another folder with --out, or remove that one.")


def _release(handle: int) -> None:
    _held.discard(handle)
    os.close(handle)


def _drop_torn_line(file: Path) -> None:
    """Cut off what a killed process left of its last line."""
    if file.is_file():
        data = file.read_bytes()
        if data and not data.endswith(b"\n"):
            os.truncate(file, data.rfind(b"\n") + 1)


def stage_folder(folder: Path, name: str, key: Mapping[str, Any]) -> Path:
    """Where a stage of that name works on that input."""
    code = ".".join(__version__.split(".")[:2])
    return folder / f"{_path(name)}-{sha256_json({'stage': name, 'edgekd': code, 'key': key})[:8]}"


def _path(name: str) -> str:
    """A stage's name as a relative path of plain letters; its hash tells apart what this makes equal."""
    parts = [re.sub(r"[^A-Za-z0-9._+-]", "-", part).strip(".") for part in name.split("/")]
    return "/".join(part or "-" for part in parts)


def _files(folder: Path) -> list[Path]:
    """Every finished file below a folder; those whose name starts with a dot are the run's own."""
    return [file for file in folder.rglob("*") if file.is_file() and not file.name.startswith(".")]


def _versions() -> dict[str, str]:
    """The installed versions of Python and of what edgekd requires, extras included."""
    versions = {"python": platform.python_version(), "edgekd": __version__}
    with suppress(importlib.metadata.PackageNotFoundError):
        for requirement in importlib.metadata.requires("edgekd") or []:
            name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
            with suppress(importlib.metadata.PackageNotFoundError):
                versions[name] = importlib.metadata.version(name)
    return versions


def _json(record: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"

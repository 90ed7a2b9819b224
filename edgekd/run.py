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
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from edgekd import __version__
from edgekd.errors import RunError, UsageError
from edgekd.events import Emit, Event, StageFinished, StageStarted
from edgekd.files import PART, roomy, sha256_file, write_atomic
from edgekd.lock import LOCK, acquire, release
from edgekd.recipe import LABELLED
from edgekd.stage import RECORD, Stage, as_json, finished, stage_folder

LABELS_FOR = "labels for "
"""How the origin of a folder begins that holds labelled images and no run."""
_MANIFEST = "manifest.json"


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

    def __init__(self, folder: Path, origin: str, unbegun: str | None, lock: int, listener: Emit, agree: Callable[[Any], Any]) -> None:
        self.folder = folder
        self.origin = origin
        self._unbegun = unbegun
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
            with roomy(folder / LOCK):
                folder.mkdir(parents=True, exist_ok=True)
                lock = acquire(folder)
        except OSError as error:
            raise RunError(f"{folder} cannot be written: {error.strerror}. Choose another folder with --out.") from None
        try:
            _refuse_foreign(folder, origin)  # again: another process may have been first
            for left in folder.rglob(f"{PART}*"):
                if left.is_dir():
                    shutil.rmtree(left)
                else:
                    left.unlink(missing_ok=True)
            ended = _has_ended(folder)
            if not ended:
                _begin(folder, origin, recipe_toml)  # before all else: a folder is no run without it
            agree(None)
            return cls(folder, origin, recipe_toml if ended else None, lock, emit, agree)
        except BaseException:
            release(lock)
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
            release(self._lock)
            self._lock = None

    def emit(self, event: Event) -> None:
        """Write an event to events.jsonl and pass it on."""
        table = {"time": round(time.time(), 3), **msgspec.to_builtins(event)}
        line = msgspec.json.encode(table) + b"\n"
        with roomy(self.folder / "events.jsonl"):
            if self._events.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._listener(event)

    def begin(self) -> None:
        """Make a run that has ended this recipe's, once. It stays what it is until a stage is asked for: what is refused before that, as a network
        that does not exist, has cost nothing."""
        if self._unbegun is not None:
            _begin(self.folder, self.origin, self._unbegun)
            self._unbegun = None

    def stands(self, name: str, key: Mapping[str, Any]) -> bool:
        """Whether a stage was finished for that input; nothing is begun."""
        return bool(self._agree((stage_folder(self.folder, name, key) / RECORD).is_file()))

    def stage(self, name: str, key: Mapping[str, Any], *, anew: bool = False) -> "Stage":
        """The stage of that name for that input; `done` where its result stands and its files are what it wrote.

        `key` holds all that decides the result (structs, tables, numbers, text); a stage of the same name and another key stands beside it.
        `anew` does it again where it stands.
        """
        self.begin()
        if anew:
            (stage_folder(self.folder, name, key) / RECORD).unlink(missing_ok=True)
        stage = Stage(self.folder, name, key, self.emit)
        self._stages.append(stage)
        self._agree(stage.done)
        if stage.done:
            self.emit(StageFinished(stage=name, seconds=stage.seconds, reused=True))
        else:
            self.emit(StageStarted(stage=name))
        return stage

    def write_manifest(self, *, seed: int | None = None, host: str = "") -> None:
        """Write manifest.json in full: the sha256 of every file, the versions of edgekd's packages, the seed and the host."""
        self.begin()
        files = {str(file.relative_to(self.folder)): sha256_file(file) for file in finished(self.folder) if file.name != _MANIFEST}
        manifest = Manifest(origin=self.origin, seed=seed, host=host or platform.platform(), versions=_versions(), files=dict(sorted(files.items())))
        write_atomic(self.folder / _MANIFEST, as_json(manifest))


# Parts ----------------------------------------------------------------------------------------------------------------


def _begin(folder: Path, origin: str, recipe_toml: str) -> None:
    """Write whose run a folder is, and by which recipe."""
    write_atomic(folder / _MANIFEST, as_json(Manifest(origin=origin)))
    write_atomic(folder / "recipe.toml", recipe_toml)


def _refuse_foreign(folder: Path, origin: str) -> None:
    """Raise unless the folder is new, empty, or this origin's run; another's that came to nothing, as with data mistyped, is nobody's."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file, a run needs a folder. Choose another with --out.")
    try:
        data = (folder / _MANIFEST).read_bytes()
    except FileNotFoundError:
        # A run that was killed before its manifest stood has left its lock, and perhaps a part, but nothing else.
        others = [f.name for f in folder.iterdir() if f.name != LOCK and not f.name.startswith(PART)] if folder.is_dir() else []
        if others:
            raise RunError(f"{folder} is not empty and no run of edgekd: it holds {min(others)!r}. Choose another folder with --out.") from None
        return
    try:
        found = msgspec.json.decode(data, type=Manifest).origin
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise RunError(f"{folder / _MANIFEST} is not edgekd's, so {folder} is no run. Choose another folder with --out.") from None
    own = (LOCK, _MANIFEST, "recipe.toml", "events.jsonl")
    if found != origin and any(f.name not in own and not f.name.startswith(PART) for f in folder.iterdir()):
        theirs, ours = _from_here(found, folder), _from_here(origin, folder)
        raise RunError(f"{folder} holds the run of {theirs}, not of {ours}. Choose another folder with --out, or remove that one.")


def refuse_labels(folder: Path, origin: str) -> None:
    """Refuse a folder that `edgekd label` wrote, where a run is wanted.

    Raises:
        UsageError: it is one.
    """
    if origin.startswith(LABELS_FOR):
        raise UsageError(f"{folder} holds labelled images and no run. Learn from them with --data npz:{folder / LABELLED}")


def origin_of(folder: Path) -> str | None:
    """Whose run a folder is, by its manifest; None where it is none's."""
    found = _manifest(folder)
    return None if found is None else found.origin


def run_folder(named: Path) -> Path:
    """The folder of a run that is named by it, or by its report.json."""
    return named.parent if named.name == "report.json" else named


def is_taken_up(folder: Path) -> bool:
    """Whether a folder is a run that was begun or taken up again and has not ended since: what reports it has are of before."""
    found = _manifest(folder)
    return found is not None and not found.files


def of_before(named: Path) -> str | None:
    """That the report of a run, which is named as in `run_folder`, is of before, where it was taken up again and has not ended; else None."""
    return f"{named} was taken up again and has not ended: its report is of before" if is_taken_up(run_folder(named)) else None


def _has_ended(folder: Path) -> bool:
    found = _manifest(folder)
    return found is not None and bool(found.files)


def _manifest(folder: Path) -> Manifest | None:
    """A run's manifest; None where there is none that reads."""
    try:
        return msgspec.json.decode((folder / _MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def home(folder: Path, origin: str, here: Path) -> Path:
    """What the paths in a run's recipe start from: the recipe's folder, or where those of the run start whose own `recipe.toml` that is; of a run by
    flags, where it was started, as far as its own place tells."""
    if origin.startswith("recipe "):
        recipe = (folder / origin.removeprefix("recipe ")).resolve()
        whose = origin_of(recipe.parent) if recipe.name == "recipe.toml" else None
        return recipe.parent if whose is None else home(recipe.parent, whose, here)
    return folder.resolve().parents[1] if folder.resolve().parent.name == "runs" else here


def _from_here(origin: str, folder: Path) -> str:
    """An origin as a person reads it: a recipe's path in it starts at the run's folder, theirs where they are."""
    kind, _, path = origin.partition(" ")
    return f"recipe {Path(os.path.relpath(folder / path)).as_posix()}" if kind == "recipe" else origin


def _drop_torn_line(file: Path) -> None:
    """Cut off what a killed process left of its last line."""
    if file.is_file():
        data = file.read_bytes()
        if data and not data.endswith(b"\n"):
            os.truncate(file, data.rfind(b"\n") + 1)


def _versions() -> dict[str, str]:
    """The installed versions of Python and of what edgekd requires, extras included."""
    versions = {"python": platform.python_version(), "edgekd": __version__}
    with suppress(importlib.metadata.PackageNotFoundError):
        for requirement in importlib.metadata.requires("edgekd") or []:
            name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
            with suppress(importlib.metadata.PackageNotFoundError):
                versions[name] = importlib.metadata.version(name)
    return versions

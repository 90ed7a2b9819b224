"""A stage of a run: a folder to work in, and once it is done a `stage.json` that says what went in, what came out, and what its files are.

In: the run's folder, the stage's name, all that decides its result. Out: its result, for as long as its files are what it wrote. What a stage does
and what its files mean is not known here.
"""

import glob
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from edgekd import __version__
from edgekd.errors import RunError
from edgekd.events import Emit, Note, StageFinished
from edgekd.files import roomy, sha256_file, sha256_json, write_atomic
from edgekd.reportfile import check_finite

T = TypeVar("T")

RECORD = "stage.json"
_SECONDS = ".seconds"


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

    def __init__(self, run_folder: Path, name: str, key: Mapping[str, Any], emit: Emit) -> None:
        self.name = name
        self._emit = emit
        self._inputs: dict[str, Any] = dict(msgspec.to_builtins(key))
        self.folder = stage_folder(run_folder, name, key)
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
            raise RunError(f"{self.folder / RECORD} does not read: {error}. Remove {self.folder} and run again to redo this stage.") from None

    def changed(self) -> list[str]:
        """What went otherwise into the latest stage of this name that stands beside it, by the keys of its input; nothing where none stands."""
        stem, _, _ = self.folder.name.rpartition("-")
        others = [file for file in self.folder.parent.glob(f"{glob.escape(stem)}-{'[0-9a-f]' * 8}/{RECORD}") if file.parent != self.folder]
        for file in sorted(others, key=lambda file: file.stat().st_mtime, reverse=True):
            with suppress(msgspec.MsgspecError, UnicodeDecodeError):
                before = msgspec.json.decode(file.read_bytes(), type=StageRecord).inputs
                now = msgspec.json.decode(msgspec.json.encode(self._inputs))  # as the record holds it
                return [key for key in {**before, **now} if before.get(key) != now.get(key)]
        return []

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
        files = {str(file.relative_to(self.folder)): sha256_file(file) for file in finished(self.folder)}
        record = StageRecord(
            stage=self.name,
            edgekd=__version__,
            inputs=self._inputs,
            result=msgspec.to_builtins(result),
            seconds=round(self.seconds, 3),
            files=dict(sorted(files.items())),
        )
        write_atomic(self.folder / RECORD, as_json(record))
        self._record = record
        self._emit(StageFinished(stage=self.name, seconds=record.seconds))

    def _earlier_seconds(self) -> float:
        try:
            return float((self.folder / _SECONDS).read_text())
        except (OSError, ValueError):
            return 0.0

    def _read(self) -> StageRecord | None:
        """stage.json, None where the stage is not done. A stage whose files are not what it wrote is set aside, to be redone."""
        try:
            record = msgspec.json.decode((self.folder / RECORD).read_bytes(), type=StageRecord)
        except FileNotFoundError:
            return None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._set_aside(RECORD)
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
        self._emit(Note(text=text, level="warning"))


def stage_folder(folder: Path, name: str, key: Mapping[str, Any]) -> Path:
    """Where a stage of that name works on that input."""
    code = ".".join(__version__.split(".")[:2])
    return folder / f"{_path(name)}-{sha256_json({'stage': name, 'edgekd': code, 'key': key})[:8]}"


def _path(name: str) -> str:
    """A stage's name as a relative path of plain letters; its hash tells apart what this makes equal."""
    parts = [re.sub(r"[^A-Za-z0-9._+-]", "-", part).strip(".") for part in name.split("/")]
    return "/".join(part or "-" for part in parts)


def finished(folder: Path) -> list[Path]:
    """Every finished file below a folder; those whose name starts with a dot are the run's own."""
    return [file for file in folder.rglob("*") if file.is_file() and not file.name.startswith(".")]


def as_json(record: msgspec.Struct) -> bytes:
    """For a file that people read too."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"

"""A run folder as ranks other than the main one have it: they read what stands in it, and write nothing there.

In training on several devices every process walks through the same stages. The main rank has the `Run`; the others follow it: a stage that it finds
done they read from the same folder, which all must see, and one that is to be done they do in a folder of their own, which is gone at the end.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from edgekd import __version__
from edgekd.events import Event
from edgekd.run import Run
from edgekd.stage import Stage, StageRecord, stage_folder


class Following(Run):
    """The main rank's run, followed. `agree` gives the main rank's value on every rank."""

    main = False

    def __init__(self, folder: Path, agree: Callable[[Any], Any]) -> None:
        self.folder, self._agree = folder, agree
        self._own = tempfile.TemporaryDirectory(prefix="edgekd-rank-")
        agree(None)  # the main rank has opened it

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._own.cleanup()

    def emit(self, event: Event) -> None:
        """Nothing: the main rank tells."""

    def stands(self, name: str, key: Mapping[str, Any]) -> bool:
        return bool(self._agree(None))

    def stage(self, name: str, key: Mapping[str, Any], *, anew: bool = False) -> Stage:
        return _Followed(self, name, key, done=self._agree(None), own=Path(self._own.name))

    def write_manifest(self, *, seed: int | None = None, host: str = "") -> None:
        """Nothing."""


class _Followed(Stage):
    def __init__(self, run: Run, name: str, key: Mapping[str, Any], *, done: bool, own: Path) -> None:
        self.name, self._emit, self._inputs = name, run.emit, dict(msgspec.to_builtins(key))
        self.folder = stage_folder(run.folder, name, key)
        self._record = self._read() if done else None
        self._before, self._began = 0.0, time.monotonic()
        if self._record is None:
            self.folder = own / self.folder.relative_to(run.folder)
            self.folder.mkdir(parents=True)

    def keep_seconds(self) -> None:
        """Nothing."""

    def finish(self, result: msgspec.Struct) -> None:
        table = msgspec.to_builtins(result)
        self._record = StageRecord(stage=self.name, edgekd=__version__, inputs=self._inputs, result=table, seconds=0.0, files={})

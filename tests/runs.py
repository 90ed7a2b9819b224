"""Runs and stages that come to something small, for the tests of both."""

from pathlib import Path
from typing import Any

import msgspec

from edgekd import events, run
from edgekd.files import write_atomic


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the stages of these tests come to."""

    accuracy: float
    file: str = "a.bin"


def opened(folder: Path, origin: str = "job.toml", emit: events.Emit = events.silent) -> run.Run:
    """A run with what does not matter filled in."""
    return run.Run.open(folder, origin=origin, recipe_toml="seed = 0\n", emit=emit)


def finished(folder: Path, key: dict[str, Any] | None = None) -> Path:
    """A run folder with one finished stage, and the stage's folder."""
    with opened(folder) as it:
        stage = it.stage("teach", key or {"lr": 0.1})
        if not stage.done:
            write_atomic(stage.folder / "a.bin", b"weights")
            stage.finish(Outcome(accuracy=0.9))
        return stage.folder

"""following: what ranks other than the main one see of a run, and leave alone."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgekd.events import Note
from edgekd.files import write_atomic
from edgekd.following import Following
from edgekd.run import Run


class Outcome(msgspec.Struct, frozen=True):
    """What the stages of these tests come to."""

    accuracy: float


def walk(run: Run, accuracy: float) -> list[tuple[str, bool, Path, Outcome]]:
    """Two stages, each done where it does not stand; the folder that each was worked in."""
    seen = []
    for name in ("teach", "distill"):
        run.stands(name, {"lr": 0.1})
        stage = run.stage(name, {"lr": 0.1})
        stood = stage.done
        if not stood:
            write_atomic(stage.folder / "weights", b"learnt")
            stage.keep_seconds()
            stage.finish(Outcome(accuracy))
        seen.append((name, stood, stage.folder, stage.result(Outcome)))
    run.emit(Note(text="walked"))
    run.write_manifest(seed=0)
    return seen


def walked_together(folder: Path, *, of_main: float, of_other: float) -> tuple[list[Any], list[Any]]:
    """What the main rank found, and then what another one did that was told the same."""
    told: list[Any] = []

    def tell(value: Any) -> Any:
        told.append(value)
        return value

    with Run.open(folder, origin="job", recipe_toml="", emit=lambda event: None, agree=tell) as run:
        main = walk(run, of_main)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    with Following(folder, lambda value: told.pop(0)) as run:
        other = walk(run, of_other)
    assert not told, "the ranks did not agree on as many things"
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before, "another rank wrote into the run"
    return main, other


def test_what_is_to_be_done_is_done_apart(tmp_path: Path) -> None:
    """In a folder of the rank's own, which is gone at the end; its result is its own."""
    _, other = walked_together(tmp_path / "run", of_main=0.5, of_other=0.25)
    for _, stood, folder, result in other:
        assert not stood
        assert result == Outcome(0.25)
        assert not folder.is_relative_to(tmp_path)
        assert not folder.exists()


def test_what_stands_is_read(tmp_path: Path) -> None:
    """From the main rank's folder, with its result."""
    walked_together(tmp_path / "run", of_main=0.5, of_other=0.5)
    main, other = walked_together(tmp_path / "run", of_main=0.1, of_other=0.1)
    assert main == other
    assert all(stood and result == Outcome(0.5) for _, stood, _, result in other)


def test_a_result_of_another_kind_is_named(tmp_path: Path) -> None:
    """As in the main rank's run."""

    class Other(msgspec.Struct):
        name: str

    with Following(tmp_path, lambda value: value) as run:
        stage = run.stage("teach", {})
        stage.finish(Outcome(0.5))
        with pytest.raises(Exception, match="name"):
            stage.result(Other)

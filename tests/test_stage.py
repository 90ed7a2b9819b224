"""stage: results that stand in the next run, and damage that is noticed."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekd import events
from edgekd.errors import EdgekdError, RunError
from edgekd.files import sha256_file, write_atomic
from edgekd.stage import Stage
from tests.runs import Outcome, finished, opened


def test_a_finished_stage_stands_in_the_next_run(tmp_path: Path) -> None:
    """Its result reads back as it was given."""
    first = finished(tmp_path / "r")
    seen: list[events.Event] = []
    with opened(tmp_path / "r", emit=seen.append) as it:
        stage = it.stage("teach", {"lr": 0.1})
        assert stage.done
        assert stage.folder == first
        assert stage.result(Outcome) == Outcome(accuracy=0.9)
        assert seen == [events.StageFinished(stage="teach", seconds=stage.seconds, reused=True)]


def test_another_input_is_another_stage_beside_the_first(tmp_path: Path) -> None:
    """What changed is redone; what stood, stands."""
    first = finished(tmp_path / "r")
    second = finished(tmp_path / "r", {"lr": 0.2})
    assert first != second
    assert first.parent == second.parent
    assert (first / "stage.json").is_file()


def test_a_stage_knows_what_went_otherwise_into_the_one_that_stands(tmp_path: Path) -> None:
    """Of the latest that is whole, by the keys of its input; of others' stages, and where none stands, nothing."""
    finished(tmp_path / "r", {"lr": 0.1, "data": "a", "seed": (1, 2)})
    with opened(tmp_path / "r") as run:
        assert run.stage("teach", {"lr": 0.2, "data": "a", "seed": (1, 2), "more": 1}).changed() == ["lr", "more"]
        assert run.stage("teach", {"lr": 0.1, "data": "a", "seed": (1, 2)}).changed() == []
        assert run.stage("teach-2", {"lr": 0.1}).changed() == []


def test_the_order_of_keys_is_no_input(tmp_path: Path) -> None:
    """The hash is of canonical JSON."""
    assert finished(tmp_path / "r", {"a": 1, "b": 2}) == finished(tmp_path / "r", {"b": 2, "a": 1})


def test_stage_json_says_what_went_in_and_came_out(tmp_path: Path) -> None:
    """Inputs, result, seconds, and a hash for each file, those in folders included."""
    with opened(tmp_path / "r") as it:
        stage = it.stage("distill/resnet20", {"lr": 0.1, "who": Outcome(accuracy=1.0)})
        write_atomic(stage.folder / "a.bin", b"x")
        write_atomic(stage.folder / "deep" / "b.bin", b"y")
        stage.finish(Outcome(accuracy=0.5))
    assert stage.folder.parent.name == "distill"
    table = json.loads((stage.folder / "stage.json").read_text())
    assert table["inputs"] == {"lr": 0.1, "who": {"accuracy": 1.0, "file": "a.bin"}}
    assert table["result"] == {"accuracy": 0.5, "file": "a.bin"}
    assert table["files"] == {"a.bin": sha256_file(stage.folder / "a.bin"), "deep/b.bin": sha256_file(stage.folder / "deep/b.bin")}


def test_names_of_any_letters_make_folders(tmp_path: Path) -> None:
    """A network may be called by a path; names that look alike as folders stay apart."""
    with opened(tmp_path / "r") as it:
        folders = [it.stage(name, {}).folder for name in ("distill/../x", "distill/timm:vit", "distill/timm-vit", "distill/ a")]
    assert len(set(folders)) == 4
    assert all(folder.resolve().parent == (tmp_path / "r" / "distill").resolve() for folder in folders[1:])
    assert all((tmp_path / "r") in folder.resolve().parents for folder in folders)


def test_seconds_add_up_over_sittings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sitting that ended early counts, killed ones up to their last checkpoint."""
    clock = [0.0]
    monkeypatch.setattr("edgekd.stage.time.monotonic", lambda: clock[0])

    def sit(seconds: float, end: Callable[[Stage], None]) -> float:
        with opened(tmp_path / "r") as it:
            stage = it.stage("teach", {})
            clock[0] += seconds
            end(stage)
            return stage.seconds

    assert sit(10, lambda stage: stage.keep_seconds()) == 10
    assert sit(20, lambda stage: None) == 30
    assert sit(5, lambda stage: stage.finish(Outcome(accuracy=1))) == 35
    assert sit(99, lambda stage: None) == 35


def test_a_result_with_no_number_in_it_is_refused(tmp_path: Path) -> None:
    """NaN would read back as null."""
    with opened(tmp_path / "r") as it:
        stage = it.stage("teach", {})
        with pytest.raises(EdgekdError, match=r"teach\.accuracy is nan"):
            stage.finish(Outcome(accuracy=float("nan")))
        assert not stage.done


def test_a_result_of_another_shape_says_what_to_remove(tmp_path: Path) -> None:
    """An older edgekd may have written it."""
    folder = finished(tmp_path / "r")
    with opened(tmp_path / "r") as it, pytest.raises(RunError, match=rf"Remove {folder} and run again to redo this stage"):
        it.stage("teach", {"lr": 0.1}).result(events.Note)


@pytest.mark.parametrize("damage", ["changed", "removed", "unreadable"])
def test_a_damaged_stage_is_noticed_kept_aside_and_redone(tmp_path: Path, damage: str) -> None:
    """Nothing of the user's is lost, and nothing damaged is used."""
    folder = finished(tmp_path / "r")
    name = "stage.json" if damage == "unreadable" else "a.bin"
    if damage == "removed":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(b"{wrong")
    seen: list[events.Event] = []
    with opened(tmp_path / "r", emit=seen.append) as it:
        stage = it.stage("teach", {"lr": 0.1})
        assert not stage.done
        assert os.listdir(stage.folder) == []
    aside = folder.with_name(f"{folder.name}.damaged-1")
    assert aside.is_dir()
    assert seen == [
        events.Note(text=f"teach: {name} is not as this stage wrote it; the stage is redone, the old files are kept in {aside}", level="warning"),
        events.StageStarted(stage="teach"),
    ]


def test_files_that_were_put_beside_a_stage_s_own_do_no_harm(tmp_path: Path) -> None:
    """A user's notes, for one."""
    folder = finished(tmp_path / "r")
    (folder / "notes.txt").write_text("mine")
    assert finished(tmp_path / "r") == folder
    assert (folder / "notes.txt").read_text() == "mine"

"""run: stages resume, one process at a time, nobody else's folder."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgekd import events, run
from edgekd.errors import EdgekdError, RunError
from edgekd.files import PART, sha256_file, write_atomic


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


# Stages


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
    monkeypatch.setattr("edgekd.run.time.monotonic", lambda: clock[0])

    def sit(seconds: float, end: Callable[[run.Stage], None]) -> float:
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


# The folder


def test_the_recipe_stands_in_the_folder_as_last_asked(tmp_path: Path) -> None:
    """A changed recipe is the same run."""
    for text in ("seed = 1\n", "seed = 2\n"):
        with run.Run.open(tmp_path / "r", origin="job.toml", recipe_toml=text, emit=events.silent):
            assert (tmp_path / "r" / "recipe.toml").read_text() == text


def test_an_empty_folder_may_become_a_run(tmp_path: Path) -> None:
    """And so may one whose first process was killed at once."""
    (tmp_path / ".lock").write_text("1\n")
    (tmp_path / f"{PART}1-manifest.json").write_text("{")
    with opened(tmp_path):
        assert sorted(os.listdir(tmp_path)) == [".lock", "events.jsonl", "manifest.json", "recipe.toml"]


def test_a_folder_that_is_no_run_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Not even a lock is put there."""
    (tmp_path / "photo.jpg").write_text("")
    with pytest.raises(RunError, match=r"is not empty and no run of edgekd: it holds 'photo\.jpg'\. Choose another folder with --out"):
        opened(tmp_path)
    assert os.listdir(tmp_path) == ["photo.jpg"]


def test_another_s_manifest_is_no_run(tmp_path: Path) -> None:
    """Other tools have files of that name."""
    (tmp_path / "manifest.json").write_text('{"name": "a web page"}')
    with pytest.raises(RunError, match=r"manifest\.json is not edgekd's, so .* is no run"):
        opened(tmp_path)


def test_another_recipe_s_run_is_refused(tmp_path: Path) -> None:
    """Both are named."""
    finished(tmp_path / "r")
    with pytest.raises(RunError, match=r"r holds the run of job\.toml, not of other\.toml\. Choose another folder with --out, or remove that one"):
        opened(tmp_path / "r", origin="other.toml")


def test_another_recipe_s_run_that_came_to_nothing_is_no_hindrance(tmp_path: Path) -> None:
    """Whoever mistyped the data need not remove the folder first; once a stage was begun, it is that recipe's."""
    with opened(tmp_path / "r", origin="typo.toml"):
        pass
    with opened(tmp_path / "r") as it:
        assert it.origin == "job.toml"
        assert it.stage("teach", {"lr": 0.1}).folder.is_dir()
    with pytest.raises(RunError, match=r"holds the run of job\.toml, not of typo\.toml"):
        opened(tmp_path / "r", origin="typo.toml")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """In its place, or above it."""
    (tmp_path / "f").write_text("")
    with pytest.raises(RunError, match="f is a file, a run needs a folder"):
        opened(tmp_path / "f")
    with pytest.raises(RunError, match=r"f/r cannot be written: Not a directory\. Choose another folder with --out"):
        opened(tmp_path / "f" / "r")


def test_events_are_kept_and_passed_on(tmp_path: Path) -> None:
    """One line each, appended over sittings; a torn last line is cut off."""
    seen: list[events.Event] = []
    file = tmp_path / "r" / "events.jsonl"
    note = events.Note(text="größer")
    with opened(tmp_path / "r", emit=seen.append) as it:
        it.emit(note)
    with file.open("ab") as torn:
        torn.write(b'{"time":1,"ki')
    with opened(tmp_path / "r", emit=seen.append) as it:
        it.emit(note)
    assert seen == [note, note]
    lines = file.read_bytes().splitlines()
    assert [msgspec.json.decode(line, type=events.Event) for line in lines] == [note, note]
    assert json.loads(lines[0])["time"] > 1.6e9


def test_the_manifest_names_every_file(tmp_path: Path) -> None:
    """With hashes, versions, seed and host; while a run goes on it names none, lest old hashes stand beside new files."""
    finished(tmp_path / "r")
    with opened(tmp_path / "r") as it:
        it.write_manifest(seed=7, host="a board")
        table = json.loads((tmp_path / "r" / "manifest.json").read_text())
    assert (table["origin"], table["seed"], table["host"]) == ("job.toml", 7, "a board")
    assert {"python", "edgekd", "msgspec"} <= set(table["versions"])
    assert {Path(name).name for name in table["files"]} == {"a.bin", "stage.json", "recipe.toml", "events.jsonl"}
    for name, digest in table["files"].items():
        assert sha256_file(tmp_path / "r" / name) == digest
    with opened(tmp_path / "r"):
        assert json.loads((tmp_path / "r" / "manifest.json").read_text())["files"] == {}


# The lock

HOLD = """
import sys, time
from pathlib import Path
from edgekd.events import silent
from edgekd.run import Run
with Run.open(Path(sys.argv[1]), origin="job.toml", recipe_toml="", emit=silent):
    print("held", flush=True)
    {then}
"""


def hold(folder: Path, then: str) -> "subprocess.Popen[str]":
    """A process that has the run open."""
    process = subprocess.Popen([sys.executable, "-c", HOLD.format(then=then), str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    """It is named; kill -9 frees the folder."""
    with hold(tmp_path / "r", "time.sleep(60)") as process:
        with pytest.raises(RunError, match=rf"r is in use by process {process.pid}\. Wait until it ends, or choose another folder with --out"):
            opened(tmp_path / "r")
        process.send_signal(signal.SIGKILL)
    with opened(tmp_path / "r"):
        pass


def test_a_worker_that_outlives_a_killed_run_does_not_hold_the_folder(tmp_path: Path) -> None:
    """A forked child gives up its copy of the lock, and the parent keeps it."""
    with hold(tmp_path / "r", "import os; child = os.fork(); print(child, flush=True) if child else None; time.sleep(60)") as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            time.sleep(0.1)
            with pytest.raises(RunError, match="in use by process"):
                opened(tmp_path / "r")
            process.send_signal(signal.SIGKILL)
            process.wait()
            with opened(tmp_path / "r"):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_run_can_be_opened_again_once_closed(tmp_path: Path) -> None:
    """Closing twice is no fault; within one process two at once are refused too."""
    with opened(tmp_path / "r") as it:
        with pytest.raises(RunError, match="in use"):
            opened(tmp_path / "r")
        it.close()
        with opened(tmp_path / "r"):
            pass


def test_a_full_disk_is_reported_and_the_lock_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening fails half way."""

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(RunError, match="no room to write"):
            opened(tmp_path / "r")
    with opened(tmp_path / "r"):
        pass


KILLED = """
import sys
from pathlib import Path
import msgspec
from edgekd.events import Note, silent
from edgekd.files import write_atomic
from edgekd.run import Run

class Outcome(msgspec.Struct):
    value: int

with Run.open(Path(sys.argv[1]), origin="job.toml", recipe_toml="", emit=silent) as it:
    print("open", flush=True)
    for number in range(100000):
        stage = it.stage("teach", {"number": number})
        if not stage.done:
            write_atomic(stage.folder / "a.bin", bytes([number % 256]) * 100_000)
            stage.finish(Outcome(value=number))
        it.write_manifest()
"""


def test_kill_9_at_any_moment_leaves_a_run_that_goes_on(tmp_path: Path) -> None:
    """After each kill every file under a final name is whole, and stages that were done still are."""
    folder = tmp_path / "r"
    for round_ in range(5):
        with subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"open\n"
            time.sleep(0.05 + 0.037 * round_)
            process.send_signal(signal.SIGKILL)
        whole = [file for file in folder.rglob("*") if file.is_file() and not file.name.startswith(".")]
        for file in whole:
            if file.suffix == ".json":
                json.loads(file.read_bytes())
            elif file.suffix == ".bin":
                assert file.stat().st_size == 100_000
    stages = len(list(folder.rglob("stage.json")))
    assert stages > 0
    seen: list[events.Event] = []
    with opened(folder, emit=seen.append) as it:
        assert not list(folder.rglob(f"{PART}*"))
        done = [it.stage("teach", {"number": number}).done for number in range(stages)]
    assert done == [True] * stages
    assert not [event for event in seen if isinstance(event, events.Note)]

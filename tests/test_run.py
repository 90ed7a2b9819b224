"""run: it goes on where it was killed, and nobody else's folder is touched."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from edgekd import events, run
from edgekd.errors import RunError
from edgekd.files import PART, sha256_file
from tests.runs import finished, opened


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


def test_another_recipe_s_run_is_named_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its path is kept from the run's folder, so that both may move; a message says it from where the reader is."""
    monkeypatch.chdir(tmp_path)
    with opened(Path("runs") / "go", origin="recipe ../../go.toml") as it:
        it.stage("teach", {"lr": 0.1})
    with pytest.raises(RunError, match=r"runs/go holds the run of recipe go\.toml, not of recipe deep/other\.toml\."):
        opened(Path("runs") / "go", origin="recipe ../../deep/other.toml")


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
    with opened(tmp_path / "r") as it:
        it.stage("teach", {"lr": 0.1})
        assert json.loads((tmp_path / "r" / "manifest.json").read_text())["files"] == {}


def test_a_disk_that_fills_at_the_start_leaves_a_folder_that_may_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest comes before all else, so that what is left is nobody's."""

    def full(*_: object) -> None:
        raise RunError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(run, "write_atomic", full)
        with pytest.raises(RunError, match="the disk is full"):
            opened(tmp_path / "r")
    with opened(tmp_path / "r"):
        assert (tmp_path / "r" / "manifest.json").is_file()


def test_a_run_that_has_ended_is_left_as_it_is_until_a_stage_is_asked_for(tmp_path: Path) -> None:
    """So that a name mistyped on a second call does not become its recipe, or take its hashes."""
    finished(tmp_path)
    with opened(tmp_path) as it:
        it.write_manifest()
    before = {name: (tmp_path / name).read_bytes() for name in ("recipe.toml", "manifest.json")}
    with run.Run.open(tmp_path, origin="job.toml", recipe_toml="seed = 9\n", emit=events.silent) as it:
        assert it.stands("teach", {"lr": 0.1})
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert not run.is_taken_up(tmp_path)
    with run.Run.open(tmp_path, origin="job.toml", recipe_toml="seed = 9\n", emit=events.silent) as it:
        it.stage("teach", {"lr": 0.1})
        assert (tmp_path / "recipe.toml").read_text() == "seed = 9\n"
    assert run.is_taken_up(tmp_path)


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

"""edgekd init: by flags, in a terminal, and what it refuses."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from edgekd.cli.app import app
from edgekd.recipe import Student, Teacher
from edgekd.recipefile import read_recipe
from tests.compress.jobs import workplace
from tests.needs import ROOT

runner = CliRunner()
TOYS = ("--data", "images.npz", "--teacher", "nets.py:wide", "--student", "nets.py:thin")
CTRL_C, CTRL_D = "\x03", "\x04"
PATIENCE = 20.0
"""Seconds until a person presses a key again."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with images and networks."""
    monkeypatch.chdir(tmp_path)
    return workplace(tmp_path)


def init(*typed: str, code: int = 0) -> Result:
    """`edgekd init`, which ends as is expected."""
    result = runner.invoke(app, ["init", *typed])
    assert result.exit_code == code, result.output
    return result


def test_from_nothing_to_a_recipe_that_runs(place: Path) -> None:
    """A table within 80 columns, the file, the next line to type, and that line works."""
    result = init(*TOYS)
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[:4] == [
        "data        npz:images.npz",
        "images      216 train, 24 validation, 90 test (the data's own)",
        "size        8x8, colour",
        "classes     3: above, below, left",
    ]
    assert lines[-2:] == ["wrote recipe.toml", "next  edgekd compress recipe.toml --dry-run"]
    assert "thin *" in result.stdout
    recipe = read_recipe(place / "recipe.toml")
    assert (recipe.data, recipe.teacher, recipe.student) == ("npz:images.npz", Teacher(model="nets.py:wide"), (Student(model="nets.py:thin"),))
    done = runner.invoke(app, lines[-1].removeprefix("next  edgekd ").split())
    assert done.exit_code == 0, done.output
    assert "student   thin" in done.stdout


def test_without_data_it_takes_what_lies_here(place: Path) -> None:
    """No terminal, no questions."""
    init("--teacher", "nets.py:wide", "--student", "nets.py:thin", "--yes")
    assert read_recipe(place / "recipe.toml").data == "npz:images.npz"


def test_one_document(place: Path) -> None:
    """What was seen, the recipe, its remarks, the file and the next line; nothing else on stdout."""
    document = json.loads(init(*TOYS, "--on", "rtx-4090", "--json", "--quiet").stdout)
    assert set(document) == {"file", "next", "seen", "recipe", "remarks"}
    assert document["seen"]["students"][0]["floors_ms"]["rtx-4090"] > 0
    assert document["recipe"]["limit"][0]["artifact"] == "fp16"


def test_paths_are_seen_from_the_recipes_folder(place: Path) -> None:
    """Names with spaces too, in the line to type as well."""
    folder = place / "my recipes"
    folder.mkdir()
    (place / "images.npz").rename(place / "my images.npz")
    result = init("--data", "my images.npz", *TOYS[2:], "--out", "my recipes/first one.toml")
    assert read_recipe(folder / "first one.toml").data == "npz:../my images.npz"
    assert result.stdout.splitlines()[-1] == "next  edgekd compress 'my recipes/first one.toml' --dry-run"


def test_hostile_names_steer_nothing(place: Path) -> None:
    """Class names with escapes, line ends and 200 characters are shown as text, on lines of 80."""
    for kind in ("a\x1b[31m", "b\nsize = 1", "c" * 200):
        (place / "photos" / kind).mkdir(parents=True)
        for number in range(6 if kind[0] == "a" else 20):
            Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(place / "photos" / kind / f"{number}.png")
    result = init("--data", "photos", *TOYS[2:])
    assert all(line.isprintable() and len(line) <= 80 for line in result.stdout.splitlines())
    assert "b\N{REPLACEMENT CHARACTER}size = 1, ccc" in result.stdout
    assert "\x1b" not in (place / "recipe.toml").read_text()
    assert read_recipe(place / "recipe.toml").train.prior == "data"


# What it refuses ------------------------------------------------------------------------------------------------------


def test_nothing_is_written_over(place: Path) -> None:
    """But with --force; a link that leads nowhere is there, too."""
    (place / "recipe.toml").write_text("seed = 1\n")
    assert "is there already, and would be lost" in init(*TOYS, code=2).stderr
    assert (place / "recipe.toml").read_text() == "seed = 1\n"
    init(*TOYS, "--force")
    assert read_recipe(place / "recipe.toml").seed == 0
    (place / "link.toml").symlink_to("nowhere.toml")
    assert "is there already" in init(*TOYS, "--out", "link.toml", code=2).stderr


@pytest.mark.parametrize(
    ("out", "words"),
    [
        (".", "takes the file to write, and . is a folder"),
        ("new/recipe.toml", "Make it first: mkdir -p"),
        ("nets.py/recipe.toml", "Choose another --out"),
    ],
)
def test_a_file_that_could_not_be_written_is_refused_at_once(place: Path, out: str, words: str) -> None:
    """Before anything is looked at."""
    result = init("--data", "npz:nowhere.npz", "--out", out, code=2)
    assert words in result.stderr
    assert "nowhere.npz" not in result.stderr


def test_a_folder_that_may_not_be_written_to(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system is asked beforehand."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "a folder that you may write to" in init(*TOYS, code=2).stderr


def test_what_is_no_text_has_no_place_in_a_recipe(place: Path) -> None:
    """A path of bytes that are no UTF-8."""
    assert "a recipe is UTF-8 text, and a name in it is none: 'data = \"folder:\\udcff\"'" in init("--data", "folder:\udcff", code=2).stderr


def test_nothing_is_written_where_looking_fails(place: Path) -> None:
    """No images, no such data, weights that do not fit."""
    (place / "empty").mkdir()
    assert "no images under" in init("--data", "empty", code=2).stderr
    assert "data is digits, npz:FILE" in init("--data", "nowhere", code=2).stderr
    assert not (place / "recipe.toml").exists()


# In a terminal --------------------------------------------------------------------------------------------------------


def in_terminal(folder: Path, typed: Sequence[str], answers: Sequence[tuple[str, str]], *, seconds: float = 240) -> tuple[int, str]:
    """A real `edgekd init` in a terminal of its own: each answer is given when its question stands there. Its exit code and all that it showed."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", "TERM": "xterm"}
    command = [sys.executable, "-m", "edgekd", "init", *typed]
    left, shown, seen, end = list(answers), "", 0, time.monotonic() + seconds
    pressed, key = 0.0, ""
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, preexec_fn=_own
    ) as it:
        os.close(theirs)
        try:
            while time.monotonic() < end:
                if select.select([ours], [], [], 0.5)[0]:
                    try:
                        shown += os.read(ours, 65536).decode()
                    except OSError:
                        break  # the other end is closed
                if left and left[0][0] in shown[seen:]:
                    seen, pressed, key = len(shown), time.monotonic(), left.pop(0)[1]
                    os.write(ours, key.encode())
                elif key == CTRL_C and time.monotonic() > pressed + PATIENCE:
                    # Python's input() misses a signal that comes just before it reads: a person presses again.
                    pressed = time.monotonic()
                    os.write(ours, key.encode())
        finally:
            os.close(ours)
            if time.monotonic() >= end:
                it.kill()
    assert left == [], shown
    return it.returncode, shown


def _own() -> None:
    """Make the terminal the process's own, so that Ctrl-C reaches it as a signal, which a shell's background job would ignore."""
    import fcntl
    import signal
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.timeout(300)
def test_a_person_answers(tmp_path: Path) -> None:
    """A first answer that is wrong, then all of them; the recipe has them, and the line that says the same is told."""
    workplace(tmp_path)
    answers = [
        ("images [npz:images.npz]: ", "image.npz\r"),
        ("images [npz:images.npz]: ", "\r"),
        ("teacher [none]: ", "nets.py:wide\r"),
        ("weights [none]: ", "\r"),
        ("targets [cpu]: ", "cpu, rtx-4090\r"),
    ]
    code, shown = in_terminal(tmp_path, ["--student", "nets.py:thin"], answers)
    assert code == 0, shown
    recipe = read_recipe(tmp_path / "recipe.toml")
    assert (recipe.data, recipe.teacher, recipe.on) == ("npz:images.npz", Teacher(model="nets.py:wide"), {"cpu": "local", "rtx-4090": ""})
    assert "there is nothing at" in shown
    line = "edgekd init --data npz:images.npz --teacher nets.py:wide --student nets.py:thin --on cpu --on rtx-4090"
    assert line in shown.replace("\r\n", "")
    assert "next  edgekd compress recipe.toml --dry-run" in shown


@pytest.mark.timeout(300)
@pytest.mark.parametrize("key", [CTRL_C, CTRL_D])
def test_a_person_stops(tmp_path: Path, key: str) -> None:
    """Exit code 130, a word on it, no traceback and no file."""
    code, shown = in_terminal(tmp_path, [], [("images [digits]: ", "\r"), ("teacher [none]: ", key)])
    assert code == 130, shown
    assert "Stopped. Nothing was written." in shown
    assert "Traceback" not in shown
    assert list(tmp_path.iterdir()) == []

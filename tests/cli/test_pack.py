"""edgekd pack as a person types it, in a folder of theirs."""

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from edgekd.cli.app import app
from tests.cli.test_check import process
from tests.pack.runs import finished


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run and its images."""
    folder = tmp_path_factory.mktemp("place")
    finished(folder)
    return folder


@pytest.mark.timeout(300)
def test_a_pack_says_where_it_is_and_how_to_try_it(place: Path) -> None:
    """As a process: in packs/, by default; at most 80 columns; nothing on stderr."""
    done = process(place, "pack", "run", "--for", "cpu", COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "packed  student/toy/fp32 for cpu\n"
        "folder  packs/run-cpu (21 files)\n"
        "try it  python packs/run-cpu/sample.py\n"
        "read    packs/run-cpu/README.txt\n"
    )


def test_one_document_and_a_zip(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--json, with pictures of one's own, for a device that nobody measured."""
    monkeypatch.chdir(place)
    for number in range(3):
        Image.new("L", (9, 9), 80 * number).save(f"{number}.png")
    named = ["--artifact", "student/toy/fp32", "--images", "0.png", "1.png", "2.png"]
    done = CliRunner().invoke(app, ["pack", "run", "--for", "jetson-orin-nano", *named, "--out", "ours", "--zip", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["folder"], told["zip"], told["packed"]["runtime"]) == ("ours", "ours.zip", "tensorrt")
    assert (place / "ours" / "cpp" / "tensorrt.cpp").is_file()
    assert (place / "ours.zip").is_file()


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        (["run"], 2, "Missing option '--for'"),
        (["none", "--for", "cpu"], 2, "no run's folder at none"),
        (["run", "--for", "none"], 2, "no target is called 'none'"),
        (["run", "--for", "rtx-4090"], 2, "nothing ships on rtx-4090"),
        (["run", "--for", "cpu", "--artifact", "int8"], 2, "no artifact matches 'int8'"),
        (["run", "--for", "cpu", "--images", "a.png", "b.png"], 2, "requires 3 arguments"),
        (["run", "--for", "cpu", "--images", "a.png", "b.png", "c.png"], 2, "--images: a.png cannot be read"),
        (["run", "--for", "cpu", "--out", "run"], 2, "holds 'export'. Choose another with --out"),
        (["run", "--for", "cpu", "--out", "images.npz"], 2, "is a file or a link"),
        (["run", "--for", "cpu", "--out", "images.npz/deep"], 3, "Check the path and its permissions"),
    ],
)
def test_what_cannot_be_packed_is_said(place: Path, monkeypatch: pytest.MonkeyPatch, typed: list[str], code: int, said: str) -> None:
    """An exit code, a sentence, and nothing written."""
    monkeypatch.chdir(place)
    before = sorted(place.rglob("*"))
    elsewhere = [] if "--out" in typed else ["--out", "new"]
    done = CliRunner().invoke(app, ["pack", *elsewhere, *typed])
    assert (done.exit_code, done.stdout) == (code, "")
    assert said in " ".join(done.stderr.split())
    assert sorted(place.rglob("*")) == before

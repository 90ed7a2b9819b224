"""edgekd.data.ondisk: pixels at training size in a file of their own."""

import shutil
import tempfile
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd.data import memory, ondisk, pictures
from edgekd.data.pictures import Wanted
from edgekd.events import Event, Note

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where large files go."""
    folder = tmp_path / "disk"
    folder.mkdir()
    monkeypatch.setattr(ondisk, "place", lambda: folder)
    return folder


def notes(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Note)]


def test_an_array_whose_file_has_no_name(disk: Path) -> None:
    """It is zero, takes what is written, and leaves nothing in the folder."""
    events: list[Event] = []
    array = ondisk.reserved((3, 4, 5, 3), events.append)
    assert array is not None
    assert list(disk.iterdir()) == []
    assert not array.any()
    array[1] = 7
    assert array[[2, 1]].sum() == 7 * 60
    assert notes(events) == [f"the images are too many to be held in memory: they are decoded once, into 180 B below {disk} (TMPDIR says where)"]


def test_a_disk_without_room_is_told(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of what is free is left to others."""
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(1000, 0, 100))
    events: list[Event] = []
    assert ondisk.reserved((80,), events.append) is not None
    assert ondisk.reserved((81,), events.append) is None
    assert notes(events)[-1] == f"{disk} has no room for the decoded images (81 B of 100 B free): they are decoded in every pass"


def test_a_folder_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Training goes on without it."""
    monkeypatch.setattr(ondisk, "place", lambda: tmp_path / "gone")
    events: list[Event] = []
    assert ondisk.reserved((8,), events.append) is None
    assert "No such file or directory" in notes(events)[0]


def test_the_place_is_tmpdirs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As for any program; else one that lies on a disk."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert ondisk.place() == tmp_path
    monkeypatch.delenv("TMPDIR")
    assert ondisk.place() == Path("/var/tmp")


def test_pictures_are_decoded_once(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit in memory is read from the disk at its size, the same pixels in any order; broken ones are left out."""
    draw, files = np.random.default_rng(0), []
    for number in range(6):
        files.append(tmp_path / f"{number}.png")
        Image.fromarray(draw.integers(0, 255, (9, 7, 3), np.uint8)).save(files[-1])
    files[2].write_bytes(b"none")

    def scan() -> pictures.Scan:
        return pictures.scan(
            len(files), lambda number: Image.open(files[number]), lambda number: files[number].name, Wanted((8, 8), 3), lambda e: None
        )

    held = scan()
    monkeypatch.setattr(memory, "fits", lambda *given: False)
    read = scan()
    for file in files:
        file.unlink()
    assert held.pixels is not None
    assert read.pixels is None
    assert read.reader is not None
    order = np.array([4, 0, 2])
    assert np.array_equal(read.reader(order), held.pixels[order])
    assert not isinstance(read.reader(order), np.memmap)
    assert read.content == held.content

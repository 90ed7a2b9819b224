"""edgekd.data.unlabelled: folders and arrays of images that nobody labelled."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekd.data import unlabelled
from edgekd.data.pictures import Wanted
from edgekd.errors import MissingError, UsageError
from edgekd.events import Event, Note
from tests.data.conftest import save_npz


def picture(path: Path, value: int, size: tuple[int, int] = (8, 6), mode: str = "RGB") -> None:
    """A picture of one grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value, value, value)).save(path)


def test_every_picture_below_a_folder_is_found(tmp_path: Path) -> None:
    """However deep, by its path, so that two of one name are two; hidden files, other files and folders called like pictures are none."""
    for number, name in enumerate(["b/same.png", "a/same.PNG", "a/deep/er/1.jpg", "top.bmp", ".hidden.png"]):
        picture(tmp_path / name, 40 * number)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    found = unlabelled.load("folder:.", Wanted(), base=tmp_path)
    assert found.names == ("a/deep/er/1.jpg", "a/same.PNG", "b/same.png", "top.bmp")
    assert found.images.shape == (6, 8, 3)
    assert [int(image.mean()) for image in found.images.read(np.arange(4))] == [80, 40, 0, 120]
    assert found.images.labels.tolist() == [-1] * 4


def test_sizes_and_colours_are_made_alike(tmp_path: Path) -> None:
    """Grey ones stay grey where all are; else all have colours, and the size that was asked for."""
    picture(tmp_path / "a.png", 10, mode="L")
    picture(tmp_path / "b.png", 10, (30, 40), "L")
    assert unlabelled.load("folder:.", Wanted((4, 4)), base=tmp_path).images.shape == (4, 4, 1)
    picture(tmp_path / "c.png", 10)
    events: list[Event] = []
    assert unlabelled.load("folder:.", Wanted(), base=tmp_path, emit=events.append).images.shape == (32, 32, 3)
    assert "--size" in "".join(event.text for event in events if isinstance(event, Note))


def test_broken_pictures_are_named(tmp_path: Path) -> None:
    """And dropped, also by a name that is no text; where none reads, it is an error."""
    picture(tmp_path / "b.png", 10)
    (tmp_path / "a.png").write_bytes(b"no picture")
    (tmp_path / os.fsdecode(b"\xff.png")).write_bytes(b"")
    found = unlabelled.load("folder:.", Wanted(), base=tmp_path)
    assert (found.names, found.unreadable) == (("b.png",), ("a.png", "\\xff.png"))
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(MissingError, match=r"none of the 3 image files can be read; the first is a\.png"):
        unlabelled.load("folder:.", Wanted(), base=tmp_path)


def test_the_hash_knows_pixels_and_names(tmp_path: Path) -> None:
    """The same for the same files; another for another pixel or another name."""
    picture(tmp_path / "a.png", 10)
    first = unlabelled.load("folder:.", Wanted(), base=tmp_path).content
    assert unlabelled.load("folder:.", Wanted(), base=tmp_path).content == first
    (tmp_path / "a.png").rename(tmp_path / "b.png")
    assert unlabelled.load("folder:.", Wanted(), base=tmp_path).content != first


@pytest.mark.parametrize("arrays", [{"x": 1, "y": 2}, {"pictures": 1}], ids=["x", "alone"])
@pytest.mark.parametrize("shape", [(3, 4, 5), (3, 4, 5, 1), (3, 4, 5, 3)], ids=str)
def test_an_array_is_read(tmp_path: Path, arrays: dict[str, int], shape: tuple[int, ...]) -> None:
    """Called x, or the only one; grey without a last axis too."""
    key = next(iter(arrays))
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    save_npz(tmp_path / "i.npz", {name: pixels if name == key else np.arange(3) for name in arrays})
    found = unlabelled.load("npz:i.npz", Wanted(), base=tmp_path)
    assert found.names == tuple(f"{key}[{number}]" for number in range(3))
    assert np.array_equal(found.images.read(np.arange(3)), pixels.reshape(3, 4, 5, -1))
    assert unlabelled.load("npz:i.npz", Wanted((2, 2), 3), base=tmp_path).images.shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": np.zeros((2, 4, 4), np.uint8), "y_train": np.zeros(2)}, "no array called x: it holds x_train, y_train"),
        ({}, "no array called x: it holds nothing"),
        ({"x": np.zeros((2, 4, 4))}, "images are uint8, 0 to 255; x of .* is float64"),
        ({"x": np.zeros((2, 4, 4, 2), np.uint8)}, "images are .*; x of .* is"),
        ({"x": np.zeros(2, np.uint8)}, "images are .*; x of .* is"),
        ({"x": np.zeros((0, 4, 4), np.uint8)}, "x of .* holds no images"),
        ({"x": np.array([{}])}, "does not read as an npz file of plain arrays"),
    ],
)
def test_a_foreign_npz_file_is_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    """By what it holds; nothing is unpickled."""
    save_npz(tmp_path / "i.npz", arrays)
    with pytest.raises((UsageError, MissingError), match=message):
        unlabelled.load("npz:i.npz", Wanted(), base=tmp_path)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("folder:none", "no folder at"),
        ("folder:empty", "no images under"),
        ("npz:none.npz", "no npz file at"),
        ("photos", "folder:DIR .* or npz:FILE .*; got 'photos'"),
        ("digits", "got 'digits'"),
        ("folder:", "got 'folder:'"),
        ("csv:a.csv", "got 'csv:a.csv'"),
    ],
)
def test_what_is_not_there_or_not_taken_is_said(tmp_path: Path, spec: str, message: str) -> None:
    """With what would be."""
    (tmp_path / "empty").mkdir()
    with pytest.raises((UsageError, MissingError), match=message):
        unlabelled.load(spec, Wanted(), base=tmp_path)

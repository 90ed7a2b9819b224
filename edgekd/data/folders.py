"""Folders of image files → splits.

In: DIR with train/CLASS/*, val|valid|validation/CLASS/* and test/CLASS/*, or one folder DIR/CLASS/*. Out: `Found`.
Class numbers follow the sorted names, an image's index the sorted paths. Files that are no images by their name are passed over.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from edgekd.data import pictures
from edgekd.data.images import Found, Images
from edgekd.data.pictures import Wanted
from edgekd.errors import MissingError, UsageError
from edgekd.events import Emit, Note

Split = Literal["train", "valid", "test"]

ENDINGS = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "val": "valid",
    "valid": "valid",
    "validation": "valid",
    "test": "test",
    "training": "train",
    "testing": "test",
}
"""What splits are called, in small letters."""


@dataclass(frozen=True)
class Row:
    """One image file, the name of its class, the split it belongs to and, where images come in groups, its group. Where it may have several labels,
    `marks` say of each whether it is shown (1), not (0), or not known (−1), and `label` nothing."""

    path: Path
    label: str
    split: Split
    group: str | None = None
    marks: tuple[int, ...] = ()


def folder(directory: Path, wanted: Wanted, emit: Emit) -> Found:
    """All images of a folder.

    Raises:
        MissingError: no such folder, or no images in it.
        UsageError: a layout that is neither of the two, or classes that do not fit.
    """
    if not directory.is_dir():
        raise MissingError(f"no folder at {directory}; folder: takes DIR/train/CLASS/* (and val, test), or DIR/CLASS/*.")
    splits = _split_folders(directory)
    rows = [Row(path, kind.name, split) for split, place in splits.items() for kind in _subfolders(place) for path in below(kind)]
    if not rows:
        loose = [path for path in directory.iterdir() if path.suffix.lower() in ENDINGS]
        if loose:
            raise MissingError(
                f"folder: takes a folder of pictures for each class, and {len(loose)} in {directory} lie in none. Move each into "
                f"{directory}/CLASS, or have a teacher label them: edgekd label folder:{directory} --teacher FILE.onnx"
            )
        raise MissingError(
            f"no images under {directory}: folder: takes DIR/train/CLASS/* (and val, test), or DIR/CLASS/*, "
            f"with files ending in {', '.join(sorted(ENDINGS))}."
        )
    learnt = {row.label for row in rows if row.split == "train"}
    for kind in _subfolders(splits["train"]) if learnt else []:
        if kind.name not in learnt:
            emit(Note(text=f"{kind} has no file that ends as a picture does, and is no class", level="warning"))
    for split in splits.keys() - {row.split for row in rows}:
        if split == "train":
            raise MissingError(f"no training images under {splits[split]}: it takes one folder of images per class.")
        emit(Note(text=f"{splits[split]} has no images in folders of their classes and is passed over", level="warning"))
    return from_rows(rows, str(directory), wanted, emit)


def below(directory: Path) -> Iterator[Path]:
    """All picture files under a folder by their names, through links to folders, too; hidden ones and hidden folders are passed over."""
    seen: set[str] = set()
    for place, folders, names in os.walk(directory, followlinks=True):
        real = os.path.realpath(place)
        inside = [] if real in seen else [name for name in folders if not name.startswith(".")]
        # what is in a folder itself before what a link leads to, so that names do not hang on how the disk lists them
        folders[:] = sorted(inside, key=lambda name, place=place: (os.path.islink(os.path.join(place, name)), name))  # type: ignore[misc]
        if real not in seen:
            seen.add(real)
            yield from (Path(place, name) for name in names if not name.startswith(".") and os.path.splitext(name)[1].lower() in ENDINGS)


def from_rows(rows: Iterable[Row], name: str, wanted: Wanted, emit: Emit, classes: Sequence[str] | None = None) -> Found:
    """Splits from image files. Where there is no test split, the validation images are the test images.

    Raises:
        UsageError: a class that train lacks.
        MissingError: no image can be read.
    """
    rows = sorted(rows, key=lambda row: row.path.as_posix())
    names = tuple(classes or sorted({row.label for row in rows if row.split == "train"}))
    _check_classes(rows, names, name)
    scan = pictures.scan(len(rows), lambda number: Image.open(rows[number].path), lambda number: str(rows[number].path), wanted, emit)
    kept = [rows[number] for number in scan.kept]
    number_of = {label: number for number, label in enumerate(names)}
    labels = np.array([row.marks or number_of[row.label] for row in kept], dtype=np.int64)
    every = Images(labels, np.arange(len(kept)), scan.shape, scan.pixels, scan.reader, digests=scan.digests)
    owner = np.array([row.split for row in kept])
    splits = {split: every.take(np.flatnonzero(owner == split)) for split in sorted(set(owner.tolist()))}
    if "train" not in splits:
        raise MissingError(f"none of the training images of {name} can be read.")
    borrowed = "test" not in splits and "valid" in splits
    if borrowed:
        emit(Note(text=f"{name} has no test split: its validation images are the test set, and validation is cut from train"))
        splits["test"] = splits.pop("valid")
    groups = [row.group or row.path.as_posix() for row in kept if row.split == "train"] if any(row.group for row in kept) else None
    return Found(
        names, splits["train"], scan.content, splits.get("valid"), splits.get("test"), None, groups, unreadable=scan.bad, valid_is_test=borrowed
    )


def as_spec(path: str, base: Path, files: Sequence[str]) -> str | None:
    """What lies at a bare path as a spec that says its kind: a folder, or a file with one of these endings; None where neither does."""
    place = base / path
    ending = place.suffix.removeprefix(".")
    kind = "folder" if path and place.is_dir() else ending if ending in files and place.is_file() else None
    return None if kind is None else f"{kind}:{path}"


def _check_classes(rows: Sequence[Row], classes: Sequence[str], name: str) -> None:
    for row in rows:
        if not row.marks and row.label not in classes:
            known = ", ".join(classes[:8]) + (", …" if len(classes) > 8 else "")
            raise UsageError(
                f"a class can only be tested if it can be learnt: {row.path} is of class {row.label!r}, "
                f"which train of {name} lacks. Train has: {known}."
            )


def _split_folders(directory: Path) -> dict[Split, Path]:
    """Where each split lies; a folder without `train` is one whole.

    Raises:
        UsageError: two folders for one split, or other splits without train.
    """
    found: dict[Split, Path] = {}
    for child in _subfolders(directory):
        split = SPLIT_NAMES.get(child.name.lower())
        if split is None:
            continue
        if split in found:
            raise UsageError(f"{directory} has both {found[split].name} and {child.name}, which mean the same. Take one away.")
        found[split] = child
    if found and "train" not in found:
        names = " and ".join(place.name for place in found.values())
        raise UsageError(f"{directory} has {names} but no train. Name the training images' folder train.")
    return found or {"train": directory}


def _subfolders(directory: Path) -> list[Path]:
    return sorted(child for child in directory.iterdir() if child.is_dir() and not child.name.startswith("."))

"""Images without labels: a folder of pictures, or an array of them.

In: `folder:DIR` (every picture below DIR, whatever folders it lies in) or `npz:FILE` (the array `x`, or the only one). Out: `Unlabelled`: the images,
each with a name of its own, and those that do not read. Labels that the data may have are not looked at.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from edgekd.data import arrays, pictures
from edgekd.data.folders import ENDINGS, as_spec, below
from edgekd.data.images import Images, Pixels, Reader
from edgekd.data.pictures import Wanted
from edgekd.errors import MissingError, UsageError
from edgekd.events import Emit, silent

UNKNOWN = -1
"""The label of an image that has none."""
_ARRAY = "x"


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """Images whose labels are all -1. `names` (n,): a picture's path below its folder, or `x[17]`.

    `content` is a hash of all pixels and names; `unreadable` names the pictures that were dropped.
    """

    images: Images
    names: tuple[str, ...]
    content: str
    unreadable: tuple[str, ...] = ()


def load(spec: str, wanted: Wanted, *, base: Path = Path(), emit: Emit = silent) -> Unlabelled:
    """All images that a spec names.

    Raises:
        UsageError: neither a folder nor an npz file is named, or the file holds no array of images.
        MissingError: it is not there, or has no picture that reads.
    """
    check(spec, base)
    kind, _, rest = spec.partition(":")
    return _folder(base / rest, wanted, emit) if kind == "folder" else _npz(base / rest, wanted, emit)


def check(spec: str, base: Path) -> None:
    """Refuse a spec that says neither kind of images.

    Raises:
        UsageError: with what to write, where such a file or folder is there.
    """
    kind, _, rest = spec.partition(":")
    if kind in ("folder", "npz") and rest:
        return
    own = as_spec(spec, base, ("npz",))
    hint = f" Write {own}" if own is not None else ""
    raise UsageError(f"images to be labelled are folder:DIR (every picture below it) or npz:FILE (an array x of uint8); got {spec!r}.{hint}")


def _folder(directory: Path, wanted: Wanted, emit: Emit) -> Unlabelled:
    if not directory.is_dir():
        raise MissingError(f"no folder at {directory}; folder:DIR takes every picture below it.")
    files = sorted(path for path in below(directory) if path.is_file())
    if not files:
        raise MissingError(f"no images under {directory}: folder:DIR takes files ending in {', '.join(sorted(ENDINGS))}, however deep they lie.")

    def name(number: int) -> str:
        return pictures.readable(files[number].relative_to(directory).as_posix())

    scan = pictures.scan(len(files), lambda number: Image.open(files[number]), name, wanted, emit)
    names = tuple(name(int(number)) for number in scan.kept)
    return Unlabelled(_images(len(names), scan.shape, scan.pixels, scan.reader), names, _hashed(scan.content, names), scan.bad)


def _npz(file: Path, wanted: Wanted, emit: Emit) -> Unlabelled:
    needed = "x, the images (n, h, w[, 1 or 3]) as uint8"
    found, known = arrays.archive(file, (_ARRAY,), needed)
    if not found and len(known) == 1:
        found, _ = arrays.archive(file, known, needed)
    if not found:
        raise UsageError(
            f"{file} has no array called x: it holds {', '.join(known) or 'nothing'}. "
            "Save the images that are to be labelled as x, uint8 (n, h, w[, 1 or 3]), or alone."
        )
    key, given = next(iter(found.items()))
    pixels = arrays.check_pixels(given, f"{key} of {file}")
    if not len(pixels):
        raise MissingError(f"{key} of {file} holds no images: its shape is {pixels.shape}.")
    pixels = pictures.refit(pixels, wanted, emit)
    names = tuple(f"{key}[{number}]" for number in range(len(pixels)))
    shape = (pixels.shape[1], pixels.shape[2], pixels.shape[3])
    return Unlabelled(_images(len(pixels), shape, pixels, None), names, _hashed(hashlib.sha256(pixels.data).hexdigest(), names))


def _images(count: int, shape: pictures.Shape, pixels: Pixels | None, reader: Reader | None) -> Images:
    return Images(np.full(count, UNKNOWN, dtype=np.int64), np.arange(count), shape, pixels, reader)


def _hashed(content: str, names: tuple[str, ...]) -> str:
    return hashlib.sha256(repr((content, names)).encode()).hexdigest()

"""Pictures of any size → pixels of one size, with the unreadable ones dropped and named.

In: a way to open picture number i. Out: which pictures read, their pixels (in memory where they fit, else a reader of a file that holds them
decoded, or of the pictures themselves where the disk is full too), a hash. Every picture is decoded once whatever happens, so that a bad one is
found before training and not in its middle. Labels and splits are others' business.
"""

import hashlib
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from edgekd import units
from edgekd.data import memory, ondisk
from edgekd.data.images import Integers, Pixels, Reader
from edgekd.errors import MissingError, UsageError
from edgekd.events import Emit, Note, Progress, silent

Open = Callable[[int], Image.Image]
Shape = tuple[int, int, int]
A = TypeVar("A")
B = TypeVar("B")

DEFAULT_SIZE = (224, 224)
SIDES = (32, 48, 64, 96, 128, 160, DEFAULT_SIZE[0])
"""Sides of the squares that pictures of several sizes are held at: the one nearest to what they have."""
_BAD = (
    *(OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError),
    *(struct.error, zlib.error, IndexError, KeyError, TypeError),
)
"""What Pillow raises on files that are no pictures, or broken ones."""
_DEEP = 1 << 13
"""A picture of 16 bits whose brightest point is below this was stored in 12 or fewer."""
_TURNED = {5, 6, 7, 8}
"""EXIF orientations that swap height and width."""


@dataclass(frozen=True)
class Wanted:
    """How pixels are asked for; None: as the pictures have it. `several`: an image may have several labels, so that they are a matrix."""

    size: tuple[int, int] | None = None
    channels: int | None = None
    crop_fraction: float = 1.0
    several: bool = False

    def __post_init__(self) -> None:
        if self.size is not None and min(self.size) < 1:
            raise UsageError(f"an image is at least 1x1 pixels, got size {self.size[0]}x{self.size[1]}.")
        if self.channels not in (None, 1, 3):
            raise UsageError(f"images have 1 channel (grey) or 3 (colour), got channels = {self.channels}.")
        if not 0 < self.crop_fraction <= 1:
            raise UsageError(f"a crop keeps more than 0 and at most all of an image, got crop fraction {self.crop_fraction}.")


@dataclass(frozen=True, eq=False)
class Scan:
    """Pictures that read: their numbers `kept` (k,), and `pixels` (k, h, w, c) or a `reader` by place among the kept.

    `content` is a hash of their pixels, `digests` of each one's (k,), `bad` names the pictures that do not read.
    """

    kept: Integers
    shape: Shape
    pixels: Pixels | None
    reader: Reader | None
    content: str
    bad: tuple[str, ...]
    digests: NDArray[np.void]


def scan(count: int, open_: Open, name: Callable[[int], str], wanted: Wanted, emit: Emit) -> Scan:
    """Read pictures 0 to count - 1, each at least once.

    Raises:
        MissingError: none of them reads.
    """
    shape, bad = _shape(count, open_, wanted, emit)
    resident = memory.fits(count * shape[0] * shape[1] * shape[2])
    pixels = np.empty((count, *shape), dtype=np.uint8) if resident else ondisk.reserved((count, *shape), emit)
    brightest: list[int] = []

    def decode(number: int) -> bytes | None:
        if number in bad:
            return None
        try:
            with open_(number) as opened:
                if _is_deep(opened):
                    brightest.append(int(np.asarray(opened).max()))
                picture = fit(opened, shape, wanted.crop_fraction)
        except _BAD:
            return None
        if pixels is not None:
            pixels[number] = picture
        return hashlib.sha256(picture.tobytes()).digest()

    digests = list(_reported(_in_threads(decode, range(count)), count, "reading images", emit))
    kept = np.array([number for number, digest in enumerate(digests) if digest is not None], dtype=np.int64)
    names = tuple(readable(name(number)) for number, digest in enumerate(digests) if digest is None)
    if len(kept) == 0:
        raise MissingError(f"none of the {count} image files can be read; the first is {names[0]}. Are they pictures, and whole?")
    if names:
        emit(Note(text=f"{len(names)} of {count} images cannot be read and are left out: {units.some(names, 5)}", level="warning"))
    if brightest and max(brightest) < _DEEP:
        told = f"{len(brightest)} pictures of 16 bits hold numbers up to {max(brightest)}, and 65535 is read as white: they are nearly black"
        emit(Note(text=f"{told}. Store them in 8 bits, or scaled to 16.", level="warning"))
    joined = b"".join(digest for digest in digests if digest is not None)
    content, each = hashlib.sha256(joined).hexdigest(), np.frombuffer(joined, "V32")
    if pixels is None:
        return Scan(kept, shape, None, _reader(kept, open_, name, shape, wanted.crop_fraction), content, names, each)
    if not resident:
        return Scan(kept, shape, None, lambda index: np.asarray(pixels[kept[index]]), content, names, each)
    return Scan(kept, shape, pixels if not names else pixels[kept], None, content, names, each)


def fit(picture: Image.Image, shape: Shape, crop_fraction: float = 1.0) -> Pixels:
    """One picture as uint8 (h, w, c).

    Turned as EXIF says, its shorter side scaled to size / crop_fraction, the centre cut out: one bilinear, antialiased resize.
    """
    height, width, channels = shape
    if picture.format == "JPEG":
        generous = 2 * round(max(height, width) / crop_fraction)
        picture.draft(None, (generous, generous))  # large photographs decode several times faster at a half or a quarter
    picture = _eight_bits(_upright(picture), channels)
    scale = max(height / picture.height, width / picture.width) / crop_fraction
    if scale != 1 or picture.size != (width, height):
        wide, tall = width / scale, height / scale
        left, top = (picture.width - wide) / 2, (picture.height - tall) / 2
        box = (max(left, 0), max(top, 0), min(left + wide, picture.width), min(top + tall, picture.height))
        picture = picture.resize((width, height), Image.Resampling.BILINEAR, box=box)
    return np.asarray(picture, dtype=np.uint8).reshape(shape)


def refit(pixels: Pixels, wanted: Wanted, emit: Emit = silent) -> Pixels:
    """Arrays (n, h, w, c) at the size and channels that are asked for; the same array where nothing changes. They were cut by whoever made them: none
    of a crop is taken off."""
    _, height, width, channels = pixels.shape
    shape = (*(wanted.size or (height, width)), wanted.channels or channels)
    if shape == (height, width, channels):
        return pixels
    out = np.empty((len(pixels), *shape), dtype=np.uint8)

    def put(number: int) -> None:
        out[number] = fit(as_picture(pixels[number]), shape)

    for _ in _reported(_in_threads(put, range(len(pixels))), len(pixels), "fitting images", emit):
        pass
    return out


def as_picture(pixels: Pixels) -> Image.Image:
    """uint8 (h, w), (h, w, 1) or (h, w, 3) as a picture."""
    return Image.fromarray(pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


def _upright(picture: Image.Image) -> Image.Image:
    """Turned as its EXIF says; as it is stored, where that does not read: its pixels are whole."""
    try:
        return ImageOps.exif_transpose(picture)
    except (*_BAD, AttributeError):
        return picture


def _is_deep(picture: Image.Image) -> bool:
    """Whether it is grey of more than 8 bits."""
    return picture.mode == "I" or picture.mode.startswith("I;16")


def _eight_bits(picture: Image.Image, channels: int) -> Image.Image:
    """As 8-bit grey or RGB. Sixteen-bit greys are scaled, which Pillow's own conversion does not do."""
    if _is_deep(picture):
        picture = Image.fromarray((np.asarray(picture).astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8))
    elif picture.mode == "F":
        raise ValueError("a picture of floating-point numbers has no known white")
    elif picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")
    return picture.convert("L" if channels == 1 else "RGB")


def _shape(count: int, open_: Open, wanted: Wanted, emit: Emit) -> tuple[Shape, set[int]]:
    """The one shape that all pictures will have, from their headers; and those whose header does not read."""
    if wanted.size is not None and wanted.channels is not None:
        return (*wanted.size, wanted.channels), set()
    headers = list(_reported(_in_threads(lambda number: _header(open_, number), range(count)), count, "looking at images", emit))
    bad = {number for number, header in enumerate(headers) if header is None}
    seen = [header for header in headers if header is not None]
    channels = wanted.channels or (1 if seen and all(grey for _, grey in seen) else 3)
    sizes = {size for size, _ in seen}
    if wanted.size is not None:
        return (*wanted.size, channels), bad
    if len(sizes) == 1:
        return (*sizes.pop(), channels), bad
    size = DEFAULT_SIZE
    if sizes:
        size = (held_at(float(np.median([min(own) for own, _ in seen]))),) * 2
        heights, widths = zip(*sizes, strict=True)
        emit(
            Note(
                text=f"the images have {len(sizes)} sizes ({min(heights)} to {max(heights)} high, {min(widths)} to {max(widths)} wide): "
                f"they are held at {size[0]}x{size[1]}; size (--size HxW) says otherwise"
            )
        )
    return (*size, channels), bad


def held_at(shorter_side: float) -> int:
    """The side of the square that pictures are held at, from what their shorter sides usually have."""
    return min(SIDES, key=lambda side: abs(side - shorter_side))


def _header(open_: Open, number: int) -> tuple[tuple[int, int], bool] | None:
    """A picture's (height, width) as it will be seen, and whether it is grey; None where it does not open."""
    try:
        with open_(number) as picture:
            turned = picture.getexif().get(0x0112) in _TURNED
            # A TIFF's own tags: some versions of Pillow have turned its width and height already, others have not.
            width, height = (picture.tag_v2[256], picture.tag_v2[257]) if isinstance(picture, TiffImageFile) else picture.size
            size = (width, height) if turned else (height, width)
            return size, picture.mode in {"1", "L", "LA", "La", "F"} or _is_deep(picture)
    except _BAD:
        return None


def _reader(kept: Integers, open_: Open, name: Callable[[int], str], shape: Shape, crop_fraction: float) -> Reader:
    """A reader, by place among the kept pictures, that decodes in threads (Pillow lets go of the interpreter while it decodes)."""
    pool = ThreadPoolExecutor(_workers(), thread_name_prefix="edgekd-decode")

    def one(number: int) -> Pixels:
        try:
            with open_(number) as picture:
                return fit(picture, shape, crop_fraction)
        except _BAD as error:
            raise MissingError(f"{name(number)} could be read when the run began and cannot now: {error}. Put it back, or start again.") from None

    def read(index: Integers) -> Pixels:
        out = np.empty((len(index), *shape), dtype=np.uint8)
        for place, picture in enumerate(pool.map(one, kept[index].tolist())):
            out[place] = picture
        return out

    return read


def _workers() -> int:
    return min(16, os.cpu_count() or 1)


def _in_threads(function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    with ThreadPoolExecutor(_workers()) as pool:
        yield from pool.map(function, items)


def _reported(items: Iterator[A], total: int, what: str, emit: Emit) -> Iterator[A]:
    """The items, with a Progress about twice a second, and one at the end of what took so long."""
    last = started = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last > 0.5 or (done == total and last != started):
            last = now
            emit(Progress(what=what, done=done, total=total, seconds_left=(now - started) / done * (total - done)))


def readable(name: str) -> str:
    """A file's name as text; bytes in it that are no UTF-8 as `\\xff`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")

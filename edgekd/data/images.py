"""Labelled images, held in memory or read when they are asked for.

In: what the readers found (`arrays`, `folders`, `tables`, `named`). Out: `Images`, one split; `Source`, the three of them.
Pixels are uint8 (n, h, w, c) with c = 1 or 3. Nothing here augments, normalises or batches.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import UsageError

Pixels: TypeAlias = NDArray[np.uint8]
Integers: TypeAlias = NDArray[np.int64]
TestFrom: TypeAlias = Literal["own", "validation", "cut"]
Reader: TypeAlias = Callable[[Integers], Pixels]
"""The source's own indices (k,) → their pixels (k, h, w, c)."""
_CHUNK = 256
"""Images that are read at a time."""


@dataclass(frozen=True, eq=False)
class Images:
    """One split. `labels` and `index` are int64 (n,); `index` is the source's own and names an image for ever, in any split or subset. Where an image
    may have several labels they are (n, labels): 1 it shows the label, 0 it does not, −1 nobody knows.

    `shape` is (h, w, c). Exactly one of `pixels`, uint8 (n, h, w, c), and `reader` is there. `logits`, float16 (n, classes), are a teacher's
    answers to them, beside labels that it gave or somebody else.
    """

    labels: Integers
    index: Integers
    shape: tuple[int, int, int]
    pixels: Pixels | None = None
    reader: Reader | None = None
    logits: NDArray[np.float16] | None = None
    by_teacher: bool = False
    """Whether the labels are a teacher's, and hardly any of them somebody else's."""
    digests: NDArray[np.void] | None = None
    """SHA-256 of each image's pixels, 32 bytes (n,), where a reader has seen them all."""

    def __post_init__(self) -> None:
        assert len(self.labels) == len(self.index)
        assert (self.pixels is None) != (self.reader is None)
        assert self.pixels is None or self.pixels.shape == (len(self.labels), *self.shape)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels, resident or not."""
        height, width, channels = self.shape
        return len(self) * height * width * channels

    def read(self, positions: Integers) -> Pixels:
        """Pixels of the images at these positions, 0 to n - 1: uint8 (k, h, w, c)."""
        if self.pixels is not None:
            return self.pixels[positions]
        assert self.reader is not None
        return self.reader(self.index[positions])

    def take(self, positions: Integers) -> "Images":
        """The images at these positions, in this order."""
        pixels = None if self.pixels is None else self.pixels[positions]
        logits = None if self.logits is None else self.logits[positions]
        digests = None if self.digests is None else self.digests[positions]
        return Images(self.labels[positions], self.index[positions], self.shape, pixels, self.reader, logits, self.by_teacher, digests)


@dataclass(frozen=True, eq=False)
class Source:
    """All that a spec names. `flip`: mirroring keeps an image's meaning. `sha256` changes with any pixel, label, class name or split.

    `unreadable` names files that were dropped; `notes` are doubts that a report must carry. `test_from`: a test split of the data's own or of another
    spec, the data's validation split, or a share of all that was cut off.
    """

    spec: str
    classes: tuple[str, ...]
    train: Images
    valid: Images
    test: Images
    sha256: str
    flip: bool
    unreadable: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    test_from: TestFrom = "own"


@dataclass(frozen=True, eq=False)
class Found:
    """What a reader hands to `source.load`: splits as the data has them; None where it has none.

    `lacks_test` is the error where there is no test split and edgekd must not cut one itself; None: it may. `groups` are train's, one text per image:
    images of a group stay together.
    """

    classes: tuple[str, ...]
    train: Images
    content: str
    """A hash of all pixels."""
    valid: Images | None = None
    test: Images | None = None
    lacks_test: str | None = None
    groups: Sequence[str] | None = None
    flip: bool = True
    unreadable: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    valid_is_test: bool = False
    """The test images are those that the data calls validation, for want of others."""


def class_counts(labels: Integers, classes: int) -> Integers:
    """Images per class, int64 (classes,); of several labels an image, those that are known to show each."""
    if labels.ndim == 2:
        return np.asarray((labels == 1).sum(axis=0), np.int64)
    return np.bincount(labels, minlength=classes).astype(np.int64)


def check_labels(labels: Mapping[str, Integers], classes: tuple[str, ...] | None, name: str) -> tuple[str, ...]:
    """The class names, after checking that labels count from 0 without gaps (or fit the names that were given).

    Raises:
        UsageError: they do not, or there are none.
    """
    every = np.unique(np.concatenate(list(labels.values())))
    if len(every) == 0 or len(labels["train"]) == 0:
        raise UsageError(f"{name} has no training images.")
    if classes is None:
        if every[0] != 0 or every[-1] != len(every) - 1:
            shown = ", ".join(str(value) for value in every[:6].tolist()) + (", …" if len(every) > 6 else "")
            raise UsageError(
                f"labels count from 0 without gaps, one number a class; {name} has {shown}. Renumber them, or name all classes in `classes`."
            )
        classes = tuple(str(value) for value in range(len(every)))
    elif every[0] < 0 or every[-1] >= len(classes):
        raise UsageError(f"{name} names {len(classes)} classes, so labels run from 0 to {len(classes) - 1}; got {every[0]} to {every[-1]}.")
    return classes


def shared(tests: Images, learnt: Sequence[Images]) -> int:
    """How many test images are, pixel by pixel, among those that were learnt from."""
    known = {digest for images in learnt for digest in _digests(images)}
    return sum(digest in known for digest in _digests(tests))


def _digests(images: Images) -> Iterator[bytes]:
    if images.digests is not None:
        yield from images.digests.tolist()
        return
    for start in range(0, len(images), _CHUNK):
        for picture in images.read(np.arange(start, min(start + _CHUNK, len(images)))):
            yield hashlib.sha256(np.ascontiguousarray(picture).tobytes()).digest()

"""spec → train, valid and test.

In: a data spec (DESIGN, spec strings), the size and channels that are wanted, how much of train is for validation. Out: a `Source`.
Splits that the data has are kept; what it lacks is cut from train, seeded, by class and by group. With `imbalance` what is learnt from and chosen by
becomes a long tail, and what is tested stays. No augmentation, no batches.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekd import units, userfile
from edgekd.data import arrays, folders, named, tables
from edgekd.data.images import Found, Images, Source, TestFrom, class_counts, shared
from edgekd.data.matrices import UNKNOWN
from edgekd.data.pictures import Wanted
from edgekd.data.splits import Mask, hold_out, keep, tail_counts
from edgekd.errors import UsageError
from edgekd.events import Emit, Note, silent
from edgekd.record import OWN_SPLIT

__all__ = ["Images", "Source", "class_counts", "load"]

TAIL_SEED = 0
"""Which images a long tail keeps: fixed, and not the run's, so that all runs learn from the same ones."""
SLIPPED = 0.01
"""Test images that may be training images without a word: CIFAR-100 has some, too."""
_PICTURES = ("folder:", "csv:", "hf:")
"""How data is named whose images have sizes of their own."""
OWN_TEST_SHARE = 0.1
"""How much of a set without any split becomes its test set; as much becomes validation."""
_SPLIT_SEED = 0
"""Fixed, and not the run's: a teacher of another run has then not learnt on the images that this run chooses by, and all seeds are tested alike."""


def load(
    spec: str,
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    validation: float = 0.1,
    test: str | None = None,
    imbalance: float = 1.0,
    crop_fraction: float = 1.0,
    download: bool = False,
    several: bool = False,
    fewest: int = 2,
    known: Sequence[str] = (),
    base: Path = Path(),
    emit: Emit = silent,
) -> Source:
    """All images that a spec names.

    `size` is (height, width) in pixels, `validation` the share of train that is held out where there is no validation split, `test` the spec of
    images that replace the test set, `imbalance` how many times as many images of the first class as of the last are learnt from where it is above 1,
    `crop_fraction` the part of a resized image that a centre crop keeps, of pictures alone, `base` what relative paths start from. With `several` an
    image may have several labels, which are then a matrix (`Images`). `fewest` are the classes that there must be: one is enough beside those that
    are `known` already, which images that are named by `test` may show, too; they stand behind the data's own.

    Raises:
        UsageError: the spec, or the data under it, is not as its kind demands.
        MissingError: a file or folder is not there.
    """
    if not 0 <= validation < 1:
        raise UsageError(f"validation is a share of train, from 0 % to below 100 %; got {validation:.0%}.")
    found = _find(spec, Wanted(size, channels, crop_fraction, several), download, base, emit)
    _check_train(found, spec, fewest, emit)
    rest = _Rest(found.train, None if found.groups is None else np.asarray(found.groups, dtype=np.str_))
    held, content, unreadable, notes = found.test, found.content, found.unreadable, found.notes
    test_from: TestFrom = "validation" if test is None and found.valid_is_test else "own"
    classes = (*found.classes, *(name for name in known if name not in found.classes)) if test is not None else found.classes
    if test is not None:
        height, width, depth = found.train.shape
        other = _find(test, Wanted((height, width), depth, crop_fraction, several), download, base, emit)
        held = _unseen(other, classes, test)
        content, unreadable = content + other.content, unreadable + other.unreadable
    elif held is None:
        if found.lacks_test is not None:
            raise UsageError(found.lacks_test)
        rest, held = rest.cut(OWN_TEST_SHARE)
        notes, test_from = (*notes, OWN_SPLIT), "cut"
        emit(Note(text=f"{spec} has no test split: {len(held)} images, the same share of every class, were cut off for it"))
    valid = found.test if test is not None and found.valid_is_test else found.valid
    # A share of all that was there to learn from: 10 % is 10 % also where the test images were just cut off.
    share = validation * len(found.train) / len(rest.images)
    if imbalance > 1:
        rest, valid = _tailed(rest, valid, len(found.classes), imbalance)
    if valid is None:
        rest, valid = rest.cut(share)
    _check_learnable(valid, found, found.classes, spec, "validation")
    _check_learnable(held, found, classes, test or spec, "test")
    notes = (*notes, *_doubted(held, valid, rest.images, emit))
    _say_uncovered(held, "test", classes, emit)
    _say_uncovered(valid, "validation", found.classes, emit)
    source = Source(spec, classes, rest.images, valid, held, "", found.flip, unreadable, notes, test_from)
    return replace(source, sha256=_fingerprint(source, content))


def of_pictures(spec: str) -> bool:
    """Whether it names pictures, which have sizes of their own."""
    return spec.startswith(_PICTURES)


def _doubted(held: Images, valid: Images, train: Images, emit: Emit) -> list[str]:
    """That images of one split are in another, where all were seen and more of them are than slip into well-known sets."""
    told = []
    for what, images, others, where in (
        ("test", held, train, "among those to learn from: every accuracy here looks better than it is"),
        ("validation", valid, train, "among those to learn from: what is chosen by them is chosen by what was learnt"),
        ("test", held, valid, "validation images: what was chosen by those looks better on them than it is"),
    ):
        if any(each.pixels is None and each.digests is None for each in (images, others)) or not len(images):
            continue
        if (seen := shared(images, [others])) > SLIPPED * len(images):
            told.append(f"{seen} of {len(images)} {what} images are also {where}")
            emit(Note(text=told[-1], level="warning"))
    return told


def _say_uncovered(images: Images, what: str, classes: Sequence[str], emit: Emit) -> None:
    """Say which classes a split has no image of: nothing is chosen by them, or they are not scored."""
    if images.labels.ndim > 1 or not len(images):
        return
    lacking = [name for name, count in zip(classes, class_counts(images.labels, len(classes)), strict=True) if not count]
    if lacking:
        emit(Note(text=f"{len(lacking)} of {len(classes)} classes have no {what} image: {units.some(lacking, 5)}", level="warning"))


@dataclass(frozen=True, eq=False)
class _Rest:
    """Training images from which something may be cut, and their groups."""

    images: Images
    groups: NDArray[np.str_] | None

    def cut(self, share: float) -> "tuple[_Rest, Images]":
        """What is left, and a share of every class; groups stay whole."""
        held = hold_out(self.images.labels, share, _SPLIT_SEED, None if self.groups is None else self.groups.tolist())
        return self.only(~held), self.images.take(np.flatnonzero(held))

    def only(self, kept: Mask) -> "_Rest":
        """Some of the images."""
        return _Rest(self.images.take(np.flatnonzero(kept)), None if self.groups is None else self.groups[kept])


def _tailed(rest: _Rest, valid: Images | None, classes: int, imbalance: float) -> tuple[_Rest, Images | None]:
    """A long tail of the training images, and of each class the same share of the data's own validation images.

    What is chosen by is then as long-tailed as what is learnt from: a rare class is rare there too.
    """
    counts = class_counts(rest.images.labels, classes)
    wanted = tail_counts(counts, imbalance)
    if valid is not None:
        there = class_counts(valid.labels, classes)
        some = np.minimum(there, np.maximum(1, (there * wanted / counts).round().astype(np.int64)))
        valid = valid.take(np.flatnonzero(keep(valid.labels, some, TAIL_SEED)))
    return rest.only(keep(rest.images.labels, wanted, TAIL_SEED)), valid


def _find(spec: str, wanted: Wanted, download: bool, base: Path, emit: Emit) -> Found:
    """What a spec names, split only as the data itself is.

    Raises:
        UsageError: no such kind of spec.
    """
    kind, _, rest = spec.partition(":")
    if wanted.several and (kind in ("digits", "folder", "hf") or kind in named.NAMES):
        raise UsageError(
            f"{kind} has one label an image. Several come from npz:FILE (y is a matrix of 0 and 1), csv:FILE or FILE.py:function; "
            'for one label leave task = "classify".'
        )
    if spec == "digits":
        return arrays.digits(wanted)
    readers: dict[str, Callable[[], Found]] = {
        "npz": lambda: arrays.npz(base / rest, wanted, emit),
        "folder": lambda: folders.folder(base / rest, wanted, emit),
        "csv": lambda: tables.csv(base / rest, wanted, emit),
        "hf": lambda: named.hugging_face(rest, wanted, download, emit),
        **{name: lambda: named.torchvision_set(kind, base / rest, wanted, download, emit) for name in named.NAMES},
    }
    if kind in readers and rest:
        return readers[kind]()
    if userfile.is_userfile(spec):
        return arrays.from_function(spec, base, wanted, emit)
    if (own := folders.as_spec(spec, base, ("npz", "csv"))) is not None:
        raise UsageError(f"data says what it is before where it lies; got {spec!r}. Write {own}")
    raise UsageError(
        f"data is digits, npz:FILE, folder:DIR, csv:FILE, hf:NAME, FILE.py:function, or NAME:DIR with one of {', '.join(named.NAMES)}; got {spec!r}."
    )


def _unseen(other: Found, classes: Sequence[str], test: str) -> Images:
    """The images of a `--test` spec: its test split, else all that it has; labels renumbered by class name.

    Raises:
        UsageError: it has classes that the training data lacks, or its labels are a teacher's.
    """
    return relabelled(other.train if other.test is None else other.test, other.classes, classes, f"--test {test}")


def labelled(
    spec: str, classes: Sequence[str], wanted: Wanted, *, called: str, download: bool = False, base: Path = Path(), emit: Emit = silent
) -> tuple[Images, str]:
    """The test images of a spec, else all that it has, with labels by these class names, and a hash of its pixels; raises as `load`, `relabelled`."""
    other = _find(spec, wanted, download, base, emit)
    return relabelled(other.train if other.test is None else other.test, other.classes, classes, called), other.content


def judging(spec: str, classes: Sequence[str], wanted: Wanted, *, called: str, base: Path = Path(), emit: Emit = silent) -> Images:
    """Images to judge a teacher's settings by, with labels by its class names: a spec's validation images, else those to learn from.

    Raises as `labelled`.
    """
    other = _find(spec, wanted, False, base, emit)
    images = other.train if other.valid is None or other.valid_is_test else other.valid
    return relabelled(images, other.classes, classes, called, "the teacher's, as --teacher-classes names them")


def relabelled(images: Images, theirs: Sequence[str], ours: Sequence[str], called: str, whose: str = "the data's") -> Images:
    """Images whose labels go by the class names `theirs`, with labels by `ours`; `called` and `whose` are how an error names them.

    Raises:
        UsageError: they show a class that is none of `ours`, or their labels are a teacher's.
    """
    if images.by_teacher:
        raise UsageError(f"only labels that people gave can test a network; those of {called} are a teacher's (`edgekd label`). Name other images.")
    shown = np.flatnonzero(class_counts(images.labels, len(theirs))).tolist()
    unknown = [theirs[label] for label in shown if theirs[label] not in ours]
    if unknown:
        raise UsageError(f"every class of {called} must be one of {whose} ({', '.join(ours)}); it also has {', '.join(unknown)}.")
    if images.labels.ndim == 2:
        places = [theirs.index(name) if name in theirs else len(theirs) for name in ours]
        return replace(images, labels=np.pad(images.labels, ((0, 0), (0, 1)), constant_values=UNKNOWN)[:, places])
    numbers = np.array([ours.index(name) if name in ours else -1 for name in theirs], dtype=np.int64)
    return replace(images, labels=numbers[images.labels])


def _check_train(found: Found, spec: str, fewest: int, emit: Emit) -> None:
    """There is something to tell apart.

    Raises:
        UsageError: one class only, or of several labels an image none at all.
    """
    counts = class_counts(found.train.labels, len(found.classes))
    present = [name for name, count in zip(found.classes, counts.tolist(), strict=True) if count]
    if not present:
        raise UsageError(f"no training image of {spec} shows any of its labels: there is nothing to learn.")
    if len(present) < fewest and found.train.labels.ndim == 1:
        raise UsageError(
            f"a classifier needs two classes or more; all training images of {spec} are of class {present[0]!r}. "
            "Add another, or name the folder whose folders are the classes."
        )
    if len(present) < len(found.classes):
        lacking = ", ".join(name for name in found.classes if name not in present)
        emit(Note(text=f"no training image of {spec} shows: {lacking}; a network can only learn them elsewhere", level="warning"))


def _check_learnable(images: Images, found: Found, classes: Sequence[str], spec: str, split: str) -> None:
    """Every class of a split has training images, but for those of `classes` that are known without them: they stand behind the data's own.

    Raises:
        UsageError: one has none.
    """
    shown, learnable = (class_counts(labels, len(classes)) > 0 for labels in (images.labels, found.train.labels))
    learnable[len(found.classes) :] = True
    if len(images) and not shown.any():
        raise UsageError(f"labels can be tested where some image shows one; no {split} image of {spec} does. Take others.")
    lacking = np.flatnonzero(shown & ~learnable)
    if len(lacking):
        names = ", ".join(found.classes[label] for label in lacking)
        raise UsageError(
            f"a class can only be tested if it can be learnt: {split} images of {spec} have classes that train lacks: {names}. "
            "Add training images of them, or take theirs out of what is tested."
        )


def _fingerprint(source: Source, content: str) -> str:
    """A hash of pixels, labels, class names and splits."""
    digest = hashlib.sha256(repr((content, source.classes, source.train.shape)).encode())
    for images in (source.train, source.valid, source.test):
        digest.update(repr(len(images)).encode())
        digest.update(np.ascontiguousarray(images.labels).data)
        digest.update(np.ascontiguousarray(images.index).data)
    return digest.hexdigest()

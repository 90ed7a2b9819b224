"""Images that come as arrays: the built-in digits, npz files, and what a user's function returns.

In: a spec's remainder. Out: `Found`. Arrays stay in memory; map-style data sets go through `datasets`.
npz files follow Keras' convention: x_train, y_train, x_test, y_test and, optionally, x_valid, y_valid and classes. Where an image may have several
labels, y is a matrix (`matrices`).
"""

import hashlib
import zipfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgekd import userfile
from edgekd.data import matrices, pictures
from edgekd.data.datasets import from_datasets
from edgekd.data.images import Found, Images, Integers, Pixels, check_labels
from edgekd.data.pictures import Wanted
from edgekd.data.splits import hold_out
from edgekd.errors import MissingError, UsageError
from edgekd.events import Emit, silent

_SPLITS = ("train", "valid", "test")
_KEYS = tuple(f"{axis}_{split}" for split in _SPLITS for axis in "xy")
LOGITS = "logits_train"
"""Where an npz file keeps what a teacher answers to its training images: logits or log-probabilities, of any float type (n, classes)."""
MARK = "names_train"
"""What `edgekd label` writes beside the labels; data of people's own has it not."""
ALIKE = 0.99
"""The share of labels that are still a teacher's first choice, from which on they count as that teacher's: some may have been put right."""
TEACHERS_LABELS = "the labels are a teacher's, and nobody's besides: accuracy on validation images is agreement with that teacher"
"""A note of data that `edgekd label` made."""
_DIGITS_TEST = 0.2
_DIGITS_SEED = 0
"""Fixed: the digits' test images are the same in every run."""


def digits(wanted: Wanted) -> Found:
    """scikit-learn's 1,797 handwritten digits, 8x8, scaled up to 32x32 (bicubic) or to the size that is asked for; a fifth is the test set."""
    from sklearn.datasets import load_digits

    data = load_digits()
    small = np.asarray(np.rint(data.images * (255 / 16)), dtype=np.uint8)
    height, width = wanted.size or (32, 32)
    large = [Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC) for image in small]
    pixels = np.stack([np.asarray(image) for image in large])[..., None].repeat(wanted.channels or 1, axis=3)
    labels = np.asarray(data.target, dtype=np.int64)
    test = hold_out(labels, _DIGITS_TEST, _DIGITS_SEED)
    names = tuple(str(digit) for digit in range(10))
    arrays = {"x_train": pixels[~test], "y_train": labels[~test], "x_test": pixels[test], "y_test": labels[test]}
    found = from_arrays(arrays, names, "digits", Wanted())
    return Found(found.classes, found.train, found.content, test=found.test, flip=False)


def npz(file: Path, wanted: Wanted, emit: Emit = silent) -> Found:
    """An npz file; never unpickles.

    Raises:
        MissingError: no such file.
        UsageError: not an npz file, or not as the convention has it.
    """
    arrays, known = archive(file, (*_KEYS, "classes", LOGITS), "x_train, y_train, x_test, y_test")
    classes, logits = arrays.pop("classes", None), arrays.pop(LOGITS, None)
    names = None if classes is None else _names(classes, str(file))
    found = from_arrays(arrays, names, str(file), wanted, known, emit)
    return found if logits is None else _labelled(found, logits, str(file), marked=MARK in known)


def archive(file: Path, keys: Collection[str], needed: str) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """The arrays of an npz file that are called so, and the names of all; never unpickles. `needed` says in an error what it should hold.

    Raises:
        MissingError: no such file.
        UsageError: not an npz file, or not of plain arrays.
    """
    try:
        with file.open("rb") as stream:  # np.load leaves a file of its own open where it fails
            found = np.load(stream, allow_pickle=False)
            if not isinstance(found, np.lib.npyio.NpzFile):
                raise UsageError(f"{file} holds one array; npz: needs a file of several: {needed} (np.savez writes it).")
            return {key: found[key] for key in keys if key in found.files}, found.files
    except OSError as error:
        raise MissingError(f"no npz file at {file}: {error.strerror or error}.") from None
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        why = "it holds Python objects, which are never read" if "allow_pickle" in str(error) else error
        raise UsageError(f"{file} does not read as an npz file of plain arrays: {why}.") from None


def _labelled(found: Found, logits: NDArray[Any], name: str, *, marked: bool = False) -> Found:
    """Training images with a teacher's logits; that their labels are its first choice too, where `edgekd label` made them so, is noted.

    Raises:
        UsageError: they do not fit the images or the classes.
    """
    shape = (len(found.train), len(found.classes))
    if logits.shape != shape or not np.issubdtype(logits.dtype, np.floating):
        raise UsageError(
            f"{LOGITS} of {name} must hold a floating-point number for each training image and class, {shape}; got {logits.dtype} {logits.shape}. "
            "`edgekd label` writes it; where images were taken out by hand, take their rows out too."
        )
    wrong = np.argwhere(~(np.abs(logits) <= np.finfo(np.float16).max))
    if len(wrong):
        row, column = wrong[0].tolist()
        raise UsageError(
            f"{LOGITS} of {name} must hold numbers between -65,504 and 65,504; image {row} has {logits[row, column]} for class {column}. Take such "
            "images out, or cut log-probabilities off, as at -1e4."
        )
    train = replace(found.train, logits=logits.astype(np.float16), by_teacher=marked and _alike(found.train.labels, logits) >= ALIKE)
    return replace(found, train=train, notes=(*found.notes, TEACHERS_LABELS) if train.by_teacher else found.notes)


def _alike(labels: NDArray[Any], logits: NDArray[Any]) -> float:
    """The share of images whose labels are what the logits say."""
    if labels.ndim == 2:
        return float(((logits > 0) == (labels == 1)).all(axis=1).mean())
    return float((logits[np.arange(len(labels)), labels] == logits.max(axis=1)).mean())


def from_function(spec: str, base: Path, wanted: Wanted, emit: Emit) -> Found:
    """What `FILE.py:function` returns: a dict with npz's keys, or one of map-style data sets `train`, `test` and, optionally, `valid`.

    A map-style data set has a length and gives (picture, label) by number, also to several threads; pictures are Pillow's, or uint8 (h, w[, c])
    arrays. `classes` names the classes.

    Raises:
        UsageError: something else was returned.
    """
    returned = userfile.call(userfile.anchored(spec, base))
    if not isinstance(returned, Mapping):
        raise UsageError(
            f"{spec} must return a dict with x_train, y_train, x_test, y_test, or with data sets train and test; got {type(returned).__name__}."
        )
    classes = returned.get("classes")
    names = None if classes is None else _names(_array(classes, "classes", spec), spec)
    if "train" in returned:
        sets = {split: returned[split] for split in _SPLITS if split in returned}
        return from_datasets(sets, names, spec, wanted, emit)
    arrays = {key: _array(value, key, spec) for key, value in returned.items() if key in _KEYS}
    found = from_arrays(arrays, names, spec, wanted, [str(key) for key in returned], emit)
    return _labelled(found, _array(returned[LOGITS], LOGITS, spec), spec) if LOGITS in returned else found


def from_arrays(
    arrays: Mapping[str, NDArray[Any]],
    classes: tuple[str, ...] | None,
    name: str,
    wanted: Wanted,
    known: Sequence[str] = (),
    emit: Emit = silent,
) -> Found:
    """Splits from arrays under npz's keys.

    Raises:
        UsageError: keys missing, images not uint8, labels that do not fit the images or the classes.
    """
    missing = [key for key in ("x_train", "y_train") if key not in arrays]
    if missing:
        raise UsageError(
            f"{name} needs the arrays x_train, y_train, x_test, y_test; "
            f"{' and '.join(missing)} missing, found: {', '.join(known or arrays) or 'nothing'}."
        )
    read = {split: _split(arrays, split, name, wanted.several) for split in _SPLITS if f"x_{split}" in arrays or f"y_{split}" in arrays}
    check = matrices.check_matrices if wanted.several else check_labels
    classes = check({split: labels for split, (_, labels) in read.items()}, classes, name)
    shapes = {pixels.shape[1:] for pixels, _ in read.values()}
    if len(shapes) > 1:
        raise UsageError(f"all images of {name} must have one shape, got {', '.join(f'{split} {p.shape[1:]}' for split, (p, _) in read.items())}.")
    digest = hashlib.sha256()
    splits: dict[str, Images] = {}
    for split, (pixels, labels) in read.items():
        pixels = pictures.refit(pixels, wanted, emit)
        digest.update(np.ascontiguousarray(pixels).data)
        splits[split] = Images(labels, np.arange(len(labels)), (pixels.shape[1], pixels.shape[2], pixels.shape[3]), pixels)
    lacks = f"{name} has no test images: it needs x_test and y_test beside {', '.join(known or arrays)}, or --test SPEC names unseen images."
    return Found(classes, splits["train"], digest.hexdigest(), splits.get("valid"), splits.get("test"), lacks)


def _split(arrays: Mapping[str, NDArray[Any]], split: str, name: str, several: bool) -> tuple[Pixels, Integers]:
    """One split's pixels (n, h, w, c) and labels, (n,) or, where an image may have several, (n, labels); checked."""
    for key in (f"x_{split}", f"y_{split}"):
        if key not in arrays:
            raise UsageError(f"{name} has one of x_{split} and y_{split}; {key} is missing.")
    x, y = check_pixels(arrays[f"x_{split}"], f"x_{split} of {name}"), arrays[f"y_{split}"]
    if several:
        y = matrices.from_array(y, f"y_{split} of {name}")
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if not several and (y.ndim != 1 or not np.issubdtype(y.dtype, np.integer)):
        raise UsageError(
            f"labels are one whole number an image; y_{split} of {name} is {y.dtype} {y.shape}. "
            + ("Whole numbers of another type: y.astype('int64')." if y.ndim == 1 else _ONE_HOT)
        )
    if len(x) != len(y):
        what = "row" if several else "label"
        raise UsageError(f"each image has one {what}; {name} has {len(x)} images in x_{split} and {len(y)} {what}s in y_{split}.")
    return x, y.astype(np.int64)


_ONE_HOT = 'One-hot labels: y.argmax(1). Several labels an image: task = "multilabel".'


def check_pixels(x: NDArray[Any], name: str) -> Pixels:
    """An array as uint8 (n, h, w, c).

    Raises:
        UsageError: it holds no such images.
    """
    if x.dtype != np.uint8:
        raise UsageError(f"images are uint8, 0 to 255; {name} is {x.dtype}. Save (x * 255).round().astype('uint8') if it runs from 0 to 1.")
    full = x[..., None] if x.ndim == 3 else x
    if full.ndim != 4 or full.shape[3] not in (1, 3) or 0 in full.shape[1:]:
        raise UsageError(f"images are (n, height, width) or (n, height, width, 1 or 3); {name} is {x.shape}.")
    return np.ascontiguousarray(full)


def _names(classes: NDArray[Any], name: str) -> tuple[str, ...]:
    """Class names as text.

    Raises:
        UsageError: not a plain list of different names.
    """
    names = tuple(item.decode("utf-8") if isinstance(item, bytes) else str(item) for item in classes.reshape(-1).tolist())
    if classes.ndim != 1 or len(set(names)) != len(names):
        raise UsageError(
            f"classes of {name} must be a list of different names, got {classes.ndim} dimension(s) and {len(set(names))} different of {len(names)}."
        )
    return names


def _array(value: Any, key: str, name: str) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{key} of {name} does not make one array: {error}.") from None

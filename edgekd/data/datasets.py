"""Map-style data sets, as torchvision's and people's own are: a length, and (picture, label) by number.

In: one for each split. Out: `Found`. Their pictures go through `pictures`, which reads each at least once.
"""

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from edgekd.data import pictures
from edgekd.data.images import Found, Images, Integers, check_labels
from edgekd.data.pictures import Wanted
from edgekd.errors import MissingError, UsageError
from edgekd.events import Emit

_ASKED = 8
"""Items whose labels are held against a data set's own list of them."""


def from_datasets(sets: Mapping[str, Any], classes: tuple[str, ...] | None, name: str, wanted: Wanted, emit: Emit, flip: bool = True) -> Found:
    """Splits from map-style data sets of (picture, label).

    Raises:
        UsageError: an item is not a (picture, label) pair, the labels do not fit the classes, or several are wanted of an image.
        MissingError: no training image can be read.
    """
    if wanted.several:
        raise UsageError(
            f'the data sets of {name} give one label an image; with task = "multilabel" give arrays: x_train, y_train, x_test, y_test, where y is a '
            "matrix of 0 and 1."
        )
    labels = {split: _labels(data, f"{name}, {split}") for split, data in sets.items()}
    classes = check_labels(labels, classes, name)
    items = [(split, number) for split, data in sets.items() for number in range(len(data))]

    def open_(item: int) -> Image.Image:
        split, number = items[item]
        return _picture(_item(sets[split], number, f"{name}, {split}")[0], f"{name}, {split}")

    scan = pictures.scan(len(items), open_, lambda item: f"{name}, {items[item][0]} image {items[item][1]}", wanted, emit)
    every = Images(
        np.concatenate(list(labels.values()))[scan.kept], np.arange(len(scan.kept)), scan.shape, scan.pixels, scan.reader, digests=scan.digests
    )
    owner = np.array([items[item][0] for item in scan.kept])
    if "train" not in owner:
        first = next(bad for bad in scan.bad if bad.startswith(f"{name}, train "))
        raise MissingError(f"none of the training images of {name} can be read; the first is {first}.")
    splits = {split: every.take(np.flatnonzero(owner == split)) for split in sets}
    lacks = f"{name} has no test images: it has {', '.join(sets)}; --test SPEC names unseen images."
    return Found(classes, splits["train"], scan.content, splits.get("valid"), splits.get("test"), lacks, None, flip, scan.bad)


def _labels(data: Any, name: str) -> Integers:
    """All labels of a map-style data set: from its list of them where it keeps one, else by reading every item."""
    if not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        raise UsageError(f"{name}: a data set has a length and gives (picture, label) by number; {type(data).__name__} does not.")
    for key in ("targets", "labels", "_labels"):
        values = getattr(data, key, None)
        if values is not None and np.ndim(values) == 1 and len(values) == len(data) and np.issubdtype(np.asarray(values).dtype, np.integer):
            listed = np.asarray(values).astype(np.int64)
            if _given(data, listed, name):
                return listed
    labels = []
    for number in range(len(data)):
        try:
            item = _item(data, number, name)
        except OSError as error:
            raise UsageError(f"{name}: item {number} has no label that can be read: {error}. With labels in `targets` it is left out.") from None
        try:
            labels.append(operator.index(item[1]))
        except TypeError:
            raise UsageError(f"{name}: labels are one whole number an image; item {number} has {item[1]!r}.") from None
    return np.array(labels, dtype=np.int64)


def _given(data: Any, values: Integers, name: str) -> bool:
    """Whether items give the labels of a list that a data set keeps, and none that are made of those: some, evenly spread, are asked."""
    for number in np.unique(np.linspace(0, len(values) - 1, min(len(values), _ASKED)).astype(int)).tolist():
        try:
            label = _item(data, number, name)[1]
        except OSError:
            continue
        if isinstance(label, (int, np.integer)) and int(label) != int(values[number]):
            return False
    return True


def _item(data: Any, number: int, name: str) -> Any:
    item = data[number]
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise UsageError(f"{name}: each item must be (picture, label); item {number} is {type(item).__name__}.")
    return item


def _picture(value: Any, name: str) -> Image.Image:
    if isinstance(value, Image.Image):
        value.load()  # it is the data set's own: closing it after this leaves its pixels
        return value
    pixels = np.asarray(value)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3)):
        raise UsageError(
            f"{name}: a picture is Pillow's, or uint8 (height, width[, 1 or 3]); got {pixels.dtype} {pixels.shape}. Take transforms off."
        )
    return pictures.as_picture(pixels)

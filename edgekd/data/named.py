"""Data sets that have a name: torchvision's, and Hugging Face's (extra).

In: the name and, for torchvision, the folder that holds it. Out: `Found`. Nothing is downloaded unless that was asked for.
torchvision itself checks the MD5 of its archives, and of CIFAR's pickles before it opens them.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.data.arrays import from_arrays
from edgekd.data.datasets import from_datasets
from edgekd.data.images import Found
from edgekd.data.pictures import Wanted
from edgekd.errors import MissingError, MissingExtra, UsageError
from edgekd.events import Emit


@dataclass(frozen=True)
class Named:
    """A class of torchvision.datasets and the arguments that pick its splits. `flip`: mirroring keeps an image's meaning."""

    kind: str
    train: dict[str, Any]
    test: dict[str, Any]
    valid: dict[str, Any] | None = None
    flip: bool = True


def _by_flag(kind: str, flip: bool = True) -> Named:
    return Named(kind, {"train": True}, {"train": False}, flip=flip)


def _by_split(kind: str, train: str = "train", valid: str | None = None, flip: bool = True) -> Named:
    return Named(kind, {"split": train}, {"split": "test"}, None if valid is None else {"split": valid}, flip)


TORCHVISION: dict[str, Named] = {
    "cifar10": _by_flag("CIFAR10"),
    "cifar100": _by_flag("CIFAR100"),
    "fashion-mnist": _by_flag("FashionMNIST"),
    "mnist": _by_flag("MNIST", flip=False),
    "kmnist": _by_flag("KMNIST", flip=False),
    "usps": _by_flag("USPS", flip=False),
    "svhn": _by_split("SVHN", flip=False),
    "stl10": _by_split("STL10"),
    "gtsrb": _by_split("GTSRB", flip=False),
    "food101": _by_split("Food101"),
    "flowers102": _by_split("Flowers102", valid="val"),
    "dtd": _by_split("DTD", valid="val"),
    "fgvc-aircraft": _by_split("FGVCAircraft", valid="val"),
    "oxford-pets": _by_split("OxfordIIITPet", train="trainval"),
}
NAMES = tuple(TORCHVISION)


def torchvision_set(name: str, folder: Path, wanted: Wanted, download: bool, emit: Emit) -> Found:
    """One of torchvision's data sets, from a folder that holds it or is to hold it.

    Raises:
        MissingError: it is not there and may not be downloaded, or it does not arrive whole.
    """
    named = TORCHVISION[name]
    sets = {"train": _open(name, named.kind, folder, named.train, download), "test": _open(name, named.kind, folder, named.test, download)}
    if named.valid is not None:
        sets["valid"] = _open(name, named.kind, folder, named.valid, download)
    listed = getattr(sets["train"], "classes", None)
    classes = tuple(str(label) for label in listed) if isinstance(listed, (list, tuple)) else None
    if not all(_in_memory(data) for data in sets.values()):
        return from_datasets(sets, classes, name, wanted, emit, named.flip)
    held = {f"x_{split}": _channels_last(np.asarray(data.data)) for split, data in sets.items()}
    labels = {f"y_{split}": np.asarray(data.labels if hasattr(data, "labels") else data.targets).astype(np.int64) for split, data in sets.items()}
    found = from_arrays({**held, **labels}, classes, name, wanted, emit=emit)
    return Found(found.classes, found.train, found.content, found.valid, found.test, flip=named.flip)


def _open(name: str, kind: str, folder: Path, split: dict[str, Any], download: bool) -> Any:
    from torchvision import datasets

    make: Callable[..., Any] = getattr(datasets, kind)
    try:
        return make(folder, **split, download=download)
    except (RuntimeError, OSError, EOFError, ValueError) as error:
        if not download:  # torchvision's own words advise an argument of its own
            why = "" if "download=True" in str(error) else f": {str(error).rstrip('.')}"
            raise MissingError(f"{name} is not in {folder}, or not whole{why}. --download fetches it.") from None
        raise MissingError(f"{name} did not arrive whole in {folder}: {str(error).rstrip('.')}. Try again.") from None


def _in_memory(data: Any) -> bool:
    """Whether a data set keeps all pixels in one uint8 array (MNIST's kind keeps a tensor)."""
    pixels = getattr(data, "data", None)
    return pixels is not None and np.asarray(pixels).dtype == np.uint8 and np.asarray(pixels).ndim in (3, 4)


def _channels_last(pixels: Any) -> Any:
    """(n, h, w[, c]), also from the (n, 3, h, w) that SVHN and STL10 keep."""
    return pixels.transpose(0, 2, 3, 1) if pixels.ndim == 4 and pixels.shape[1] == 3 and pixels.shape[3] != 3 else pixels


def hugging_face(name: str, wanted: Wanted, download: bool, emit: Emit) -> Found:
    """A data set of the Hugging Face hub, or of its cache on this machine unless a download was asked for.

    Raises:
        MissingExtra: the `datasets` package is not installed.
        MissingError: it cannot be had.
        UsageError: no image column, no label column of named classes, or no train split.
    """
    try:
        library = importlib.import_module("datasets")
    except ImportError:
        raise MissingExtra("datasets", "hf") from None
    try:
        every = library.load_dataset(name, download_config=library.DownloadConfig(local_files_only=not download))
    except (OSError, ValueError, RuntimeError) as error:
        remedy = "Is the name right?" if download else "It may not be on this machine yet: --download fetches it."
        raise MissingError(f"hf:{name} cannot be loaded: {error}. {remedy}") from None
    names = {"train": "train", "test": "test", "validation": "valid", "valid": "valid", "val": "valid"}
    present = {names[split]: every[split] for split in every if split in names}
    if "train" not in present:
        raise UsageError(f"hf:{name} needs a split called train; it has: {', '.join(every)}.")
    borrowed = "test" not in present and "valid" in present
    if borrowed:
        present["test"] = present.pop("valid")
    features = present["train"].features
    image = _column(name, features, "Image", "an image")
    label = _column(name, features, "ClassLabel", "a class label")
    sets = {split: _Columns(rows, image, label) for split, rows in present.items()}
    return replace(from_datasets(sets, tuple(features[label].names), f"hf:{name}", wanted, emit), valid_is_test=borrowed)


def _column(name: str, features: Any, kind: str, meaning: str) -> str:
    """The one column of a kind."""
    found = [column for column, feature in features.items() if type(feature).__name__ == kind]
    if len(found) != 1:
        listed = ", ".join(f"{column} ({type(feature).__name__})" for column, feature in features.items())
        raise UsageError(f"hf:{name} needs exactly one column with {meaning} ({kind}); it has: {listed}. A FILE.py:function can pick.")
    return str(found[0])


class _Columns:
    """Two columns of a Hugging Face data set as a map-style data set of (picture, label)."""

    def __init__(self, rows: Any, image: str, label: str) -> None:
        self.rows, self.image = rows, image
        self.targets = np.asarray(rows[label][:])

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        return self.rows[number][self.image], self.targets[number]

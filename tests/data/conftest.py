"""Small images for the readers' tests: in files, in arrays, and as MNIST is kept."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

WriteImages = Callable[..., list[Path]]
Arrays = dict[str, NDArray[Any]]


@pytest.fixture
def write_images() -> WriteImages:
    """A function that writes `count` different images of one size and mode into a folder and returns their paths."""

    def write(folder: Path, count: int = 4, size: tuple[int, int] = (8, 8), mode: str = "RGB", ending: str = "png") -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        shape = (*size, 3) if mode == "RGB" else size
        paths = []
        for number in range(count):
            values = np.random.RandomState([*folder.name.encode(), number]).randint(0, 256, shape).astype(np.uint8)
            paths.append(folder / f"{number:03}.{ending}")
            Image.fromarray(values).save(paths[-1])
        return paths

    return write


def toy_arrays(classes: int = 2, shape: tuple[int, ...] = (4, 4), **counts: int) -> Arrays:
    """npz's arrays: so many images a split, all different, with labels that take turns.

    An image's first pixel is its number in the split, so tests see where it went.
    """
    arrays: Arrays = {}
    for place, (split, count) in enumerate(counts.items()):
        pixels = np.random.RandomState(place).randint(0, 256, (count, *shape)).astype(np.uint8)
        pixels.reshape(count, -1)[:, 0] = np.arange(count)
        arrays |= {f"x_{split}": pixels, f"y_{split}": np.arange(count) % classes}
    return arrays


def save_npz(file: Path, arrays: Arrays) -> Path:
    """Write an npz file of these arrays; returns its path."""
    np.savez(file, **arrays)  # type: ignore[arg-type]  # its stubs take a name for allow_pickle
    return file


def write_mnist(root: Path, name: str = "MNIST", train: int = 20, test: int = 10) -> Arrays:
    """The four raw files as torchvision reads them, of 28×28 images of ten classes; returns the arrays in them."""
    arrays = toy_arrays(10, (28, 28), train=train, test=test)
    folder = root / name / "raw"
    folder.mkdir(parents=True)
    for split, stem in (("train", "train"), ("test", "t10k")):
        pixels, labels = arrays[f"x_{split}"], arrays[f"y_{split}"].astype(np.uint8)
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, *pixels.shape) + pixels.tobytes())
        (folder / f"{stem}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, len(labels)) + labels.tobytes())
    return arrays

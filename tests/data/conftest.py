"""Small image files for the readers' tests."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WriteImages = Callable[..., list[Path]]


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

"""Images brought to a network's size by other libraries, as a device may have them, and not in edgekd's own way.

In: images uint8 (n, h, w, c), a size. Out: images uint8 (n, height, width, c), rounded as that library rounds. Nothing is scored here.

    opencv   cv2.resize: between the nearest pixels, and not smoothed before it shrinks
    pil      Pillow's resize: smoothed, rounded after each direction
    torch    torch's interpolate of 8-bit images with antialias, which is edgekd's own way but for the rounding
"""

import importlib
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import MissingError

Pixels: TypeAlias = NDArray[np.uint8]
Interpolation: TypeAlias = Literal["nearest", "bilinear", "bicubic"]


def resized(images: Pixels, size: tuple[int, int], interpolation: Interpolation, library: str) -> Pixels:
    """Images (n, h, w, c) at `size` (height, width), by one of `LIBRARIES`.

    Raises:
        MissingError: the library is not installed.
    """
    return LIBRARIES[library](images, size, interpolation)


def _opencv(images: Pixels, size: tuple[int, int], interpolation: Interpolation) -> Pixels:
    try:
        cv2: Any = importlib.import_module("cv2")
    except ImportError:
        told = "opencv is not installed here, and no extra of edgekd brings it. Install it with: pip install opencv-python-headless"
        raise MissingError(told) from None
    way = {"nearest": cv2.INTER_NEAREST, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}[interpolation]
    found = [cv2.resize(image, size[::-1], interpolation=way) for image in images]
    return np.asarray(found, np.uint8).reshape(len(images), *size, images.shape[3])  # a grey image comes back without its channel


def _pillow(images: Pixels, size: tuple[int, int], interpolation: Interpolation) -> Pixels:
    from PIL import Image

    from edgekd.data.pictures import as_picture

    way = Image.Resampling[interpolation.upper()]
    found = [np.asarray(as_picture(image).resize(size[::-1], way)) for image in images]
    return np.asarray(found, np.uint8).reshape(len(images), *size, images.shape[3])


def _torch(images: Pixels, size: tuple[int, int], interpolation: Interpolation) -> Pixels:
    import torch

    planes = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    mode = {"nearest": "nearest-exact"}.get(interpolation, interpolation)
    found = torch.nn.functional.interpolate(planes, size, mode=mode, antialias=interpolation != "nearest")
    return np.ascontiguousarray(found.numpy().transpose(0, 2, 3, 1))


LIBRARIES: dict[str, Callable[[Pixels, tuple[int, int], Interpolation], Pixels]] = {"opencv": _opencv, "pil": _pillow, "torch": _torch}

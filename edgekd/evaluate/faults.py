"""What a worse camera, lens, weather or line does to images: one function each, told how strongly.

In: images float32 (n, h, w, c) in [0, 1], a strength, and a source of random numbers for each image. Out: images of the same shape, not yet cut to
[0, 1]. Lengths are pixels of a shorter side of `SIDE`, and grow with the picture.
"""

import io
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgekd.device.predict import LUMA

Pixels: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]
Streams: TypeAlias = Iterator[np.random.RandomState]
"""A source of random numbers for each image, whose streams numpy has frozen for ever."""
Way: TypeAlias = Callable[[Floats, float, Streams], NDArray[Any]]

SIDE = 32
"""Pixels of a shorter side on which strengths are stated as they are."""
_HAZE = 0.9
"""How bright fog is."""
_CELLS = (2, 4, 8, 16)
"""Into how many parts a side falls, from the largest clouds of a fog to the smallest, each with half the weight of the one before."""
_FLAKE = 3.0
"""Pixels of `SIDE` that a flake falls while the picture is taken."""


def stored(images: NDArray[Any]) -> Pixels:
    """Floats as whole numbers 0 to 255, cut to them."""
    return np.asarray(np.rint(images.clip(0, 1) * 255), np.uint8)


def _scale(images: Floats) -> float:
    """How many times as long as `SIDE` the shorter side is."""
    return float(min(images.shape[1:3]) / SIDE)


# Noise ----------------------------------------------------------------------------------------------------------------


def gaussian_noise(images: Floats, strength: float, streams: Streams) -> Floats:
    """The same spread everywhere: warm electronics."""
    return images + np.float32(strength) * _grained(images, streams, _normal)


def shot_noise(images: Floats, strength: float, streams: Streams) -> Floats:
    """A spread that grows with the root of the light, `strength` in white: few photons, in the normal approximation of their counts."""
    return images + np.float32(strength) * np.sqrt(images) * _grained(images, streams, _normal)


def impulse_noise(images: Floats, strength: float, streams: Streams) -> Floats:
    """Values that are lost, `strength` of them: half black, half white."""
    drawn = _grained(images, streams, _uniform)
    return np.where(drawn < strength / 2, np.float32(0), np.where(drawn > 1 - strength / 2, np.float32(1), images))


def _normal(stream: np.random.RandomState, shape: tuple[int, ...]) -> NDArray[Any]:
    return stream.standard_normal(shape)


def _uniform(stream: np.random.RandomState, shape: tuple[int, ...]) -> NDArray[Any]:
    return stream.random_sample(shape)


def _grained(images: Floats, streams: Streams, draw: Callable[[np.random.RandomState, tuple[int, ...]], NDArray[Any]], channels: int = 0) -> Floats:
    """A random value for each grain of each image, (n, h, w, channels), those of the images where none are given."""
    _, height, width, own = images.shape
    grain = max(1, round(_scale(images)))
    shape = (-(-height // grain), -(-width // grain), channels or own)
    coarse = np.stack([draw(stream, shape) for stream in streams]).astype(np.float32)
    return coarse.repeat(grain, axis=1).repeat(grain, axis=2)[:, :height, :width]


# Blur -----------------------------------------------------------------------------------------------------------------


def defocus_blur(images: Floats, strength: float, streams: Streams) -> Floats:
    """Each point is a disc of a radius of `strength`."""
    radius = strength * _scale(images)
    across, down = _places(int(np.ceil(radius)))
    return _filtered(images, np.clip(radius + 0.5 - np.hypot(across, down), 0, 1)[None])


def motion_blur(images: Floats, strength: float, streams: Streams) -> Floats:
    """Each point is a line of `strength`, in a direction of each image's own."""
    length = strength * _scale(images)
    return _filtered(images, np.stack([_line(length, stream.uniform(0, np.pi)) for stream in streams]))


def _places(reach: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far right and down each place of a kernel (2·reach + 1, 2·reach + 1) lies from its middle."""
    away = np.arange(-reach, reach + 1, dtype=np.float64)
    across, down = np.meshgrid(away, away)
    return across, down


def _line(length: float, angle: float) -> NDArray[np.float64]:
    """A line through the middle with soft edges, one pixel wide."""
    across, down = _places(int(np.ceil(length / 2 + 0.5)))
    along, aside = across * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - across * np.sin(angle)
    return np.asarray(np.clip(length / 2 + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(aside), 0, 1))


def _filtered(images: Floats, kernels: NDArray[np.float64]) -> Floats:
    """Images (n, h, w, c) under kernels (n or 1, k, k), k odd, that are brought to a sum of 1; edges go on as they are."""
    reach = kernels.shape[1] // 2
    kernels = kernels / kernels.sum(axis=(1, 2), keepdims=True)
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    size = padded.shape[1:3]
    spectrum = np.fft.rfft2(padded, axes=(1, 2)) * np.fft.rfft2(kernels, s=size, axes=(1, 2))[..., None]
    return np.fft.irfft2(spectrum, s=size, axes=(1, 2))[:, 2 * reach :, 2 * reach :].astype(np.float32)


# Weather --------------------------------------------------------------------------------------------------------------


def fog(images: Floats, strength: float, streams: Streams) -> Floats:
    """A haze of clouds, where it is thickest `strength` of what is seen, elsewhere down to half of that."""
    thick = np.float32(strength) * (np.float32(0.5) + np.float32(0.5) * _clouds(images.shape[1], images.shape[2], streams))
    return images + thick * (np.float32(_HAZE) - images)


def _clouds(height: int, width: int, streams: Streams) -> Floats:
    """Smooth random fields in [0, 1], (n, h, w, 1), the same for any size."""
    whole = sum(0.5**octave for octave in range(len(_CELLS)))
    fields = []
    for stream in streams:
        octaves = [stream.random_sample((cells + 1, cells + 1)) for cells in _CELLS]
        parts = [0.5**octave * (_between(height, len(grid) - 1) @ grid @ _between(width, len(grid) - 1).T) for octave, grid in enumerate(octaves)]
        fields.append(sum(parts[1:], parts[0]) / whole)
    return np.stack(fields).astype(np.float32)[..., None]


def _between(side: int, cells: int) -> NDArray[np.float64]:
    """The matrix (side, cells + 1) that draws straight lines between the corners of cells."""
    place = (np.arange(side) + 0.5) / side * cells
    below = np.minimum(place.astype(np.int64), cells - 1)
    matrix = np.zeros((side, cells + 1))
    matrix[np.arange(side), below] = 1 - (place - below)
    matrix[np.arange(side), below + 1] = place - below
    return matrix


def snow(images: Floats, strength: float, streams: Streams) -> Floats:
    """Flakes on `strength` of the grains, that fall steeply while the picture is taken."""
    every = list(streams)
    length = _FLAKE * _scale(images)
    falling = np.stack([_line(length, stream.uniform(np.pi / 3, 2 * np.pi / 3)) for stream in every])
    flakes = (_grained(images, iter(every), _uniform, channels=1) < strength).astype(np.float32)
    cover = np.clip(2 * _filtered(flakes, falling), 0, 1)
    return images + cover * (1 - images)


def brightness(images: Floats, strength: float, streams: Streams) -> Floats:
    """Overexposed by `strength`."""
    return images + np.float32(strength)


# Digital --------------------------------------------------------------------------------------------------------------


def contrast(images: Floats, strength: float, streams: Streams) -> Floats:
    """Each channel drawn towards its mean by `strength` of the distance."""
    return np.asarray(images + np.float32(strength) * (images.mean(axis=(1, 2), keepdims=True) - images))


def pixelate(images: Floats, strength: float, streams: Streams) -> Floats:
    """Means over tiles whose sides are `strength`."""
    tall, wide = (_tiled(side, max(1, round(side / (strength * _scale(images))))) for side in images.shape[1:3])
    squeezed = (tall @ images.reshape(len(images), images.shape[1], -1)).reshape(images.shape)
    return np.asarray(wide @ squeezed)


def _tiled(side: int, tiles: int) -> Floats:
    """The matrix (side, side) that gives each place the mean of its tile."""
    edges = np.linspace(0, side, tiles + 1)
    places = np.arange(side)
    overlap = np.clip(np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places), 0, None)
    means = overlap / overlap.sum(axis=1, keepdims=True)
    return np.asarray(means[((places + 0.5) * tiles / side).astype(np.int64)], np.float32)


def jpeg(images: Floats, strength: float, streams: Streams) -> Floats:
    """Stored as JPEG (Pillow's), whose tables of steps are `strength` times those of quality 50: blocks of 8 pixels are a smaller part of a larger
    picture, so that its steps grow with it."""
    from PIL import Image

    steps = 100 * strength * _scale(images)
    quality = (200 - steps) / 2 if steps <= 100 else 5000 / steps
    found = []
    for image in stored(images):
        file = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "jpeg", quality=int(np.clip(round(quality), 1, 95)))
        with Image.open(file) as picture:
            found.append(np.asarray(picture).reshape(image.shape))
    return np.asarray(np.stack(found) / np.float32(255), np.float32)


def saturate(images: Floats, strength: float, streams: Streams) -> Floats:
    """Colours `strength` times as far from grey."""
    grey = (images @ np.array(LUMA, np.float32))[..., None]
    return np.asarray(grey + np.float32(strength) * (images - grey))

"""Images as a worse camera, lens, weather or line would give them: twelve corruptions in four families, each at five severities.

In: uint8 images (n, h, w, c), grey or colour, with a number of their own each; which corruption, how severe. Out: images of the same shape and type.
The families and most kinds are those of Hendrycks and Dietterich 2019 (arXiv:1903.12261). Code and parameters are edgekd's own, and everything is
generated here: figures compare within edgekd only, and not with published ones on CIFAR-10-C or ImageNet-C.

Lengths are parts of the shorter side, noise has a grain of a 32nd of it, and steps of JPEG grow with it: a severity means the same at 32 pixels and
at 224. What is drawn for an image depends on (seed, corruption, its number) alone. Neither the batch nor the severity has a say, so that a higher
severity is the same fault, stronger.
"""

import io
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgekd.device.predict import LUMA
from edgekd.errors import UsageError

Pixels: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]
Corruption: TypeAlias = Literal[
    "gaussian-noise",
    "shot-noise",
    "impulse-noise",
    "defocus-blur",
    "motion-blur",
    "fog",
    "snow",
    "brightness",
    "contrast",
    "pixelate",
    "jpeg",
    "saturate",
]
Family: TypeAlias = Literal["noise", "blur", "weather", "digital"]
Streams: TypeAlias = Iterator[np.random.RandomState]
"""A source of random numbers for each image, whose streams numpy has frozen for ever."""

FAMILIES: dict[Family, tuple[Corruption, ...]] = {
    "noise": ("gaussian-noise", "shot-noise", "impulse-noise"),
    "blur": ("defocus-blur", "motion-blur"),
    "weather": ("fog", "snow", "brightness"),
    "digital": ("contrast", "pixelate", "jpeg", "saturate"),
}
SEVERITIES = (1, 2, 3, 4, 5)
SIDE = 32
"""Pixels of a shorter side on which strengths are stated as they are."""
_HAZE = 0.9
"""How bright fog is."""
_CELLS = (2, 4, 8, 16)
"""Into how many parts a side falls, from the largest clouds of a fog to the smallest, each with half the weight of the one before."""
_FLAKE = 3.0
"""Pixels of `SIDE` that a flake falls while the picture is taken."""


def fitting(channels: int) -> dict[Family, tuple[Corruption, ...]]:
    """The corruptions that images of so many channels can have: grey ones have no colours to saturate."""
    return {family: tuple(name for name in names if channels == 3 or name != "saturate") for family, names in FAMILIES.items()}


def corrupt(images: Pixels, corruption: Corruption, severity: int, index: NDArray[np.int64], seed: int = 0) -> Pixels:
    """The images with one corruption.

    Args:
        images: uint8 (n, h, w, c), c of 1 or 3.
        severity: 1 to 5.
        index: (n,) a number for each image, which with `seed` decides what is drawn for it.

    Raises:
        UsageError: other images, no such corruption or severity, or colours asked of grey images.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape[1:]:
        raise UsageError(f"images must be uint8 (n, h, w, 1 or 3), got {images.dtype} {images.shape}.")
    if corruption not in _WAYS:
        raise UsageError(f"a corruption is one of {', '.join(_WAYS)}, got {corruption!r}.")
    if severity not in SEVERITIES:
        raise UsageError(f"severities are the whole numbers 1 to 5, got {severity!r}.")
    if index.shape != (len(images),):
        raise UsageError(f"each image has a number of its own, got {len(images)} images and numbers of shape {index.shape}.")
    if corruption == "saturate" and images.shape[3] == 1:
        raise UsageError("grey images have no colours to saturate. Leave saturate out, as `fitting` does.")
    if not len(images):
        return images.copy()
    way, strengths = _WAYS[corruption]
    changed = way(images.astype(np.float32) / np.float32(255), strengths[severity - 1], _streams(corruption, index, seed))
    return _stored(changed)


def _streams(corruption: str, index: NDArray[np.int64], seed: int) -> Streams:
    kind = zlib.crc32(corruption.encode())
    for number in index.tolist():
        yield np.random.RandomState([seed % 2**32, kind, number % 2**32, number >> 32 & 0xFFFFFFFF])


def _stored(images: NDArray[Any]) -> Pixels:
    return np.asarray(np.rint(images.clip(0, 1) * 255), np.uint8)


def _scale(images: Floats) -> float:
    """How many times as long as `SIDE` the shorter side is."""
    return float(min(images.shape[1:3]) / SIDE)


# Noise ----------------------------------------------------------------------------------------------------------------


def _gaussian_noise(images: Floats, strength: float, streams: Streams) -> Floats:
    """The same spread everywhere: warm electronics."""
    return images + np.float32(strength) * _grained(images, streams, _normal)


def _shot_noise(images: Floats, strength: float, streams: Streams) -> Floats:
    """A spread that grows with the root of the light, `strength` in white: few photons, in the normal approximation of their counts."""
    return images + np.float32(strength) * np.sqrt(images) * _grained(images, streams, _normal)


def _impulse_noise(images: Floats, strength: float, streams: Streams) -> Floats:
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


def _defocus_blur(images: Floats, strength: float, streams: Streams) -> Floats:
    """Each point is a disc of a radius of `strength`."""
    radius = strength * _scale(images)
    across, down = _places(int(np.ceil(radius)))
    return _filtered(images, np.clip(radius + 0.5 - np.hypot(across, down), 0, 1)[None])


def _motion_blur(images: Floats, strength: float, streams: Streams) -> Floats:
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


def _fog(images: Floats, strength: float, streams: Streams) -> Floats:
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


def _snow(images: Floats, strength: float, streams: Streams) -> Floats:
    """Flakes on `strength` of the grains, that fall steeply while the picture is taken."""
    every = list(streams)
    length = _FLAKE * _scale(images)
    falling = np.stack([_line(length, stream.uniform(np.pi / 3, 2 * np.pi / 3)) for stream in every])
    flakes = (_grained(images, iter(every), _uniform, channels=1) < strength).astype(np.float32)
    cover = np.clip(2 * _filtered(flakes, falling), 0, 1)
    return images + cover * (1 - images)


def _brightness(images: Floats, strength: float, streams: Streams) -> Floats:
    """Overexposed by `strength`."""
    return images + np.float32(strength)


# Digital --------------------------------------------------------------------------------------------------------------


def _contrast(images: Floats, strength: float, streams: Streams) -> Floats:
    """Each channel drawn towards its mean by `strength` of the distance."""
    return np.asarray(images + np.float32(strength) * (images.mean(axis=(1, 2), keepdims=True) - images))


def _pixelate(images: Floats, strength: float, streams: Streams) -> Floats:
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


def _jpeg(images: Floats, strength: float, streams: Streams) -> Floats:
    """Stored as JPEG (Pillow's), whose tables of steps are `strength` times those of quality 50: blocks of 8 pixels are a smaller part of a larger
    picture, so that its steps grow with it."""
    from PIL import Image

    steps = 100 * strength * _scale(images)
    quality = (200 - steps) / 2 if steps <= 100 else 5000 / steps
    found = []
    for image in _stored(images):
        file = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "jpeg", quality=int(np.clip(round(quality), 1, 95)))
        with Image.open(file) as picture:
            found.append(np.asarray(picture).reshape(image.shape))
    return np.asarray(np.stack(found) / np.float32(255), np.float32)


def _saturate(images: Floats, strength: float, streams: Streams) -> Floats:
    """Colours `strength` times as far from grey."""
    grey = (images @ np.array(LUMA, np.float32))[..., None]
    return np.asarray(grey + np.float32(strength) * (images - grey))


Way: TypeAlias = Callable[[Floats, float, Streams], NDArray[Any]]

_WAYS: dict[Corruption, tuple[Way, tuple[float, ...]]] = {
    "gaussian-noise": (_gaussian_noise, (0.03, 0.05, 0.08, 0.12, 0.17)),
    "shot-noise": (_shot_noise, (0.05, 0.08, 0.12, 0.17, 0.23)),
    "impulse-noise": (_impulse_noise, (0.01, 0.025, 0.05, 0.09, 0.15)),
    "defocus-blur": (_defocus_blur, (0.7, 1.0, 1.4, 1.9, 2.5)),
    "motion-blur": (_motion_blur, (2.0, 3.0, 4.5, 6.0, 8.0)),
    "fog": (_fog, (0.25, 0.4, 0.55, 0.7, 0.85)),
    "snow": (_snow, (0.03, 0.06, 0.1, 0.15, 0.22)),
    "brightness": (_brightness, (0.1, 0.18, 0.26, 0.34, 0.42)),
    "contrast": (_contrast, (0.3, 0.45, 0.6, 0.72, 0.84)),
    "pixelate": (_pixelate, (1.4, 1.9, 2.5, 3.3, 4.5)),
    "jpeg": (_jpeg, (0.6, 1.1, 1.8, 2.8, 4.2)),
    "saturate": (_saturate, (1.5, 2.1, 3.0, 4.2, 6.0)),
}
"""How each is done, and its strengths by severity: shares, spreads in [0, 1], or pixels on a side of `SIDE`."""

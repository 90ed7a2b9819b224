"""Images as a worse camera, lens, weather or line would give them: twelve corruptions in four families, each at five severities.

In: uint8 images (n, h, w, c), grey or colour, with a number of their own each; which corruption, how severe. Out: images of the same shape and type.
The families and most kinds are those of Hendrycks and Dietterich 2019 (arXiv:1903.12261). Code and parameters are edgekd's own, and everything is
generated here: figures compare within edgekd only, and not with published ones on CIFAR-10-C or ImageNet-C.

Lengths are parts of the shorter side, noise has a grain of a 32nd of it, and steps of JPEG grow with it: a severity means the same at 32 pixels and
at 224. What is drawn for an image depends on (seed, corruption, its number) alone. Neither the batch nor the severity has a say, so that a higher
severity is the same fault, stronger.
"""

import zlib
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import UsageError
from edgekd.evaluate import faults
from edgekd.evaluate.faults import Pixels, Streams, Way

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

FAMILIES: dict[Family, tuple[Corruption, ...]] = {
    "noise": ("gaussian-noise", "shot-noise", "impulse-noise"),
    "blur": ("defocus-blur", "motion-blur"),
    "weather": ("fog", "snow", "brightness"),
    "digital": ("contrast", "pixelate", "jpeg", "saturate"),
}
SEVERITIES = (1, 2, 3, 4, 5)


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
    return faults.stored(changed)


def _streams(corruption: str, index: NDArray[np.int64], seed: int) -> Streams:
    kind = zlib.crc32(corruption.encode())
    for number in index.tolist():
        yield np.random.RandomState([seed % 2**32, kind, number % 2**32, number >> 32 & 0xFFFFFFFF])


_WAYS: dict[Corruption, tuple[Way, tuple[float, ...]]] = {
    "gaussian-noise": (faults.gaussian_noise, (0.03, 0.05, 0.08, 0.12, 0.17)),
    "shot-noise": (faults.shot_noise, (0.05, 0.08, 0.12, 0.17, 0.23)),
    "impulse-noise": (faults.impulse_noise, (0.01, 0.025, 0.05, 0.09, 0.15)),
    "defocus-blur": (faults.defocus_blur, (0.7, 1.0, 1.4, 1.9, 2.5)),
    "motion-blur": (faults.motion_blur, (2.0, 3.0, 4.5, 6.0, 8.0)),
    "fog": (faults.fog, (0.25, 0.4, 0.55, 0.7, 0.85)),
    "snow": (faults.snow, (0.03, 0.06, 0.1, 0.15, 0.22)),
    "brightness": (faults.brightness, (0.1, 0.18, 0.26, 0.34, 0.42)),
    "contrast": (faults.contrast, (0.3, 0.45, 0.6, 0.72, 0.84)),
    "pixelate": (faults.pixelate, (1.4, 1.9, 2.5, 3.3, 4.5)),
    "jpeg": (faults.jpeg, (0.6, 1.1, 1.8, 2.8, 4.2)),
    "saturate": (faults.saturate, (1.5, 2.1, 3.0, 4.2, 6.0)),
}
"""How each is done, and its strengths by severity: shares, spreads in [0, 1], or pixels on a side of `faults.SIDE`."""

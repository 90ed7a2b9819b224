"""Augmentation as a replayable function of (view_seed, index, view).

In: uint8 images (n, c, h, w), the source's index of each, a view number. Out: float32 (n, c, h, w) in [0, 1].
A sample's parameters are an integer hash of the three numbers, computed with wrapping int64 arithmetic that every device does alike, so a view
is the same in any batch, on any day; a teacher's stored answers stay true. No Python per image, no random state, no normalisation.

The hash's mixing step is SplitMix64's (Steele, Lea, Flood, OOPSLA 2014).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from edgekd.phases import Augment

_GAMMA = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_BITS = 24
"""Random numbers have 24 bits: exact in float32, and times a size in pixels exact in int64."""

_DOWN, _ACROSS, _MIRROR, _AREA, _ASPECT, _TOP, _LEFT, _BRIGHTNESS, _CONTRAST, _SATURATION = range(10)
"""The streams of a view's hash. Their order is part of what a stored view means: append, never reorder."""


_CACHE = 5 << 20
"""Bytes of float32 that a processor's cache holds through all steps of a view, more or less: larger batches are seen a piece at a time."""


def default_augment(shape: tuple[int, int, int], flip: bool) -> Augment:
    """What suits images of this shape (h, w, c): a shifted crop up to 64 px, a resized crop and light colour above."""
    height, width, _ = shape
    if max(height, width) <= 64:
        return Augment(crop=min(height, width) // 8, flip=flip)
    return Augment(flip=flip, scale=0.35, colour=0.2)


def plain(images: UInt8[Tensor, "n c h w"]) -> Float32[Tensor, "n c h w"]:
    """The images themselves, in [0, 1]."""
    floats: Tensor = images.to(torch.float32, memory_format=torch.contiguous_format)
    return floats.div_(255)


def view(
    images: UInt8[Tensor, "n c h w"],
    index: Int64[Tensor, " n"],
    view: int,
    augment: Augment,
    view_seed: int,
) -> Float32[Tensor, "n c h w"]:
    """View number `view` of each image, in [0, 1].

    Order: a shifted crop with black edges, mirrored or not; then a resized crop; then brightness, contrast, saturation.
    """
    bits = hash_bits(index, view, view_seed)
    piece = max(1, _CACHE // (4 * images[0].numel())) if len(images) else 1
    if images.device.type != "cpu" or len(images) <= piece:
        return _seen(images, bits, augment)
    whole = torch.empty(images.shape, dtype=torch.float32)
    for start in range(0, len(images), piece):
        part = slice(start, start + piece)
        whole[part] = _seen(images[part], bits[part], augment)
    return whole


def _seen(images: UInt8[Tensor, "n c h w"], bits: Int64[Tensor, " n"], augment: Augment) -> Float32[Tensor, "n c h w"]:
    """The views that these bits ask for."""
    shifted = _shift(images, bits, augment.crop, augment.flip) if augment.crop or augment.flip else images
    floats = plain(shifted)
    if augment.scale < 1:
        floats = _zoom(floats, bits, augment.scale)
    if augment.colour > 0:
        floats = _tint(floats, images, bits, augment.colour)
    return floats.contiguous()


# The hash -------------------------------------------------------------------------------------------------------------


def hash_bits(index: Int64[Tensor, " n"], view: int, view_seed: int) -> Int64[Tensor, " n"]:
    """64 well-mixed bits per sample, the same on every device and for any batch composition."""
    key = _mix_number(_mix_number(view_seed + _GAMMA) + view * _GAMMA)
    return _mix(index ^ _signed(key))


def _uniform(bits: Int64[Tensor, " n"], stream: int) -> Int64[Tensor, " n"]:
    """An integer in [0, 2^24) per sample from one stream of its hash."""
    return _shift_right(_mix(bits + _signed((stream + 1) * _GAMMA)), 64 - _BITS)


def _below(bits: Int64[Tensor, " n"], stream: int, bound: int) -> Int64[Tensor, " n"]:
    """An integer in [0, bound) per sample."""
    return (_uniform(bits, stream) * bound) >> _BITS


def _unit(bits: Int64[Tensor, " n"], stream: int) -> Float32[Tensor, " n"]:
    """A number in [0, 1) per sample."""
    return torch.div(_uniform(bits, stream).to(torch.float32), 2**_BITS)


def _mix(x: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
    x = (x ^ _shift_right(x, 30)) * _signed(_MIX_1)
    x = (x ^ _shift_right(x, 27)) * _signed(_MIX_2)
    return x ^ _shift_right(x, 31)


def _mix_number(x: int) -> int:
    """`_mix` of a Python integer, unsigned."""
    x &= 2**64 - 1
    x = ((x ^ (x >> 30)) * _MIX_1) & (2**64 - 1)
    x = ((x ^ (x >> 27)) * _MIX_2) & (2**64 - 1)
    return x ^ (x >> 31)


def _shift_right(x: Int64[Tensor, " n"], by: int) -> Int64[Tensor, " n"]:
    """A logical shift; int64's own keeps the sign."""
    return torch.bitwise_and(x >> by, 2 ** (64 - by) - 1)


def _signed(x: int) -> int:
    """The int64 with the same 64 bits."""
    x &= 2**64 - 1
    return x - 2**64 if x >= 2**63 else x


# The changes ----------------------------------------------------------------------------------------------------------


def _shift(images: UInt8[Tensor, "n c h w"], bits: Int64[Tensor, " n"], pad: int, flip: bool) -> UInt8[Tensor, "n c h w"]:
    """Crop at a random place after zero padding, mirrored or not: one gather on bytes."""
    count, channels, height, width = images.shape
    rows = torch.arange(height, device=images.device).expand(count, height)
    columns = torch.arange(width, device=images.device).expand(count, width)
    if flip:
        columns = torch.where(_below(bits, _MIRROR, 2)[:, None] == 1, width - 1 - columns, columns)
    if pad:
        images = F.pad(images, (pad, pad, pad, pad))
        rows = rows + _below(bits, _DOWN, 2 * pad + 1)[:, None]
        columns = columns + _below(bits, _ACROSS, 2 * pad + 1)[:, None]
    places = rows[:, :, None] * (width + 2 * pad) + columns[:, None, :]
    places = places.reshape(count, 1, height * width).expand(count, channels, height * width)
    return images.reshape(count, channels, -1).gather(2, places).view(count, channels, height, width)


def _zoom(images: Float32[Tensor, "n c h w"], bits: Int64[Tensor, " n"], least: float) -> Float32[Tensor, "n c h w"]:
    """A random part of `least` to all of the area, 3:4 to 4:3 of the image's own aspect, resized to the whole (bilinear).

    Only sums, products, quotients and square roots, which every device rounds alike.
    """
    area = least + (1 - least) * _unit(bits, _AREA)
    swing = 2 * _unit(bits, _ASPECT) - 1
    aspect = torch.where(swing >= 0, 1 + swing / 3, 1 / (1 - swing / 3))
    wide, tall = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    left, top = (1 - wide) * (2 * _unit(bits, _LEFT) - 1), (1 - tall) * (2 * _unit(bits, _TOP) - 1)
    across = left[:, None] + wide[:, None] * _centres(images.shape[3], images.device)
    down = top[:, None] + tall[:, None] * _centres(images.shape[2], images.device)
    shape = (images.shape[0], images.shape[2], images.shape[3])
    grid = torch.stack([across[:, None, :].expand(shape), down[:, :, None].expand(shape)], dim=3)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _centres(size: int, device: torch.device) -> Float32[Tensor, " size"]:
    """Pixel centres where the image's edges are -1 and 1."""
    return (2 * torch.arange(size, dtype=torch.float32, device=device) + 1) / size - 1


def _tint(
    images: Float32[Tensor, "n c h w"], originals: UInt8[Tensor, "n c h w"], bits: Int64[Tensor, " n"], strength: float
) -> Float32[Tensor, "n c h w"]:
    """Brightness, contrast and saturation times 1 ± strength each; clipped to [0, 1]. `images` are changed: new memory costs more than the sums."""

    def factor(stream: int) -> Tensor:
        return (1 + strength * (2 * _unit(bits, stream) - 1))[:, None, None, None]

    # Contrast turns around the original's mean: a sum of bytes is exact, so it does not depend on how a batch is summed up.
    brightest = 255 * originals[0].numel()
    total = originals.flatten(2).sum(2, dtype=torch.int32).sum(1, dtype=torch.int64)
    middle = (total.to(torch.float32) / brightest)[:, None, None, None]
    bright, contrast = factor(_BRIGHTNESS), factor(_CONTRAST)
    images.mul_(contrast).add_(middle * (1 - contrast)).mul_(bright)
    if images.shape[1] == 3:
        saturation = factor(_SATURATION)
        grey = images[:, :1] * 0.299
        grey.add_(images[:, 1:2] * 0.587).add_(images[:, 2:] * 0.114)
        images.mul_(saturation).add_(grey.mul_(1 - saturation))
    return images.clamp_(0, 1)

"""What a transformer's attention layers compute: how much each token attends to each, and the value vectors that are taken from them.

In: an attention layer and what it was given. Out: both, computed anew from the layer's own weights, for most layers show neither. Gradients reach
what was given and the weights. Dropout within attention is left out.

These layers are read:
    - those with `qkv`, `num_heads` and `proj`, as edgekd's DeiT and timm's transformers have them, with norms of queries and keys where there are any
    - torch's `MultiheadAttention`, batch first, of a sequence that attends to itself
    - torchvision's Swin layers of both versions, whose tokens attend within a window, each window counting as a sample of its own
A mask, a bias, keys from elsewhere or another arithmetic would be read wrongly: `agrees` tells whether a layer's answer comes of what is read.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SWIN = "torchvision.models.swin_transformer"
"""Where Swin's modules come from, which answer (n, h, w, c)."""
NEAR = 1e-3
"""How far an answer computed anew may be from the layer's own, over the largest of its values."""


class Attended(NamedTuple):
    """Probabilities (samples, heads, queries, keys), which add up to 1 over the keys, and value vectors (samples, heads, keys, width)."""

    probabilities: Tensor
    values: Tensor


def reads(module: nn.Module) -> bool:
    """Whether a module is an attention layer of a kind that is read."""
    if isinstance(module, nn.MultiheadAttention):
        return module.batch_first and module.in_proj_weight is not None
    parts = [getattr(module, name, None) for name in ("qkv", "proj")]
    return all(isinstance(part, nn.Linear) for part in parts) and isinstance(getattr(module, "num_heads", None), int)


def attends(network: nn.Module) -> bool:
    """Whether it is a transformer: it has an attention layer of a kind that is read."""
    return any(reads(module) for module in network.modules())


def windowed(layer: nn.Module) -> bool:
    """Whether a layer's tokens attend within windows; it is then given maps."""
    return type(layer).__module__ == SWIN


def number_of_heads(layer: nn.Module) -> int:
    """How many heads a layer has."""
    found: Any = layer
    return int(found.num_heads)


def width(layer: nn.Module) -> int:
    """Of all heads' value vectors together."""
    found: Any = layer
    return int(found.embed_dim if isinstance(layer, nn.MultiheadAttention) else found.qkv.out_features // 3)


def extent(layer: nn.Module, shape: tuple[int, ...]) -> tuple[int, int]:
    """Windows an image, and tokens in each; `shape` is of what the layer is given for one image: (tokens, width), or maps (c, h, w) of windows."""
    if not windowed(layer):
        return 1, shape[0]
    high, wide = layer.window_size  # type: ignore[misc]
    return -(-shape[1] // high) * -(-shape[2] // wide), high * wide


def patches(tokens: int) -> tuple[int, int] | None:
    """How many tokens stand before the patches, and how many patches a side has; None where none, one or two before them leave no square."""
    for before in range(min(3, tokens)):
        side = math.isqrt(tokens - before)
        if side * side == tokens - before:
            return before, side
    return None


def read(layer: nn.Module, given: Tensor) -> Attended:
    """What a layer attends to, in its weights' precision.

    Args:
        layer: one that `reads` takes.
        given: tokens (n, tokens, width); maps (n, c, h, w) where it is `windowed`.
    """
    found: Any = layer
    if windowed(layer):
        return _within_windows(found, given.to(found.qkv.weight.dtype))
    if isinstance(layer, nn.MultiheadAttention):
        qkv = F.linear(given.to(layer.in_proj_weight.dtype), layer.in_proj_weight, layer.in_proj_bias)
    else:
        qkv = found.qkv(given.to(found.qkv.weight.dtype))
    query, key, value = torch.unflatten(qkv, -1, (3, found.num_heads, -1)).permute(2, 0, 3, 1, 4)
    if hasattr(found, "q_norm") and hasattr(found, "k_norm"):
        query, key = found.q_norm(query), found.k_norm(key)
    return Attended((_dots(query, key) / math.sqrt(query.shape[-1])).softmax(-1), value)


@torch.no_grad()
def agrees(layer: nn.Module, given: Tensor, answer: Tensor) -> bool:
    """Whether a layer's answer to tokens (n, tokens, width), with nothing dropped, is what `read` leads to; torchvision's windows are known to be."""
    if windowed(layer):
        return True
    if given.dim() != 3 or given.shape[:2] != answer.shape[:2]:
        return False
    found: Any = layer
    leave = found.out_proj if isinstance(layer, nn.MultiheadAttention) else found.proj
    try:
        attended = read(layer, given)
        anew = leave((attended.probabilities @ attended.values).transpose(1, 2).flatten(2))
    except RuntimeError:  # shapes of another arithmetic
        return False
    return anew.shape == answer.shape and float((anew - answer).abs().max()) <= NEAR * float(answer.abs().max())


def _dots(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.transpose(-2, -1)


def _within_windows(layer: Any, maps: Tensor) -> Attended:
    """A Swin layer (Liu et al. 2021, arXiv:2103.14030; version 2: arXiv:2111.09883): windows cut after a shift, each with its own mask."""
    maps = maps.permute(0, 2, 3, 1)
    high, wide = layer.window_size
    maps = F.pad(maps, (0, 0, 0, -maps.shape[2] % wide, 0, -maps.shape[1] % high))
    sides = maps.shape[1], maps.shape[2]
    # one window over the whole side has nowhere to go
    down, across = (shift if side > window else 0 for side, window, shift in zip(sides, (high, wide), layer.shift_size, strict=True))
    tokens = _cut(maps.roll((-down, -across), (1, 2)), high, wide)
    qkv = F.linear(tokens, layer.qkv.weight, _bias(layer))
    query, key, value = torch.unflatten(qkv, -1, (3, layer.num_heads, -1)).permute(3, 0, 1, 4, 2, 5)
    if hasattr(layer, "logit_scale"):
        scores = _dots(F.normalize(query, dim=-1), F.normalize(key, dim=-1)) * layer.logit_scale.clamp(max=math.log(100)).exp()
    else:
        scores = _dots(query, key) / math.sqrt(query.shape[-1])
    scores = scores + layer.get_relative_position_bias()
    if down or across:
        rows, columns = (_regions(side, window, shift) for side, window, shift in zip(sides, (high, wide), (down, across), strict=True))
        regions = _cut((3 * rows[:, None] + columns).view(1, *sides, 1), high, wide).squeeze(-1).squeeze(0).to(scores.device)
        # what the shift has brought together does not meet; the library's own number
        scores = scores + torch.where(regions[:, None] == regions[:, :, None], 0.0, -100.0).unsqueeze(1)
    return Attended(scores.softmax(-1).flatten(0, 1), value.flatten(0, 1))


def _bias(layer: Any) -> Tensor | None:
    """The bias of queries, keys and values; version 2 has none for keys, whatever stands there."""
    bias: Tensor | None = layer.qkv.bias
    if bias is None or not hasattr(layer, "logit_scale"):
        return bias
    query, key, value = bias.chunk(3)
    return torch.cat((query, torch.zeros_like(key), value))


def _cut(maps: Tensor, high: int, wide: int) -> Tensor:
    """Maps (n, h, w, c) → windows row by row, (n, windows, tokens, c)."""
    cut = torch.unflatten(torch.unflatten(maps, 1, (-1, high)), 3, (-1, wide))
    return cut.permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(1, 2)


def _regions(side: int, window: int, shift: int) -> Tensor:
    """Which part of the picture each row or column of a shifted one is from, (side,): 0 to 2, all alike without a shift."""
    places = torch.arange(side)
    return (places >= side - window).long() + (places >= side - shift).long() if shift else torch.zeros_like(places)

"""edgekd.models.attention: what attention layers compute, held against the layers' own answers."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.swin_transformer import ShiftedWindowAttention, ShiftedWindowAttentionV2

from edgekd.models import attention
from edgekd.models.deit import _Attention


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def loud(layer: nn.Module) -> nn.Module:
    """A layer whose weights make a difference."""
    torch.manual_seed(1)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.4)
    return layer.eval()


class Normed(_Attention):
    """As timm has it where queries and keys are normed."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.q_norm, self.k_norm = nn.LayerNorm(width // heads), nn.LayerNorm(width // heads)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = self.qkv(tokens).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(self.q_norm(query), self.k_norm(key), value)
        answer: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return answer


class Masked(_Attention):
    """Tokens that see those before them only."""

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = self.qkv(tokens).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        answer: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return answer


class Crowded(_Attention):
    """Names that are known, for numbers that no number of heads fits."""

    def __init__(self) -> None:
        super().__init__(8, 2)
        self.num_heads = 5


def test_attention_literal() -> None:
    """Tokens 0 and 1 that are their own queries and keys, and half their values: 0 hesitates, 1 prefers itself by a factor of e."""
    layer = _Attention(1, 1)
    with torch.no_grad():
        layer.qkv.weight.copy_(torch.tensor([[1.0], [1.0], [2.0]]))
        layer.qkv.bias.zero_()
    found = attention.read(layer, torch.tensor([[[0.0], [1.0]]]))
    expected = torch.tensor([[0.5, 0.5], [1 / (1 + math.e), math.e / (1 + math.e)]])
    torch.testing.assert_close(found.probabilities, expected.view(1, 1, 2, 2))
    torch.testing.assert_close(found.values, torch.tensor([0.0, 2.0]).view(1, 1, 2, 1))


WHOLE = [_Attention(12, 3), Normed(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)]


@pytest.mark.parametrize("layer", WHOLE, ids=lambda layer: type(layer).__name__)
def test_what_is_read_is_what_the_layer_computes(layer: nn.Module) -> None:
    """From it follows the layer's own answer."""
    tokens = noise(2, 5, 12)
    answer = loud(layer)(*[tokens] * (3 if isinstance(layer, nn.MultiheadAttention) else 1))
    assert attention.reads(layer)
    found = attention.read(layer, tokens)
    assert (found.probabilities.shape, found.values.shape) == ((2, 3, 5, 5), (2, 3, 5, 4))
    torch.testing.assert_close(found.probabilities.sum(-1), torch.ones(2, 3, 5))
    assert attention.agrees(layer, tokens, answer[0] if isinstance(answer, tuple) else answer)
    assert (attention.number_of_heads(layer), attention.width(layer), attention.extent(layer, (5, 12))) == (3, 12, (1, 5))


def test_torchs_own_probabilities() -> None:
    """Those that MultiheadAttention gives where it is asked."""
    layer, tokens = loud(nn.MultiheadAttention(12, 3, batch_first=True)), noise(2, 5, 12)
    torch.testing.assert_close(attention.read(layer, tokens).probabilities, layer(tokens, tokens, tokens, average_attn_weights=False)[1])


@pytest.mark.parametrize("layer", [Masked(12, 3), Crowded()], ids=lambda layer: type(layer).__name__)
def test_another_arithmetic_is_not_read_wrongly(layer: _Attention) -> None:
    """It has the names, and another answer."""
    tokens = noise(2, 5, layer.qkv.in_features)
    assert attention.reads(layer)
    assert not attention.agrees(loud(layer), tokens, Masked.forward(layer, tokens) if isinstance(layer, Masked) else tokens)
    assert not attention.agrees(layer, tokens.unsqueeze(1), tokens)


def test_what_is_no_attention_layer() -> None:
    """Other modules, a sequence that comes first, and keys of another width."""
    others = [nn.Linear(4, 4), nn.MultiheadAttention(4, 2), nn.MultiheadAttention(4, 2, kdim=3, batch_first=True), nn.Conv2d(3, 3, 1)]
    assert not any(attention.reads(module) for module in others)


def whole(found: attention.Attended, layer: Any, height: int, width: int) -> Tensor:
    """The answer (n, h, w, c) of a layer within windows, by a loop over windows that undoes padding and shift."""
    high, wide = layer.window_size
    rows, columns = -(-height // high), -(-width // wide)
    mixed = layer.proj((found.probabilities @ found.values).transpose(1, 2).flatten(2))
    maps = torch.zeros(len(mixed) // (rows * columns), rows * high, columns * wide, mixed.shape[-1])
    for place, window in enumerate(mixed):
        image, inner = divmod(place, rows * columns)
        row, column = divmod(inner, columns)
        maps[image, row * high : (row + 1) * high, column * wide : (column + 1) * wide] = window.view(high, wide, -1)
    shifts = [shift if count > 1 else 0 for count, shift in zip((rows, columns), layer.shift_size, strict=True)]
    return maps.roll(shifts, (1, 2))[:, :height, :width]


@pytest.mark.parametrize("kind", [ShiftedWindowAttention, ShiftedWindowAttentionV2])
@pytest.mark.parametrize(
    ("size", "window", "shift"),
    [((4, 8), (4, 4), (0, 0)), ((8, 8), (4, 4), (2, 2)), ((6, 7), (4, 4), (2, 2)), ((3, 3), (4, 4), (2, 2)), ((4, 8), (4, 2), (2, 1))],
    ids=["whole", "shifted", "padded", "one", "shifted across"],
)
def test_windows_are_torchvisions(kind: type, size: tuple[int, int], window: tuple[int, int], shift: tuple[int, int]) -> None:
    """Cut, shifted, padded and masked as in the layer itself, whose answer follows, in both versions."""
    layer = loud(kind(8, list(window), list(shift), 2))
    maps = noise(2, 8, *size)
    found = attention.read(layer, maps)
    assert attention.reads(layer)
    assert attention.windowed(layer)
    windows, tokens = attention.extent(layer, (8, *size))
    assert found.probabilities.shape == (2 * windows, 2, tokens, tokens)
    torch.testing.assert_close(whole(found, layer, *size), layer(maps.permute(0, 2, 3, 1)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layer", [_Attention(8, 2), nn.MultiheadAttention(8, 2, batch_first=True), ShiftedWindowAttention(8, [2, 2], [1, 1], 2)])
def test_gradients_reach_tokens_and_weights(layer: Any) -> None:
    """Of queries, keys and values."""
    given = (noise(2, 8, 4, 4) if attention.windowed(layer) else noise(2, 4, 8)).requires_grad_()
    found = attention.read(loud(layer), given)
    (found.probabilities.square().sum() + found.values.square().sum()).backward()  # type: ignore[no-untyped-call]
    weight = layer.in_proj_weight if isinstance(layer, nn.MultiheadAttention) else layer.qkv.weight
    assert given.grad is not None
    assert given.grad.abs().amin() > 0
    assert isinstance(weight.grad, Tensor)
    assert weight.grad.abs().sum(1).amin() > 0


def test_half_precision_is_read_in_that_of_the_weights() -> None:
    """What autocast leaves in bfloat16."""
    found = attention.read(_Attention(8, 2), noise(2, 4, 8).bfloat16())
    assert (found.probabilities.dtype, found.values.dtype) == (torch.float32, torch.float32)


@pytest.mark.parametrize(
    ("tokens", "found"),
    [(64, (0, 8)), (65, (1, 8)), (66, (2, 8)), (197, (1, 14)), (49, (0, 7)), (1, (0, 1)), (2, (1, 1)), (67, None), (33, None), (0, None)],
)
def test_squares_of_patches(tokens: int, found: tuple[int, int] | None) -> None:
    """None, one or two tokens before them."""
    assert attention.patches(tokens) == found

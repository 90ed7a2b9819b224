"""DeiT at CIFAR's scale: a transformer over patches of 4 pixels.

In: images already normalised, float32 `(n, channels, h, w)`, height and width multiples of 4 px. Out: logits `(n, classes)`.
Positions are learnt for 32 px and interpolated for other sizes. Parameter names are those of the checkpoints in circulation. There is no dropout and
no stochastic depth; forward passes trace, compile and export.

A distilled network has a distillation token beside its class token. The paper gives it a linear head of its own and answers, once trained, with the
mean of both heads. The mean of two linear heads is one linear layer over both tokens, and that is what stands here as `head`, so that whatever
changes a head changes both; `apart` tells their answers apart. Unlike the paper's, the two share a bias.

Sources: Touvron et al., "Training data-efficient image transformers & distillation through attention", ICML 2021, arXiv:2012.12877; Dosovitskiy
et al., "An Image is Worth 16x16 Words", ICLR 2021, arXiv:2010.11929. DeiT-Ti is 12 blocks, 192 wide, 3 heads; the small patches are for small images.
"""

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from edgekd.errors import UsageError

PATCH, GRID = 4, 8
"""Pixels a side of a patch, and patches a side that positions are learnt for."""
HEAD_WIDTH = 64
"""Of one head of attention, in every DeiT."""


class Deit(nn.Module):
    """The network of `depth` blocks, `width` wide; `heads` is a 64th of the width where nothing else is said."""

    def __init__(self, depth: int, width: int, classes: int, channels: int, *, heads: int | None = None, distilled: bool = False) -> None:
        super().__init__()
        self.distilled = distilled
        self.first = 2 if distilled else 1
        self.patch_embed = _Patches(width, channels)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        if distilled:
            self.dist_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, self.first + GRID * GRID, width))
        self.blocks = nn.Sequential(*(_Block(width, heads or width // HEAD_WIDTH) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(self.first * width, classes)
        self._initialise()

    def _initialise(self) -> None:
        for parameter in self.parameters(recurse=False):
            nn.init.trunc_normal_(parameter, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        positions = _positions(self.pos_embed, images)
        first = torch.cat((self.cls_token, self.dist_token), 1) if self.distilled else self.cls_token
        tokens = torch.cat((first.expand(images.shape[0], -1, -1), self.patch_embed(images)), 1) + positions
        tokens = self.norm(self.blocks(tokens))
        logits: Tensor = self.head(tokens[:, : self.first].flatten(1))
        return logits

    def apart(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """The class token's answer and the distillation token's, (n, classes) each, whose mean the logits are.

        Args:
            pooled: what the head of a distilled network is given, (n, 2·width).
        """
        weight, bias = 2 * self.head.weight, self.head.bias
        label, distillation = weight.chunk(2, dim=1)
        ours, theirs = pooled.chunk(2, dim=1)
        return F.linear(ours, label, bias), F.linear(theirs, distillation, bias)


@fx.wrap
def _positions(learnt: Tensor, images: Tensor) -> Tensor:
    """Learnt positions (1, tokens, width) for the grid of patches that images of this size have. One node of a trace: it looks at sizes.

    Raises:
        UsageError: the images are no whole number of patches high or wide.
    """
    height, width = images.shape[-2:]
    if height % PATCH or width % PATCH:
        raise UsageError(f"its patches are {PATCH} pixels a side, so height and width must be multiples of {PATCH}, got {height}x{width}")
    if (height, width) == (PATCH * GRID, PATCH * GRID):
        return learnt
    first = learnt.shape[1] - GRID * GRID
    grid = torch.unflatten(learnt[:, first:].transpose(1, 2), 2, (GRID, GRID))
    grid = F.interpolate(grid, size=(height // PATCH, width // PATCH), mode="bicubic", align_corners=False)
    return torch.cat((learnt[:, :first], grid.flatten(2).transpose(1, 2)), 1)


class _Patches(nn.Module):
    """Images (n, channels, h, w) → one token for each patch, (n, patches, width), row by row."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, PATCH, stride=PATCH)

    def forward(self, images: Tensor) -> Tensor:
        tokens: Tensor = self.proj(images).flatten(2).transpose(1, 2)
        return tokens


class _Block(nn.Module):
    """Attention, then a layer of four times the width for each token, each behind a norm and beside a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = _Mlp(width)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        answer: Tensor = tokens + self.mlp(self.norm2(tokens))
        return answer


class _Attention(nn.Module):
    """Every token attends to every token, in each head on its own. `models.attention` reads it by these names."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.num_heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        qkv = self.qkv(tokens).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        answer: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return answer


class _Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        answer: Tensor = self.fc2(F.gelu(self.fc1(tokens)))
        return answer

"""Networks of a few hundred weights that have what exports trip over: BatchNorm, dropout, residuals, depthwise filters."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgekd.models.network import Network
from edgekd.preprocess import Preprocess

CLASSES = ["ant", "bee", "cat", "dog"]
PREPROCESS = Preprocess(size=(8, 8), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))


class Toy(nn.Module):
    """Convolution, depthwise convolution, a residual, dropout, a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.depthwise = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(8, len(CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        first = self.first(images)
        pooled = (first + self.depthwise(first)).mean((2, 3))
        logits: Tensor = self.head(self.dropout(pooled))
        return logits


class Wide(nn.Sequential):
    """Weights enough that they outweigh the graph: 8,256 of them."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(192, 40), nn.ReLU6(), nn.Linear(40, 4))


PARAMS = 8 * 27 + 8 + 8 * 9 + 8 + 8 * 4 + 4
"""Of a Toy's file: each BatchNorm has become a bias."""
MACS = 64 * 8 * 27 + 64 * 8 * 9 + 8 * 4


def network(make: Callable[[], nn.Module] = Toy) -> Network:
    """A network as if trained: seeded weights, BatchNorm with statistics of its own, in training mode."""
    torch.manual_seed(0)
    body = make()
    for module in body.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    return Network(body, PREPROCESS, name="toy", classes=len(CLASSES)).train()


def pixels(count: int, seed: int = 0, size: int = 8) -> NDArray[np.uint8]:
    """Smooth pictures, uint8 (count, size, size, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 2, 2, 3))
    return coarse.repeat(size // 2, axis=1).repeat(size // 2, axis=2).astype(np.uint8)


PREPARED: NDArray[np.float32] = np.random.default_rng(0).normal(0, 1, (20, 3, 8, 8)).astype(np.float32)
"""Images as a network is given them."""

"""Networks with an inside to look at, for the tests of taps and of what reads them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchvision.models import SwinTransformer, VisionTransformer

from edgekd.models.deit import Deit
from edgekd.models.load import build
from edgekd.models.network import Network
from edgekd.preprocess import Preprocess


def network(name: str) -> Network:
    torch.manual_seed(0)
    return build(name, classes=10, shape=(32, 32, 3))


class Fickle(nn.Module):
    """It looks at the values of its images, which a trace cannot, and leaves out its second layer for dark ones."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.first(images)
        if images.mean() > -0.5:
            maps = self.second(maps)
        logits: Tensor = self.head(maps.mean((2, 3)))
        return logits


def fickle() -> Network:
    torch.manual_seed(0)
    return Network(Fickle(), Preprocess(mean=(0.0,), std=(1.0,), size=(8, 8)), name="fickle", classes=2, spec="fickle")


def transformer(kind: str) -> Network:
    """A toy of a family for images of 16 px, whose training mode leaves nothing to chance."""
    torch.manual_seed(0)
    bodies: dict[str, Callable[[], nn.Module]] = {
        "deit": lambda: Deit(2, 16, 10, 3, heads=2),
        "vit": lambda: VisionTransformer(16, 4, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=10),
        "swin": lambda: SwinTransformer([2, 2], 8, [2, 2], [2, 4], [4, 4], stochastic_depth_prob=0.0, num_classes=10),
    }
    return Network(bodies[kind](), Preprocess(size=(16, 16)), name=kind, classes=10, spec=kind)

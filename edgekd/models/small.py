"""The CIFAR-scale families that the distillation literature measures on, by the names that DESIGN gives.

In: images already normalised, float32 `(n, channels, h, w)` of any size from 8 px up (a transformer's in steps of 4 px). Out: logits `(n, classes)`.
Parameter names are those of the checkpoints in circulation, so that these load as they are. Nothing here loads weights,
normalises or knows torchvision; forward passes have no data-dependent Python, so they trace, compile and export.

The networks are those of `residual`, `depthwise` and `deit`, and VGG (Simonyan and Zisserman 2015), with the widths of the CIFAR-100 protocol of Tian
et al. 2020.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.models.deit import HEAD_WIDTH, Deit
from edgekd.models.depthwise import MobileNetV2, ShuffleNetV2
from edgekd.models.residual import ResNetA, ResNetB, WideResNet, initialise, pool

Factory: TypeAlias = Callable[[int, int], nn.Module]
"""`factory(classes, channels)` → network."""


class Vgg(nn.Module):
    """VGG with batch norm and one linear layer; `depths` convolutions per stage.

    Halved after the first three stages only, as the literature has it at 32 px.
    """

    def __init__(self, depths: tuple[int, ...], classes: int, channels: int) -> None:
        super().__init__()
        widths = [channels, 64, 128, 256, 512, 512]
        for stage, depth in enumerate(depths):
            layers: list[nn.Module] = []
            for index in range(depth):
                inputs = widths[stage] if index == 0 else widths[stage + 1]
                layers += [nn.Conv2d(inputs, widths[stage + 1], 3, padding=1), nn.BatchNorm2d(widths[stage + 1]), nn.ReLU(inplace=True)]
            self.add_module(f"block{stage}", nn.Sequential(*layers))
        self.classifier = nn.Linear(512, classes)
        initialise(self, linear_std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        for stage in range(5):
            x = self.get_submodule(f"block{stage}")(x)
            if stage < 3:
                x = F.max_pool2d(x, 2)
        logits: Tensor = self.classifier(pool(x))
        return logits


_DEPTHS = (8, 14, 20, 32, 44, 56, 110)

NAMES: dict[str, Factory] = {
    **{f"resnet{depth}": partial(ResNetA, depth) for depth in _DEPTHS},
    **{f"resnet{depth}b": partial(ResNetB, depth, 1) for depth in _DEPTHS},
    "resnet8x4": partial(ResNetB, 8, 4),
    "resnet32x4": partial(ResNetB, 32, 4),
    "cifar-vgg8": partial(Vgg, (1, 1, 1, 1, 1)),
    "cifar-vgg13": partial(Vgg, (2, 2, 2, 2, 2)),
    "cifar-mobilenet-v2": MobileNetV2,
    "cifar-shufflenet-v2": ShuffleNetV2,
    "cifar-deit-ti": partial(Deit, 12, 192),
    "cifar-deit-ti-distilled": partial(Deit, 12, 192, distilled=True),
}
"""All names but those with numbers in them that may be others, which `factory` reads."""


def factory(name: str) -> Factory | None:
    """What makes the network of that name, or None where this module has none.

    `wrn-D-K` is any wide ResNet whose depth D is 6·n + 4 with n ≥ 1 and whose width K is 1 or more; `cifar-deit-D-W`, with or without `-distilled`,
    any DeiT of D blocks whose width W is a multiple of 64.
    """
    deit = re.fullmatch(r"cifar-deit-(\d+)-(\d+)(-distilled)?", name)
    if deit is not None:
        blocks, size = int(deit[1]), int(deit[2])
        return partial(Deit, blocks, size, distilled=deit[3] is not None) if blocks and size and size % HEAD_WIDTH == 0 else None
    wide = re.fullmatch(r"wrn-(\d+)-(\d+)", name)
    if wide is None:
        return NAMES.get(name)
    depth, width = int(wide[1]), int(wide[2])
    if depth < 10 or (depth - 4) % 6 or width < 1:
        return None
    return partial(WideResNet, depth, width)

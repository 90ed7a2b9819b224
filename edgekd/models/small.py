"""The CIFAR-scale families that the distillation literature measures on, by the names that DESIGN gives.

In: images already normalised, float32 `(n, channels, h, w)` of any size from 8 px up (a transformer's in steps of 4 px). Out: logits `(n, classes)`.
Parameter names are those of the checkpoints in circulation, so that these load as they are. This module loads no weights,
normalises nothing and knows no torchvision; forward passes have no data-dependent Python, so they trace, compile and export.

Sources: He et al. 2016 (ResNet, section 4.2), Zagoruyko and Komodakis 2016 (wide ResNet), Simonyan and Zisserman 2015 (VGG),
Sandler et al. 2018 (MobileNetV2), Ma et al. 2018 (ShuffleNetV2); the 1×1-convolution variants and the widths of the last three are
those of the CIFAR-100 protocol of Tian et al. 2020. The transformers are `deit`'s.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.models.deit import HEAD_WIDTH, Deit

Factory: TypeAlias = Callable[[int, int], nn.Module]
"""`factory(classes, channels)` → network."""


def _conv3x3(inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, groups=groups, bias=False)


def _conv1x1(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)


def _pool(maps: Tensor) -> Tensor:
    """The mean over all places: `(n, c, h, w)` → `(n, c)`."""
    return maps.mean(dim=(2, 3))


def _initialise(network: nn.Module, linear_std: float | None = None) -> None:
    """Normal weights with variance 2 / (k²·outputs) in convolutions; `linear_std` for linear layers where it is not torch's own."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear) and linear_std is not None:
            nn.init.normal_(module.weight, std=linear_std)
            nn.init.zeros_(module.bias)


# ResNets --------------------------------------------------------------------------------------------------------------


class _BlockA(nn.Module):
    """Two 3×3 convolutions with a shortcut that has no weights: every second pixel, new channels filled with zeros."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv3x3(inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = _conv3x3(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.new = outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.new:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.new // 2, self.new - self.new // 2))
        return F.relu(out + x)


class ResNetA(nn.Module):
    """The original CIFAR ResNet of `depth` = 6·blocks + 2 layers: widths 16, 32, 64, shortcuts without weights (option A)."""

    def __init__(self, depth: int, classes: int, channels: int) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = _conv3x3(channels, 16)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(_BlockA, 16, 16, blocks, 1)
        self.layer2 = _stage(_BlockA, 16, 32, blocks, 2)
        self.layer3 = _stage(_BlockA, 32, 64, blocks, 2)
        self.linear = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        logits: Tensor = self.linear(_pool(out))
        return logits


class _BlockB(nn.Module):
    """Two 3×3 convolutions; where the shape changes, the shortcut is a 1×1 convolution with batch norm."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv3x3(inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = _conv3x3(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(_conv1x1(inputs, outputs, stride), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.downsample(x))


class ResNetB(nn.Module):
    """The CIFAR ResNet of the CIFAR-100 literature: 1×1-convolution shortcuts, `stem` channels, then 16, 32, 64 times `width`."""

    def __init__(self, depth: int, width: int, classes: int, channels: int) -> None:
        super().__init__()
        blocks, stem = (depth - 2) // 6, 16 if width == 1 else 8 * width
        widths = [16 * width, 32 * width, 64 * width]
        self.conv1 = _conv3x3(channels, stem)
        self.bn1 = nn.BatchNorm2d(stem)
        self.layer1 = _stage(_BlockB, stem, widths[0], blocks, 1)
        self.layer2 = _stage(_BlockB, widths[0], widths[1], blocks, 2)
        self.layer3 = _stage(_BlockB, widths[1], widths[2], blocks, 2)
        self.fc = nn.Linear(widths[2], classes)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        logits: Tensor = self.fc(_pool(out))
        return logits


def _stage(block: Callable[[int, int, int], nn.Module], inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    """`blocks` blocks, the first of which changes width and size."""
    return nn.Sequential(block(inputs, outputs, stride), *(block(outputs, outputs, 1) for _ in range(blocks - 1)))


# Wide ResNets ---------------------------------------------------------------------------------------------------------


class _WideBlock(nn.Module):
    """Norm and ReLU before each convolution; where the width changes, the shortcut starts behind the first ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = _conv3x3(inputs, outputs, stride)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = _conv3x3(outputs, outputs)
        self.changes = inputs != outputs
        if self.changes:
            self.convShortcut = _conv1x1(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        first = F.relu(self.bn1(x))
        out = self.conv2(F.relu(self.bn2(self.conv1(first))))
        shortcut = self.convShortcut(first) if self.changes else x
        total: Tensor = out + shortcut
        return total


class _WideGroup(nn.Module):
    """Holds a stage under the name `layer`, as the checkpoints have it."""

    def __init__(self, inputs: int, outputs: int, blocks: int, stride: int) -> None:
        super().__init__()
        self.layer = _stage(_WideBlock, inputs, outputs, blocks, stride)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x)
        return out


class WideResNet(nn.Module):
    """The wide ResNet of `depth` = 6·blocks + 4 layers and widths 16, 32, 64 times `width`, without dropout."""

    def __init__(self, depth: int, width: int, classes: int, channels: int) -> None:
        super().__init__()
        blocks = (depth - 4) // 6
        widths = [16 * width, 32 * width, 64 * width]
        self.conv1 = _conv3x3(channels, 16)
        self.block1 = _WideGroup(16, widths[0], blocks, 1)
        self.block2 = _WideGroup(widths[0], widths[1], blocks, 2)
        self.block3 = _WideGroup(widths[1], widths[2], blocks, 2)
        self.bn1 = nn.BatchNorm2d(widths[2])
        self.fc = nn.Linear(widths[2], classes)
        _initialise(self)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: Tensor) -> Tensor:
        out = self.block3(self.block2(self.block1(self.conv1(x))))
        logits: Tensor = self.fc(_pool(F.relu(self.bn1(out))))
        return logits


# Families that torchvision has too, at CIFAR's scale ------------------------------------------------------------------


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
        _initialise(self, linear_std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        for stage in range(5):
            x = self.get_submodule(f"block{stage}")(x)
            if stage < 3:
                x = F.max_pool2d(x, 2)
        logits: Tensor = self.classifier(_pool(x))
        return logits


class _Inverted(nn.Module):
    """Inverted residual: widen by `expansion`, 3×3 per channel, narrow without an activation."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.adds = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            *(_conv1x1(inputs, inner), nn.BatchNorm2d(inner), nn.ReLU(inplace=True)),
            *(_conv3x3(inner, inner, stride, groups=inner), nn.BatchNorm2d(inner), nn.ReLU(inplace=True)),
            *(_conv1x1(inner, outputs), nn.BatchNorm2d(outputs)),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return x + out if self.adds else out


class MobileNetV2(nn.Module):
    """MobileNetV2 at half width with plain ReLU and the strides of the CIFAR-100 protocol (32 px end as 2×2)."""

    STAGES = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    """Expansion, channels at full width, blocks, stride of the first."""

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        inputs = 16
        self.conv1 = nn.Sequential(_conv3x3(channels, inputs, 2), nn.BatchNorm2d(inputs), nn.ReLU(inplace=True))
        self.blocks = nn.ModuleList()
        for expansion, full, blocks, stride in self.STAGES:
            block = partial(_Inverted, expansion=expansion)
            self.blocks.append(_stage(block, inputs, full // 2, blocks, stride))
            inputs = full // 2
        self.conv2 = nn.Sequential(_conv1x1(inputs, 1280), nn.BatchNorm2d(1280), nn.ReLU(inplace=True))
        self.classifier = nn.Sequential(nn.Linear(1280, classes))
        _initialise(self, linear_std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.classifier(_pool(self.conv2(x)))
        return logits


def _shuffle(x: Tensor) -> Tensor:
    """Interleave the two halves of the channels."""
    batch, channels, height, width = x.shape
    return x.reshape(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(batch, channels, height, width)


class _ShuffleBlock(nn.Module):
    """Half of the channels pass untouched, the others through 1×1, 3×3 per channel, 1×1; then shuffled."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.conv1, self.bn1 = _conv1x1(half, half), nn.BatchNorm2d(half)
        self.conv2, self.bn2 = _conv3x3(half, half, groups=half), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = _conv1x1(half, half), nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> Tensor:
        kept, out = x.chunk(2, dim=1)
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(out)))))
        out = F.relu(self.bn3(self.conv3(out)))
        return _shuffle(torch.cat((kept, out), dim=1))


class _ShuffleDown(nn.Module):
    """Both branches see all channels and halve the size; each gives half of the new channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.conv1, self.bn1 = _conv3x3(inputs, inputs, 2, groups=inputs), nn.BatchNorm2d(inputs)
        self.conv2, self.bn2 = _conv1x1(inputs, half), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = _conv1x1(inputs, half), nn.BatchNorm2d(half)
        self.conv4, self.bn4 = _conv3x3(half, half, 2, groups=half), nn.BatchNorm2d(half)
        self.conv5, self.bn5 = _conv1x1(half, half), nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> Tensor:
        left = F.relu(self.bn2(self.conv2(self.bn1(self.conv1(x)))))
        right = self.bn4(self.conv4(F.relu(self.bn3(self.conv3(x)))))
        right = F.relu(self.bn5(self.conv5(right)))
        return _shuffle(torch.cat((left, right), dim=1))


class ShuffleNetV2(nn.Module):
    """ShuffleNetV2 at width 1 with a 1×1 stem instead of the strided one (32 px end as 4×4)."""

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv1x1(channels, 24), nn.BatchNorm2d(24)
        self.layer1 = nn.Sequential(_ShuffleDown(24, 116), *(_ShuffleBlock(116) for _ in range(3)))
        self.layer2 = nn.Sequential(_ShuffleDown(116, 232), *(_ShuffleBlock(232) for _ in range(7)))
        self.layer3 = nn.Sequential(_ShuffleDown(232, 464), *(_ShuffleBlock(464) for _ in range(3)))
        self.conv2, self.bn2 = _conv1x1(464, 1024), nn.BatchNorm2d(1024)
        self.linear = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(_pool(F.relu(self.bn2(self.conv2(x)))))
        return logits


# Names ----------------------------------------------------------------------------------------------------------------

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

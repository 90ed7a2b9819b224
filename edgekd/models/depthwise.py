"""Networks of depthwise convolutions at CIFAR's scale, with the widths of the CIFAR-100 protocol of Tian et al. 2020.

Images, logits and parameter names as `small` says. Sources: Sandler et al. 2018 (MobileNetV2), Ma et al. 2018 (ShuffleNetV2).
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.models.residual import conv1x1, conv3x3, initialise, pool, stage


class _Inverted(nn.Module):
    """Inverted residual: widen by `expansion`, 3×3 per channel, narrow without an activation."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.adds = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            *(conv1x1(inputs, inner), nn.BatchNorm2d(inner), nn.ReLU(inplace=True)),
            *(conv3x3(inner, inner, stride, groups=inner), nn.BatchNorm2d(inner), nn.ReLU(inplace=True)),
            *(conv1x1(inner, outputs), nn.BatchNorm2d(outputs)),
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
        self.conv1 = nn.Sequential(conv3x3(channels, inputs, 2), nn.BatchNorm2d(inputs), nn.ReLU(inplace=True))
        self.blocks = nn.ModuleList()
        for expansion, full, blocks, stride in self.STAGES:
            block = partial(_Inverted, expansion=expansion)
            self.blocks.append(stage(block, inputs, full // 2, blocks, stride))
            inputs = full // 2
        self.conv2 = nn.Sequential(conv1x1(inputs, 1280), nn.BatchNorm2d(1280), nn.ReLU(inplace=True))
        self.classifier = nn.Sequential(nn.Linear(1280, classes))
        initialise(self, linear_std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.classifier(pool(self.conv2(x)))
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
        self.conv1, self.bn1 = conv1x1(half, half), nn.BatchNorm2d(half)
        self.conv2, self.bn2 = conv3x3(half, half, groups=half), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = conv1x1(half, half), nn.BatchNorm2d(half)

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
        self.conv1, self.bn1 = conv3x3(inputs, inputs, 2, groups=inputs), nn.BatchNorm2d(inputs)
        self.conv2, self.bn2 = conv1x1(inputs, half), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = conv1x1(inputs, half), nn.BatchNorm2d(half)
        self.conv4, self.bn4 = conv3x3(half, half, 2, groups=half), nn.BatchNorm2d(half)
        self.conv5, self.bn5 = conv1x1(half, half), nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> Tensor:
        left = F.relu(self.bn2(self.conv2(self.bn1(self.conv1(x)))))
        right = self.bn4(self.conv4(F.relu(self.bn3(self.conv3(x)))))
        right = F.relu(self.bn5(self.conv5(right)))
        return _shuffle(torch.cat((left, right), dim=1))


class ShuffleNetV2(nn.Module):
    """ShuffleNetV2 at width 1 with a 1×1 stem instead of the strided one (32 px end as 4×4)."""

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv1x1(channels, 24), nn.BatchNorm2d(24)
        self.layer1 = nn.Sequential(_ShuffleDown(24, 116), *(_ShuffleBlock(116) for _ in range(3)))
        self.layer2 = nn.Sequential(_ShuffleDown(116, 232), *(_ShuffleBlock(232) for _ in range(7)))
        self.layer3 = nn.Sequential(_ShuffleDown(232, 464), *(_ShuffleBlock(464) for _ in range(3)))
        self.conv2, self.bn2 = conv1x1(464, 1024), nn.BatchNorm2d(1024)
        self.linear = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(pool(F.relu(self.bn2(self.conv2(x)))))
        return logits

"""Residual networks at CIFAR's scale, of two kinds of shortcut and of any width, and what the other small networks are made of, too.

Images, logits and parameter names as `small` says. Sources: He et al. 2016 (section 4.2), Zagoruyko and Komodakis 2016; the 1×1-convolution shortcuts
are those of the CIFAR-100 protocol of Tian et al. 2020.
"""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F


def conv3x3(inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """3×3 that keeps the size at stride 1, without a bias."""
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, groups=groups, bias=False)


def conv1x1(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """1×1 without a bias."""
    return nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)


def pool(maps: Tensor) -> Tensor:
    """The mean over all places: `(n, c, h, w)` → `(n, c)`."""
    return maps.mean(dim=(2, 3))


def initialise(network: nn.Module, linear_std: float | None = None) -> None:
    """Normal weights with variance 2 / (k²·outputs) in convolutions; `linear_std` for linear layers where it is not torch's own."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear) and linear_std is not None:
            nn.init.normal_(module.weight, std=linear_std)
            nn.init.zeros_(module.bias)


class _BlockA(nn.Module):
    """Two 3×3 convolutions with a shortcut that has no weights: every second pixel, new channels filled with zeros."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.new = outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.new:
            # every stride-th place; a slice's gradient comes back in torch's own memory format, which costs a step in channels last a seventh
            x = F.pad(F.max_pool2d(x, 1, self.stride), (0, 0, 0, 0, self.new // 2, self.new - self.new // 2))
        return F.relu(out + x)


class ResNetA(nn.Module):
    """The original CIFAR ResNet of `depth` = 6·blocks + 2 layers: widths 16, 32, 64, shortcuts without weights (option A)."""

    def __init__(self, depth: int, classes: int, channels: int) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = conv3x3(channels, 16)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = stage(_BlockA, 16, 16, blocks, 1)
        self.layer2 = stage(_BlockA, 16, 32, blocks, 2)
        self.layer3 = stage(_BlockA, 32, 64, blocks, 2)
        self.linear = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        logits: Tensor = self.linear(pool(out))
        return logits


class _BlockB(nn.Module):
    """Two 3×3 convolutions; where the shape changes, the shortcut is a 1×1 convolution with batch norm."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(conv1x1(inputs, outputs, stride), nn.BatchNorm2d(outputs))

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
        self.conv1 = conv3x3(channels, stem)
        self.bn1 = nn.BatchNorm2d(stem)
        self.layer1 = stage(_BlockB, stem, widths[0], blocks, 1)
        self.layer2 = stage(_BlockB, widths[0], widths[1], blocks, 2)
        self.layer3 = stage(_BlockB, widths[1], widths[2], blocks, 2)
        self.fc = nn.Linear(widths[2], classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        logits: Tensor = self.fc(pool(out))
        return logits


def stage(block: Callable[[int, int, int], nn.Module], inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    """`blocks` blocks, the first of which changes width and size."""
    return nn.Sequential(block(inputs, outputs, stride), *(block(outputs, outputs, 1) for _ in range(blocks - 1)))


# Wide ResNets ---------------------------------------------------------------------------------------------------------


class _WideBlock(nn.Module):
    """Norm and ReLU before each convolution; where the width changes, the shortcut starts behind the first ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.changes = inputs != outputs
        if self.changes:
            self.convShortcut = conv1x1(inputs, outputs, stride)

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
        self.layer = stage(_WideBlock, inputs, outputs, blocks, stride)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x)
        return out


class WideResNet(nn.Module):
    """The wide ResNet of `depth` = 6·blocks + 4 layers and widths 16, 32, 64 times `width`, without dropout."""

    def __init__(self, depth: int, width: int, classes: int, channels: int) -> None:
        super().__init__()
        blocks = (depth - 4) // 6
        widths = [16 * width, 32 * width, 64 * width]
        self.conv1 = conv3x3(channels, 16)
        self.block1 = _WideGroup(16, widths[0], blocks, 1)
        self.block2 = _WideGroup(widths[0], widths[1], blocks, 2)
        self.block3 = _WideGroup(widths[1], widths[2], blocks, 2)
        self.bn1 = nn.BatchNorm2d(widths[2])
        self.fc = nn.Linear(widths[2], classes)
        initialise(self)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: Tensor) -> Tensor:
        out = self.block3(self.block2(self.block1(self.conv1(x))))
        logits: Tensor = self.fc(pool(F.relu(self.bn1(out))))
        return logits

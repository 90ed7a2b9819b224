"""A student for 28×28 grey images that spends its arithmetic where maps are small: `thin.py:resnet10`.

A stem of 16 channels at full size, then two residual blocks of 32 channels at half and two of 56 at a quarter of it: 137 thousand parameters,
12 million multiply-accumulates. Shortcuts are 1×1 convolutions where the shape changes (He et al. 2016, option B).
"""

from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Two 3×3 convolutions around a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        new = [nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)]
        self.shortcut = nn.Sequential(*(new if stride > 1 or inputs != outputs else []))

    def forward(self, maps: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(maps)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(maps))


class Thin(nn.Module):
    """Images (n, 1, h, w) → logits (n, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.early = nn.Sequential(Block(16, 32, 2), Block(32, 32, 1))
        self.late = nn.Sequential(Block(32, 56, 2), Block(56, 56, 1))
        self.fc = nn.Linear(56, classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.late(self.early(F.relu(self.bn(self.conv(images)))))
        logits: Tensor = self.fc(maps.mean(dim=(2, 3)))
        return logits


def resnet10(classes: int) -> nn.Module:
    """The network for so many classes."""
    return Thin(classes)

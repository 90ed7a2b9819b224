"""Two networks for 32×32 grey images: images in, logits out."""

from torch import nn


def convolutions(widths: list[int], classes: int) -> nn.Module:
    """A convolution of stride 2 for each width, then a mean and a linear layer."""
    layers: list[nn.Module] = []
    before = 1
    for width in widths:
        layers.append(nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False))
        layers += [nn.BatchNorm2d(width), nn.ReLU()]
        before = width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes)]
    return nn.Sequential(*layers)


def teacher(classes: int) -> nn.Module:
    """373 thousand parameters, for ten classes."""
    return convolutions([64, 128, 256], classes)


def student(classes: int) -> nn.Module:
    """6 thousand parameters, for ten classes."""
    return convolutions([8, 16, 32], classes)

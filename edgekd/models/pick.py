"""Which student to propose for a teacher. It builds candidates, counts, and says why; it trains nothing."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from edgekd.models.count import macs
from edgekd.models.network import Network
from edgekd.models.small import factory
from edgekd.models.zoo import torchvision_body
from edgekd.preprocess import Preprocess

SMALL = ("wrn-16-4", "wrn-16-2", "resnet56", "resnet20", "resnet14", "resnet8")
"""For images of up to 64 px."""

LARGE = ("resnet50", "resnet18", "efficientnet_b0", "mobilenet_v2", "mobilenet_v3_small")
"""For larger ones."""

SHARE = 8
"""A student does at most one part in this many of its teacher's arithmetic."""


class Candidate(NamedTuple):
    """A network that could be a student: multiply-accumulates for one image, parameters, name."""

    macs: int
    params: int
    name: str


def candidates(shape: tuple[int, int, int], classes: int) -> list[Candidate]:
    """What there is to choose from for images of (height, width, channels), the most arithmetic first."""
    return sorted((_candidate(name, shape, classes) for name in _names(shape)), reverse=True)


def pick_student(teacher_macs: int, shape: tuple[int, int, int], classes: int) -> tuple[str, str]:
    """A student's name, and the reason in words: the largest of a short list with at most an eighth of the teacher's MACs.

    Args:
        teacher_macs: multiply-accumulates of the teacher for one image.
        shape: height, width, channels of the data's images.
    """
    return choose(candidates(shape, classes), teacher_macs, shape)


def choose(counted: Sequence[Candidate], teacher_macs: int, shape: tuple[int, int, int]) -> tuple[str, str]:
    """`pick_student` among candidates that were counted already."""
    names, size = ", ".join(_names(shape)), f"{shape[0]}x{shape[1]}"
    for count, _, name in counted:
        if count * SHARE <= teacher_macs:
            share = _share(count, teacher_macs)
            return name, f"{name} is the largest of {names} with at most 1/{SHARE} of the teacher's MACs at {size} (it has {share})"
    count, _, name = counted[-1]
    share = _share(count, teacher_macs)
    return name, f"{name} is the smallest of {names}; none has at most 1/{SHARE} of the teacher's MACs at {size} (it has {share})"


def _names(shape: tuple[int, int, int]) -> tuple[str, ...]:
    return SMALL if max(shape[:2]) <= 64 else LARGE


def _share(count: int, teacher_macs: int) -> str:
    return f"{count / max(teacher_macs, 1):.1%}".replace("%", " %")


def _candidate(name: str, shape: tuple[int, int, int], classes: int) -> Candidate:
    """A candidate, counted at the data's size."""
    make = factory(name)
    grey = make is not None and shape[2] == 1
    # With memory for their weights: without, torch counts by formulas of its compiler, whose import takes longer than all of this.
    with torch.random.fork_rng(devices=[]):
        body = make(classes, shape[2]) if make is not None else torchvision_body(name, classes, pretrained=False, replace_head=False).body
    network = Network(body, Preprocess(size=shape[:2], colour="grey" if grey else "rgb"), name=name, classes=classes)
    count = macs(network, shape)
    assert count is not None
    return Candidate(count, sum(parameter.numel() for parameter in body.parameters()), name)

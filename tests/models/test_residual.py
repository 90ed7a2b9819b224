"""edgekd.models.residual: shortcuts; names, counts and sizes are test_small's."""

import torch
from torch import nn

from edgekd.models.residual import ResNetA


def test_shortcut_without_weights() -> None:
    """Option A: where both convolutions answer zero, every second pixel passes, between new channels of zeros."""
    block = ResNetA(20, 10, 3).get_submodule("layer2.0")
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    images = torch.rand(2, 16, 6, 6)
    answer = block(images)
    assert torch.equal(answer[:, 8:24], images[:, :, ::2, ::2])
    assert not answer[:, :8].any()
    assert not answer[:, 24:].any()

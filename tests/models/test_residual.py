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


def test_a_shortcuts_gradient_stays_in_channels_last() -> None:
    """Else all that is computed from it on the way back takes many times as long."""
    block = ResNetA(20, 10, 3).get_submodule("layer2.0")
    images = torch.rand(2, 16, 6, 6).to(memory_format=torch.channels_last).requires_grad_()
    for parameter in block.parameters():
        nn.init.zeros_(parameter)  # nothing comes back by the convolutions
    given: list[torch.Tensor] = []
    passed = images * 1
    passed.register_hook(given.append)  # type: ignore[no-untyped-call]
    block(passed).sum().backward()
    assert given[0].is_contiguous(memory_format=torch.channels_last)
    assert not given[0].is_contiguous()

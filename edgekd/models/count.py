"""How much arithmetic a network does. Counts at the operators, so attention and grouped convolutions are counted too; moves no weights."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from edgekd.models.network import Network, input_size


def macs(network: Network, shape: tuple[int, int, int]) -> int | None:
    """Multiply-accumulates that the body does for one image: convolutions, matrix products, attention. None for a black box.

    Args:
        shape: height, width, channels of the data's images, for a network that takes any size.
    """
    parameter = next(network.body.parameters(), None)
    if parameter is None:
        return None
    height, width = input_size(network.preprocess) or shape[:2]
    training = network.training
    fast = torch.backends.mha.get_fastpath_enabled()
    network.eval()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network.body(torch.zeros(1, network.channels, height, width, device=parameter.device, dtype=parameter.dtype))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        network.train(training)
    return int(counter.get_total_flops()) // 2

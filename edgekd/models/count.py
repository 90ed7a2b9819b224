"""How much arithmetic a network does. Counts at the operators, so attention and grouped convolutions are counted too; moves no weights."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from edgekd.models.network import Network, evaluating, input_size


class _Counter(TorchDispatchMode):
    """Adds up the operations of every operator below it, by torch's own formulas."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled while it counts. Where torch must see to that, as in its own FlopCounterMode, it imports its compiler: five seconds."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        options, packet = kwargs or {}, func._overloadpacket
        if packet not in flop_registry and func is not torch.ops.prim.device.default:
            with self:
                parts = func.decompose(*args, **options)
            if parts is not NotImplemented:
                return parts
        answer = func(*args, **options)
        if packet in flop_registry:
            self.operations += int(flop_registry[packet](*args, **options, out_val=answer))
        return answer


def macs(network: Network, shape: tuple[int, int, int]) -> int | None:
    """Multiply-accumulates that the body does for one image: convolutions, matrix products, attention. None for a black box.

    Args:
        shape: height, width, channels of the data's images, for a network that takes any size.
    """
    parameter = next(network.body.parameters(), None)
    if parameter is None:
        return None
    height, width = input_size(network.preprocess) or shape[:2]
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    counter = _Counter()
    try:
        with evaluating(network), torch.no_grad(), counter:
            network.body(torch.zeros(1, network.channels, height, width, device=parameter.device, dtype=parameter.dtype))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return counter.operations // 2

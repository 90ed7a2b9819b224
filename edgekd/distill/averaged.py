"""A running average of a network's parameters over its steps (Polyak and Juditsky 1992, with a decay), which takes their place at the end."""

import torch
from torch import Tensor, nn

from edgekd.distill.consistency import warmed


class Averaged:
    """The average of each parameter, by name; of none where `decay` is 0."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values: dict[str, Tensor] = {name: value.detach().clone() for name, value in network.named_parameters()} if decay else {}

    def follow(self, network: nn.Module, step: int) -> None:
        """Take up what the parameters are after `step` steps."""
        for name, parameter in network.named_parameters():
            if name in self.values:
                self.values[name].lerp_(parameter.detach(), 1 - warmed(self.decay, step))

    @torch.no_grad()
    def put(self, network: nn.Module) -> None:
        """Give the network its averages; running statistics are its last ones' and must be taken anew."""
        for name, parameter in network.named_parameters():
            if name in self.values:
                parameter.copy_(self.values[name])

    def load(self, values: dict[str, Tensor]) -> None:
        """Go on from what was kept."""
        for name, value in values.items():
            self.values[name].copy_(value)

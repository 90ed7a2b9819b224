"""How weights move: the optimiser of a lesson, and the running average of what it makes of them.

SGD, Adam or AdamW, with a rate of its own for what was brought and for what is new. In: a network, the recipe's settings, and what is learnt beside
it. Out: a torch optimiser whose groups carry `peak`, their schedule's highest rate.
"""

import torch
from torch import Tensor, nn

from edgekd.models.heads import head_parameters
from edgekd.models.network import Network
from edgekd.phases import Optimizer


def build_optimizer(network: Network, settings: Optimizer, beside: nn.Module | None = None) -> torch.optim.Optimizer:
    """The optimiser: one group for all weights, or body and head apart where they learn at different rates; `peak` of a group is its rate's peak.

    What is learnt `beside` the network learns as a head does.
    """
    head = {id(parameter) for parameter in head_parameters(network.body, network.classes)} if settings.body_lr is not None else set()
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [{"params": [p for p in parameters if id(p) not in head], "peak": settings.lr if settings.body_lr is None else settings.body_lr}]
    if head:
        groups.append({"params": [p for p in parameters if id(p) in head], "peak": settings.lr})
    if beside is not None and any(True for _ in beside.parameters()):
        groups.append({"params": list(beside.parameters()), "peak": settings.lr})
    if settings.name == "sgd":
        return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay, nesterov=settings.momentum > 0)
    kind = torch.optim.Adam if settings.name == "adam" else torch.optim.AdamW
    return kind(groups, lr=settings.lr, weight_decay=settings.weight_decay)


class Averaged:
    """A running average of each parameter over the steps, by name, which takes its place at the end (Polyak and Juditsky 1992, with a decay); of none
    where `decay` is 0."""

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


def warmed(decay: float, step: int) -> float:
    """The decay of a running average after `step` steps: a plain mean at first, so that the beginning is soon forgotten
    (Tarvainen and Valpola 2017)."""
    return min(1 - 1 / (step + 1), decay)

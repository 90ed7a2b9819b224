"""The optimiser of a lesson: SGD, Adam or AdamW, with a rate of its own for what was brought and for what is new.

In: a network, the recipe's settings, and what is learnt beside it. Out: a torch optimiser whose groups carry `peak`, their schedule's highest rate.
"""

import torch
from torch import nn

from edgekd.models.load import head_parameters
from edgekd.phases import Optimizer


def build_optimizer(network: nn.Module, settings: Optimizer, beside: nn.Module | None = None) -> torch.optim.Optimizer:
    """The optimiser: one group for all weights, or body and head apart where they learn at different rates; `peak` of a group is its rate's peak.

    What is learnt `beside` the network learns as a head does.
    """
    head = {id(parameter) for parameter in head_parameters(network)} if settings.body_lr is not None else set()
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

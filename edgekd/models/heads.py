"""The head of a classifier: its last linear layer, or the 1×1 convolution that stands for one.

In: any module. Out: where its head is, its parameters, or a change of it in place. It never looks at weights.
"""

from collections.abc import Sequence

import torch
from torch import nn

from edgekd.errors import UsageError


def find_head(body: nn.Module, classes: int | None = None) -> tuple[str, nn.Linear | nn.Conv2d] | None:
    """Name and module of the last linear layer or convolution, in the order of registration; with `classes`, the last that answers so many."""
    found = None
    for name, module in body.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)) and classes in (None, outputs(module)):
            found = name, module
    return found


def outputs(head: nn.Linear | nn.Conv2d) -> int:
    """How many numbers a head answers."""
    return head.out_features if isinstance(head, nn.Linear) else head.out_channels


def head_parameters(network: nn.Module) -> list[nn.Parameter]:
    """The parameters of a network's head, for a learning rate of their own; none where it has no head."""
    found = find_head(network)
    return [] if found is None else list(found[1].parameters())


def replace_head(body: nn.Module, classes: int) -> str:
    """Put a new head of `classes` outputs in the place of the old one, in place; returns what was done, in words.

    Raises:
        UsageError: nothing in the network is a head.
    """
    name, old = _required(body)
    if isinstance(old, nn.Linear):
        new: nn.Module = nn.Linear(old.in_features, classes, bias=old.bias is not None)
    else:
        new = nn.Conv2d(old.in_channels, classes, old.kernel_size, bias=old.bias is not None)  # type: ignore[arg-type]
    parent, _, last = name.rpartition(".")
    setattr(body.get_submodule(parent), last, new)
    return f"its head {name} of {outputs(old)} outputs was replaced by a new one of {classes}"


def permute_head(body: nn.Module, order: Sequence[int]) -> None:
    """Reorder a head's outputs in place: output i becomes what output `order[i]` was.

    Raises:
        UsageError: nothing in the network is a head of so many outputs.
    """
    _, head = _required(body, len(order))
    places = torch.as_tensor(list(order), device=head.weight.device)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(parameter[places].clone())


def _required(body: nn.Module, classes: int | None = None) -> tuple[str, nn.Linear | nn.Conv2d]:
    found = find_head(body, classes)
    if found is None:
        many = "" if classes is None else f" with {classes} outputs"
        raise UsageError(
            f"a head is a linear layer or 1×1 convolution{many}; {type(body).__name__} has none. "
            "Give the network one with as many outputs as classes."
        )
    return found

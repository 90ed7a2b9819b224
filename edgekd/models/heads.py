"""The head of a classifier: its last linear layer, or the 1×1 convolution that stands for one.

In: any module. Out: where its head is, its parameters, or a change of it in place. What weights say, it never looks at.
"""

from collections.abc import Sequence

import torch
from torch import nn

from edgekd import units
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


def likely_head(body: nn.Module, classes: int) -> tuple[str, nn.Linear | nn.Conv2d] | None:
    """The last that answers so many, else the last of all: a layer may be registered in another order than it is asked in."""
    return find_head(body, classes) or find_head(body)


def head_parameters(body: nn.Module, classes: int) -> list[nn.Parameter]:
    """The parameters of a network's head, for a learning rate of their own; none where it has no head."""
    found = likely_head(body, classes)
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


def take_over(body: nn.Module, old: nn.Module, classes: int) -> None:
    """Give a network at random what an older one of its kind learnt, in place: all weights and statistics, and its head's outputs as the first ones
    of its `classes`.

    What the new network answers beyond them stays at random.

    Raises:
        UsageError: the two differ in more than the number of outputs, or the older one has more of them.
    """
    name, head = _required(body, classes)
    ours, theirs = body.state_dict(), old.state_dict()
    rows = {f"{name}.{part}" for part, _ in head.named_parameters()}
    differing = [key for key in sorted(ours.keys() | theirs.keys()) if not _fits(ours.get(key), theirs.get(key), longer=key in rows)]
    if differing:
        raise UsageError(
            f"a network that goes on from another must be as that one was, but for more outputs of its head {name}; these differ: "
            f"{units.some(differing)}. Build it as it was built then."
        )
    with torch.no_grad():
        for key, tensor in theirs.items():
            (ours[key][: len(tensor)] if key in rows else ours[key]).copy_(tensor)


def _fits(ours: torch.Tensor | None, theirs: torch.Tensor | None, *, longer: bool) -> bool:
    """Whether a tensor may take another's place; `longer`: as its first rows."""
    if ours is None or theirs is None:
        return False
    if not longer:
        return ours.shape == theirs.shape
    return ours.shape[1:] == theirs.shape[1:] and len(ours) >= len(theirs)


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


def divide_head(body: nn.Module, classes: int, divisor: float) -> None:
    """Divide what a head of so many outputs answers by a number, in place: its weights and its bias.

    Raises:
        UsageError: nothing in the network is a head of so many outputs.
    """
    _, head = _required(body, classes)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.div_(divisor)


def _required(body: nn.Module, classes: int | None = None) -> tuple[str, nn.Linear | nn.Conv2d]:
    found = find_head(body, classes)
    if found is None:
        many = "" if classes is None else f" with {classes} outputs"
        raise UsageError(
            f"a head is a linear layer or 1×1 convolution{many}; {type(body).__name__} has none. "
            "Give the network one with as many outputs as classes."
        )
    return found

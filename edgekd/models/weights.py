"""Weights that were read, put into a network: under whatever name a wrapper gave them, and with a new head where classes are others.

In: a `Checkpoint`, and the body that it is for. Out: the body with these weights, and notes on what was left out or replaced.
It builds no networks and downloads nothing.
"""

from collections.abc import Iterator

from torch import nn

from edgekd import units
from edgekd.errors import UsageError
from edgekd.models.heads import likely_head
from edgekd.models.weightfile import Checkpoint, State, inner

PREFIXES = ("module.", "model.", "_orig_mod.")
"""What data-parallel wrappers, Lightning modules and torch.compile put before every name."""

_AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")
"""Heads that torchvision's Inception networks have for training only."""


def apply(body: nn.Module, checkpoint: Checkpoint, source: str, *, classes: int, replace_head: bool) -> list[str]:
    """Load weights into a body, in place; returns notes.

    Wrappers' prefixes are taken off where that makes the names the body's. What then stands outside of the prefix (a loss with weights, a counter)
    is left out and noted; inside it, every name and shape must match. With `replace_head`, a head of another size stays new.

    Raises:
        UsageError: names or shapes that do not match, listed.
    """
    wanted: State = body.state_dict()
    prefix, state = _fitting(checkpoint.state, wanted, source)
    notes = list(checkpoint.notes)
    outside = [name for name in checkpoint.state if not name.startswith(prefix)]
    auxiliary = [name for name in state if name.startswith(_AUXILIARY) and name not in wanted]
    if outside or auxiliary:
        notes.append(f"left out of {source}: {units.some(outside + auxiliary)}")
    state = {name: tensor for name, tensor in state.items() if name not in auxiliary}
    missing = [name for name in wanted if name not in state and not name.endswith("num_batches_tracked")]
    extra = [name for name in state if name not in wanted]
    shaped = [name for name in state if name in wanted and state[name].shape != wanted[name].shape]
    head = _head_names(body, classes)
    if replace_head and not extra and set(missing + shaped) <= head and shaped + missing:
        notes.append(f"the head of {source} ({_head_width(state, head)}) was left out; a new one of {classes} outputs is taught")
        state = {name: tensor for name, tensor in state.items() if name not in shaped}
    elif missing or extra or shaped:
        raise UsageError(_mismatch(source, missing, extra, shaped, state, wanted, head))
    body.load_state_dict(state, strict=False)
    return notes


def _fitting(state: State, wanted: State, source: str) -> tuple[str, State]:
    """The state under the prefix that fits best, with the prefix: a wrapper's; else whatever stands before all of the body's names."""
    best = max(_stripped(state), key=lambda view: sum(name in wanted for name in view[1]))
    if any(name in wanted for name in best[1]):
        return best
    firsts = dict.fromkeys(name.partition(".")[0] for name in state if "." in name)
    views = [(f"{first}.", inner(state, first)) for first in firsts]
    whole = [view for view in views if all(name in view[1] or name.endswith("num_batches_tracked") for name in wanted)]
    if len(whole) > 1:
        names = [prefix.removesuffix(".") for prefix, _ in whole]
        raise UsageError(
            f"{source} must hold this network's weights once; it has them under {', '.join(names)}. Choose with --weights-key, as in "
            f"--weights-key {names[0]} or, where they stand in a table, state_dict.{names[0]}."
        )
    return whole[0] if whole else best


def _stripped(state: State, prefix: str = "") -> Iterator[tuple[str, State]]:
    """The state under every chain of known prefixes that stands in its names, the whole first."""
    yield prefix, state
    for more in PREFIXES:
        within = {name.removeprefix(more): tensor for name, tensor in state.items() if name.startswith(more)}
        if within:
            yield from _stripped(within, prefix + more)


def _head_names(body: nn.Module, classes: int) -> set[str]:
    found = likely_head(body, classes)
    return set() if found is None else {f"{found[0]}.{name}" for name, _ in found[1].named_parameters()}


def _head_width(state: State, head: set[str]) -> str:
    widths = [f"{len(tensor)} outputs" for name, tensor in state.items() if name in head and tensor.ndim]
    return widths[0] if widths else "none in the file"


def _mismatch(source: str, missing: list[str], extra: list[str], shaped: list[str], state: State, wanted: State, head: set[str]) -> str:
    """What does not match, by name, and what to do."""
    if shaped and not missing and not extra and set(shaped) <= head:
        return (
            f"{source} answers {_head_width(state, head)}, and {len(wanted[shaped[0]])} classes were asked for. "
            "A teacher must answer the data's classes: --set train.teacher_epochs=N teaches it on this data first, with a new head. Students get one."
        )
    parts = [f"missing in the file: {units.some(missing)}"] if missing else []
    parts += [f"not in the network: {units.some(extra)}"] if extra else []
    if shaped:
        parts.append("of another shape: " + units.some(f"{name} {tuple(state[name].shape)} for {tuple(wanted[name].shape)}" for name in shaped))
    grey = any(state[name].ndim == 4 and (state[name].shape[1], wanted[name].shape[1]) == (1, 3) for name in shaped)
    remedy = (
        'For a network of one channel set colour = "grey" in its preprocess, or --teacher-colour grey'
        if grey
        else "Check the model's name, or --weights-key"
    )
    return f"the weights in {source} must be this network's, and are not. {'; '.join(parts)}. {remedy}."

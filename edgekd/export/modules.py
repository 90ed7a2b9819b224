"""Which tensor of an exported model stands for which module: exporters keep no names, so that a module's answers are looked for by value.

In: a torch module and the model that was exported of it. Out: `Matched`, module by module in the order they are done, with the tensor that is most
like its answers and how far it is off. A layer that is folded into the BatchNorm behind it has none, and is left out.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgekd.export.feed import Feed
from edgekd.export.opened import Opened, apart, batch, called, largest, makers

_KEPT = 1 << 14
"""Numbers of each tensor by which a module's answers are looked for."""


@dataclass(frozen=True)
class Matched:
    """A module beside the tensor that is most like its answers; `error` as `opened.apart` has it, `normalises`: it is a BatchNorm, `trained`: and the
    file has what it answers by the images of the batch."""

    layer: str
    op: str
    node: str
    error: float | None
    largest: float
    normalises: bool = False
    trained: bool = False


def matched(body: nn.Module, model: onnx.ModelProto, images: NDArray[np.float32], feed: Feed, bound: float) -> tuple[list[Matched], int]:
    """The modules of a body, which is left in eval mode, and how many have no tensor of their size.

    Left out are layers whose answers are nowhere in the file, as exporters fold them away: before a BatchNorm, or where what takes them is within
    `bound`.
    """
    given = batch(feed, images)
    if feed.type == "uint8":
        given = (np.rint(given * 255) / 255).astype(np.float32)  # as the file is given them
    answers = _watched(body.eval(), torch.from_numpy(np.ascontiguousarray(given)))
    inside = Opened(model, set(makers(model)), feed, "the file")
    there = {tensor: _sampled(values) for tensor, values in inside.answers(inside.names, images).items()}
    there[feed.input] = _sampled(given)
    found = [_nearest(each, there, inside.makers, bound) for each in answers]
    normalised = {each.given for each in answers if each.normalises}
    fine = [each.error is not None and each.error <= bound for each in found]
    used = {each.given for each, right in zip(answers, fine, strict=True) if right}
    kept = []
    for each, one, right in zip(answers, found, fine, strict=True):
        folded = (each.own in normalised and not each.normalises) or each.own in used
        if one.node and (right or not folded):
            kept.append(one)
    return kept, sum(not each.node for each in found)


@dataclass(frozen=True)
class _Sample:
    """What is kept of a tensor: how many numbers it has, the largest of them, and some."""

    size: int
    largest: float
    some: NDArray[np.float32]


@dataclass(frozen=True)
class _Answer:
    """What a module answered. `given` and `own` tell its tensors apart; `by_batch`: what a BatchNorm would by the statistics of what it was shown."""

    name: str
    op: str
    sample: _Sample
    given: int
    own: int
    normalises: bool
    by_batch: _Sample | None


def _sampled(values: NDArray[Any]) -> _Sample:
    """The same places in every tensor of one size."""
    flat = values.reshape(-1)
    places = np.arange(flat.size) if flat.size <= _KEPT else np.random.default_rng(flat.size).integers(0, flat.size, _KEPT)
    return _Sample(flat.size, largest(flat), flat[places].astype(np.float32))


def _watched(body: nn.Module, images: Tensor) -> list[_Answer]:
    """What every module inside a body answers, in the order they are done; those of a block before the block."""
    found: list[_Answer] = []
    held: list[Any] = []

    def watch(name: str, module: nn.Module) -> Any:
        def note(_: nn.Module, given: Any, answer: Any) -> None:
            first = next((each for each in given if isinstance(each, Tensor)), None)
            if first is None or not isinstance(answer, Tensor) or not answer.is_floating_point():
                return
            held.extend((first, answer))  # while they live, no other tensor has their id
            # A copy is taken now: what comes next may work in place.
            sample = _sampled(answer.detach().numpy())
            norm, by_batch = module if isinstance(module, nn.modules.batchnorm._BatchNorm) else None, None
            if norm is not None and first.numel() > first.shape[1]:  # a lone number has no variance
                by_batch = _sampled(nn.functional.batch_norm(first, None, None, norm.weight, norm.bias, True, 0.0, norm.eps).numpy())
            found.append(_Answer(name, type(module).__name__, sample, id(first), id(answer), norm is not None, by_batch))

        return module.register_forward_hook(note)

    hooks = [watch(name or "the whole network", module) for name, module in body.named_modules()]
    try:
        with torch.no_grad():
            body(images)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _nearest(answer: _Answer, there: dict[str, _Sample], nodes: dict[str, onnx.NodeProto], bound: float) -> Matched:
    """The file's tensor that is most like a module's answer; without a node where none is as large."""
    alike = {tensor: sample for tensor, sample in there.items() if sample.size == answer.sample.size}
    distances = {tensor: _distance(answer.sample, sample) for tensor, sample in alike.items()}
    tensor = min(distances, key=lambda each: distances[each], default=None)
    if tensor is None:
        return Matched(answer.name, answer.op, "", None, answer.sample.largest)
    by_batch = answer.by_batch
    trained = by_batch is not None and any(_distance(by_batch, sample) <= bound for sample in alike.values())
    return Matched(
        layer=answer.name,
        op=answer.op,
        node=called(nodes[tensor]) if tensor in nodes else tensor,
        error=distances[tensor] if np.isfinite(distances[tensor]) else None,
        largest=answer.sample.largest,
        normalises=answer.normalises,
        trained=trained,
    )


def _distance(before: _Sample, after: _Sample) -> float:
    error = apart(before.some, after.some)
    return np.inf if error is None else error

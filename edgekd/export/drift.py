"""Where a file begins to compute something else than the step before it: the answers of every layer of both, on a few real images.

In: the file's model, what it was made from (a torch module, or a model), prepared images. Out: a `Drift`: the layers that both have, in order, how
far each is off, the first that drifts and what that looks like. Two models are compared by the names of tensors, which other precisions keep; a
module's answers are looked for by value (`modules`). Whether a file is fit for use is `parity`'s to say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from edgekd import units
from edgekd.errors import EdgekdError
from edgekd.export.feed import Feed
from edgekd.export.fp16 import FP16_MAX
from edgekd.export.modules import matched
from edgekd.export.opened import Opened, apart, batch, called, largest, makers
from edgekd.export.parity import remedy

Cause = Literal["batchnorm", "overflow", "calibration", ""]
"""What the first layer that drifts looks like; "": like nothing that is known here."""

BOUNDS = {"fp32": 1e-3, "as-is": 1e-3, "fp16": 2e-2, "int8-cpu": 0.5, "int8-trt": 0.5}
"""By precision, how far a layer may be off before it is said to drift; the layers of a good int8 are off by 0.01 to 0.3."""
CLIPPED, TOO_MANY = 0.05, 0.25
"""Shares of a tensor's numbers beyond its int8 range: from which on that is taken for the cause of a drift, and from which on no file is let pass.
The ranges of a resnet20 by its own training images left out 0.0002 by any method, those by images without mean and std 0.73."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A layer of the step before, a module or a tensor, beside the tensor of the file that stands for it."""

    layer: str
    op: str
    node: str
    """The file's, with its operator."""
    error: float | None
    """Root mean square of the difference, over that of the step before; None where the file's numbers are not finite."""
    largest: float | None
    """The largest number in the step before, without its sign; None where it is not finite."""
    clipped: float | None = None
    """Share of the step before's numbers that lie outside `span`, the smallest and the largest that int8 has here."""
    span: tuple[float, float] | None = None


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. `alone` counts layers of the step before that nothing in the file could be compared with."""

    first: Compared | None
    cause: Cause
    told: str
    layers: list[Compared]
    alone: int


def find(source: nn.Module | onnx.ModelProto, model: onnx.ModelProto, images: NDArray[np.float32], feed: Feed, *, precision: str) -> Drift:
    """Where a file's model leaves what it was made from, on a few prepared images (n, c, h, w); a module is left in eval mode."""
    return _from_module(source, model, images, feed) if isinstance(source, nn.Module) else _from_model(source, model, images, feed, precision)


def refuse(before: onnx.ModelProto, model: onnx.ModelProto, images: NDArray[np.float32], feed: Feed, *, name: str, precision: str) -> None:
    """Look for what a file's answers need not show: numbers beyond fp16, where a CPU computes in float32, and ranges of int8 that others left.

    Args:
        before: the fp32 model that it was made from.

    Raises:
        EdgekdError: there is such a tensor; it is named with its operator.
    """
    if precision in ("fp16", "int8-trt"):
        _refuse_overflow(before, model, images, feed, name, precision)
    if precision in ("int8-cpu", "int8-trt"):
        layers, _ = _side_by_side(before, model, images, feed)
        narrow = next((each for each in layers if (each.clipped or 0) > TOO_MANY), None)
        if narrow is not None:
            raise EdgekdError(f"{name} was calibrated wrongly, whatever it answers here: {_narrow(narrow)} {remedy(precision)}")


def _refuse_overflow(before: onnx.ModelProto, half: onnx.ModelProto, images: NDArray[np.float32], feed: Feed, name: str, precision: str) -> None:
    weights = {tensor.name: tensor for tensor in before.graph.initializer}
    for tensor in half.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT16 and tensor.name in weights:
            _refuse_larger(tensor.name, "a weight", onnx.numpy_helper.to_array(weights[tensor.name]), name, precision)
    inferred = onnx.shape_inference.infer_shapes(half).graph
    halves = {value.name for value in (*inferred.value_info, *inferred.output) if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16}
    inside = Opened(before, halves.intersection(makers(before)), feed, name)
    for tensor, values in inside.answers(inside.names, images).items():
        _refuse_larger(tensor, inside.makers[tensor].op_type, values, name, precision)


def _refuse_larger(tensor: str, what: str, values: NDArray[Any], name: str, precision: str) -> None:
    if not largest(values) <= FP16_MAX:
        raise EdgekdError(
            f"{name} has an fp16 overflow: fp16 holds numbers up to {FP16_MAX:.0f}, and {tensor} ({what}) reaches {largest(values):.3g}. "
            f"A CPU need not show it, a GPU answers infinity. {remedy(precision)}"
        )


# A module and a model -------------------------------------------------------------------------------------------------


def _from_module(body: nn.Module, model: onnx.ModelProto, images: NDArray[np.float32], feed: Feed) -> Drift:
    """The first module whose answers the file does not have."""
    bound = BOUNDS["fp32"]
    found, alone = matched(body, model, images, feed, bound)
    layers = [Compared(layer=each.layer, op=each.op, node=each.node, error=each.error, largest=_finite(each.largest)) for each in found]
    at = _first(layers, bound)
    if at is None:
        return Drift(first=None, cause="", told=_nowhere(layers, bound), layers=layers, alone=alone)
    first, module = layers[at], found[at]
    told = f"It differs first in {first.layer} ({first.op}): what the file has in its place, {first.node}, is {_off(first)}."
    if module.trained:
        told += " This BatchNorm was exported in training mode: it goes by the images of the batch."
    elif module.normalises:
        told += " This BatchNorm's statistics or weights are not the network's."
    return Drift(first=first, cause="batchnorm" if module.normalises else "", told=told, layers=layers, alone=alone)


# Two models -----------------------------------------------------------------------------------------------------------


def _from_model(before: onnx.ModelProto, after: onnx.ModelProto, images: NDArray[np.float32], feed: Feed, precision: str) -> Drift:
    """The first tensor that both have under one name and that is off."""
    layers, alone = _side_by_side(before, after, images, feed)
    bound = BOUNDS[precision]
    at = _first(layers, bound)
    if at is None:
        return Drift(first=None, cause="", told=_nowhere(layers, bound), layers=layers, alone=alone)
    first = layers[at]
    told = f"It differs first at {first.layer} ({first.op}), {_off(first)}."
    cause: Cause = ""
    narrow = next((each for each in layers[: at + 1] if (each.clipped or 0) > CLIPPED), None)
    if narrow is not None:
        cause, told = "calibration", f"{told} {_narrow(narrow)}"
    elif precision == "fp16" and first.largest is not None and first.largest > FP16_MAX:
        cause = "overflow"
        told += f" It is an fp16 overflow: numbers reach {first.largest:.3g} there, fp16 holds {FP16_MAX:.0f}."
    return Drift(first=first, cause=cause, told=told, layers=layers, alone=alone)


def _side_by_side(before: onnx.ModelProto, after: onnx.ModelProto, images: NDArray[np.float32], feed: Feed) -> tuple[list[Compared], int]:
    """The tensors that both models have, in the order of the second, and how many of the first's have no such."""
    nodes, own, rounded = makers(after), makers(before), _rounded(after)
    shared = [feed.input, *(tensor for tensor in nodes if tensor in own)]
    # What is rounded to 8 bits is compared behind that: a ReLU that was taken into its layer has no numbers of its own before it.
    behind = {tensor: rounded[tensor].output if tensor in rounded else tensor for tensor in shared}
    first = Opened(before, shared, feed, "the step before")
    second = Opened(after, set(behind.values()), feed, "the file")
    left = first.answers(first.names, images)
    left[feed.input] = feed.fed(batch(feed, images))[feed.input]
    right = second.answers(second.names, images)
    layers = []
    for tensor, answer in behind.items():
        if tensor in left and answer in right:
            op = own[tensor].op_type if tensor in own else "input"
            layers.append(_compared(tensor, op, called(nodes[answer]), left[tensor], right[answer], rounded.get(tensor)))
    return layers, len(own.keys() - {each.layer for each in layers})


@dataclass(frozen=True)
class _Rounded:
    """Where a tensor is rounded to 8 bits: the tensor behind it, and the smallest and the largest number that there is."""

    output: str
    low: float
    high: float


def _rounded(model: onnx.ModelProto) -> dict[str, _Rounded]:
    """The tensors that go through QuantizeLinear and DequantizeLinear, be there a Cast before them or not."""
    nodes = makers(model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    back = {node.input[0]: node.output[0] for node in reversed(model.graph.node) if node.op_type == "DequantizeLinear"}
    found: dict[str, _Rounded] = {}
    for node in model.graph.node:
        if node.op_type != "QuantizeLinear" or node.output[0] not in back or any(name not in constants for name in node.input[1:]):
            continue
        scale = float(onnx.numpy_helper.to_array(constants[node.input[1]]).max())
        zero = onnx.numpy_helper.to_array(constants[node.input[2]]) if len(node.input) > 2 else np.zeros((), np.uint8)
        limits = np.iinfo(zero.dtype)
        low, high = ((limit - int(zero.max())) * scale for limit in (limits.min, limits.max))
        tensor = node.input[0]
        while tensor in nodes and nodes[tensor].op_type == "Cast":
            tensor = nodes[tensor].input[0]
        found.setdefault(tensor, _Rounded(back[node.output[0]], low, high))
    return found


def _compared(tensor: str, op: str, node: str, before: NDArray[Any], after: NDArray[Any], rounded: _Rounded | None) -> Compared:
    facts = Compared(layer=tensor, op=op, node=node, error=apart(before, after), largest=_finite(largest(before)))
    if rounded is None:
        return facts
    step = (rounded.high - rounded.low) / 255
    outside = (before < rounded.low - step) | (before > rounded.high + step)
    return msgspec.structs.replace(facts, clipped=float(outside.mean()), span=(rounded.low, rounded.high))


# Words ----------------------------------------------------------------------------------------------------------------


def _first(layers: Sequence[Compared], bound: float) -> int | None:
    return next((at for at, each in enumerate(layers) if each.error is None or each.error > bound), None)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _off(layer: Compared) -> str:
    return "not a finite number" if layer.error is None else f"off by {layer.error:.2g} of its size"


def _narrow(layer: Compared) -> str:
    low, high = layer.span or (0.0, 0.0)
    return (
        f"{units.percent_text(layer.clipped, 0)} of the numbers of {layer.layer} ({layer.op}) lie outside {low:.3g} to {high:.3g}, which int8 was "
        "calibrated to: on other images than these, or on images prepared otherwise."
    )


def _nowhere(layers: Sequence[Compared], bound: float) -> str:
    if not layers:
        return "Which layer that comes from cannot be told: the file has no tensor that could be compared with the step before."
    most = max(layers, key=lambda each: each.error or 0.0)
    return (
        f"No layer alone is off by more than {bound:g} of its size, with all of them laid open; the most is {most.layer} ({most.op}), {_off(most)}. "
        "The fault may be the runtime's own, where it fuses them, or show at another batch only."
    )

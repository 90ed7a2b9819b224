"""Preprocessing inside the graph: such a file takes pictures, uint8 (n, height, width, channels), and a device needs no code of its own for them.

In: a network's fp32 model as `onnx` writes it, and its Preprocess. Out: a new model; the given one is left alone.

    normalise   pictures of the network's own size: the graph does colour order, mean and std
    resize      pictures of any size: one of the network's own size is taken as it is; any other is scaled, smoothed as the house's own resizing does
                it, until it covers that size over the part that a centre crop keeps, and its centre is cut out. For ONNX Runtime: TensorRT refuses
                such a file, OpenVINO 2026.4 does not smooth

Pictures are RGB; a grey network takes one channel. Where one convolution reads the images, its weights take up what they can: the colours' order and
the scale always, the mean only where it pads nothing. Zeros that it pads stand for the mean, which is another number for each channel before
normalisation, so that there the mean is subtracted. Networks that begin otherwise get a subtraction and a multiplication.
"""

from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgekd.export.onnx import INPUT, OUTPUT
from edgekd.preprocess import Preprocess

INSIDE_KEY = "edgekd.inside"
"""Under which a file's metadata hold the Preprocess that its graph does; under `PREPROCESS_KEY` stands what is `left`."""
PROBABILITIES = "probabilities"
"""What the output is called behind a softmax."""
How: TypeAlias = Literal["normalise", "resize"]

FOLDED = "edgekd/folded-"
"""What constants are called that took up something of the preprocessing."""

_OURS = "edgekd/"
_FILTERS: dict[str, dict[str, Any]] = {
    "nearest": {"mode": "nearest", "nearest_mode": "round_prefer_ceil"},
    "bilinear": {"mode": "linear", "antialias": 1, "exclude_outside": 1},
    "bicubic": {"mode": "cubic", "antialias": 1, "exclude_outside": 1, "cubic_coeff_a": -0.5},
}
"""Resize's words for what torch and Pillow do: where a filter reaches over the edge, what lies within counts alone."""


def left(preprocess: Preprocess, size: tuple[int, int]) -> Preprocess:
    """What a file with its preprocessing inside still wants: pictures of its network's size (height, width) in RGB or grey, as they are."""
    colour: Literal["rgb", "grey"] = "grey" if preprocess.colour == "grey" else "rgb"
    return msgspec.structs.replace(preprocess, size=size, mean=(0.0,), std=(1.0,), colour=colour)


def with_preprocessing(model: onnx.ModelProto, preprocess: Preprocess, how: How) -> onnx.ModelProto:
    """The model with its preprocessing in front, its input uint8 (n, height, width, channels).

    Args:
        model: of opset 18 or newer, with one input `images`, float32 (n, channels, height, width), of which the batch alone may be open.
        how: whether pictures of any size are taken, or the network's own size only.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph, front = made.graph, _Front()
    dims = graph.input[0].type.tensor_type.shape.dim
    channels, *size = (dim.dim_value for dim in dims[1:])
    planes = front.node("Transpose", front.node("Cast", INPUT, to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    if how == "resize":
        planes = _fitted(front, planes, preprocess, np.array(size, np.int64))
    mean, std = (np.broadcast_to(np.array(values, np.float64), channels) for values in (preprocess.mean, preprocess.std))
    prepared = _normalised(front, graph, planes, 255 * mean, 1 / (255 * std), flipped=preprocess.colour == "bgr")
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = prepared if name == INPUT else name
    nodes = [*front.nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(front.constants)
    shape = ["height", "width"] if how == "resize" else size
    graph.input[0].CopyFrom(helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [dims[0].dim_value or dims[0].dim_param, *shape, channels]))
    return made


def with_softmax(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with a softmax over the classes behind its logits: it answers `probabilities`."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    made.graph.node.append(helper.make_node("Softmax", [OUTPUT], [PROBABILITIES], name=f"{_OURS}softmax", axis=1))
    made.graph.output[0].name = PROBABILITIES
    return made


# In front -------------------------------------------------------------------------------------------------------------


class _Front:
    """Nodes and constants that are to stand in front of a graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """One more node; what it answers is called as itself."""
        name = f"{_OURS}{kind.lower()}-{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, values: NDArray[Any]) -> str:
        """One more constant: whole numbers as int64, others as float32."""
        name, kind = f"{_OURS}constant-{len(self.constants)}", np.int64 if values.dtype.kind == "i" else np.float32
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, kind), name))
        return name

    def sizes(self, *values: int) -> str:
        """A constant of whole numbers."""
        return self.constant(np.array(values, np.int64))


def _fitted(front: _Front, planes: str, preprocess: Preprocess, own: NDArray[np.int64]) -> str:
    """Planes (n, channels, height, width) of any size in the network's `own` (height, width). The arithmetic is whole numbers', which stay exact in
    an fp16 file."""
    cover = np.rint(own / preprocess.crop_fraction).astype(np.int64)
    sides = front.node("Shape", INPUT, start=1, end=3)
    others = front.node("Gather", sides, front.sizes(1, 0))
    # A side that follows from the other's fit is (side · cover of the other) / other, rounded; each is at least what is to be covered.
    doubled = front.node("Add", front.node("Mul", sides, front.constant(2 * cover[::-1])), others)
    following = front.node("Div", doubled, front.node("Mul", others, front.sizes(2)))
    sizes = front.node("Max", following, front.constant(cover))
    if (cover != own).any():
        apart = front.node("ReduceMax", front.node("Abs", front.node("Sub", sides, front.constant(own))), keepdims=1)
        sizes = front.node("Where", front.node("Equal", apart, front.sizes(0)), front.constant(own), sizes)
    filters = _FILTERS[preprocess.interpolation]
    # All four sizes and no `axes`: ONNX Runtime moves transpositions past it, and reads two sizes as four then.
    every = front.node("Concat", front.node("Shape", planes, start=0, end=2), sizes, axis=0)
    resized = front.node("Resize", planes, "", "", every, coordinate_transformation_mode="half_pixel", **filters)
    if preprocess.interpolation == "bicubic":
        resized = front.node("Clip", resized, front.constant(np.array(0.0)), front.constant(np.array(255.0)))
    begin = front.node("Div", front.node("Sub", sizes, front.constant(own)), front.sizes(2))
    for axis, side in enumerate(own.tolist(), start=2):
        # By places and not by a slice, which would leave whoever reads the file without the shape of all that follows.
        first = front.node("Gather", begin, front.sizes(axis - 2))
        resized = front.node("Gather", resized, front.node("Add", first, front.sizes(*range(side))), axis=axis)
    return resized


def _normalised(front: _Front, graph: onnx.GraphProto, planes: str, offset: NDArray[np.float64], scale: NDArray[np.float64], *, flipped: bool) -> str:
    """Planes in RGB from 0 to 255 as the network takes them: in its order of colours, less `offset`, times `scale`, both (channels,) in that order;
    what the first convolution can take up is done there."""
    conv = _first_convolution(graph)
    if flipped and conv is None:
        planes = front.node("Gather", planes, front.sizes(2, 1, 0), axis=1)
    if conv is not None:
        offset = _fold(graph, conv, offset, scale, flipped=flipped)
    if offset.any():
        planes = front.node("Sub", planes, front.constant(offset.reshape(1, -1, 1, 1)))
    return planes if conv is not None else front.node("Mul", planes, front.constant(scale.reshape(1, -1, 1, 1)))


# Folding --------------------------------------------------------------------------------------------------------------


def _first_convolution(graph: onnx.GraphProto) -> onnx.NodeProto | None:
    """The ungrouped convolution with constant weights that alone reads the images; None where something else does."""
    constants = {tensor.name for tensor in graph.initializer}
    readers = [node for node in graph.node if INPUT in node.input]
    if len(readers) != 1 or readers[0].op_type != "Conv" or not constants.issuperset(readers[0].input[1:]):
        return None
    return readers[0] if attributes(readers[0]).get("group", 1) == 1 else None


def _fold(
    graph: onnx.GraphProto, conv: onnx.NodeProto, offset: NDArray[np.float64], scale: NDArray[np.float64], *, flipped: bool
) -> NDArray[np.float64]:
    """Let a convolution read planes in RGB from 0 to 255; what must be subtracted from them before it, (channels,): 0 where it takes that up too."""
    weights = _constant(graph, conv.input[1]) * scale.reshape(1, -1, 1, 1)
    if flipped:
        weights, offset = weights[:, ::-1], offset[::-1]
    _replace(graph, conv, 1, weights)
    given = attributes(conv)
    if any(given.get("pads", ())) or given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        return offset
    bias = _constant(graph, conv.input[2]) if len(conv.input) > 2 else np.zeros(len(weights))
    _replace(graph, conv, 2, bias - (weights * offset.reshape(1, -1, 1, 1)).sum((1, 2, 3)))
    return np.zeros_like(offset)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes as Python has them, by name; those that it does not state are missing."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _constant(graph: onnx.GraphProto, name: str) -> NDArray[np.float64]:
    return numpy_helper.to_array(next(tensor for tensor in graph.initializer if tensor.name == name)).astype(np.float64)


def _replace(graph: onnx.GraphProto, node: onnx.NodeProto, place: int, values: NDArray[np.float64]) -> None:
    """Give a node another constant as its input number `place`; the old one goes where nobody else reads it."""
    name = f"{FOLDED}{place}"
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
    old = node.input[place] if len(node.input) > place else ""
    if old:
        node.input[place] = name
    else:
        node.input.append(name)
    if old and not any(old in other.input for other in graph.node):
        graph.initializer.remove(next(tensor for tensor in graph.initializer if tensor.name == old))

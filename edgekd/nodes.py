"""What each node of an ONNX graph holds and computes: weights, multiply-accumulates, and whether it can run in integers.

In: a model. Out: a `Layer` for each node. Counts are of one image: the first dimension of each input is the batch, and taken as 1 where the file
leaves it open.

Parameters are the learned numbers that the file holds: floating-point initialisers, and integer ones that a DequantizeLinear or an
integer layer reads, each once. Scales, zero points, running statistics, shapes and lone constants are none. BatchNorm folded into a
convolution has left the count, so it is a little below the network's own.
"""

import math
from collections.abc import Iterable, Iterator

from edgekd.errors import MissingExtra
from edgekd.macs import MACS, UNCOUNTED
from edgekd.record import Layer

try:
    import onnx
    from onnx import NodeProto, TensorProto
except ImportError:
    raise MissingExtra("onnx", "measure") from None

STANDARD = ("", "ai.onnx")

_PASSES = {"DequantizeLinear", "QuantizeLinear", "Cast", "Transpose", "Reshape", "Identity"}
"""What hands weights on to the layer that uses them."""

_QLINEAR = (1, 2, 4, 5, 6, 7)
_NO_WEIGHTS: dict[str, tuple[int, ...]] = {
    "BatchNormalization": (3, 4),
    "Clip": (1, 2),
    "ConvInteger": (2, 3),
    "MatMulInteger": (2, 3),
    "Pad": (1, 2, 3),
    "QGemm": (1, 2, 4, 5, 7, 8),
    "QLinearAdd": _QLINEAR,
    "QLinearConv": _QLINEAR,
    "QLinearMatMul": _QLINEAR,
    "QLinearMul": _QLINEAR,
    "QLinearGlobalAveragePool": (1, 2, 3, 4),
    "Resize": (1, 2, 3),
    "Upsample": (1,),
}
"""Inputs that hold scales, zero points, bounds or running statistics."""

INSIDE = "edgekd/"
"""What nodes are called that do a network's preprocessing (`export.inside`): they hold nothing that was learnt."""

_ACTIVATIONS = {"Clip", "LeakyRelu", "Relu", "Sigmoid"}

_INTEGER = {"ConvInteger", "MatMulInteger", "QGemm", "QLinearAdd", "QLinearConv", "QLinearGlobalAveragePool", "QLinearMatMul", "QLinearMul"}

_BITS: dict[int, int] = {
    TensorProto.FLOAT: 32,
    TensorProto.DOUBLE: 64,
    TensorProto.FLOAT16: 16,
    TensorProto.BFLOAT16: 16,
    TensorProto.INT8: 8,
    TensorProto.UINT8: 8,
    TensorProto.INT16: 16,
    TensorProto.UINT16: 16,
    TensorProto.INT32: 32,
    TensorProto.INT4: 4,
    TensorProto.UINT4: 4,
    TensorProto.FLOAT8E4M3FN: 8,
    TensorProto.FLOAT8E5M2: 8,
    TensorProto.FLOAT8E4M3FNUZ: 8,
    TensorProto.FLOAT8E5M2FNUZ: 8,
    TensorProto.FLOAT4E2M1: 4,
}
_FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}
_PRECISIONS: dict[int, str] = {
    TensorProto.FLOAT: "fp32",
    TensorProto.DOUBLE: "fp64",
    TensorProto.FLOAT16: "fp16",
    TensorProto.BFLOAT16: "bf16",
    TensorProto.INT8: "int8",
    TensorProto.UINT8: "int8",
    TensorProto.INT4: "int4",
    TensorProto.UINT4: "int4",
    TensorProto.FLOAT8E4M3FN: "fp8",
    TensorProto.FLOAT8E5M2: "fp8",
    TensorProto.FLOAT8E4M3FNUZ: "fp8",
    TensorProto.FLOAT8E5M2FNUZ: "fp8",
    TensorProto.FLOAT4E2M1: "fp4",
}

_IMAGES = 4
"""Axes of an input of images."""


class Nodes:
    """A model's nodes with what is known about their tensors."""

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        self.nodes = list(graph.node)
        self.constants: dict[str, TensorProto] = {tensor.name: tensor for tensor in (*graph.initializer, *_constant_nodes(graph.node))}
        self.producers = {output: node for node in graph.node for output in node.output}
        self.users: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for read in node.input:
                self.users.setdefault(read, []).append(node)
        self.uncounted = any(node.op_type in UNCOUNTED or _foreign(node) for node in graph.node)
        self.batch = _batch(graph)
        self.shapes = _shapes(model)

    def layers(self) -> list[Layer]:
        """Every node but those that hand weights on, in the file's order."""
        seen: set[str] = set()
        return [self._layer(node, seen) for node in self.nodes if node.op_type not in _PASSES and node.op_type != "Constant"]

    def quantised(self, node: NodeProto) -> bool:
        """Whether a runtime can run a node in integers.

        What it reads must come dequantised and what it gives be quantised again, if only behind an activation; what multiplies weights may
        give floats.
        """
        if node.op_type in _INTEGER:
            return True
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
            return False
        read = [name for name in node.input if name and name not in self.constants]
        if not read or any(name not in self.producers or self.producers[name].op_type != "DequantizeLinear" for name in read):
            return False
        return node.op_type in {"Conv", "ConvTranspose", "Gemm", "MatMul"} or self._requantised(node)

    def _requantised(self, node: NodeProto) -> bool:
        users = self.users.get(node.output[0], [])
        if len(users) == 1 and users[0].op_type in _ACTIVATIONS:
            users = self.users.get(users[0].output[0], [])
        return bool(users) and all(user.op_type == "QuantizeLinear" for user in users)

    def _layer(self, node: NodeProto, seen: set[str]) -> Layer:
        weights = [tensor for tensor in self._weights(node) if tensor.name not in seen]
        seen.update(tensor.name for tensor in weights)
        inner = [tensor for graph in _graphs(node) for tensor in _tensors(graph) if tensor.data_type in _FLOATS and _count(tensor) > 1]
        largest = max((*weights, *inner), key=_count, default=None)
        return Layer(
            name=node.name or node.output[0],
            op=operator(node),
            params=sum(_count(tensor) for tensor in weights) + sum(map(_count, inner)),
            bytes=sum(_count(tensor) * _BITS[tensor.data_type] // 8 for tensor in (*weights, *inner)),
            macs=self._macs(node),
            precision="" if largest is None else _PRECISIONS.get(largest.data_type, "other"),
        )

    def _weights(self, node: NodeProto) -> Iterable[TensorProto]:
        if node.name.startswith(INSIDE):
            return
        skipped = _NO_WEIGHTS.get(node.op_type, ())
        for place, name in enumerate(node.input):
            tensor = None if place in skipped else self._weight(name)
            if tensor is None or tensor.data_type not in _BITS:
                continue
            integer = tensor.data_type not in _FLOATS
            dequantised = tensor.name != name or node.op_type in _INTEGER
            lone = _count(tensor) == 1 and node.op_type not in MACS
            if not lone and (not integer or dequantised):
                yield tensor

    def _weight(self, name: str) -> TensorProto | None:
        """The constant behind a tensor, through whatever merely recasts it."""
        while name not in self.constants:
            maker = self.producers.get(name)
            if maker is None or maker.op_type not in _PASSES:
                return None
            name = maker.input[0]
        return self.constants[name]

    def _macs(self, node: NodeProto) -> int | None:
        if node.op_type not in MACS:
            return 0
        places, count = MACS[node.op_type]
        factors = [self.shapes.get(node.input[place]) for place in places]
        output = self.shapes.get(node.output[0])
        known = [shape for shape in factors if shape is not None]
        if output is None or len(known) < len(factors):
            return None
        return count(known, output) // self.batch


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Every tensor's shape where all its dimensions are known, at batch 1 where the batch is open."""
    light = onnx.ModelProto()
    light.CopyFrom(model)
    del light.graph.value_info[:]
    for value in (*light.graph.input, *light.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_value < 0:  # as some exporters write open axes
                dim.ClearField("dim_value")
    batches = {dims[0].dim_param for value in light.graph.input if (dims := value.type.tensor_type.shape.dim) and not dims[0].dim_value}
    for value in (*light.graph.input, *light.graph.output):
        dims = value.type.tensor_type.shape.dim
        if dims and not dims[0].dim_value and dims[0].dim_param in batches:
            dims[0].dim_value = 1
    inferred = onnx.shape_inference.infer_shapes(light, data_prop=True)
    shapes = {tensor.name: tuple(tensor.dims) for tensor in (*light.graph.initializer, *_constant_nodes(light.graph.node))}
    for value in (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            shapes[value.name] = tuple(dim.dim_value for dim in dims)
    return shapes


def _batch(graph: onnx.GraphProto) -> int:
    """How many images a model takes at once: the first axis of an input, of four axes where there is one, that an output has, too; else 1, which
    counts too much and never too little."""
    initialisers = {tensor.name for tensor in graph.initializer}
    inputs = [value.type.tensor_type.shape.dim for value in graph.input if value.name not in initialisers]
    outputs = {dims[0].dim_value for value in graph.output if (dims := value.type.tensor_type.shape.dim)}
    firsts = [dims[0].dim_value for dims in sorted(inputs, key=lambda dims: len(dims) != _IMAGES) if dims]
    return next((max(1, first) for first in firsts if not outputs or first in outputs or min(outputs) <= 0), 1)  # 0 or less: one's own is open


def _graphs(node: NodeProto) -> Iterator[onnx.GraphProto]:
    """What stands within a node: the branches of an If, the body of a Loop."""
    for attribute in node.attribute:
        yield from ([attribute.g] if attribute.HasField("g") else [])
        yield from attribute.graphs


def inner_nodes(graph: onnx.GraphProto) -> Iterator[NodeProto]:
    """Every node, those within others, too."""
    for node in graph.node:
        yield node
        for inner in _graphs(node):
            yield from inner_nodes(inner)


def _tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """All that a graph holds: initialisers, what `Constant` nodes hold, and the same of graphs within nodes."""
    yield from graph.initializer
    yield from _constant_nodes(graph.node)
    for node in graph.node:
        for inner in _graphs(node):
            yield from _tensors(inner)


def _constant_nodes(nodes: Iterable[NodeProto]) -> Iterable[TensorProto]:
    """What `Constant` nodes hold, under the name of their output."""
    for node in nodes:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    tensor = TensorProto()
                    tensor.CopyFrom(attribute.t)
                    tensor.name = node.output[0]
                    yield tensor


def _count(tensor: TensorProto) -> int:
    return math.prod(tensor.dims)


def _foreign(node: NodeProto) -> bool:
    return node.domain not in STANDARD and node.op_type not in {"QuantizeLinear", "DequantizeLinear"}


def operator(node: NodeProto) -> str:
    """A node's operator, with its domain where that is not ONNX's own."""
    return node.op_type if node.domain in STANDARD else f"{node.domain}.{node.op_type}"

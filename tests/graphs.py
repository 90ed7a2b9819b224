"""Small ONNX graphs, whose counts can be worked out by hand."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgekd.graph import Graph, summarise


def value(name: str, *shape: int | str, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def scalar(name: str, number: float, kind: type[np.generic] = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(number, kind), name)


def weight(name: str, *shape: int, kind: type[np.generic] = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ones(shape, kind), name)


def model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: list[onnx.TensorProto],
    domains: tuple[str, ...] = (),
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "toy", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", 20), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def count(*nodes: onnx.NodeProto, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto], weights: list[onnx.TensorProto]) -> Graph:
    made = model(list(nodes), inputs, outputs, weights)
    onnx.checker.check_model(made)
    return summarise(made, 0)


def qdq() -> onnx.ModelProto:
    """A 2→4 pointwise convolution between quantised activations."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xf"]),
        helper.make_node("DequantizeLinear", ["wq", "ws", "wz"], ["w"], axis=0),
        helper.make_node("DequantizeLinear", ["bq", "ws"], ["b"], axis=0),
        helper.make_node("Conv", ["xf", "w", "b"], ["y"]),
        helper.make_node("QuantizeLinear", ["y", "s", "z"], ["yq"]),
        helper.make_node("DequantizeLinear", ["yq", "s", "z"], ["out"]),
    ]
    weights = [
        scalar("s", 0.1),
        scalar("z", 3, np.uint8),
        weight("wq", 4, 2, 1, 1, kind=np.int8),
        weight("ws", 4),
        weight("wz", 4, kind=np.int8),
        weight("bq", 4, kind=np.int32),
    ]
    return model(nodes, [value("x", "n", 2, 5, 5)], [value("out", "n", 4, 5, 5)], weights)

"""An ONNX model with its arithmetic in fp16, and nothing else changed: what leaves fp16's range is the caller's to find (`precision`)."""

from collections.abc import Collection

import onnx
from onnx import TensorProto

__all__ = ["halved", "name_nodes"]


def halved(model: onnx.ModelProto, floats: Collection[str] = (), *, io: bool = False) -> onnx.ModelProto:
    """A copy with weights and arithmetic in fp16, but for the nodes named in `floats`; its inputs and outputs stay float32, unless `io`."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    half = convert_float_to_float16(copy, keep_io_types=not io, node_block_list=list(floats))
    assert isinstance(half, onnx.ModelProto)
    _pass_on(half.graph)
    OnnxModel.graph_topological_sort(half.graph)  # the converter leaves its casts at the end
    return half


def name_nodes(model: onnx.ModelProto) -> None:
    """Give every node a name of its own, by which it can be kept in float."""
    names: set[str] = set()
    for number, node in enumerate(model.graph.node):
        if not node.name or node.name in names:
            node.name = f"{node.op_type}/{number}"
        names.add(node.name)


def _pass_on(graph: onnx.GraphProto) -> None:
    """Let float32 go straight from one node that stays in float32 to the next: the converter leads it through fp16, whose range it may leave."""
    casts = {node.output[0]: node for node in graph.node if node.op_type == "Cast"}

    def to(node: onnx.NodeProto) -> int:
        return int(next(attribute.i for attribute in node.attribute if attribute.name == "to"))

    straight = {}
    for name, node in casts.items():
        before = casts.get(node.input[0])
        if before is not None and to(node) == TensorProto.FLOAT and to(before) == TensorProto.FLOAT16:
            straight[name] = before.input[0]
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name in straight:
                node.input[place] = straight[name]
    while idle := _idle_casts(graph):
        for node in idle:
            graph.node.remove(node)


def _idle_casts(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    asked = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    return [node for node in graph.node if node.op_type == "Cast" and node.output[0] not in asked]

"""fp16 of an ONNX model, whose numbers reach 65,504 and no further: what is larger is found on real images and kept in float32.

In: a checked fp32 model and prepared images. Out: a new model, and the nodes that stayed in float32; the given one is left alone.
Nothing here judges what the precision costs: `parity` and `evaluate` do.
"""

from collections.abc import Collection

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from edgekd.errors import EdgekdError
from edgekd.export.feed import Feed, open_session
from edgekd.export.parity import remedy

FP16_MAX = 65504.0
"""The largest number that fp16 holds."""
HEADROOM = 2.0
"""How many times an activation may grow beyond what was seen before it leaves fp16's range."""
BATCH = 8
"""Images whose activations are looked at together."""


def to_fp16(model: onnx.ModelProto, images: NDArray[np.float32], feed: Feed, name: str, *, io: bool = False) -> tuple[onnx.ModelProto, list[str]]:
    """The model with weights and arithmetic in fp16, and the names of the nodes that stay in float32; its input and output do, too, but with `io`.

    A CPU computes fp16 files in fp32 and would not notice what leaves fp16's range, so that it is looked for.

    Args:
        images: prepared images, whose activations are looked at; what comes within `HEADROOM` of the range's end stays in float32, too.
        name: what messages call the model.

    Raises:
        EdgekdError: an activation is not finite in fp32 already, or nothing would be left in fp16.
    """
    named = onnx.ModelProto()
    named.CopyFrom(model)
    name_nodes(named)
    large = _large_weights(named) | _large_activations(named, images, feed, name)
    kept = [node.name for node in named.graph.node if large.intersection([*node.input, *node.output])]
    weighted = [node.name for node in named.graph.node if _has_weights(named, node)]
    if kept and set(weighted) <= set(kept):
        raise EdgekdError(f"fp16 holds numbers up to {FP16_MAX:.0f}, and every layer of {name} has larger ones. {remedy('fp16')}")
    return halved(named, kept, io=io), kept


def _has_weights(model: onnx.ModelProto, node: onnx.NodeProto) -> bool:
    constants = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) > 1}
    return any(name in constants for name in node.input)


def _large_weights(model: onnx.ModelProto) -> set[str]:
    """Weights that the converter would clamp without a word."""
    floats = [tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT]
    return {tensor.name for tensor in floats if float(np.abs(onnx.numpy_helper.to_array(tensor)).max(initial=0.0)) > FP16_MAX}


def _large_activations(model: onnx.ModelProto, images: NDArray[np.float32], feed: Feed, name: str) -> set[str]:
    """Tensors that leave fp16's range on these images."""
    inferred = onnx.shape_inference.infer_shapes(model)
    inside = [value for value in inferred.graph.value_info if value.type.tensor_type.elem_type == TensorProto.FLOAT]
    open_graph = onnx.ModelProto()
    open_graph.CopyFrom(model)
    produced = {output for node in model.graph.node for output in node.output}
    open_graph.graph.output.extend(value for value in inside if value.name in produced)
    session = open_session(open_graph.SerializeToString(), name)
    names = [output.name for output in session.get_outputs()]
    large = set()
    for some in feed.batches(images, BATCH):
        for tensor, values in zip(names, session.run(names, feed.fed(some)), strict=True):
            largest = float(np.abs(values).max(initial=0.0))
            if not np.isfinite(largest):
                raise EdgekdError(f"{tensor} inside {name} is not finite in fp32 already. Teach the network again, or look for broken weights.")
            if largest > FP16_MAX / HEADROOM:
                large.add(tensor)
    return large


# The converter ---------------------------------------------------------------------------------------------------------


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

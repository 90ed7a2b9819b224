"""Gates of an ONNX model in int8: what a layer's answer is multiplied by, in squeeze-and-excitation and inside SiLU and hard-swish.

In: a model before it is quantised (`pooled`, `others`), or with its QuantizeLinear/DequantizeLinear pairs (`as_sums`). Left in float, a gate breaks
the chain of 8-bit layers twice: mobilenet_v3_small then goes from int8 to float and back 77 times, and is slower than it was in float. ONNX Runtime
has 8-bit kernels of Sigmoid, products, sums and pooling over the image, and none of HardSigmoid and of means.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgekd.export.inside import attributes
from edgekd.nodes import inner_nodes

GATES = ("Sigmoid", "HardSigmoid")
_ALPHA, _BETA = 0.2, 0.5
"""HardSigmoid's own, where a node states none (onnx.ai, "HardSigmoid")."""


def pooled(model: onnx.ModelProto) -> None:
    """Write means over height and width as GlobalAveragePool, in place; shapes are known. Where both axes go, Flatten takes them away."""
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    images = {value.name for value in graph.value_info if len(value.type.tensor_type.shape.dim) == 4}
    for node in [node for node in graph.node if node.op_type == "ReduceMean" and node.input[0] in images]:
        said = attributes(node)
        if not _over_image(node, said, constants):
            continue
        if not said.get("keepdims", 1):
            (flat,) = node.output
            node.output[0] = f"{flat}/image"
            flatten = helper.make_node("Flatten", [node.output[0]], [flat], name=f"{flat}/flat", axis=1)
            graph.node.insert(list(graph.node).index(node) + 1, flatten)
        node.op_type = "GlobalAveragePool"
        del node.input[1:], node.attribute[:]
    used = {name for node in inner_nodes(graph) for name in node.input} | {output.name for output in graph.output}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)


def _over_image(node: onnx.NodeProto, said: Mapping[str, Any], constants: Mapping[str, onnx.TensorProto]) -> bool:
    """Whether it is over the last two axes. Which ones is an input since opset 18, an attribute before."""
    if len(node.input) > 1 and node.input[1] in constants:
        axes = numpy_helper.to_array(constants[node.input[1]]).tolist()
    else:
        axes = list(said.get("axes", []))
    return sorted(axes) in ([2, 3], [-2, -1])


def others(model: onnx.ModelProto, floats: Collection[str] = ()) -> list[str]:
    """Names of products without a gate, of gates that are multiplied by nothing (a last Sigmoid rounded to 256 steps is a poor answer), and of the
    gates and products of layers in `floats` and the pools before them, which stay in float with them."""
    after = {name for node in model.graph.node if node.name in floats for name in node.output}
    gates = {node.output[0] for node in model.graph.node if node.op_type in GATES and node.input[0] not in after}
    products = [node for node in model.graph.node if node.op_type == "Mul"]
    gated = {name for node in products for name in node.input if name in gates}
    idle = [node.name for node in model.graph.node if node.op_type in GATES and node.output[0] not in gated]
    idle += [node.name for node in model.graph.node if node.op_type == "GlobalAveragePool" and _only_before(node, model.graph, floats)]
    return idle + [node.name for node in products if not gates.intersection(node.input)]


def _only_before(node: onnx.NodeProto, graph: onnx.GraphProto, floats: Collection[str]) -> bool:
    """Whether all that read a node, through what only gives its answer another shape, are in `floats`."""
    readers = [each for each in graph.node if node.output[0] in each.input]
    shaped = ("Flatten", "Reshape", "Squeeze")
    return bool(readers) and all(each.name in floats or (each.op_type in shaped and _only_before(each, graph, floats)) for each in readers)


def as_sums(model: onnx.ModelProto) -> None:
    """Write each HardSigmoid between 8-bit numbers as a sum, in place: α·x + β, cut off at 0 and 1 by the range of what it is rounded to.

    α·x is the same 8-bit number read with another scale.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    answers = {output.name for output in graph.output}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    for node in [node for node in graph.node if node.op_type == "HardSigmoid"]:
        before, after = makers.get(node.input[0]), users.get(node.output[0], [])
        rounded = bool(after) and node.output[0] not in answers and all(_within_one(each, constants) for each in after)
        if before is not None and before.op_type == "DequantizeLinear" and rounded:
            sum_ = _sum(node, before, constants)
            at = list(graph.node).index(node)
            graph.node.remove(node)
            if len(users[before.output[0]]) == 1:  # nobody reads it any more, and ONNX Runtime would compute it all the same
                graph.node.remove(before)
                at -= 1
            for place, each in enumerate(sum_.node):
                graph.node.insert(at + place, each)
            graph.initializer.extend(sum_.initializer)


def _within_one(node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]) -> bool:
    """Whether it rounds to numbers from 0 to at most 1."""
    if node.op_type != "QuantizeLinear":
        return False
    scale, zero = (numpy_helper.to_array(constants[name]) for name in node.input[1:3])
    return bool(zero.dtype == np.uint8 and not zero.any() and 255 * scale <= 1 + 1e-6)


def _sum(node: onnx.NodeProto, before: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]) -> onnx.GraphProto:
    said = attributes(node)
    alpha, beta = said.get("alpha", _ALPHA), said.get("beta", _BETA)
    scale = numpy_helper.to_array(constants[before.input[1]])
    numbers: dict[str, NDArray[Any]] = {
        "scale": np.asarray(scale * np.float32(alpha), np.float32),
        "beta": np.array(255, np.uint8),
        "beta_scale": np.array(beta / 255, np.float32),
        "beta_zero": np.array(0, np.uint8),
    }
    name = {key: f"{node.name}/{key}" for key in (*numbers, "scaled", "added")}
    return helper.make_graph(
        [
            helper.make_node("DequantizeLinear", [before.input[0], name["scale"], before.input[2]], [name["scaled"]], name=name["scaled"]),
            helper.make_node("DequantizeLinear", [name["beta"], name["beta_scale"], name["beta_zero"]], [name["added"]], name=name["added"]),
            helper.make_node("Add", [name["scaled"], name["added"]], [node.output[0]], name=node.name),
        ],
        node.name,
        [],
        [],
        [numpy_helper.from_array(value, name[key]) for key, value in numbers.items()],
    )

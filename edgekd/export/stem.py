"""The first layers of a network of depthwise convolutions, which int8 for CPUs leaves in float.

A convolution of the images has 9 products a number and channel, too few for 8-bit kernels to pay for gathering them, and ONNX Runtime's depthwise
ones were no faster in 8 bits than in float on the CPU that was looked at, one with VNNI. In mobilenet_v2 at 224² the two take 395 µs in int8 and
224 in float there (benchmarks/LOG.md, 2026-11-27). Where something else follows the stem, int8 is the faster one.
"""

from collections.abc import Iterator, Mapping

import onnx

from edgekd.export.inside import attributes

PASSED = ("Relu", "Clip", "Sigmoid", "HardSigmoid", "Mul", "HardSwish")
"""What may stand between the two: activations, and gates that are written as two nodes."""
COLOURS = 4
"""At most so many channels has an image."""


def stem(model: onnx.ModelProto) -> list[str]:
    """Names of the convolution that reads the images and of the depthwise one behind it, or none; nodes have names, weights are constants."""
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv" and node.input[1] in shapes]
    first = convolutions[0] if convolutions else None
    if first is None or _group(first) > 1 or shapes[first.input[1]][1] > COLOURS:
        return []
    readers = list(_readers(model.graph, first.output[0]))
    second = readers[0] if readers else first
    if any(node.name != second.name for node in readers) or not _is_depthwise(second, shapes):
        return []
    return [first.name, second.name]


def _readers(graph: onnx.GraphProto, name: str) -> Iterator[onnx.NodeProto]:
    """What reads a tensor, behind what is passed."""
    for node in graph.node:
        if name in node.input:
            if node.op_type in PASSED:
                yield from _readers(graph, node.output[0])
            else:
                yield node


def _is_depthwise(node: onnx.NodeProto, shapes: Mapping[str, list[int]]) -> bool:
    return node.op_type == "Conv" and _group(node) > 1 and shapes.get(node.input[1], [0])[0] == _group(node)


def _group(node: onnx.NodeProto) -> int:
    return int(attributes(node).get("group", 1))

"""What ONNX Runtime runs of a file on this CPU: the nodes of the graph that its own optimisation leaves.

In: an ONNX file. Out: how many nodes there are by operator, and which of them compute in 8 bits. An int8 file promises only pairs of QuantizeLinear
and DequantizeLinear: whether they fuse into 8-bit arithmetic, or only cost conversions, shows here.
"""

import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import onnx

from edgekd.device.agent.onnxrt import WRONG

CONVERSIONS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
"""Nodes that only go between 8 bits and float."""
_PLAIN = {
    "QGemm": "Gemm",
    "ConvInteger": "Conv",
    "MatMulInteger": "MatMul",
    "MatMulIntegerToFloat": "MatMul",
    "DynamicQuantizeMatMul": "MatMul",
    "QAttention": "Attention",
}
"""ONNX Runtime's 8-bit forms of operators whose names are not QLinear and the operator's own."""


def optimised(file: Path) -> dict[str, int]:
    """Nodes by operator in the graph that runs, as ONNX Runtime names them."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory(prefix="edgekd-optimised-") as folder:
        left = Path(folder, "optimised.onnx")
        options.optimized_model_filepath = str(left)
        onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"], disabled_optimizers=WRONG)
        graph = onnx.load(left, load_external_data=False).graph
    return dict(sorted(Counter(node.op_type for node in graph.node).items()))


def in_int8(nodes: Mapping[str, int]) -> dict[str, int]:
    """Of nodes by operator those that compute in 8 bits, by the operator that they were in float."""
    found: Counter[str] = Counter()
    for kind, count in nodes.items():
        plain = _PLAIN.get(kind) or (kind.removeprefix("QLinear") if kind.startswith("QLinear") else None)
        if plain:
            found[plain] += count
    return dict(sorted(found.items()))


def conversions(nodes: Mapping[str, int]) -> int:
    """How many nodes only go between 8 bits and float."""
    return sum(nodes.get(kind, 0) for kind in CONVERSIONS)


def told(nodes: Mapping[str, int]) -> str:
    """As "7 Conv, 1 Gemm of 12 nodes in 8 bits; 2 only convert"."""
    inside = ", ".join(f"{count} {kind}" for kind, count in in_int8(nodes).items()) or "none"
    return f"{inside} of {sum(nodes.values())} nodes in 8 bits; {conversions(nodes)} only convert"

"""ONNX files of a few weights, written without torch, for tests that need a file and not a network."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

METADATA = {"edgekd.preprocess": '{"size": [4, 4], "mean": [0.0], "std": [1.0], "colour": "grey"}', "edgekd.classes": '["dark", "bright"]'}


def brightness(path: Path, metadata: Mapping[str, str] = METADATA, *, gain: float = 10.0) -> Path:
    """A classifier of grey 4×4 images into dark and bright: the mean pixel times `gain`, against its middle. 34 parameters."""
    weights = np.stack([np.full(16, -gain / 16), np.full(16, gain / 16)], axis=1).astype(np.float32)
    bias = np.array([gain / 2, -gain / 2], np.float32)
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "w", "b"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 1, 4, 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path

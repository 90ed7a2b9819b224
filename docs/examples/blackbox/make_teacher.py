"""Stands for a vendor's model: teacher.onnx, a classifier of the digits with a softmax.

2048 random features of the pixels, and the classes' regression on them, in closed form.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgekd.data import source

FEATURES = 2048

digits = source.load("digits").train
pixels = digits.read(np.arange(len(digits))).reshape(len(digits), -1) / 255
draw = np.random.default_rng(0)
first = draw.normal(0, 0.1, (pixels.shape[1], FEATURES))
shift = draw.normal(0, 0.5, FEATURES)
features = np.maximum(pixels @ first + shift, 0)
wanted = np.eye(10)[digits.labels]
second = np.linalg.solve(features.T @ features + np.eye(FEATURES), features.T @ wanted)

arrays = {"first": first, "shift": shift, "second": 10 * second}
graph = helper.make_graph(
    [
        helper.make_node("Flatten", ["images"], ["pixels"]),
        helper.make_node("Gemm", ["pixels", "first", "shift"], ["sums"]),
        helper.make_node("Relu", ["sums"], ["features"]),
        helper.make_node("MatMul", ["features", "second"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"]),
    ],
    "digits",
    [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 1, 32, 32])],
    [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
    [numpy_helper.from_array(values.astype(np.float32), name) for name, values in arrays.items()],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
onnx.checker.check_model(model)
onnx.save(model, Path(__file__).parent / "teacher.onnx")

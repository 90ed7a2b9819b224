"""ONNX files of a few weights in every layout and type that a file on a device may have, written without torch, and a target to run them on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgekd.record import Artifact, Precision

Shape = Sequence[int | str]
CLASSES = 5


def classifier(
    path: Path,
    shape: Shape = ("batch", 3, 6, 4),
    *,
    kind: int = TensorProto.FLOAT,
    softmax: bool = False,
    outputs: Sequence[str] = ("logits",),
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Images of this shape and type → 5 logits by one matrix of noise, which stand in the output called `logits`; further outputs are the images."""
    size = int(np.prod([axis for axis in shape[1:] if isinstance(axis, int)]))
    weights = np.random.default_rng(3).normal(0, 0.3, (size, CLASSES)).astype(np.float32)
    cast = [helper.make_node("Cast", ["images"], ["numbers"], to=TensorProto.FLOAT)]
    nodes = [*cast, helper.make_node("Flatten", ["numbers"], ["flat"], axis=1), helper.make_node("MatMul", ["flat", "w"], ["raw"])]
    nodes += [
        helper.make_node("Softmax" if softmax else "Identity", ["raw"], [outputs[0]]),
        *(helper.make_node("Identity", ["flat"], [name]) for name in outputs[1:]),
    ]
    puts = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [shape[0], None]) for name in outputs]
    images = helper.make_tensor_value_info("images", kind, list(shape))
    return written(path, helper.make_graph(nodes, "classifier", [images], puts, [numpy_helper.from_array(weights, "w")]), metadata or {})


def passing(path: Path, inputs: Mapping[str, tuple[int, Shape]]) -> Path:
    """Every input (type, shape) passed on as it is."""
    puts = [helper.make_tensor_value_info(name, kind, list(shape)) for name, (kind, shape) in inputs.items()]
    outs = [helper.make_tensor_value_info(f"{name}_out", kind, list(shape)) for name, (kind, shape) in inputs.items()]
    return written(path, helper.make_graph([helper.make_node("Identity", [name], [f"{name}_out"]) for name in inputs], "passing", puts, outs), {})


def heavy(path: Path, shape: Shape = ("batch", 256), layers: int = 4) -> Path:
    """Matrices of 256 × 256 one after another: a fraction of a millisecond, where the call itself takes microseconds."""
    weights = [numpy_helper.from_array(np.full((256, 256), 1 / 256, np.float32), f"w{layer}") for layer in range(layers)]
    nodes = [helper.make_node("MatMul", [f"x{layer}", f"w{layer}"], [f"x{layer + 1}"]) for layer in range(layers)]
    put = helper.make_tensor_value_info("x0", TensorProto.FLOAT, list(shape))
    out = helper.make_tensor_value_info(f"x{layers}", TensorProto.FLOAT, list(shape))
    return written(path, helper.make_graph(nodes, "heavy", [put], [out], weights), {})


def stubborn(path: Path) -> Path:
    """A file that calls its batch open and takes one row all the same."""
    weights = [numpy_helper.from_array(np.array([1, 256], np.int64), "one"), numpy_helper.from_array(np.ones((256, 256), np.float32), "w")]
    nodes = [helper.make_node("Reshape", ["x", "one"], ["row"]), helper.make_node("MatMul", ["row", "w"], ["y"])]
    put, out = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 256]) for name in "xy")
    return written(path, helper.make_graph(nodes, "stubborn", [put], [out], weights), {})


def written(path: Path, graph: onnx.GraphProto, metadata: Mapping[str, str]) -> Path:
    """A checked model in a file."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def artifact(file: Path, precision: Precision = "as-is") -> tuple[Artifact, Path]:
    """A file with what a bench wants to know of it."""
    known = Artifact(role="file", network=file.stem, precision=precision, path=str(file), sha256="", size=1, params=1, macs=None, opset=20)
    return known, file


def aim(folder: Path, **other: Any) -> str:
    """A target of one thread, which other programs disturb less."""
    given = {"description": "quiet", "provider": "CPUExecutionProvider", "threads": 1, "batch": 1, **other}
    lines = [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in given.items()]
    file = folder / "quiet.toml"
    file.write_text("\n".join([*lines, 'runtime = "onnxruntime"', 'precisions = ["fp32"]', 'int8 = "int8-cpu"']))
    return str(file)

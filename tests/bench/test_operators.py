"""bench/operators.py: which layer an operator of the runtime is, on names as runtimes make them and on a file that a real one runs."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgekd.bench.operators import Node, layer_times, layers_of
from edgekd.device.agent import apart
from edgekd.gate.bare import inspect

RESIDUAL = [
    Node("conv1", "Conv", ("images", "w1"), ("c1",)),
    Node("relu1", "Relu", ("c1",), ("r1",)),
    Node("conv2", "Conv", ("r1", "w2"), ("c2",)),
    Node("short", "Conv", ("r1", "w3"), ("c3",)),
    Node("sum", "Add", ("c2", "c3"), ("s",)),
    Node("relu2", "Relu", ("s",), ("r2",)),
    Node("fc", "MatMul", ("r2", "w4"), ("m",)),
    Node("bias", "Add", ("m", "b"), ("logits",)),
]
"""Two convolutions after one another with a third around the second, and a matrix product with a bias."""
LAYERS = {"conv1", "conv2", "short", "fc", "bias"}


@pytest.mark.parametrize(
    ("ran", "layers"),
    [
        ([("conv1", "Conv"), ("fc", "MatMul")], ["conv1", "fc"]),
        ([("conv1_token_12", "QLinearConv"), ("fc", "QLinearMatMul")], ["conv1", "fc"]),
        ([("InsertedPrecisionFreeCast_r1_nchwc", "Conv"), ("c3_nchwc", "Conv"), ("r2_nchwc", "Conv")], ["conv1", "short", "conv2"]),
        ([("bias", "Gemm")], ["fc"]),
        ([("conv2", "Conv"), ("short", "Conv"), ("r2_nchwc", "Conv")], ["conv2", "short", None]),
        ([("fc/MatMulAddFusion", "Gemm"), ("sum", "Add"), ("relu2", "Relu"), ("bias", "Add")], ["fc", None, None, "bias"]),
        ([("r1_QuantizeLinear", "QuantizeLinear"), ("ReorderOutput_token_3", "ReorderOutput"), ("", "")], [None, None, None]),
        ([("conv1", "Conv"), ("conv1_token_3", "Conv"), ("r1_nchwc", "Conv")], ["conv1", None, None]),
        ([("conv1_again", "Conv"), ("conv10", "Conv")], ["conv1", None]),
    ],
)
def test_names_that_a_runtime_makes(ran: list[tuple[str, str]], layers: list[str | None]) -> None:
    """By node or by tensor, with words around it, fused and quantised; a layer is one operator's, and what is nobody's keeps its name."""
    assert layers_of(ran, RESIDUAL, LAYERS) == layers


@given(st.lists(st.tuples(st.text("convr1_/ :", max_size=40), st.sampled_from(["Conv", "Gemm", "Relu", ""])), max_size=6))
def test_no_layer_is_two_operators(ran: list[tuple[str, str]]) -> None:
    """Whatever the names are, each layer is found once at the most, and as an operator of its kind."""
    found = [layer for layer in layers_of(ran, RESIDUAL, LAYERS) if layer is not None]
    assert len(set(found)) == len(found)
    assert set(found) <= LAYERS


def test_a_long_name_takes_no_time() -> None:
    """Ten thousand words."""
    assert layers_of([("a_" * 10_000, "Conv")], RESIDUAL, LAYERS) == [None]


def test_a_circle_has_an_end() -> None:
    """No file has one that a runtime opens, but the file is read all the same."""
    circle = [Node("a", "Relu", ("y",), ("x",)), Node("b", "Relu", ("x",), ("y",))]
    assert layers_of([("x_nchwc", "Conv")], circle, {"c"}) == [None]


def test_a_real_runtime_and_a_real_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Both convolutions are found behind what the runtime made of them, and all of it was timed."""
    folder = tmp_path_factory.mktemp("operators")
    weights = [numpy_helper.from_array(np.full((8, 8, 3, 3), 0.01, np.float32), name) for name in ("w1", "w2")]
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], name="first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], name="act"),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], name="second", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c2", "r1"], ["sum"], name="plus"),
        helper.make_node("Relu", ["sum"], ["y"], name="last"),
    ]
    puts = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8, 16, 16]) for name in "xy"]
    model = helper.make_model(helper.make_graph(nodes, "net", puts[:1], puts[1:], weights), opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.save(model, folder / "net.onnx")
    told = apart.profile(path=str(folder / "net.onnx"), provider="CPUExecutionProvider", threads=1, folder=str(folder))
    times = layer_times(inspect(folder / "net.onnx"), folder / "net.onnx", told["nodes"])
    assert {each.layer for each in times} >= {"first", "second"}
    assert all(len(each.us) == 30 for each in times)
    assert [file.name for file in folder.iterdir()] == ["net.onnx"]

"""export/gates.py: what multiplies a layer's answer stays in int8 with it, and what else looks like a gate is left alone."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from edgekd.events import silent
from edgekd.export import gates
from edgekd.export.feed import Feed, open_session
from edgekd.export.int8 import Quantiser
from edgekd.export.onnx import to_onnx
from edgekd.export.optimised import optimised
from tests.export.nets import PREPARED as IMAGES


class Gated(nn.Module):
    """Hard-swish, squeeze-and-excitation with a hard sigmoid, SiLU, a pool and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 8, 1), nn.Hardsigmoid())
        self.swish, self.silu, self.pool, self.head = nn.Hardswish(), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        found = self.swish(self.first(images))
        found = self.silu(self.last(found * self.squeeze(found)))
        logits: Tensor = self.head(self.pool(found).flatten(1))
        return logits


@pytest.fixture(scope="module")
def gated() -> onnx.ModelProto:
    """A Gated in fp32."""
    return to_onnx(Gated(), (3, 8, 8), opset=20, batch=None)


def test_gates_leave_no_hole_in_a_chain_of_int8(gated: onnx.ModelProto, tmp_path: Path) -> None:
    """From the images to the head ONNX Runtime computes in int8, and answers as before."""
    model = Quantiser(gated, IMAGES, Feed(), "gated", silent).made("int8-cpu")
    onnx.save(model, tmp_path / "int8.onnx")
    kinds = optimised(tmp_path / "int8.onnx")
    session = open_session(model.SerializeToString(), "int8")
    assert not {"HardSigmoid", "Sigmoid", "Mul", "GlobalAveragePool", "ReduceMean"} & set(kinds), kinds
    assert (kinds["QuantizeLinear"], kinds["QLinearMul"], kinds["QLinearGlobalAveragePool"]) == (1, 3, 2)
    before = open_session(gated.SerializeToString(), "gated").run(None, {"images": IMAGES})[0]
    after = session.run(None, {"images": IMAGES})[0]
    assert np.abs(after - before).mean() < 0.1 * before.std()


def test_gates_stay_in_float_for_tensorrt(gated: onnx.ModelProto) -> None:
    """It quantises no gate: what it fuses is its own to choose."""
    kinds = Counter(node.op_type for node in Quantiser(gated, IMAGES, Feed(), "gated", silent).made("int8-trt").graph.node)
    assert (kinds["HardSigmoid"], kinds["Sigmoid"]) == (2, 1)


def test_a_hard_sigmoid_as_a_sum_is_the_same() -> None:
    """For every 8-bit number, off both ends too, and with α and β of its own."""
    numbers = {"s": np.float32(0.05), "z": np.uint8(90), "one": np.float32(1 / 255), "zero": np.uint8(0)}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["float"], name="before"),
        helper.make_node("HardSigmoid", ["float"], ["gate"], name="gate", alpha=0.25, beta=0.4),
        helper.make_node("QuantizeLinear", ["gate", "one", "zero"], ["y"], name="after"),
    ]
    puts = [helper.make_tensor_value_info(name, TensorProto.UINT8, [256]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "g", puts[:1], puts[1:], [numpy_helper.from_array(np.array(v), k) for k, v in numbers.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    every = {"x": np.arange(256, dtype=np.uint8)}
    before = open_session(model.SerializeToString(), "before").run(None, every)[0].astype(int)
    gates.as_sums(model)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["DequantizeLinear", "DequantizeLinear", "Add", "QuantizeLinear"]
    after = open_session(model.SerializeToString(), "after").run(None, every)[0].astype(int)
    assert np.abs(after - before).max() <= 1
    assert (after.min(), after.max()) == (0, 255)


def rounded_gate(scale: float) -> onnx.ModelProto:
    """A HardSigmoid that states no slope, between 8-bit numbers, as the quantiser leaves it; rounded to this scale."""
    numbers = {"s": np.float32(0.05), "z": np.uint8(128), "t": np.float32(scale), "o": np.uint8(0)}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["a"]),
        helper.make_node("HardSigmoid", ["a"], ["b"], name="gate"),
        helper.make_node("QuantizeLinear", ["b", "t", "o"], ["y"]),
    ]
    puts = [helper.make_tensor_value_info(name, TensorProto.UINT8, [256]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "g", puts[:1], puts[1:], [numpy_helper.from_array(np.array(v), k) for k, v in numbers.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def test_a_gate_as_a_sum_answers_alike() -> None:
    """Also by HardSigmoid's own slope, where none is stated."""
    model, every = rounded_gate(1 / 255), {"x": np.arange(256, dtype=np.uint8)}
    (before,) = ReferenceEvaluator(model).run(None, every)
    gates.as_sums(model)
    assert "HardSigmoid" not in {node.op_type for node in model.graph.node}
    (after,) = ReferenceEvaluator(model).run(None, every)
    assert np.abs(np.asarray(after).astype(int) - np.asarray(before).astype(int)).max() <= 1


def test_a_gate_that_is_rounded_to_a_wider_range_stays() -> None:
    """Nothing would cut its sum off at 1."""
    model = rounded_gate(1.5 / 255)
    gates.as_sums(model)
    assert "HardSigmoid" in {node.op_type for node in model.graph.node}


def test_what_is_no_gate_is_left_alone() -> None:
    """A product without a gate, a Sigmoid that answers, and what belongs to a layer in float: as names to keep in float."""
    nodes = [
        helper.make_node("Neg", ["x"], ["layer"], name="layer"),
        helper.make_node("Sigmoid", ["layer"], ["gate"], name="gate"),
        helper.make_node("Mul", ["layer", "gate"], ["silu"], name="silu"),
        helper.make_node("Mul", ["silu", "silu"], ["square"], name="square"),
        helper.make_node("Sigmoid", ["square"], ["y"], name="answer"),
    ]
    puts = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    model = helper.make_model(helper.make_graph(nodes, "g", puts[:1], puts[1:]))
    assert set(gates.others(model)) == {"square", "answer"}
    assert set(gates.others(model, ["layer"])) == {"square", "answer", "gate", "silu"}


def test_a_pool_stays_in_float_with_the_layer_after_it() -> None:
    """Through what only changes its shape, and only where no other layer reads it."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pool"], name="pool"),
        helper.make_node("Flatten", ["pool"], ["flat"], name="flat"),
        helper.make_node("MatMul", ["flat", "w"], ["one"], name="one"),
        helper.make_node("MatMul", ["flat", "w"], ["two"], name="two"),
    ]
    puts = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 2, 2])]
    model = helper.make_model(helper.make_graph(nodes, "g", puts, []))
    assert gates.others(model, ["one", "two"]) == ["pool"]
    assert gates.others(model, ["one"]) == gates.others(model) == []


@pytest.mark.parametrize(
    ("axes", "keep", "rank", "becomes"),
    [([2, 3], 1, 4, True), ([-1, -2], 1, 4, True), ([2, 3], 0, 4, True), ([1], 1, 4, False), ([1], 0, 4, False), ([2, 3], 1, 5, False)],
)
def test_which_means_are_pools(axes: list[int], keep: int, rank: int, becomes: bool) -> None:
    """Over height and width of images, whether they stay with length 1 or go; answers and shapes stay what they were."""
    nodes = [helper.make_node("Relu", ["x"], ["image"]), helper.make_node("ReduceMean", ["image", "axes"], ["y"], keepdims=keep)]
    puts = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "c", "h", "w", "d"][:rank]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
    ]
    graph = helper.make_graph(nodes, "g", puts[:1], puts[1:], [numpy_helper.from_array(np.array(axes), "axes")])
    model = onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))
    image = np.random.default_rng(0).normal(size=[2, 3, 4, 5, 6][:rank]).astype(np.float32)
    (before,) = ReferenceEvaluator(model).run(None, {"x": image})
    gates.pooled(model)
    assert (model.graph.node[1].op_type == "GlobalAveragePool") == becomes
    assert len(model.graph.initializer) == (0 if becomes else 1)
    onnx.checker.check_model(model)
    (after,) = ReferenceEvaluator(model).run(None, {"x": image})
    np.testing.assert_allclose(np.asarray(after), np.asarray(before), rtol=1e-6)


def test_a_mean_that_says_nothing_keeps_its_axes() -> None:
    """As ONNX has it."""
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("ReduceMean", ["a", "axes"], ["y"])]
    puts = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, side, side]) for name, side in (("x", 8), ("y", 1))]
    graph = helper.make_graph(nodes, "g", puts[:1], puts[1:], [numpy_helper.from_array(np.array([2, 3]), "axes")])
    model = onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9))
    gates.pooled(model)
    assert [node.op_type for node in model.graph.node] == ["Relu", "GlobalAveragePool"]


def test_what_branches_read_stays() -> None:
    """An initialiser that a node within another reads is no leftover of a mean that became a pool."""
    branches = {
        name: helper.make_graph([helper.make_node(op, ["pooled", "inside"], [name])], name, [], [helper.make_tensor_value_info(name, 1, None)])
        for name, op in (("then_branch", "Add"), ("else_branch", "Sub"))
    }
    nodes = [
        helper.make_node("Relu", ["x"], ["image"]),
        helper.make_node("ReduceMean", ["image", "axes"], ["pooled"]),
        helper.make_node("If", ["yes"], ["y"], **branches),
    ]
    puts = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, side, side]) for name, side in (("x", 8), ("y", 1))]
    values = [("axes", np.array([2, 3])), ("inside", np.array(2, np.float32)), ("yes", np.array(True))]
    graph = helper.make_graph(nodes, "g", puts[:1], puts[1:], [numpy_helper.from_array(array, name) for name, array in values])
    model = onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9))
    gates.pooled(model)
    assert [tensor.name for tensor in model.graph.initializer] == ["inside", "yes"]
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("read", [True, False])
def test_a_gate_that_is_an_answer_stays(read: bool) -> None:
    """Whether a node rounds it or none reads it: what the file answers keeps its numbers."""
    model = rounded_gate(1 / 255)
    model.graph.output.append(helper.make_tensor_value_info("b", TensorProto.FLOAT, None))
    if not read:
        del model.graph.node[2], model.graph.output[0]
    gates.as_sums(model)
    assert "HardSigmoid" in {node.op_type for node in model.graph.node}

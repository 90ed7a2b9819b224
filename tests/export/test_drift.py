"""export/drift.py, modules.py, opened.py: the first layer that is off, between two models and between a network and its model."""

import copy
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edgekd.errors import EdgekdError
from edgekd.events import silent
from edgekd.export.drift import find, refuse
from edgekd.export.feed import Feed
from edgekd.export.fp16 import halved
from edgekd.export.int8 import Flavour, Quantiser
from edgekd.export.opened import apart
from tests.export.nets import PREPARED, network

IMAGES = PREPARED[:3]


@pytest.fixture(scope="module")
def body() -> nn.Module:
    """A network as if trained."""
    return network().body


@pytest.fixture
def model(trained: onnx.ModelProto) -> onnx.ModelProto:
    """The same in ONNX."""
    return trained


def scaled(model: onnx.ModelProto, op: str, number: int, factor: float) -> onnx.ModelProto:
    """The model with the weights of its node of that kind and number times a factor."""
    other = copy.deepcopy(model)
    node = [node for node in other.graph.node if node.op_type == op][number]
    tensor = next(tensor for tensor in other.graph.initializer if tensor.name == node.input[1])
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(factor), tensor.name))
    return other


def test_nothing_drifts(body: nn.Module, model: onnx.ModelProto) -> None:
    """Every module of the network has its tensor in the model, but for the convolutions that BatchNorms have taken up; equal models are equal."""
    found = find(body, model, IMAGES, Feed(), precision="fp32")
    assert found.first is None
    assert found.alone == 0
    assert "No layer alone is off by more than 0.001 of its size" in found.told
    layers = {each.layer for each in found.layers}
    assert {"first.1", "first.2", "depthwise.1", "depthwise.2", "dropout", "head", "the whole network"} <= layers
    assert not {"first.0", "depthwise.0"} & layers
    assert all(each.error is not None and each.error < 1e-5 for each in found.layers)
    same = find(model, copy.deepcopy(model), IMAGES, Feed(), precision="fp32")
    assert same.first is None
    assert {each.error for each in same.layers} == {0.0}


@pytest.mark.parametrize(
    ("op", "number", "layer", "kind", "cause"),
    [
        ("Conv", 0, "first.1", "BatchNorm2d", "batchnorm"),
        ("Conv", 1, "depthwise.1", "BatchNorm2d", "batchnorm"),
        ("Gemm", 0, "head", "Linear", ""),
    ],
)
def test_a_module_that_the_model_does_not_have(
    body: nn.Module, model: onnx.ModelProto, op: str, number: int, layer: str, kind: str, cause: str
) -> None:
    """The first whose answers are nowhere, be it before or beside others that are right."""
    found = find(body, scaled(model, op, number, 1.5), IMAGES, Feed(), precision="fp32")
    assert found.first is not None
    assert (found.first.layer, found.first.op, found.cause) == (layer, kind, cause)
    assert f"It differs first in {layer} ({kind})" in found.told
    assert op in found.first.node
    assert (found.first.error or 0) > 0.1


def test_a_tensor_that_differs_between_models(model: onnx.ModelProto) -> None:
    """By its name and its operator; what comes before it is equal."""
    found = find(model, scaled(model, "Conv", 1, 1.5), IMAGES, Feed(), precision="fp16")
    assert found.first is not None
    assert found.first.op == "Conv"
    assert (found.first.error or 0) > 0.1
    at = found.layers.index(found.first)
    assert at > 0
    assert {each.error for each in found.layers[:at]} == {0.0}


@pytest.mark.parametrize("flavour", ["int8-cpu", "int8-trt"])
def test_int8_of_the_right_images(model: onnx.ModelProto, flavour: Flavour) -> None:
    """Tensors keep their names: all are off a little, none leaves its range, and ReLUs that vanished are compared behind their rounding."""
    made = Quantiser(model, PREPARED, Feed(), "toy", silent).made(flavour)
    found = find(model, made, IMAGES, Feed(), precision=flavour)
    assert found.first is None, found.told
    assert len(found.layers) >= 5
    errors = [each.error for each in found.layers]
    assert max(error or 0.0 for error in errors) > 0
    clipped = [each.clipped for each in found.layers if each.clipped is not None]
    assert len(clipped) >= 3
    assert max(clipped) < 0.01


@pytest.mark.parametrize("flavour", ["int8-cpu", "int8-trt"])
def test_ranges_that_half_of_the_numbers_leave_are_refused(model: onnx.ModelProto, flavour: Flavour) -> None:
    """Calibrated to images of a fifth of their contrast, the file is called by what is wrong with it."""
    made = Quantiser(model, PREPARED * np.float32(0.2), Feed(), "toy", silent).made(flavour)
    with pytest.raises(EdgekdError, match=r"was calibrated wrongly, whatever it answers here: [45]\d % of the numbers of images"):
        refuse(model, made, IMAGES, Feed(), name="f.onnx", precision=flavour)


def tiny(*nodes: onnx.NodeProto, constants: dict[str, Any] | None = None) -> onnx.ModelProto:
    puts = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 8, 8]) for name in ("images", "logits")]
    values = [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in (constants or {}).items()]
    return helper.make_model(
        helper.make_graph(list(nodes), "tiny", puts[:1], puts[1:], values), opset_imports=[helper.make_opsetid("", 20)], ir_version=9
    )


def test_models_that_share_little() -> None:
    """What one has and the other does not is counted; where nothing is left to compare, that is said."""
    relu, twice = helper.make_node("Relu", ["images"], ["logits"]), helper.make_node("Relu", ["images"], ["more"])
    found = find(tiny(twice, helper.make_node("Neg", ["more"], ["logits"])), tiny(relu), IMAGES, Feed(), precision="fp32")
    assert [each.layer for each in found.layers] == ["logits"]
    assert found.alone == 1
    assert found.first is not None
    other = tiny(helper.make_node("Relu", ["images"], ["out"]))
    other.graph.output[0].name = "out"
    found = find(tiny(relu), other, IMAGES, Feed(output="out"), precision="fp16")
    assert (found.first, found.layers, found.alone) == (None, [], 1)
    assert "cannot be told: the file has no tensor that could be compared" in found.told


def test_an_overflow_in_an_activation_and_in_a_weight() -> None:
    """Both are named with how far they reach; what fits is let pass."""
    big = tiny(helper.make_node("Mul", ["images", "c"], ["m"]), helper.make_node("Mul", ["m", "d"], ["logits"]), constants={"c": 6e4, "d": 1e-4})
    with pytest.raises(EdgekdError, match=r"f\.onnx has an fp16 overflow: .* and m \(Mul\) reaches \d"):
        refuse(big, halved(big), IMAGES, Feed(), name="f.onnx", precision="fp16")
    weight = tiny(helper.make_node("Add", ["images", "w"], ["logits"]), constants={"w": np.full((1, 3, 8, 8), 1e5)})
    with pytest.raises(EdgekdError, match=r"and w \(a weight\) reaches 1e\+05"):
        refuse(weight, halved(weight), IMAGES, Feed(), name="f.onnx", precision="fp16")
    fits = tiny(helper.make_node("Mul", ["images", "c"], ["logits"]), constants={"c": 10.0})
    refuse(fits, halved(fits), IMAGES, Feed(), name="f.onnx", precision="fp16")


def test_int8_for_tensorrt_holds_what_fp16_holds() -> None:
    """Everything that it does not quantise is in fp16."""
    big = tiny(helper.make_node("Mul", ["images", "c"], ["m"]), helper.make_node("Mul", ["m", "d"], ["logits"]), constants={"c": 6e4, "d": 1e-4})
    with pytest.raises(EdgekdError, match=r"f\.onnx has an fp16 overflow: .* and m \(Mul\) reaches \d"):
        refuse(big, halved(big), IMAGES, Feed(), name="f.onnx", precision="int8-trt")


def test_how_far_numbers_are_apart() -> None:
    """Over their own size; not at all where there is nothing, and no number where one is not finite or the shapes differ."""
    ones = np.ones(4, np.float32)
    assert apart(ones, ones * np.float32(1.5)) == pytest.approx(0.5)
    assert apart(np.zeros(4), np.zeros(4)) == 0.0
    assert apart(np.zeros(0), np.zeros(0)) == 0.0
    assert apart(ones, np.array([1, 1, np.nan, 1])) is None
    assert apart(ones, ones[:3]) is None


def test_a_network_is_left_without_hooks(body: nn.Module, model: onnx.ModelProto) -> None:
    """What was watched is as it was, in eval mode."""
    other = copy.deepcopy(body).train()
    find(other, model, IMAGES, Feed(), precision="fp32")
    assert not other.training
    assert not any(module._forward_hooks for module in other.modules())

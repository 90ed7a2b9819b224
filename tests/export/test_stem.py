"""export/stem.py: which first layers stay in float, and that the int8 file has them so."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from edgekd.events import silent
from edgekd.export.feed import Feed
from edgekd.export.int8 import Quantiser
from edgekd.export.onnx import to_onnx
from edgekd.export.stem import stem


class Begun(nn.Module):
    """A convolution of colours, an activation, another convolution, and a head; `both`: the head reads the first one, too."""

    def __init__(self, activation: nn.Module, second: nn.Conv2d, *, channels: int = 3, both: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 8, 3, stride=2, padding=1)
        self.activation, self.second, self.head, self.both = activation, second, nn.Conv2d(8, 4, 1), both

    def forward(self, images: Tensor) -> Tensor:
        begun = self.activation(self.first(images))
        maps = self.second(begun)
        answer: Tensor = self.head(maps + begun if self.both else maps).mean(dim=(2, 3))
        return answer


def depthwise() -> nn.Conv2d:
    """A layer that keeps channels apart."""
    return nn.Conv2d(8, 8, 3, padding=1, groups=8)


def file(network: nn.Module, channels: int = 3) -> onnx.ModelProto:
    """Its ONNX model."""
    return to_onnx(network.eval(), (channels, 16, 16), opset=20, batch=None)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU6(), nn.SiLU(), nn.Hardswish()], ids=["relu", "relu6", "silu", "hardswish"])
def test_a_stem_before_a_depthwise_layer_stays_in_float(activation: nn.Module) -> None:
    """Both keep their float weights in the CPU's file, whatever activation stands between; TensorRT's file has all layers in int8."""
    images = np.random.default_rng(0).normal(0, 1, (8, 3, 16, 16)).astype(np.float32)
    quantiser = Quantiser(file(Begun(activation, depthwise())), images, Feed(), "begun", silent)
    assert in_int8(quantiser.made("int8-cpu")) == [False, False, True]
    assert in_int8(quantiser.made("int8-trt")) == [True, True, True]
    assert quantiser.layers("int8-cpu") == quantiser.layers("int8-trt")[2:]


def in_int8(model: onnx.ModelProto) -> list[bool]:
    """Of each convolution in order, whether its weights come out of 8 bits."""
    opened = {output for node in model.graph.node if node.op_type == "DequantizeLinear" for output in node.output}
    return [node.input[1] in opened for node in model.graph.node if node.op_type == "Conv"]


def test_an_activation_that_is_one_node_is_passed() -> None:
    """As other exporters write hard-swish."""

    def constant(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(np.ones(shape, np.float32), name)

    nodes = [
        helper.make_node("Conv", ["images", "w"], ["a"], name="first", pads=[1, 1, 1, 1]),
        helper.make_node("HardSwish", ["a"], ["b"], name="act"),
        helper.make_node("Conv", ["b", "d"], ["logits"], name="second", group=8, pads=[1, 1, 1, 1]),
    ]
    puts = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, 8, 8]) for name, channels in (("images", 3), ("logits", 8))]
    graph = helper.make_graph(nodes, "g", puts[:1], puts[1:], [constant("w", 8, 3, 3, 3), constant("d", 8, 1, 3, 3)])
    assert stem(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])) == ["first", "second"]


@pytest.mark.parametrize(
    ("network", "channels"),
    [
        (Begun(nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)), 3),
        (Begun(nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, groups=2)), 3),
        (Begun(nn.ReLU(), depthwise(), both=True), 3),
        (Begun(nn.ReLU(), depthwise(), channels=5), 5),
        (Begun(nn.MaxPool2d(2), depthwise()), 3),
    ],
    ids=["a full layer", "a grouped layer", "read twice", "no image", "pooled"],
)
def test_other_beginnings_are_quantised(network: nn.Module, channels: int) -> None:
    """What gains by it is a depthwise layer right behind the stem and nothing else."""
    assert stem(file(network, channels)) == []


def test_a_network_without_convolutions() -> None:
    """Has no stem."""
    assert stem(file(nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 4)))) == []

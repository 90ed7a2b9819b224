"""nodes.py: counts against numbers worked out by hand."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekd.graph import summarise
from tests.graphs import count, model, qdq, scalar, value, weight


def test_conv_with_groups() -> None:
    """3→8 channels of 3×3 at stride 2, then depthwise: filters and biases, a product per output element and filter element."""
    graph = count(
        helper.make_node("Conv", ["x", "w", "b"], ["y"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Conv", ["y", "d"], ["z"], pads=[1, 1, 1, 1], group=8),
        inputs=[value("x", "batch", 3, 8, 6)],
        outputs=[value("z", "batch", 8, 4, 3)],
        weights=[weight("w", 8, 3, 3, 3), weight("b", 8), weight("d", 8, 1, 3, 3)],
    )
    assert graph.params == 8 * 27 + 8 + 8 * 9
    assert graph.macs == 4 * 3 * 8 * 27 + 4 * 3 * 8 * 9
    assert [layer.bytes for layer in graph.layers] == [4 * 224, 4 * 72]
    assert graph.operators == {"Conv": 2}


def test_conv_transpose() -> None:
    """Every input element meets every filter element of its channel: 5×5 pixels, 4→2 channels, 2×2."""
    graph = count(
        helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2]),
        inputs=[value("x", 1, 4, 5, 5)],
        outputs=[value("y", 1, 2, 10, 10)],
        weights=[weight("w", 4, 2, 2, 2)],
    )
    assert (graph.params, graph.macs) == (32, 25 * 4 * 2 * 4)


@pytest.mark.parametrize("trans", [0, 1])
def test_gemm_either_way_round(trans: int) -> None:
    """16→10, with its weights stored either way."""
    shape = (10, 16) if trans else (16, 10)
    graph = count(
        helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=trans),
        inputs=[value("x", "n", 16)],
        outputs=[value("y", "n", 10)],
        weights=[weight("w", *shape), weight("b", 10)],
    )
    assert (graph.params, graph.macs) == (170, 160)


def test_matmul_of_activations() -> None:
    """Attention's product of two activations has MACs and no parameters."""
    graph = count(
        helper.make_node("MatMul", ["x", "y"], ["z"]),
        inputs=[value("x", "n", 2, 7, 4), value("y", "n", 2, 4, 7)],
        outputs=[value("z", "n", 2, 7, 7)],
        weights=[],
    )
    assert (graph.params, graph.macs) == (0, 2 * 7 * 7 * 4)


def test_a_fixed_batch_counts_one_image() -> None:
    """Eight images at a time are eight times the work, of which one image's is told."""
    graph = count(
        helper.make_node("MatMul", ["x", "w"], ["y"]), inputs=[value("x", 8, 16)], outputs=[value("y", 8, 10)], weights=[weight("w", 16, 10)]
    )
    assert graph.macs == 160
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    opened = count(node, inputs=[value("x", 8, 16)], outputs=[value("y", "n", 10)], weights=[weight("w", 16, 10)])
    assert opened.macs == 160


def test_an_axis_that_no_output_has_is_no_batch() -> None:
    """An image without a batch, and a table that is listed before the images: nothing is divided by them."""
    conv = helper.make_node("Conv", ["x", "w"], ["y"])
    plain = count(conv, inputs=[value("x", 1, 3, 8, 8)], outputs=[value("y", 1, 4, 6, 6)], weights=[weight("w", 4, 3, 3, 3)])
    axes = numpy_helper.from_array(np.array([0], dtype=np.int64), "axes")
    widened = helper.make_node("Unsqueeze", ["image", "axes"], ["x"])
    alone = count(widened, conv, inputs=[value("image", 3, 8, 8)], outputs=[value("y", 1, 4, 6, 6)], weights=[weight("w", 4, 3, 3, 3), axes])
    table = helper.make_node("Relu", ["table"], ["same"])
    images = [value("table", 64, 8), value("x", 1, 3, 8, 8)]
    beside = count(table, conv, inputs=images, outputs=[value("y", 1, 4, 6, 6), value("same", 64, 8)], weights=[weight("w", 4, 3, 3, 3)])
    assert plain.macs == alone.macs == beside.macs == 4 * 36 * 27


def test_what_stands_in_branches_counts() -> None:
    """Parameters and operators of an If's branches; its MACs depend on the way that is taken."""

    def branch(name: str) -> onnx.GraphProto:
        node = helper.make_node("Gemm", ["x", f"w{name}"], [f"y{name}"])
        return helper.make_graph([node], name, [], [value(f"y{name}", 1, 4)], [weight(f"w{name}", 8, 4)])

    chosen = helper.make_node("If", ["which"], ["y"], then_branch=branch("a"), else_branch=branch("b"))
    inputs = [value("which", kind=TensorProto.BOOL), value("x", 1, 8)]
    found = count(chosen, inputs=inputs, outputs=[value("y", 1, 4)], weights=[])
    assert (found.params, found.macs, found.operators) == (64, None, {"Gemm": 2, "If": 1})


def test_int8_counts_what_fp32_would() -> None:
    """Dequantised weights count once; scales and zero points do not; the layer says it is int8 and that a runtime can fuse it."""
    graph = summarise(qdq(), 0)
    assert (graph.params, graph.macs) == (12, 25 * 8)
    assert graph.layers[0].precision == "int8"
    assert graph.layers[0].bytes == 8 + 4 * 4
    assert graph.quantised == {"Conv": 1}


def test_integer_operators() -> None:
    """QLinearConv holds its weights in its fourth input and its bias in its ninth."""
    scalars = [scalar("s", 0.1), scalar("z", 0, np.uint8)]
    graph = count(
        helper.make_node("QLinearConv", ["x", "s", "z", "w", "s", "wz", "s", "z", "b"], ["y"]),
        inputs=[value("x", "n", 2, 5, 5, kind=TensorProto.UINT8)],
        outputs=[value("y", "n", 4, 5, 5, kind=TensorProto.UINT8)],
        weights=[*scalars, weight("w", 4, 2, 1, 1, kind=np.int8), scalar("wz", 0, np.int8), weight("b", 4, kind=np.int32)],
    )
    assert (graph.params, graph.macs, graph.quantised) == (12, 200, {"QLinearConv": 1})


def test_running_statistics_and_lone_constants_are_no_parameters() -> None:
    """Of BatchNorm scale and shift count; a bound, a shape or a factor does not."""
    graph = count(
        helper.make_node("BatchNormalization", ["x", "g", "b", "m", "v"], ["y"]),
        helper.make_node("Mul", ["y", "two"], ["t"]),
        helper.make_node("Clip", ["t", "low", ""], ["c"]),
        helper.make_node("Reshape", ["c", "shape"], ["z"]),
        inputs=[value("x", "n", 4, 2, 2)],
        outputs=[value("z", "n", 16)],
        weights=[
            *(weight(name, 4) for name in "gbmv"),
            weight("two", 1),
            scalar("low", 0),
            numpy_helper.from_array(np.array([-1, 16]), "shape"),
        ],
    )
    assert (graph.params, graph.macs) == (8, 0)


def test_a_shared_weight_counts_once() -> None:
    """Two layers with one weight hold it once and multiply twice."""
    graph = count(
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("MatMul", ["y", "w"], ["z"]),
        inputs=[value("x", "n", 4)],
        outputs=[value("z", "n", 4)],
        weights=[weight("w", 4, 4)],
    )
    assert (graph.params, graph.macs) == (16, 32)


def test_constant_nodes_hold_parameters_too() -> None:
    """Weights written as a Constant node count as initialisers do."""
    constant = helper.make_node("Constant", [], ["w"], value=weight("", 4, 3))
    graph = count(constant, helper.make_node("MatMul", ["x", "w"], ["y"]), inputs=[value("x", "n", 4)], outputs=[value("y", "n", 3)], weights=[])
    assert (graph.params, graph.macs) == (12, 12)


def test_macs_are_none_where_they_cannot_be_known() -> None:
    """An open image size, an operator that is not counted, or one of another domain: no count rather than one too small."""
    conv = helper.make_node("Conv", ["x", "w"], ["y"])
    open_size = count(conv, inputs=[value("x", "n", 3, "h", "w_")], outputs=[value("y", "n", 8, "i", "j")], weights=[weight("w", 8, 3, 3, 3)])
    einsum = count(
        helper.make_node("Einsum", ["x", "w"], ["y"], equation="ni,io->no"),
        inputs=[value("x", 1, 4)],
        outputs=[value("y", 1, 3)],
        weights=[weight("w", 4, 3)],
    )
    own = model([helper.make_node("Fast", ["x", "w"], ["y"], domain="mine")], [value("x", 1, 4)], [value("y", 1, 3)], [weight("w", 4, 3)], ("mine",))
    assert (open_size.params, open_size.macs) == (216, None)
    assert (einsum.params, einsum.macs) == (12, None)
    assert (summarise(own, 0).macs, summarise(own, 0).operators) == (None, {"mine.Fast": 1})

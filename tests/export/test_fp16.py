"""export/fp16.py: half the bytes, and what stays in float32."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekd.errors import EdgekdError
from edgekd.export.feed import Feed, open_session
from edgekd.export.fp16 import name_nodes, to_fp16
from tests.export.nets import PREPARED as IMAGES
from tests.export.test_drift import tiny


def test_fp16_takes_half_the_bytes(wide: onnx.ModelProto) -> None:
    """Weights are fp16, input and output stay float32, the given model is left alone."""
    before = wide.SerializeToString()
    half, kept = to_fp16(wide, IMAGES[:7], Feed(), "wide")
    assert kept == []
    assert wide.SerializeToString() == before
    assert 0.45 < half.ByteSize() / len(before) < 0.6
    assert {value.type.tensor_type.elem_type for value in (*half.graph.input, *half.graph.output)} == {TensorProto.FLOAT}
    assert TensorProto.FLOAT not in {tensor.data_type for tensor in half.graph.initializer}
    onnx.checker.check_model(half, full_check=True)


def larger(model: onnx.ModelProto, name: str, value: float) -> onnx.ModelProto:
    """The model with one weight of that size."""
    large = onnx.ModelProto()
    large.CopyFrom(model)
    place = next(place for place, tensor in enumerate(large.graph.initializer) if tensor.name == name)
    values = numpy_helper.to_array(large.graph.initializer[place]).copy()
    values.flat[0] = value
    large.graph.initializer[place].CopyFrom(numpy_helper.from_array(values, name))
    return large


def test_a_weight_beyond_fp16_stays_in_float32(toy: onnx.ModelProto) -> None:
    """100,000 would become 65,504 without a word: the layer that has it is named and keeps its precision, the others do not."""
    half, kept = to_fp16(larger(toy, "head.weight", 1e5), IMAGES[:7], Feed(), "toy")
    (layer,) = [node for node in half.graph.node if node.name in kept]
    assert layer.op_type == "Gemm"
    types = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    assert types["head.weight"] == TensorProto.FLOAT
    assert TensorProto.FLOAT16 in types.values()


def scaled_and_back(up: float) -> onnx.ModelProto:
    """Images times `up`, that times a small number, and one more than that."""
    nodes = [
        helper.make_node("Mul", ["images", "c"], ["m"]),
        helper.make_node("Mul", ["m", "d"], ["n"]),
        helper.make_node("Add", ["n", "w"], ["logits"]),
    ]
    return tiny(*nodes, constants={"c": up, "d": 1e-4, "w": np.ones((1, 3, 8, 8))})


def test_what_is_kept_in_float32_goes_straight_to_what_is() -> None:
    """Between two such nodes a number beyond fp16 stays what it is."""
    big = scaled_and_back(6e4)
    half, kept = to_fp16(big, IMAGES[:7], Feed(), "big")
    assert len(kept) == 2
    before, after = (open_session(each.SerializeToString(), "big").run(None, {"images": IMAGES[:7]})[0] for each in (big, half))
    np.testing.assert_allclose(after, before, rtol=0.01, atol=0.01)


def test_what_comes_near_the_end_of_fp16_stays_in_float32_too() -> None:
    """Another image may be brighter: 40,000 of 65,504 is too near."""
    near = 4e4 / float(np.abs(IMAGES[:7]).max())
    _, kept = to_fp16(scaled_and_back(near), IMAGES[:7], Feed(), "near")
    assert len(kept) == 2


def test_every_node_has_a_name_of_its_own() -> None:
    """Also where two came with one."""
    model = tiny(helper.make_node("Relu", ["images"], ["m"], name="n"), helper.make_node("Neg", ["m"], ["logits"], name="n"))
    name_nodes(model)
    assert len({node.name for node in model.graph.node}) == 2


def test_nothing_that_fits_fp16(wide: onnx.ModelProto) -> None:
    """Where every layer would stay in float32 there is no fp16 file, and that is said."""
    large = wide
    for tensor in wide.graph.initializer:
        if len(tensor.dims) == 2:
            large = larger(large, tensor.name, 1e5)
    with pytest.raises(EdgekdError, match=r"fp16 holds numbers up to 65504, and every layer of wide has larger ones\. Export without fp16"):
        to_fp16(large, IMAGES[:7], Feed(), "wide")


def test_what_is_broken_in_fp32_already(toy: onnx.ModelProto) -> None:
    """Infinity is no matter of precision."""
    with pytest.raises(EdgekdError, match=r"inside toy is not finite in fp32 already\. Teach the network again"):
        to_fp16(larger(toy, "head.weight", float("inf")), IMAGES[:7], Feed(), "toy")

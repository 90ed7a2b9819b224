"""export/precision.py: half the bytes, and what stays in float32."""

import onnx
import pytest
from onnx import TensorProto, numpy_helper

from edgekd.errors import EdgekdError
from edgekd.export.feed import Feed
from edgekd.export.precision import to_fp16
from tests.export.nets import PREPARED as IMAGES


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

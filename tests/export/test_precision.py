"""export/precision.py: half the bytes, an eighth of the bits, and where either must not be made."""

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from torch import nn

from edgekd.errors import EdgekdError
from edgekd.events import silent
from edgekd.export.feed import Feed
from edgekd.export.onnx import to_onnx
from edgekd.export.precision import saturates, to_fp16, to_int8_cpu
from tests.export.nets import Toy

IMAGES: NDArray[np.float32] = np.random.default_rng(0).normal(0, 1, (20, 3, 8, 8)).astype(np.float32)


class Wide(nn.Sequential):
    """Weights enough that they outweigh the graph: 8,256 of them."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(192, 40), nn.ReLU6(), nn.Linear(40, 4))


@pytest.fixture(scope="module")
def toy() -> onnx.ModelProto:
    """A Toy in fp32."""
    return to_onnx(Toy(), (3, 8, 8), opset=20, batch=None)


@pytest.fixture(scope="module")
def wide() -> onnx.ModelProto:
    """A Wide in fp32."""
    return to_onnx(Wide(), (3, 8, 8), opset=20, batch=None)


def test_fp16_takes_half_the_bytes(wide: onnx.ModelProto) -> None:
    """Weights are fp16, input and output stay float32, the given model is left alone."""
    before = wide.SerializeToString()
    half = to_fp16(wide, IMAGES[:7], Feed(), "wide")
    assert wide.SerializeToString() == before
    assert 0.45 < half.ByteSize() / len(before) < 0.6
    assert {value.type.tensor_type.elem_type for value in (*half.graph.input, *half.graph.output)} == {TensorProto.FLOAT}
    assert TensorProto.FLOAT not in {tensor.data_type for tensor in half.graph.initializer}
    onnx.checker.check_model(half, full_check=True)


def test_int8_takes_a_quarter_of_the_bytes(wide: onnx.ModelProto) -> None:
    """Weights are int8 with a scale a channel, activations uint8; the given model is left alone."""
    before = wide.SerializeToString()
    quantised = to_int8_cpu(wide, IMAGES, Feed(), "wide", reduce_range=False, emit=silent)
    assert wide.SerializeToString() == before
    assert quantised.ByteSize() < 0.5 * len(before)
    weights = [tensor for tensor in quantised.graph.initializer if tensor.data_type == TensorProto.INT8 and len(tensor.dims) == 2]
    assert sorted(int(np.prod(tensor.dims)) for tensor in weights) == [160, 7680]
    assert max(int(np.abs(numpy_helper.to_array(tensor)).max()) for tensor in weights) == 127
    assert quantised.graph.node[-1].op_type == "Gemm"


def test_reduced_range(wide: onnx.ModelProto) -> None:
    """Where products saturate, weights keep to 7 bits."""
    quantised = to_int8_cpu(wide, IMAGES, Feed(), "wide", reduce_range=True, emit=silent)
    weights = [numpy_helper.to_array(tensor) for tensor in quantised.graph.initializer if tensor.data_type == TensorProto.INT8]
    assert max(int(np.abs(values).max()) for values in weights) == 64


def test_activations_vanish_into_the_layer_before(toy: onnx.ModelProto) -> None:
    """A Relu between quantised layers is the lower end of their range."""
    quantised = to_int8_cpu(toy, IMAGES, Feed(), "toy", reduce_range=False, emit=silent)
    assert "Relu" not in {node.op_type for node in quantised.graph.node}


def test_the_quantiser_is_quiet(toy: onnx.ModelProto, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing on stdout or stderr, and the root logger has the handlers that it had."""
    before = list(logging.getLogger().handlers)
    to_int8_cpu(toy, IMAGES, Feed(), "toy", reduce_range=False, emit=silent)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == before


def test_a_weight_beyond_fp16(toy: onnx.ModelProto) -> None:
    """100,000 is refused by name: the converter would make it 65,504 without a word."""
    large = onnx.ModelProto()
    large.CopyFrom(toy)
    place = next(place for place, tensor in enumerate(large.graph.initializer) if tensor.name == "head.weight")
    values = numpy_helper.to_array(large.graph.initializer[place]).copy()
    values[0, 0] = 1e5
    large.graph.initializer[place].CopyFrom(numpy_helper.from_array(values, "head.weight"))
    with pytest.raises(EdgekdError, match=r"fp16 holds numbers up to 65504, and head\.weight of toy has 1e\+05\. Export without fp16"):
        to_fp16(large, IMAGES[:7], Feed(), "toy")


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("x86_64", "fpu sse2 avx2 avx512f", True),
        ("x86_64", "fpu avx512f avx512_vnni", False),
        ("AMD64", "fpu avx2 avx_vnni", False),
        ("aarch64", "", False),
    ],
)
def test_which_cpus_saturate(tmp_path: Path, machine: str, flags: str, expected: bool) -> None:
    """x86 without VNNI does; Arm adds up in 32 bits."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nflags\t\t: {flags}\n")
    assert saturates(machine, cpuinfo) is expected


def test_an_x86_that_cannot_be_asked(tmp_path: Path) -> None:
    """Without /proc the careful answer is given."""
    assert saturates("x86_64", tmp_path / "nothing")

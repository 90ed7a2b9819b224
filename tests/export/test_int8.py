"""export/int8.py: an eighth of the bits in two flavours, and what each must not hold."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from edgekd.events import Event, Progress, silent
from edgekd.export.drift import find
from edgekd.export.feed import Feed, open_session
from edgekd.export.int8 import METHODS, Method, Quantiser, saturates
from tests.export.nets import PREPARED as IMAGES


def answered(model: onnx.ModelProto) -> NDArray[np.float32]:
    """Logits of the images."""
    answers: NDArray[np.float32] = open_session(model.SerializeToString(), "m", layouts=False).run(None, {"images": IMAGES})[0]
    return answers


def test_int8_takes_a_quarter_of_the_bytes(wide: onnx.ModelProto) -> None:
    """Weights are int8 with a scale a channel, activations uint8; the given model is left alone."""
    before = wide.SerializeToString()
    quantised = Quantiser(wide, IMAGES, Feed(), "wide", silent).made("int8-cpu")
    assert wide.SerializeToString() == before
    assert quantised.ByteSize() < 0.5 * len(before)
    weights = [tensor for tensor in quantised.graph.initializer if tensor.data_type == TensorProto.INT8 and len(tensor.dims) == 2]
    assert sorted(int(np.prod(tensor.dims)) for tensor in weights) == [160, 7680]
    assert max(int(np.abs(numpy_helper.to_array(tensor)).max()) for tensor in weights) == 127
    assert quantised.graph.node[-1].op_type == "Gemm"


def test_reduced_range(wide: onnx.ModelProto) -> None:
    """Where products saturate, weights keep to 7 bits."""
    quantised = Quantiser(wide, IMAGES, Feed(), "wide", silent).made("int8-cpu", reduce_range=True)
    weights = [numpy_helper.to_array(tensor) for tensor in quantised.graph.initializer if tensor.data_type == TensorProto.INT8]
    assert max(int(np.abs(values).max()) for values in weights) == 64


def test_activations_vanish_into_the_layer_before(toy: onnx.ModelProto) -> None:
    """A Relu between quantised layers is the lower end of their range."""
    quantised = Quantiser(toy, IMAGES, Feed(), "toy", silent).made("int8-cpu")
    assert "Relu" not in {node.op_type for node in quantised.graph.node}


def test_the_quantiser_is_quiet(toy: onnx.ModelProto, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing on stdout or stderr, and the root logger has the handlers that it had."""
    before = list(logging.getLogger().handlers)
    Quantiser(toy, IMAGES, Feed(), "toy", silent).made("int8-cpu")
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == before


@pytest.mark.parametrize("method", METHODS)
def test_every_method_answers_alike(toy: onnx.ModelProto, method: Method) -> None:
    """Ranges differ, and the answers of a smooth little network hardly do."""
    before, after = answered(toy), answered(Quantiser(toy, IMAGES, Feed(), "toy", silent).made("int8-cpu", method))
    assert np.abs(after - before).mean() < 0.2 * before.std()
    assert not np.array_equal(after, before)


@pytest.mark.parametrize("method", METHODS)
def test_every_methods_ranges_hold_what_was_seen(trained: onnx.ModelProto, method: Method) -> None:
    """All but some thousandths of it."""
    quantised = Quantiser(trained, IMAGES, Feed(), "toy", silent).made("int8-cpu", method)
    found = find(trained, quantised, IMAGES, Feed(), precision="int8-cpu")
    assert max(each.clipped or 0.0 for each in found.layers) < 0.02


@pytest.mark.parametrize("method", METHODS)
def test_uneven_batches(toy: onnx.ModelProto, method: Method) -> None:
    """Images that fill no whole number of batches are all looked at, and progress ends with their number."""
    told: list[Event] = []
    many = np.concatenate([IMAGES] * (-(-65 // len(IMAGES))))[:65]
    Quantiser(toy, many, Feed(), "toy", told.append).made("int8-cpu", method)
    assert [(event.done, event.total) for event in told if isinstance(event, Progress)] == [(0, 65), (33, 65), (65, 65)]


def test_what_tensorrt_takes(toy: onnx.ModelProto) -> None:
    """Signed types only, zero points that are 0, biases that are not quantised, everything else fp16, and the answers of the fp32 model."""
    model = Quantiser(toy, IMAGES, Feed(), "toy", silent).made("int8-trt")
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    types = {tensor.data_type for tensor in constants.values()}
    assert TensorProto.INT8 in types
    assert not types & {TensorProto.UINT8, TensorProto.INT32, TensorProto.FLOAT}
    pairs = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert pairs
    assert all(not numpy_helper.to_array(constants[node.input[2]]).any() for node in pairs if len(node.input) > 2)
    before, after = answered(toy), answered(model)
    assert np.abs(after - before).mean() < 0.2 * before.std()
    onnx.checker.check_model(model, full_check=True)


def test_a_layer_that_stays_in_float(toy: onnx.ModelProto) -> None:
    """Its weights are as they were, the others' are not; with all of them in float nothing is quantised."""
    quantiser = Quantiser(toy, IMAGES, Feed(), "toy", silent)
    layers = quantiser.layers("int8-cpu")
    assert len(layers) == 3

    def small(model: onnx.ModelProto) -> list[Any]:
        return [list(tensor.dims) for tensor in model.graph.initializer if tensor.data_type == TensorProto.INT8 and len(tensor.dims) > 1]

    assert len(small(quantiser.made("int8-cpu"))) == 3
    assert [8, 3, 3, 3] not in small(quantiser.made("int8-cpu", floats=layers[:1]))
    assert small(quantiser.made("int8-cpu", floats=layers)) == []


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

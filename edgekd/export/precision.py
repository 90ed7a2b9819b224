"""Other precisions of an ONNX model: fp16, and int8 for CPUs.

In: a checked fp32 model; for int8 training images, prepared as the network wants them. Out: a new model; the given one is left alone.

int8 is ONNX Runtime's static quantisation with QuantizeLinear/DequantizeLinear pairs: uint8 asymmetric activations, int8 symmetric
weights per channel, ranges by minimum and maximum. Convolutions and matrix products are quantised, with the activations that fuse
into them; the last layer answers floats.
TensorRT wants another int8, which is not made here. Nothing here judges what the precision costs: `parity` and `evaluate` do.
"""

import io
import logging
import platform
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from edgekd.errors import EdgekdError
from edgekd.events import Emit, Progress
from edgekd.export.feed import Feed, open_session

FP16_MAX = 65504.0
"""The largest number that fp16 holds."""

QUANTISED_OPS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Relu", "Clip")
"""What int8 covers. Relu and Clip only hand their range to the layer before them and vanish; additions between quantised layers then run in int8 too.
Asking for Add, Pad, Slice and pooling as well changed neither time nor answers of resnet20 and resnet56 on a VNNI CPU."""


# fp16 -----------------------------------------------------------------------------------------------------------------


def to_fp16(model: onnx.ModelProto, images: NDArray[np.float32], feed: Feed, name: str) -> onnx.ModelProto:
    """The model with weights and arithmetic in fp16; its input and output stay float32.

    Args:
        images: a few prepared images, on which no activation may leave what fp16 holds. A CPU computes fp16 files in fp32 and would not notice.
        name: what messages call the model.

    Raises:
        EdgekdError: a weight or an activation is larger than fp16 can hold.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    _refuse_large_weights(model, name)
    _refuse_large_activations(model, images, feed, name)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    half = convert_float_to_float16(copy, keep_io_types=True)
    assert isinstance(half, onnx.ModelProto)
    OnnxModel.graph_topological_sort(half.graph)  # the converter leaves its casts at the end
    return half


def _refuse_large_weights(model: onnx.ModelProto, name: str) -> None:
    """The converter would clamp them without a word."""
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(tensor)
            largest = float(np.abs(values).max(initial=0.0))
            if largest > FP16_MAX:
                raise EdgekdError(f"fp16 holds numbers up to {FP16_MAX:.0f}, and {tensor.name} of {name} has {largest:.3g}. {_WITHOUT['fp16']}")


def _refuse_large_activations(model: onnx.ModelProto, images: NDArray[np.float32], feed: Feed, name: str) -> None:
    inferred = onnx.shape_inference.infer_shapes(model)
    inside = [value for value in inferred.graph.value_info if value.type.tensor_type.elem_type == TensorProto.FLOAT]
    open_graph = onnx.ModelProto()
    open_graph.CopyFrom(model)
    produced = {output for node in model.graph.node for output in node.output}
    open_graph.graph.output.extend(value for value in inside if value.name in produced)
    session = open_session(open_graph.SerializeToString(), name)
    names = [output.name for output in session.get_outputs()]
    for some in feed.batches(images, len(images)):
        for tensor, values in zip(names, session.run(names, feed.fed(some)), strict=True):
            largest = float(np.abs(values).max(initial=0.0))
            if not largest <= FP16_MAX:
                raise EdgekdError(f"fp16 holds numbers up to {FP16_MAX:.0f}, and {tensor} inside {name} reaches {largest:.3g}. {_WITHOUT['fp16']}")


_WITHOUT = {
    "fp32": "Please report it with the recipe: an exported file must compute what the network does.",
    "fp16": 'Export without fp16: precisions = ["fp32", "int8"] under [export].',
    "int8-cpu": 'Export without int8: precisions = ["fp32", "fp16"] under [export].',
    "as-is": "Please report it with the recipe: a copied file must compute what it did.",
}


def remedy(precision: str) -> str:
    """What a person can do about a file that is not fit for use."""
    return _WITHOUT[precision]


# int8 -----------------------------------------------------------------------------------------------------------------


def to_int8_cpu(model: onnx.ModelProto, images: NDArray[np.float32], feed: Feed, name: str, *, reduce_range: bool, emit: Emit) -> onnx.ModelProto:
    """The model with int8 weights and uint8 activations, ranges taken from `images`.

    Args:
        images: prepared training images, never anything else.
        name: what progress and messages call the model.
        reduce_range: weights in 7 bits, for x86 CPUs whose 8-bit products saturate (see `saturates`).
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="edgekd-int8-") as folder, _quiet():
        source, ready, quantised = (Path(folder, f"{step}.onnx") for step in ("source", "ready", "int8"))
        onnx.save(model, source)  # from a file: it would empty a model in memory of its weights
        quant_pre_process(source, ready, skip_symbolic_shape=True)
        quantize_static(
            ready,
            quantised,
            _Reader(images, feed, name, emit),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED_OPS),
            per_channel=True,
            reduce_range=reduce_range,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            # Logits rounded to 256 steps would cost up to half a standard deviation in the extremes.
            extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"]},
        )
        return onnx.load(quantised)


class _Reader:
    """Calibration batches as the quantiser asks for them: it takes any object with these methods."""

    def __init__(self, images: NDArray[np.float32], feed: Feed, name: str, emit: Emit) -> None:
        # About 8 MB of input at a time: the quantiser keeps every activation of a batch.
        batch = max(1, min(64, (1 << 21) // max(1, images[0].size)))
        self._batches = feed.batches(images, batch)
        self._feed, self._emit = feed, emit
        self._what, self._done, self._total = f"calibrating {name}", 0, len(images)

    def get_next(self) -> dict[str, NDArray[np.generic]] | None:
        """The next batch, None after the last."""
        some = next(self._batches, None)
        self._emit(Progress(what=self._what, done=min(self._done, self._total), total=self._total))
        if some is None:
            return None
        self._done += len(some)
        return self._feed.fed(some)

    def __iter__(self) -> Iterator[dict[str, NDArray[np.generic]]]:
        return iter(self.get_next, None)


def saturates(machine: str | None = None, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this CPU's 8-bit products can overflow their 16-bit sum: x86 without VNNI. An x86 that cannot be asked is taken to."""
    if (machine or platform.machine()).lower() not in {"x86_64", "amd64", "i686", "x86"}:
        return False
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    flags: Sequence[str] = next((line.split() for line in text.splitlines() if line.startswith("flags")), [])
    return not {"avx512_vnni", "avx_vnni"} & set(flags)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's notes to itself: it prints, and logs to the root logger, which would then grow a handler."""
    root = logging.getLogger()
    level, silent = root.level, logging.NullHandler()
    root.addHandler(silent)
    root.setLevel(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)
        root.removeHandler(silent)

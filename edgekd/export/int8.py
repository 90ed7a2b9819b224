"""int8 of an ONNX model in two flavours, from one calibration: no single file is fast on both CPUs and TensorRT.

In: a checked fp32 model and prepared training images. Out: new models with QuantizeLinear/DequantizeLinear pairs; the given one is left alone.

    int8-cpu    uint8 asymmetric activations, int8 weights per channel, everything else float32
    int8-trt    int8 symmetric activations and weights, zero points 0, biases in float, everything else fp16: TensorRT takes no other

Convolutions and matrix products are quantised, with the activations that fuse into them; for CPUs gates, too (`gates`), so that what lies between
two convolutions stays in int8, and not the `stem` of depthwise networks. The last layer answers floats. ONNX Runtime's quantiser does the work.
What a file loses by it is not judged here (`control`, `parity`, `evaluate`).
"""

import io
import logging
import platform
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray

from edgekd.events import Emit, Progress
from edgekd.export import gates
from edgekd.export.feed import Feed
from edgekd.export.fp16 import halved, name_nodes
from edgekd.export.inside import FOLDED
from edgekd.export.stem import stem
from edgekd.measurements import VNNI

Flavour: TypeAlias = Literal["int8-cpu", "int8-trt"]
Method: TypeAlias = Literal["minmax", "percentile", "entropy"]

METHODS: tuple[Method, ...] = ("minmax", "percentile", "entropy")
"""How the range of an activation is taken from what was seen of it: all of it; all but one in 10,000; what keeps most of its distribution."""
PERCENTILE = 99.99

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
QUANTISED_OPS = (*WEIGHTED, "Relu", "Clip")
"""What int8 covers. Relu and Clip only hand their range to the layer before them and vanish; additions between quantised layers then run in int8 too.
Asking for Add, Pad and Slice as well changed neither time nor answers of resnet20 and resnet56 on a VNNI CPU."""
CPU_OPS = (*QUANTISED_OPS, *gates.GATES, "Mul", "GlobalAveragePool")
"""What it covers for CPUs; of the products only those by a gate."""


class Quantiser:
    """A model made ready, and its activations' ranges by each method that was asked for so far."""

    def __init__(self, model: onnx.ModelProto, images: NDArray[np.float32], feed: Feed, name: str, emit: Emit) -> None:
        """`images` are prepared training images, never anything else; `name` is what progress calls the model."""
        self._images, self._feed, self._name, self._emit = images, feed, name, emit
        self._ranges: dict[Method, Any] = {}
        self._ready = _ready(model)
        self.stem = stem(self._ready)
        """Layers that the CPU's flavour leaves in float."""

    def layers(self, flavour: Flavour) -> list[str]:
        """Names of the nodes whose weights a flavour quantises, in the model's order."""
        constants = {tensor.name for tensor in self._ready.graph.initializer}
        found = [node.name for node in self._ready.graph.node if node.op_type in WEIGHTED and len(node.input) > 1 and node.input[1] in constants]
        return [name for name in found if flavour == "int8-trt" or name not in self.stem]

    def made(self, flavour: Flavour, method: Method = "minmax", floats: Collection[str] = (), *, reduce_range: bool = False) -> onnx.ModelProto:
        """The model in int8, but for the nodes named in `floats` and, for CPUs, its `stem`.

        `reduce_range`: weights in 7 bits, for x86 CPUs whose 8-bit products saturate (see `saturates`).
        """
        from onnxruntime.quantization import QDQQuantizer, QuantType

        symmetric = flavour == "int8-trt"
        if not symmetric:
            floats = [*floats, *self.stem]
        copy = onnx.ModelProto()
        copy.CopyFrom(self._ready)
        # Logits rounded to 256 steps would cost up to half a standard deviation in the extremes.
        options: dict[str, Any] = {"OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"]}
        if symmetric:
            # A shared pair, or a rounded output of a convolution, keeps TensorRT from fusing what follows it.
            options = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False, "DedicatedQDQPair": True}
            options["OpTypesToExcludeOutputQuantization"] = list(QUANTISED_OPS)
        with _quiet():
            quantiser = QDQQuantizer(
                copy,
                True,
                reduce_range,
                QuantType.QInt8,
                QuantType.QInt8 if symmetric else QuantType.QUInt8,
                self._range(method),
                [],
                list(floats) if symmetric else [*floats, *gates.others(copy, floats)],
                list(WEIGHTED if symmetric else CPU_OPS),
                options,
            )
            quantiser.quantize_model()
            if not symmetric:
                gates.as_sums(quantiser.model.model)
            quantiser.model.topological_sort()
        made = quantiser.model.model
        assert isinstance(made, onnx.ModelProto)
        return halved(made, _of_pixels(made)) if symmetric else made

    def _range(self, method: Method) -> Any:
        """The ranges by a method, computed once."""
        if method not in self._ranges:
            from onnxruntime.quantization import CalibrationMethod, create_calibrator

            kinds = {"minmax": CalibrationMethod.MinMax, "percentile": CalibrationMethod.Percentile, "entropy": CalibrationMethod.Entropy}
            options = {"percentile": {"percentile": PERCENTILE, "symmetric": False}}.get(method, {})
            with tempfile.TemporaryDirectory(prefix="edgekd-int8-") as folder, _quiet():
                ready = Path(folder, "ready.onnx")
                onnx.save(self._ready, ready)
                calibrator = create_calibrator(
                    ready,
                    list(CPU_OPS),
                    augmented_model_path=str(Path(folder, "open.onnx")),
                    calibrate_method=kinds[method],
                    extra_options=options,
                )
                for some in self._batches(f"calibrating {self._name} by {method}"):
                    calibrator.collect_data(_Once(self._feed.fed(some)))
                self._ranges[method] = calibrator.compute_data()
        return self._ranges[method]

    def _batches(self, what: str) -> Iterator[NDArray[np.float32]]:
        """Of about 8 MB: the calibrator keeps every activation of what it is given at once, which must be one batch, as it mends no uneven ones.

        Each is spread over all images, so that the first shows about the range of the rest: histograms are grown by bins of its width.
        """
        images, done = self._images, 0
        count = -(-len(images) // max(1, min(64, (1 << 21) // images[0].size)))
        for at in range(count):
            for some in self._feed.batches(images[at::count], len(images)):
                self._emit(Progress(what=what, done=done, total=len(images)))
                yield some
                done = min(done + len(some), len(images))
        self._emit(Progress(what=what, done=done, total=len(images)))


def _ready(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its shapes inferred and its constants folded, as the quantiser wants it; each node has a name of its own."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="edgekd-int8-") as folder, _quiet():
        source, ready = Path(folder, "source.onnx"), Path(folder, "ready.onnx")
        onnx.save(model, source)  # from a file: it would empty a model in memory of its weights
        quant_pre_process(source, ready, skip_symbolic_shape=True)
        found = onnx.load(ready)
    gates.pooled(found)
    name_nodes(found)
    return found


def _of_pixels(model: onnx.ModelProto) -> list[str]:
    """Names of the convolution that took up the scale of pixels (`inside`) and of what quantises for it: its own scales are too small for fp16."""
    makers = {output: node for node in model.graph.node for output in node.output}
    found = [node for node in model.graph.node if any(name.startswith(FOLDED) for name in node.input)]
    before = next((makers.get(node.input[0]) for node in found if node.op_type == "Conv"), None)
    while before is not None and before.op_type in ("QuantizeLinear", "DequantizeLinear"):
        found.append(before)
        before = makers.get(before.input[0])
    return [node.name for node in found]


class _Once:
    """One batch as the calibrator asks for it: it takes any object with these methods."""

    def __init__(self, fed: dict[str, NDArray[np.generic]]) -> None:
        self._left = [fed]

    def get_next(self) -> dict[str, NDArray[np.generic]] | None:
        """The batch, then None."""
        return self._left.pop() if self._left else None

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
    return not VNNI & set(flags)


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

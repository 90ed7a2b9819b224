"""TensorRT engines from ONNX files, by `tensorrt` 10 and 11 and by `tensorrt_rtx` alike: what stands in the file is what the engine computes in.

In: a file, the batches that the engine must take, for which chips. Out: an engine, and a table of what went into it and which layers it has: those of
the network that was parsed and, of `tensorrt`, those of the engine. Networks are strongly typed, so that precision is the
file's own. `tensorrt` builds for the GPU at hand; `tensorrt_rtx` needs none, and builds for those that are named.
"""

import hashlib
import os
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from . import kernels, libraries, onnxfile
from .protocol import Answer, RefusedError, Tell

WEIGHTED = ("convolution", "deconvolution", "matrix_multiply")
"""Kinds of layers that compute in the type of what they read, whatever they answer."""


def build(
    path: str,
    out: str,
    library: str,
    batches: Tuple[int, int, int] = (1, 1, 1),
    chips: Sequence[str] = (),
    workspace: Optional[int] = None,
    timings: Optional[str] = None,
    limit_s: Optional[float] = None,
    tell: Tell = lambda **facts: None,
) -> Answer:
    """Build an engine into the file `out`; what it is made of.

    Args:
        batches: the least, the usual and the largest batch, where the file leaves it open.
        chips: compute capabilities as in "8.9", for `tensorrt_rtx`; (): those that it takes by default.
        workspace: bytes of GPU memory that the builder may use; None: as much as there is.
        timings: a file in which `tensorrt` keeps what it has timed; it is read and written.
        limit_s: seconds after which the builder is told to stop.
        tell: told of progress: what, done, total.

    Raises:
        RefusedError: the file does not parse, an axis other than the batch is open, or a chip is not known to the library.
        RuntimeError: the builder failed; its own words.
    """
    trt = libraries.imported(library)
    log = libraries.log(trt)
    maker = trt.Builder(log)
    network = maker.create_network(libraries.typed(trt))
    parser = trt.OnnxParser(network, log)  # it must not outlive the network, nor the network it
    if not parser.parse(Path(path).read_bytes(), path):  # weights may lie in files beside it
        raise RefusedError("TensorRT does not take this file: {}".format(_refusal(parser, log)))
    config = maker.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    profile = _profile(maker, network, config, batches)
    for_chips = libraries.set_chips(trt, config, chips)
    if workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    cache = libraries.set_timings(config, library, timings)
    plan, seconds = _plan(trt, maker, network, config, log, limit_s, tell)
    Path(out).write_bytes(plan)
    if cache is not None and timings is not None:
        unfinished = Path("{}.{}.part".format(timings, os.getpid()))
        unfinished.write_bytes(bytes(cache.serialize()))
        os.replace(str(unfinished), timings)
    # An engine of tensorrt_rtx is mostly for other chips than are here, and its kernels are made where it runs.
    opened, problems = ([], []) if library == "tensorrt_rtx" else _opened(trt, plan, log)
    return {
        "library": library,
        "version": trt.__version__,
        "onnx": onnxfile.digest(path),
        "sha256": hashlib.sha256(plan).hexdigest(),
        "size": len(plan),
        "seconds": seconds,
        "chips": for_chips,
        "profile": profile,
        "layers": layers(network),
        "kernels": opened,
        "warnings": [*log.words[:20], *problems],
    }


def _plan(trt: Any, maker: Any, network: Any, config: Any, log: Any, limit_s: Optional[float], tell: Tell) -> Tuple[bytes, float]:
    """The engine, and the seconds that it took; raises as `build`."""
    begin = time.perf_counter()
    end = None if limit_s is None else begin + limit_s
    config.progress_monitor = monitor = _monitor(trt, tell, lambda: end is None or time.perf_counter() < end)
    engine = maker.build_serialized_network(network, config)
    del monitor  # alive until here: the builder holds no reference of its own
    seconds = time.perf_counter() - begin
    if engine is not None:
        return bytes(engine), seconds
    if limit_s is not None and seconds >= limit_s:
        raise RefusedError("the engine must be built within {:.0f} s and was not; its builder was stopped".format(limit_s))
    raise RuntimeError("; ".join(log.words[-3:])[:400] or "TensorRT built nothing and said nothing")


def _refusal(parser: Any, log: Any) -> str:
    told = "; ".join(parser.get_error(number).desc() for number in range(parser.num_errors)) or "; ".join(log.words)
    return told[:400]


def _opened(trt: Any, plan: bytes, log: Any) -> Tuple[List[Dict[str, str]], List[str]]:
    """The layers of the engine; where they cannot be told, none and why."""
    runtime = trt.Runtime(log)  # it must not end before its engine
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        return [], ["the engine does not open where it was built: {}".format("; ".join(log.words[-3:])[:400])]
    try:
        return kernels.read(engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)), []
    except RefusedError as error:
        return [], [str(error)]


def layers(network: Any) -> List[Dict[str, str]]:
    """Each layer of a parsed network: its name, what it is, and the type that it computes in. That is the type of what it answers, but for a weighted
    layer whose input was just taken out of fewer bits: it computes in those."""
    each = [network.get_layer(number) for number in range(network.num_layers)]
    kinds = [str(layer.type).rpartition(".")[2].lower() for layer in each]
    packed = {
        layer.get_output(0).name: _type(layer.get_input(0).dtype) for layer, kind in zip(each, kinds) if kind == "dequantize" and layer.num_outputs
    }
    found = []
    for layer, kind in zip(each, kinds):
        answers = layer.get_output(0) if layer.num_outputs else None
        precision = "" if answers is None else _type(answers.dtype)
        if kind in WEIGHTED:
            precision = packed.get(layer.get_input(0).name, precision)
        found.append({"name": layer.name, "kind": kind, "precision": precision})
    return found


def _type(dtype: Any) -> str:
    word = str(dtype).rpartition(".")[2].lower()
    return {"float": "fp32", "half": "fp16"}.get(word, word)


def _profile(maker: Any, network: Any, config: Any, batches: Tuple[int, int, int]) -> Dict[str, List[List[int]]]:
    """The shapes of each input, least, usual and largest; a profile where any is open."""
    shapes, any_open = {}, False
    profile = maker.create_optimization_profile()
    for number in range(network.num_inputs):
        put = network.get_input(number)
        shape = list(put.shape)
        if -1 in shape[1:]:
            raise RefusedError("only the batch of {} may be open, and its shape is {}. Export it with fixed sizes.".format(put.name, shape))
        opened = bool(shape) and shape[0] == -1
        shapes[put.name] = [[batch, *shape[1:]] if opened else shape for batch in batches]
        if opened:
            any_open = True
            profile.set_shape(put.name, *(tuple(each) for each in shapes[put.name]))
    if any_open:
        config.add_optimization_profile(profile)
    return shapes


def _monitor(trt: Any, tell: Tell, goes_on: Callable[[], bool]) -> Any:
    """A monitor that tells of the phases that no other phase holds, and stops the builder once it shall not go on."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._outer: Dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: Optional[str], num_steps: int) -> None:
            if not parent_phase:
                self._outer[phase_name] = num_steps
                tell(what=phase_name, done=0, total=num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name in self._outer:
                tell(what=phase_name, done=step + 1, total=self._outer[phase_name])
            return goes_on()

        def phase_finish(self, phase_name: str) -> None:
            self._outer.pop(phase_name, None)

    return Monitor()

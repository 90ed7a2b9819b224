"""TensorRT engines from ONNX files, by `tensorrt` 10 and 11 and by `tensorrt_rtx` alike: what stands in the file is what the engine computes in.

In: a file, the batches that the engine must take, for which chips. Out: an engine, and a table of what went into it and which layers it has. Networks
are strongly typed, so that precision is the file's own. `tensorrt` builds for the GPU at hand; `tensorrt_rtx` needs none, and builds for those that
are named.
"""

import hashlib
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from .protocol import Answer, RefusedError

LIBRARIES = ("tensorrt", "tensorrt_rtx")
OLDEST = 10
"""The first version of tensorrt that knows strongly typed networks well enough."""
Tell = Callable[..., None]


def imported(name: str) -> Any:
    """The library.

    Raises:
        ImportError: it is not installed, or lacks its own shared libraries.
        RefusedError: it is older than TensorRT 10.
    """
    if name not in LIBRARIES:
        raise RefusedError("engines are built by {}, got {!r}".format(" or ".join(LIBRARIES), name))
    library = __import__(name)
    major = int(library.__version__.split(".")[0])
    if name == "tensorrt" and major < OLDEST:
        raise RefusedError(
            "engines are built by TensorRT 10 or newer, and this is {}: JetPack 5 has it. Upgrade the board to JetPack 6, "
            "or run the ONNX file by ONNX Runtime.".format(library.__version__)
        )
    return library


def builder(library: str) -> Answer:
    """Which version of the library is there; raises as `imported`."""
    return {"version": imported(library).__version__}


def build(
    path: str,
    out: str,
    library: str,
    batches: Tuple[int, int, int] = (1, 1, 1),
    chips: Sequence[str] = (),
    workspace: Optional[int] = None,
    timings: Optional[str] = None,
    tell: Tell = lambda **facts: None,
) -> Answer:
    """Build an engine into the file `out`; what it is made of.

    Args:
        batches: the least, the usual and the largest batch, where the file leaves it open.
        chips: compute capabilities as in "8.9", for `tensorrt_rtx`; (): those that it takes by default.
        workspace: bytes of GPU memory that the builder may use; None: as much as there is.
        timings: a file in which `tensorrt` keeps what it has timed; it is read and written.
        tell: told of progress: what, done, total.

    Raises:
        RefusedError: the file does not parse, an axis other than the batch is open, or a chip is not known to the library.
        RuntimeError: the builder failed; its own words.
    """
    trt = imported(library)
    log = _log(trt)
    maker = trt.Builder(log)
    network = maker.create_network(_typed(trt))
    parser = trt.OnnxParser(network, log)  # it must not outlive the network, nor the network it
    data = Path(path).read_bytes()
    if not parser.parse(data):
        raise RefusedError("TensorRT does not take this file: {}".format(_refusal(parser, log)))
    config = maker.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    profile = _profile(maker, network, config, batches)
    for_chips = _chips(trt, config, chips)
    if workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    cache = _timings(config, library, timings)
    config.progress_monitor = monitor = _monitor(trt, tell)
    begin = time.perf_counter()
    engine = maker.build_serialized_network(network, config)
    seconds = time.perf_counter() - begin
    if engine is None:
        raise RuntimeError("; ".join(log.words[-3:])[:400] or "TensorRT built nothing and said nothing")
    plan = bytes(engine)
    Path(out).write_bytes(plan)
    if cache is not None and timings is not None:
        Path(timings).write_bytes(bytes(cache.serialize()))
    del monitor  # alive until here: the builder holds no reference of its own
    return {
        "library": library,
        "version": trt.__version__,
        "onnx": hashlib.sha256(data).hexdigest(),
        "sha256": hashlib.sha256(plan).hexdigest(),
        "size": len(plan),
        "seconds": seconds,
        "chips": for_chips,
        "profile": profile,
        "layers": layers(network),
        "warnings": log.words[:20],
    }


def _refusal(parser: Any, log: Any) -> str:
    told = "; ".join(parser.get_error(number).desc() for number in range(parser.num_errors)) or "; ".join(log.words)
    return told[:400]


def layers(network: Any) -> List[Dict[str, str]]:
    """Each layer of a parsed network: its name, what it is, and the type of what it answers."""
    found = []
    for number in range(network.num_layers):
        layer = network.get_layer(number)
        kind = str(layer.type).rpartition(".")[2].lower()
        answers = layer.get_output(0) if layer.num_outputs else None
        found.append({"name": layer.name, "kind": kind, "precision": "" if answers is None else _type(answers.dtype)})
    return found


def _type(dtype: Any) -> str:
    word = str(dtype).rpartition(".")[2].lower()
    return {"float": "fp32", "half": "fp16"}.get(word, word)


def _typed(trt: Any) -> int:
    """The flags of a strongly typed network; none where there is no other kind any more."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


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


def _chips(trt: Any, config: Any, chips: Sequence[str]) -> List[str]:
    """Have the engine made for these chips; what it is made for."""
    if not chips:
        return []
    if not hasattr(config, "num_compute_capabilities"):
        raise RefusedError("tensorrt builds for the GPU at hand and for no other; leave the chips out, or build by tensorrt_rtx")
    config.num_compute_capabilities = len(chips)
    for at, chip in enumerate(chips):
        known = getattr(trt.ComputeCapability, "SM" + chip.replace(".", ""), None)
        if known is None or not config.set_compute_capability(known, at):
            names = sorted(name for name in dir(trt.ComputeCapability) if name.startswith("SM"))
            raise RefusedError("TensorRT-RTX {} knows no chip {}; it knows {}".format(trt.__version__, chip, ", ".join(names)))
    return list(chips)


def _timings(config: Any, library: str, file: Optional[str]) -> Optional[Any]:
    """The cache of timings, where the library keeps one: that of tensorrt_rtx does nothing and asks for a GPU."""
    if file is None or library != "tensorrt":
        return None
    cache = config.create_timing_cache(Path(file).read_bytes() if Path(file).is_file() else b"")
    config.set_timing_cache(cache, True)
    return cache


def _log(trt: Any) -> Any:
    """A logger that keeps warnings and errors."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.words: List[str] = []

        def log(self, severity: Any, text: str) -> None:
            if severity <= trt.ILogger.Severity.WARNING:
                self.words.append(" ".join(text.split()))

    return Log()


def _monitor(trt: Any, tell: Tell) -> Any:
    """A monitor that tells of the phases that no other phase holds."""

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
            return True

        def phase_finish(self, phase_name: str) -> None:
            self._outer.pop(phase_name, None)

    return Monitor()

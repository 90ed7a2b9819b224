"""Which runtime opens a file: a name for each, and what is asked of all of them alike.

Each is imported when it is first asked for, so that a device needs the one that its target names and no other.
"""

from functools import partial
from typing import Callable, Dict, NamedTuple, Optional, Sequence

from . import enginecache, engines, onnxfile, onnxrt, openvinort, trtexec
from .feed import Model
from .protocol import Answer, RefusedError


class How(NamedTuple):
    """How a file is opened. What a runtime has no use for it leaves alone."""

    provider: str
    threads: int
    """Of all inferences at a time."""
    short_spin: bool = True
    shared: bool = False
    """The threads are one pool of all models of this process."""
    streams: int = 1
    """Inferences at a time."""
    batch: Optional[int] = None
    """What it will be fed, with `dims`; None: whatever the file takes."""
    dims: Dict[str, int] = {}
    batches: Sequence[int] = (1, 1, 1)
    """The least, usual and largest batch that its engine was built for."""
    graph: bool = True
    """Launch inferences on a GPU as a graph."""
    spin: bool = True
    """Wait for a GPU by spinning."""
    workspace: Optional[int] = None
    """Bytes of GPU memory that its engine's builder might use."""


def _by_onnxruntime(path: str, how: How) -> Model:
    threads = max(1, how.threads // how.streams)
    return onnxrt.Model(path, how.provider, threads, short_spin=how.short_spin, shared=how.shared)


def _by_openvino(path: str, how: How) -> Model:
    return openvinort.Model(path, how.provider, how.threads, streams=how.streams, batch=how.batch, dims=how.dims)


def _by_engine(library: str, path: str, how: How) -> Model:
    who, said = enginecache.builder(library), onnxfile.read(path)
    kept = enginecache.standing(path, library, how.batches, how.workspace)
    if who.tool is not None:
        usual = how.batch or how.batches[1]
        return trtexec.Model(who.tool, who.version, str(kept.path), said, graph=how.graph, spin=how.spin, batch=usual)
    return engines.Model(kept.path.read_bytes(), library, graph=how.graph, spin=how.spin, metadata=said.metadata)


_START: Dict[str, Callable[[], Answer]] = {
    "onnxruntime": onnxrt.imported,
    "openvino": openvinort.imported,
    "tensorrt": partial(enginecache.started, "tensorrt"),
    "tensorrt-rtx": partial(enginecache.started, "tensorrt_rtx"),
}
_OPEN: Dict[str, Callable[[str, How], Model]] = {
    "onnxruntime": _by_onnxruntime,
    "openvino": _by_openvino,
    "tensorrt": partial(_by_engine, "tensorrt"),
    "tensorrt-rtx": partial(_by_engine, "tensorrt_rtx"),
}
ON_CPU = ("CPUExecutionProvider", "CPU")
"""What the processor is called by those that run on it."""


def imported(runtime: str) -> Answer:
    """Import a runtime: its version by its name, and what it can run on.

    Raises:
        ImportError: it is not installed. RefusedError: it is none that is known here, or cannot be used.
    """
    return _START[_known(runtime)]()


def opened(runtime: str, path: str, how: How) -> Model:
    """A file, opened; raises as `imported`, and as the runtime does."""
    return _OPEN[_known(runtime)](path, how)


def _known(runtime: str) -> str:
    if runtime not in _OPEN:
        raise RefusedError("this agent knows no runtime {!r}; it knows {}".format(runtime, ", ".join(_OPEN)))
    return runtime

"""A TensorRT engine as an open model: run from Python by `tensorrt` 10 and 11 and by `tensorrt_rtx` alike. Never run on hardware by this project.

In: an engine's bytes, of a cache that vouches for them (opening one runs native code). Out: a `Model` that is fed numpy arrays and answers them:
copies to the GPU, the work and copies back in one stream, as a CUDA graph where that is wanted and can be, and waited for by spinning or asleep.
`parts` tells copies and work apart by events.
"""

import threading
from contextlib import ExitStack
from functools import partial
from typing import Any, Callable, Dict, List, Optional, Tuple

from . import cuda, feed, libraries
from .protocol import RefusedError

NUMPY = {
    **{"FLOAT": "float32", "HALF": "float16", "INT8": "int8", "INT32": "int32", "INT64": "int64", "UINT8": "uint8", "BOOL": "bool"},
}  # fmt: skip
"""TensorRT's names of types that numpy has too."""
PARTS = ("to_gpu", "compute", "from_gpu")
Shapes = Dict[str, Tuple[int, ...]]


class Model(feed.Model):
    """An engine on the first GPU."""

    def __init__(self, plan: bytes, library: str, *, graph: bool, spin: bool, metadata: Dict[str, str], driver: Optional[cuda.Driver] = None) -> None:
        """Open an engine; `graph` and `spin` as the module says.

        Raises:
            ImportError, RefusedError: as `libraries.imported` and `cuda.Driver`, or the library does not take the engine.
        """
        self.wants_graph, self.spin = graph, spin
        self.graph_reason: Optional[str] = None
        """Why there is no graph although one is wanted; known once it has run."""
        self._lanes: List[Lane] = []
        self._lane: Optional[Lane] = None
        self._lock = threading.Lock()
        self.driver = driver or cuda.Driver()
        self.driver.hold(spin=spin)  # before TensorRT takes the context as it finds it
        try:
            trt = libraries.imported(library)
            self._log = libraries.log(trt)
            self._runtime = trt.Runtime(self._log)
            self.engine = self._runtime.deserialize_cuda_engine(plan)
            if self.engine is None:
                raise RefusedError("{} {} does not open the engine: {}".format(library, trt.__version__, "; ".join(self._log.words[-3:])[:400]))
            puts: Dict[bool, List[feed.Put]] = {True: [], False: []}
            for number in range(self.engine.num_io_tensors):
                name = self.engine.get_tensor_name(number)
                puts[self.engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT].append(_described(self.engine, name))
        except BaseException:
            self.driver.leave()
            raise
        super().__init__(library, puts[True], puts[False], metadata)

    @property
    def graph(self) -> bool:
        """Whether inferences are launched as a graph, as far as is known yet."""
        return self.wants_graph and self.graph_reason is None

    def run(self, feeds: Dict[str, Any]) -> List[Any]:
        """One inference; outputs in the engine's order. What is fed must have the engine's types; a shape that is new costs a preparation."""
        self.driver.use()
        shapes = {name: tuple(array.shape) for name, array in feeds.items()}
        if self._lane is None or self._lane.shapes != shapes:
            if self._lane is not None:
                self._drop(self._lane)
                self._lane = None
            self._lane = self._new(shapes)
        return self._lane.run(feeds)

    def runner(self, feeds: Dict[str, Any]) -> Callable[[], object]:
        """A stream of its own with buffers of its own."""
        self.driver.use()
        lane = self._new({name: tuple(array.shape) for name, array in feeds.items()})
        users: List[int] = []

        def run() -> object:
            me = threading.get_ident()
            if me not in users:  # a context is a thread's own business
                self.driver.use()
                users.append(me)
            return lane.run(feeds)

        return run

    def parts(self, feeds: Dict[str, Any], runs: int) -> Dict[str, List[float]]:
        """Milliseconds of copies to the GPU, of the work and of copies back in some inferences, by the GPU's own events."""
        self.driver.use()
        lane = self._new({name: tuple(array.shape) for name, array in feeds.items()})
        try:
            return lane.parts(feeds, runs)
        finally:
            self._drop(lane)

    def close(self) -> None:
        """Give all that is on the GPU back."""
        self.driver.use()
        for lane in list(self._lanes):
            self._drop(lane)
        self._lane = None
        self.engine = self._runtime = None
        self.driver.leave()

    def _new(self, shapes: Shapes) -> "Lane":
        lane = Lane(self, shapes)
        with self._lock:
            self._lanes.append(lane)
        return lane

    def _drop(self, lane: "Lane") -> None:
        with self._lock:
            self._lanes.remove(lane)
        lane.close()


class Lane:
    """One inference at a time of one shape: a context of the engine, a stream, buffers on both sides, and the graph of it all."""

    def __init__(self, model: Model, shapes: Shapes) -> None:
        self.shapes = shapes
        self._model, self._driver = model, model.driver
        self._held = ExitStack()
        self._graph: Optional[int] = None
        self._tried = False
        try:
            self._context = model.engine.create_execution_context()
            if self._context is None:
                raise MemoryError("out of memory: TensorRT makes no context for the engine")
            self._stream = self._driver.stream()
            self._held.callback(self._driver.end_stream, self._stream)
            for name, sizes in shapes.items():
                if not self._context.set_input_shape(name, sizes):
                    raise RefusedError("the engine was not built for {} of shape {}; {}".format(name, list(sizes), _taken(model.engine, name)))
            self._inputs = [self._buffer(put) for put in model.inputs]
            self._outputs = [self._buffer(put) for put in model.outputs]
        except BaseException:
            self.close()
            raise

    def run(self, feeds: Dict[str, Any]) -> List[Any]:
        """One inference, from arrays to arrays."""
        self._fill(feeds)
        if not self._tried:
            self._first()
        elif self._graph is not None:
            self._driver.launch(self._graph, self._stream)
        else:
            self._work()
        self._driver.wait(self._stream)
        return [view.copy() for view, _, _, _ in self._outputs]

    def parts(self, feeds: Dict[str, Any], runs: int) -> Dict[str, List[float]]:
        """As `Model.parts`; the work is a graph of its own where the inference is one."""
        self.run(feeds)
        compute: Callable[[], None] = self._execute
        if self._graph is not None:
            graph = self._captured(self._execute)
            self._held.callback(self._driver.end_graph, graph)
            compute = partial(self._driver.launch, graph, self._stream)
        events = []
        for _ in range(len(PARTS) + 1):
            events.append(self._driver.event())
            self._held.callback(self._driver.end_event, events[-1])
        found: Dict[str, List[float]] = {part: [] for part in PARTS}
        for _ in range(runs):
            self._driver.record(events[0], self._stream)
            for event, step in zip(events[1:], (self._copy_in, compute, self._copy_out)):
                step()
                self._driver.record(event, self._stream)
            self._driver.wait(self._stream)
            for part, begin, end in zip(PARTS, events, events[1:]):
                found[part].append(self._driver.elapsed_ms(begin, end))
        return found

    def close(self) -> None:
        """Give everything back, what was taken last first."""
        self._context = None
        self._held.close()

    def _buffer(self, put: feed.Put) -> Tuple[Any, int, int, int]:
        """An input's or output's array in pinned memory, where that lies, where it lies on the GPU, and its bytes."""
        import numpy

        shape = tuple(self._context.get_tensor_shape(put["name"]))
        kind: Any = numpy.dtype(put["type"])
        if any(axis < 0 for axis in shape):
            raise RefusedError("the size of {} depends on the data ({}), which is not run here".format(put["name"], list(shape)))
        size = cuda.size_of(shape, kind.itemsize)
        there = self._driver.alloc(size)
        self._held.callback(self._driver.free, there)
        here = self._driver.pin(size)
        self._held.callback(self._driver.unpin, here)
        if not self._context.set_tensor_address(put["name"], there):
            raise RuntimeError("TensorRT does not take the buffer of {}".format(put["name"]))
        count = size // kind.itemsize if 0 not in shape else 0
        return numpy.frombuffer(memoryview(cuda.bytes_at(here, size)), kind, count).reshape(shape), here, there, size

    def _fill(self, feeds: Dict[str, Any]) -> None:
        for (view, _, _, _), put in zip(self._inputs, self._model.inputs):
            array = feeds[put["name"]]
            if array.dtype != view.dtype or array.shape != view.shape:
                raise RefusedError(
                    "the engine takes {} as {} {}, got {} {}".format(put["name"], view.dtype, list(view.shape), array.dtype, list(array.shape))
                )
            view[...] = array

    def _first(self) -> None:
        """The first inference, after which TensorRT is ready to be written down as a graph."""
        self._tried = True
        self._work()
        self._driver.wait(self._stream)
        if not self._model.wants_graph:
            return
        try:
            self._graph = self._captured(self._work)
        except (cuda.CudaError, RuntimeError) as error:
            self._model.graph_reason = str(error)
            return
        self._held.callback(self._driver.end_graph, self._graph)

    def _captured(self, work: Callable[[], None]) -> int:
        self._driver.begin_capture(self._stream)
        try:
            work()
        except BaseException:
            # The stream must come out of its capture, however little was captured.
            try:
                self._driver.end_graph(self._driver.end_capture(self._stream))
            except cuda.CudaError:
                pass
            raise
        return self._driver.end_capture(self._stream)

    def _work(self) -> None:
        self._copy_in()
        self._execute()
        self._copy_out()

    def _copy_in(self) -> None:
        for _, here, there, size in self._inputs:
            self._driver.to_gpu(there, here, size, self._stream)

    def _execute(self) -> None:
        if not self._context.execute_async_v3(self._stream):
            raise RuntimeError("TensorRT does not run the engine: {}".format("; ".join(self._model._log.words[-3:])[:400]))

    def _copy_out(self) -> None:
        for _, here, there, size in self._outputs:
            self._driver.from_gpu(here, there, size, self._stream)


def _described(engine: Any, name: str) -> feed.Put:
    kind = str(engine.get_tensor_dtype(name)).rpartition(".")[2]
    if kind not in NUMPY:
        raise RefusedError("{} of the engine is {}, which numpy has no type for. Export it with float32 inputs and outputs.".format(name, kind))
    return {"name": name, "shape": [size if size >= 0 else None for size in engine.get_tensor_shape(name)], "type": NUMPY[kind]}


def _taken(engine: Any, name: str) -> str:
    """Which shapes an engine takes, in words."""
    least, _, largest = (list(shape) for shape in engine.get_tensor_profile_shape(name, 0))
    return "it takes {} to {}".format(least, largest)

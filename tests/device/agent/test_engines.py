"""device/agent/engines.py: an engine that doubles and adds one, run through a made-up driver and a made-up TensorRT of both versions."""

import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from edgekd.device.agent import cuda, trt
from edgekd.device.agent.engines import Model
from edgekd.device.agent.protocol import RefusedError
from tests.device.agent.gpu import Gpu, imported
from tests.device.nets import passing


@pytest.fixture(params=["10.3.0", "11.1.0"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`tensorrt` of either version."""
    return imported(monkeypatch, request.param)


def plan(folder: Path, largest: int = 4) -> bytes:
    """An engine of rows of 3 numbers, one row to `largest`."""
    file = passing(folder / "f.onnx", {"x": (TensorProto.FLOAT, ["n", 3])})
    trt.build(str(file), str(folder / "f.engine"), "tensorrt", batches=(1, 1, largest))
    return (folder / "f.engine").read_bytes()


def opened(folder: Path, *, graph: bool = True, spin: bool = True) -> Model:
    """That engine, opened."""
    return Model(plan(folder), "tensorrt", graph=graph, spin=spin, metadata={"a": "b"})


def rows(n: int, start: float = 0.0) -> dict[str, NDArray[np.float32]]:
    """What it is fed."""
    return {"x": np.arange(3 * n, dtype=np.float32).reshape(n, 3) + np.float32(start)}


def test_an_engine_is_described(fake: Gpu, library: ModuleType, tmp_path: Path) -> None:
    """As a file is: open axes are None, types are numpy's, metadata is the ONNX file's."""
    model = opened(tmp_path)
    assert model.inputs == [{"name": "x", "shape": [None, 3], "type": "float32"}]
    assert model.outputs == [{"name": "x_out", "shape": [None, 3], "type": "float32"}]
    assert (model.batch, model.metadata, model.provider) == (None, {"a": "b"}, "tensorrt")
    model.close()


@pytest.mark.parametrize("graph", [True, False])
def test_arrays_go_in_and_answers_come_out(fake: Gpu, library: ModuleType, tmp_path: Path, graph: bool) -> None:
    """The first inference and the later ones, launched as a graph or not, at one size and another; answers stay the caller's."""
    model = opened(tmp_path, graph=graph)
    first = model.run(rows(2))[0]
    for n, start in ((2, 5), (2, 9), (4, 1), (1, 2)):
        np.testing.assert_array_equal(model.run(rows(n, start))[0], 2 * rows(n, start)["x"] + 1)
    np.testing.assert_array_equal(first, 2 * rows(2)["x"] + 1)
    assert ("cuGraphLaunch" in fake.calls) == graph == model.graph
    model.close()
    assert fake.alive == 0


def test_calls_of_an_inference(fake: Gpu, library: ModuleType, tmp_path: Path) -> None:
    """Without a graph: in, out, wait; with one: launch, wait. Nothing else happens once buffers are there."""
    for graph, calls in ((False, ["cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2"]), (True, ["cuGraphLaunch"])):
        model = opened(tmp_path, graph=graph)
        run = model.runner(rows(1))
        run()
        fake.reset()
        run()
        assert fake.calls == [*calls, "cuStreamSynchronize"]


@pytest.mark.parametrize(("spin", "flags"), [(True, 1), (False, 4)])
def test_the_context_waits_as_it_was_told(fake: Gpu, library: ModuleType, tmp_path: Path, spin: bool, flags: int) -> None:
    """By spinning, or asleep; set before TensorRT is there."""
    opened(tmp_path, spin=spin).close()
    assert fake.flags == flags


@pytest.mark.parametrize("graph", [True, False])
def test_copies_are_told_apart_from_the_work(fake: Gpu, library: ModuleType, tmp_path: Path, graph: bool) -> None:
    """By the made-up clock a copy takes a quarter of a millisecond and the work two, as a graph or not; all is given back."""
    model = opened(tmp_path, graph=graph)
    model.run(rows(1))
    before = fake.alive
    assert model.parts(rows(1), 3) == {"to_gpu": [0.25] * 3, "compute": [2.0] * 3, "from_gpu": [0.25] * 3}
    assert fake.alive == before


def test_streams_run_side_by_side(fake: Gpu, library: ModuleType, tmp_path: Path) -> None:
    """Each in a thread of its own, with buffers of its own."""
    model = opened(tmp_path)
    found: dict[int, Any] = {}

    def stream(at: int) -> None:
        run = model.runner(rows(2, at))
        found[at] = [run() for _ in range(3)][-1]

    threads = [threading.Thread(target=stream, args=(at,)) for at in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for at in range(3):
        np.testing.assert_array_equal(found[at][0], 2 * rows(2, at)["x"] + 1)
    model.close()
    assert fake.alive == 0


def test_a_runner_of_one_thread_runs_in_another(fake: Gpu, library: ModuleType, tmp_path: Path) -> None:
    """As throughput does it: made here, run there."""
    model = opened(tmp_path)
    run = model.runner(rows(1))
    run()
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(run()))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(found[0][0], 2 * rows(1)["x"] + 1)


def test_an_engine_that_is_no_graph(fake: Gpu, library: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs without one, and the reason is kept, not hidden."""
    monkeypatch.setattr(library, "CAN_CAPTURE", False)
    model = opened(tmp_path)
    for _ in range(2):
        np.testing.assert_array_equal(model.run(rows(1))[0], 2 * rows(1)["x"] + 1)
    assert not model.graph
    assert "TensorRT does not run the engine" in str(model.graph_reason)
    model.close()
    assert fake.alive == 0


@pytest.mark.parametrize("call", ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags"])
def test_a_driver_that_makes_no_graph(fake: Gpu, library: ModuleType, tmp_path: Path, call: str) -> None:
    """Likewise, with the driver's words; what was begun is ended."""
    model = opened(tmp_path)
    fake.fail(call, 2)
    for _ in range(2):
        np.testing.assert_array_equal(model.run(rows(1))[0], 2 * rows(1)["x"] + 1)
    assert model.graph_reason == f"{call} failed: out of memory (error 2)"
    model.close()
    assert fake.alive == 0


@pytest.mark.parametrize(
    ("call", "after"), [("cuStreamCreate", 0), ("cuMemAlloc_v2", 0), ("cuMemAlloc_v2", 1), ("cuMemAllocHost_v2", 0), ("cuMemAllocHost_v2", 1)]
)
def test_a_gpu_that_is_full(fake: Gpu, library: ModuleType, tmp_path: Path, call: str, after: int) -> None:
    """What was taken before is given back, and the next inference may go well."""
    model = opened(tmp_path)
    before = fake.alive
    fake.fail(call, 2, after)
    with pytest.raises(cuda.CudaError, match=f"{call} failed: out of memory"):
        model.run(rows(1))
    assert fake.alive == before
    np.testing.assert_array_equal(model.run(rows(1))[0], 2 * rows(1)["x"] + 1)


def test_what_an_engine_does_not_take(fake: Gpu, library: ModuleType, tmp_path: Path) -> None:
    """A batch that it was not built for, another type, another width: in words, with nothing left behind."""
    model = opened(tmp_path)
    before = fake.alive
    with pytest.raises(RefusedError, match=r"the engine was not built for x of shape \[5, 3\]; it takes \[1, 3\] to \[4, 3\]"):
        model.run(rows(5))
    assert fake.alive == before
    with pytest.raises(RefusedError, match=r"the engine takes x as float32 \[1, 3\], got float64 \[1, 3\]"):
        model.run({"x": np.zeros((1, 3))})


def test_an_engine_of_another_version(fake: Gpu, library: ModuleType, tmp_path: Path) -> None:
    """It is refused in TensorRT's words, and the context is given back."""
    with pytest.raises(RefusedError, match=r"tensorrt 1[01]\.\d\.0 does not open the engine: The engine plan file is not compatible"):
        Model(b'{"version": "9.0"}', "tensorrt", graph=True, spin=True, metadata={})
    assert fake.alive == 0


def test_types_that_numpy_lacks(fake: Gpu, library: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An input of bfloat16 cannot be fed."""
    monkeypatch.setattr(library._Engine, "get_tensor_dtype", lambda engine, name: library.DataType.BF16)
    with pytest.raises(RefusedError, match="x of the engine is BF16, which numpy has no type for"):
        opened(tmp_path)
    assert fake.alive == 0


def test_an_answer_whose_size_is_not_known(fake: Gpu, library: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of boxes that are as many as are found."""
    monkeypatch.setattr(library._Context, "get_tensor_shape", lambda context, name: (1, 3) if name == "x" else (-1, 3))
    model = opened(tmp_path)
    with pytest.raises(RefusedError, match=r"the size of x_out depends on the data \(\[-1, 3\]\)"):
        model.run(rows(1))

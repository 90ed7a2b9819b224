"""device/agent/runtimes.py: the desk's jobs on an engine, by a made-up TensorRT or a made-up trtexec; and runtimes that nobody knows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from edgekd.device.agent import apart, runtimes, trtexec
from edgekd.device.agent.jobs import PARTED, Desk
from edgekd.device.agent.protocol import RefusedError
from edgekd.device.agent.runtimes import How
from tests.device.agent.gpu import Gpu, imported
from tests.device.agent.gpu import trtexec as made_up
from tests.device.nets import heavy, passing

QUICK: dict[str, Any] = {"warm_ms": 0, "min_ms": 0, "min_runs": 5, "max_ms": 1000}
OPEN: dict[str, Any] = {"provider": "TensorRT", "threads": 1, "runtime": "tensorrt", "batches": (1, 1, 8)}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Rows of 3 numbers; engines are kept beside them."""
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))
    return str(passing(tmp_path / "f.onnx", {"x": (TensorProto.FLOAT, ["n", 3])}))


def told(**facts: Any) -> None:
    """Nobody listens."""


def test_the_desk_runs_an_engine(fake: Gpu, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built, opened, timed, taken apart, asked for throughput and for answers, by the jobs that every runtime has; then all is given back."""
    imported(monkeypatch)
    desk = Desk()
    assert desk.start(runtime="tensorrt")["runtimes"] == {"tensorrt": "10.3.0"}
    with pytest.raises(RefusedError, match="the job `engine` comes first"):
        desk.open(path=file, **OPEN)
    engine = desk.jobs()["engine"](path=file, library="tensorrt", batches=(1, 1, 8))
    opened = desk.open(path=file, batch=2, dims={}, graph=False, spin=False, **OPEN)
    assert (opened["provider"], opened["batch"], engine["cached"]) == ("tensorrt", None, False)
    assert fake.flags == 4
    block = desk.time(batch=2, **QUICK)
    assert (len(block["samples"]) >= 5, block["batch"], block["first_ms"] > 0) == (True, 2, True)
    assert desk.time(batch=2, **QUICK)["first_ms"] is None
    parts = desk.parts(batch=2)
    assert parts == {
        **{"to_gpu": [0.25] * PARTED, "compute": [2.0] * PARTED, "from_gpu": [0.25] * PARTED},
        **{"graph": False, "graph_reason": None, "spin": False},
    }
    assert desk.flow(batch=8, min_ms=100, streams=2)["images_per_s"] > 0
    rows = np.arange(30, dtype=np.float32).reshape(10, 3)
    np.save(tmp_path / "in.npy", rows)
    answer = desk.predict(inputs={"x": str(tmp_path / "in.npy")}, output="x_out", folder=str(tmp_path), batch=8)
    np.testing.assert_array_equal(np.load(answer["outputs"]["x_out"]), 2 * rows + 1)
    with pytest.raises(RefusedError, match="the layers of an engine are not timed here"):
        apart.profile(path=file, provider="TensorRT", folder=str(tmp_path), runtime="tensorrt")
    desk.open(path=str(heavy(tmp_path / "g.onnx")), provider="CPUExecutionProvider", threads=1)
    assert fake.alive == 0
    with pytest.raises(RefusedError, match="CPUExecutionProvider does not tell copies and work apart"):
        desk.parts()


def test_engines_take_turns(fake: Gpu, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them in one process."""
    imported(monkeypatch)
    desk = Desk()
    desk.jobs()["engine"](path=file, library="tensorrt", batches=(1, 1, 8))
    found = apart.duel(
        paths=[file, file], provider="TensorRT", runtime="tensorrt", batches=(1, 1, 8), threads=1, min_ms=0, min_turns=3, max_ms=1000
    )  # fmt: skip
    assert [len(samples) for samples in found["samples"]] == [3, 3]
    assert not found["shared"]


def test_the_desk_runs_trtexec(fake: Gpu, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own samples of the same block, the first inference told once."""
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)
    monkeypatch.setattr(trtexec, "found", lambda: str(made_up(tmp_path)))
    desk = Desk()
    assert desk.start(runtime="tensorrt")["runtimes"] == {"tensorrt": "10.3.0"}
    desk.jobs()["engine"](path=file, library="tensorrt", batches=(1, 1, 8))
    opened = desk.open(path=file, batch=1, dims={}, **OPEN)
    assert (opened["provider"], opened["load_ms"]) == ("trtexec", 250.0)
    first, second = (desk.time(batch=1, **QUICK) for _ in range(2))
    assert first["samples"] == pytest.approx([1.15, 1.151, 1.152, 1.153, 1.154])
    assert (first["first_ms"], second["first_ms"]) == (1.15, None)
    assert desk.parts()["to_gpu"] == [0.1] * PARTED
    assert desk.flow(batch=8, min_ms=5, streams=2) == {"images_per_s": 8 * 800.5, "batch": 8, "streams": 2}
    with pytest.raises(RefusedError, match="trtexec keeps no camera's pace"):
        desk.time(batch=1, frame_ms=33, **QUICK)
    with pytest.raises(RefusedError, match="trtexec does not take turns with others"):
        apart.duel(paths=[file], provider="TensorRT", runtime="tensorrt", batches=(1, 1, 8), threads=1, min_ms=0, min_turns=3, max_ms=1000)


def test_threads_are_shared_by_streams(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime's each bring their own: what is asked for is divided."""
    seen: list[int] = []
    monkeypatch.setattr("edgekd.device.agent.onnxrt.Model", lambda path, provider, threads, **rest: seen.append(threads))
    for streams in (1, 3, 8):
        runtimes.opened("onnxruntime", file, How("CPUExecutionProvider", 4, streams=streams))
    assert seen == [4, 1, 1]


def test_a_runtime_that_nobody_knows() -> None:
    """It is named beside those that are known."""
    with pytest.raises(RefusedError, match="this agent knows no runtime 'tvm'; it knows onnxruntime, openvino, tensorrt, tensorrt-rtx"):
        runtimes.imported("tvm")

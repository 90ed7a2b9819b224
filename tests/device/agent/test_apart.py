"""device/agent/apart.py: files that a job opens for itself, called without a process around it."""

import time
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from edgekd.device.agent import apart, onnxrt
from edgekd.device.agent.jobs import Desk
from edgekd.device.agent.protocol import RefusedError
from edgekd.device.host import connect
from tests.device.nets import classifier, heavy

CPU = "CPUExecutionProvider"


def test_files_are_run_in_turn(tmp_path: Path) -> None:
    """As many samples of each, all by one pool of threads, which a second job of the same agent shares."""
    paths = [str(heavy(tmp_path / f"{name}.onnx")) for name in ("f", "g", "h")]
    with connect("local") as session, session.start() as agent:
        for _ in range(2):
            told = agent.ask("duel", 60, paths=paths, provider=CPU, threads=1, min_ms=0, min_turns=4, max_ms=60_000)
            assert [len(samples) for samples in told["samples"]] == [4, 4, 4]
            assert min(map(min, told["samples"])) > 0
            assert told["shared"]


def test_an_older_runtime_runs_them_in_turn_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with threads of its own; and a camera's pace is kept, at which the file that takes most images an inference waits for them."""
    monkeypatch.delattr(onnxruntime, "set_global_thread_pool_sizes")
    onnxrt.share_threads.cache_clear()
    paths = [str(heavy(tmp_path / "f.onnx")), str(heavy(tmp_path / "g.onnx", (4, 256)))]
    begin = time.monotonic()
    told = apart.duel(paths=paths, provider=CPU, threads=1, min_ms=0, min_turns=2, max_ms=60_000, frame_ms=10)
    assert time.monotonic() - begin >= 4 * 0.04
    assert [len(samples) for samples in told["samples"]] == [2, 2]
    assert not told["shared"]
    onnxrt.share_threads.cache_clear()


def test_a_file_of_more_images_is_told_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four in an inference of as many ms are a quarter each, whatever the other takes at once."""
    monkeypatch.delattr(onnxruntime, "set_global_thread_pool_sizes")
    onnxrt.share_threads.cache_clear()
    paths = [str(heavy(tmp_path / "f.onnx")), str(heavy(tmp_path / "g.onnx", (4, 256)))]
    monkeypatch.setattr(apart, "in_turn", lambda runs, **limits: [[2.0, 4.0], [2.0, 4.0]])
    told = apart.duel(paths=paths, provider=CPU, threads=1, min_ms=0, min_turns=2, max_ms=60_000)
    assert told["samples"] == [[2.0, 4.0], [0.5, 1.0]]
    onnxrt.share_threads.cache_clear()


def test_a_profile_is_of_a_session_of_its_own(tmp_path: Path) -> None:
    """Each node with its times; the open file goes on as it was, and the runtime's own file is taken away."""
    desk = Desk()
    desk.open(path=str(classifier(tmp_path / "open.onnx")), provider=CPU, threads=1)
    told = desk.jobs()["profile"](path=str(heavy(tmp_path / "f.onnx")), provider=CPU, threads=1, folder=str(tmp_path))
    assert [node["op"] for node in told["nodes"]] == ["MatMul"] * 4
    assert all(len(node["us"]) == apart.PROFILED and min(node["us"]) >= 0 for node in told["nodes"])
    assert sum(map(sum, (node["us"] for node in told["nodes"]))) > 0
    assert len(desk.time(warm_ms=0, min_ms=0, min_runs=5, max_ms=1000)["samples"]) == 5
    assert {file.name for file in tmp_path.iterdir()} == {"open.onnx", "f.onnx"}


def test_a_profile_keeps_to_its_time(tmp_path: Path) -> None:
    """With one run to keep at the least, behind one that is dropped."""
    told = apart.profile(path=str(heavy(tmp_path / "f.onnx")), provider=CPU, threads=1, folder=str(tmp_path), max_ms=0)
    assert [len(node["us"]) for node in told["nodes"]] == [1] * 4


def test_a_profile_that_cannot_be_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open axis without a size, a disk that was full half-way: an error, and no file."""
    file = heavy(tmp_path / "f.onnx", ("batch", "rows", 256))
    wishes: dict[str, Any] = {"path": str(file), "provider": CPU, "threads": 1, "folder": str(tmp_path)}
    with pytest.raises(RefusedError, match="axis 1 of input 'x0' has no fixed size"):
        apart.profile(**wishes)
    end = onnxrt.Model.profiled

    def torn(model: onnxrt.Model) -> str:
        kept = Path(end(model))
        kept.write_bytes(kept.read_bytes()[:-40])
        return str(kept)

    monkeypatch.setattr(onnxrt.Model, "profiled", torn)
    with pytest.raises(RefusedError, match="the runtime's profile does not read: "):
        apart.profile(**wishes, dims={"rows": 2})
    assert [file.name for file in tmp_path.iterdir()] == ["f.onnx"]

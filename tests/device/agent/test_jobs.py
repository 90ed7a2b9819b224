"""device/agent/jobs.py: the desk's jobs, called without a process around them."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from edgekd.device.agent import jobs, machine, power
from edgekd.device.agent.jobs import Desk
from edgekd.device.agent.protocol import RefusedError
from tests.device.nets import CLASSES, classifier, heavy

CPU = "CPUExecutionProvider"
QUICK: dict[str, Any] = {"warm_ms": 0, "min_ms": 0, "min_runs": 5, "max_ms": 1000}


def desk(path: Path) -> Desk:
    """A desk with an open file."""
    found = Desk()
    found.open(path=str(path), provider=CPU, threads=1)
    return found


def images(n: int) -> NDArray[np.float32]:
    """Images as the file of `classifier` wants them."""
    return np.random.default_rng(0).normal(0, 1, (n, 3, 6, 4)).astype(np.float32)


def test_every_job_is_called_by_its_name() -> None:
    """The fourteen of the desk."""
    assert set(Desk().jobs()) == {
        *("facts", "state", "rest", "start", "open", "predict", "time", "duel", "flow", "profile", "builder", "build"),
        *("engine", "parts"),
    }


def test_starting_imports_the_runtime() -> None:
    """Its version, and the bytes resident from here on."""
    told = Desk().start()
    assert told["runtimes"] == {"onnxruntime": onnxruntime.__version__}
    assert told["resident"] == pytest.approx(machine.peak_memory(), rel=0.5)


def test_state_tells_the_agents_own_cpu_time() -> None:
    """Beside how the machine is."""
    told = Desk().state()
    assert set(told) >= {"clock_mhz", "temperature_c", "load", "throttles", "busy_s", "memory_free", "cpu_s"}
    assert (told["cpu_s"] > 0, told["pid"]) == (True, os.getpid())


def test_opening_tells_what_is_open(tmp_path: Path) -> None:
    """What it took, and what the file wants and carries; 0 threads are one a core."""
    told = Desk().open(path=str(classifier(tmp_path / "f.onnx", (4, 3, 6, 4), metadata={"a": "b"})), provider=CPU, threads=0)
    assert told["load_ms"] > 0
    assert (told["provider"], told["threads"], told["batch"], told["metadata"]) == (CPU, machine.cores(), 4, {"a": "b"})
    assert [put["name"] for put in told["inputs"] + told["outputs"]] == ["images", "logits"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is refused with its path."""
    with pytest.raises(RefusedError, match=r"there is no file .*odd\.onnx"):
        Desk().open(path=str(tmp_path / "odd.onnx"), provider=CPU)


@pytest.mark.parametrize(
    ("job", "wishes"), [("predict", {"inputs": {}, "output": "", "folder": "", "batch": 1}), ("time", QUICK), ("flow", {"batch": 1, "min_ms": 1})]
)
def test_a_file_comes_first(job: str, wishes: dict[str, Any]) -> None:
    """What needs an open file says so."""
    with pytest.raises(RefusedError, match="no file is open; the job `open` comes first"):
        Desk().jobs()[job](**wishes)


@pytest.mark.parametrize(("first", "batch"), [("n", 4), ("n", 100), (4, 4)])
def test_arrays_are_answered_in_batches(tmp_path: Path, first: int | str, batch: int) -> None:
    """Ten images in batches of four, the last not full, are answered as all at once, where the batch is fixed too."""
    np.save(tmp_path / "in.npy", images(10))
    model = classifier(tmp_path / "f.onnx", (first, 3, 6, 4), outputs=("logits", "pixels"))
    told = desk(model).predict(inputs={"images": str(tmp_path / "in.npy")}, output="logits", folder=str(tmp_path), batch=batch)
    assert list(told["outputs"]) == ["logits"]
    whole = onnxruntime.InferenceSession(str(classifier(tmp_path / "whole.onnx")), providers=[CPU]).run(None, {"images": images(10)})[0]
    np.testing.assert_allclose(np.load(told["outputs"]["logits"]), whole, rtol=1e-5, atol=1e-6)
    told = desk(model).predict(inputs={"images": str(tmp_path / "in.npy")}, output="pixels", folder=str(tmp_path), batch=batch)
    np.testing.assert_array_equal(np.load(told["outputs"]["pixels"]), images(10).reshape(10, -1))
    assert whole.shape == (10, CLASSES)


def test_pickles_are_not_read(tmp_path: Path) -> None:
    """An array of objects could run code."""
    np.save(tmp_path / "in.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        desk(classifier(tmp_path / "f.onnx")).predict(inputs={"images": str(tmp_path / "in.npy")}, output="logits", folder=str(tmp_path), batch=1)


def test_a_block_is_timed(tmp_path: Path) -> None:
    """Samples above 0, the images of each, and the first inference's time once after opening."""
    model = desk(heavy(tmp_path / "f.onnx"))
    first, second = model.time(**QUICK, batch=3), model.time(**QUICK, batch=3)
    for told in (first, second):
        assert len(told["samples"]) == 5
        assert min(told["samples"]) > 0
        assert sum(told["samples"]) <= 1e3 * told["seconds"]
        assert told["batch"] == 3
        assert told["peak"] is None or told["peak"] > 2**20
    assert first["first_ms"] > 0
    assert second["first_ms"] is None


def test_opening_again_forgets_the_inputs(tmp_path: Path) -> None:
    """The next file is fed its own, and its first inference is a first one again."""
    model = desk(heavy(tmp_path / "f.onnx"))
    model.time(**QUICK)
    model.open(path=str(classifier(tmp_path / "g.onnx")), provider=CPU, threads=1)
    assert model.time(**QUICK)["first_ms"] > 0


@pytest.mark.parametrize(("batch", "least_s"), [(1, 0.020), (4, 0.080)])
def test_a_camera_sets_the_pace(tmp_path: Path, batch: int, least_s: float) -> None:
    """Five inferences of one image start 5 ms apart; of four images, four frames apart."""
    assert desk(heavy(tmp_path / "f.onnx", (batch, 256))).time(**QUICK, frame_ms=5)["seconds"] >= least_s


def test_energy_is_counted_over_the_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the counters say afterwards less what they said before, or the reason why there are none."""
    counts = iter([5_000_000, 7_500_000])
    model = desk(heavy(tmp_path / "f.onnx"))
    monkeypatch.setattr(power, "rails", lambda root: {})
    monkeypatch.setattr(power, "rapl", lambda root: ({"package-0": next(counts)}, ""))
    told = model.time(**QUICK, metered=True)
    assert (told["joules"], told["energy_reason"]) == (2.5, None)
    monkeypatch.setattr(power, "rapl", lambda root: ({}, "no counter"))
    told = model.time(**QUICK, metered=True)
    assert (told["joules"], told["energy_reason"]) == (None, "no counter")
    assert "joules" not in model.time(**QUICK)
    assert model.rest(0)["energy_reason"] == "no counter"


class Counting:
    """An open file that counts its inferences and fails after some of them."""

    def __init__(self, fails_after: int = 10**9) -> None:
        self.ran, self.fails_after = 0, fails_after

    def feeds(self, batch: int, dims: dict[str, int]) -> dict[str, Any]:
        return {}

    def runner(self, feeds: dict[str, Any]) -> Callable[[], object]:
        return partial(self.run, feeds)

    def images(self, batch: int, dims: dict[str, int]) -> int:
        return dims.get("n", batch)

    def run(self, feeds: dict[str, Any]) -> list[Any]:
        self.ran += 1
        if self.ran > self.fails_after:
            raise RuntimeError("it broke")
        return []


@pytest.mark.parametrize(("dims", "images_each"), [({}, 8), ({"n": 2}, 2)])
def test_throughput_counts_the_images_that_were_fed(monkeypatch: pytest.MonkeyPatch, dims: dict[str, int], images_each: int) -> None:
    """Inferences, but for the first, times the images of each, over the time; an axis that was given its size counts so."""
    clock = iter(range(1000))
    monkeypatch.setattr(jobs, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    monkeypatch.setattr(jobs, "settle", lambda: None)
    model, counting = Desk(), Counting()
    monkeypatch.setattr(model, "_model", counting)
    told = model.flow(batch=8, min_ms=10_000, dims=dims)
    assert (told["batch"], told["streams"]) == (images_each, 1)
    assert told["images_per_s"] == pytest.approx(images_each * (counting.ran - 1) / 11)
    assert counting.ran == 10


def test_throughput_of_several_streams(tmp_path: Path) -> None:
    """Two batches in flight on a real file."""
    told = desk(heavy(tmp_path / "f.onnx")).flow(batch=4, min_ms=20, streams=2)
    assert told["images_per_s"] > 0
    assert (told["batch"], told["streams"]) == (4, 2)


def test_a_stream_that_fails_fails_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exception, not a throughput of what came before."""
    model = Desk()
    monkeypatch.setattr(model, "_model", Counting(fails_after=3))
    with pytest.raises(RuntimeError, match="it broke"):
        model.flow(batch=1, min_ms=60_000, streams=2)

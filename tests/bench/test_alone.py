"""bench/alone.py: what an agent answers → energy, throughput and layers of one file, without any agent."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from edgekd.bench import alone
from edgekd.bench.contender import Contender
from edgekd.bench.plan import Plan, Way
from edgekd.bench.questions import Questions
from edgekd.bench.where import resolve
from edgekd.device.session import Session
from edgekd.errors import DeviceError
from edgekd.measurements import LayerTime
from tests.device.nets import artifact


class Answering(Contender):
    """A contender whose agent gives this block, whatever is asked."""

    def ask(self, job: str, timeout_s: float, **wishes: Any) -> dict[str, Any]:
        if job == "rest":
            return {"joules": 4.0 * wishes["seconds"], "seconds": wishes["seconds"], "rail": "VDD_IN", "energy_reason": None}
        assert job == "time"
        return {"samples": [4.0, 4.0, 16.0], "joules": 300.0, "seconds": 30.0, "batch": 4, "rail": "VDD_IN", "energy_reason": None}


def questions(way: Way, provider: str = "CPUExecutionProvider") -> Questions:
    """What is asked on this CPU, or by another provider, without a session."""
    session = cast(Session, SimpleNamespace(place=str, room=lambda: "here"))
    target = msgspec.structs.replace(resolve({"cpu": "local"})[0][0], provider=provider)
    return Questions(session, target, Plan(launches=2, rounds=3, block_ms=4, block_runs=3, warm_ms=1, flow_ms=150), way, 60.0)


@pytest.mark.parametrize(("fps", "joules"), [(None, 10 * 0.002), (20, 10 / 20)])
def test_energy_is_per_image(tmp_path: Path, fps: float | None, joules: float) -> None:
    """The power of a long block times what an image takes on average: a quarter of an inference of four, slow ones among them, or a camera's frame;
    with and without what the machine takes at rest."""
    contender = Answering(*artifact(tmp_path / "f.onnx"))
    alone.meter(questions(Way(fps=fps)), contender, 60)
    assert contender.energy == pytest.approx(joules)
    assert contender.energy_above_rest == pytest.approx(0.6 * joules)
    assert (contender.energy_rail, contender.energy_reason) == ("VDD_IN", None)


def test_no_time_is_left(tmp_path: Path) -> None:
    """What is not measured for want of time has that as its reason."""
    contender = Answering(*artifact(tmp_path / "f.onnx"))
    alone.meter(questions(Way()), contender, 12)
    alone.flow(questions(Way()), contender, 50)
    assert contender.energy_reason == "35 s for each file are needed and the time allowed has 12 s"
    assert contender.doubts == ["no time was left to measure throughput"]
    assert (contender.energy, contender.flows) == (None, [])


class Flowing(Contender):
    """A contender whose agent answers so many images a second times the batch; it has no memory for 32."""

    def ask(self, job: str, timeout_s: float, **wishes: Any) -> dict[str, Any]:
        assert job == "flow"
        if wishes["batch"] == 32:
            raise DeviceError("out of memory")
        return {"images_per_s": 100.0 * wishes["batch"], "batch": wishes["batch"], "streams": wishes["streams"]}


@pytest.mark.parametrize(
    ("asked", "fixed", "flows", "doubts"),
    [
        ((), None, [(8, 800.0)], []),
        ((1, 8, 32), None, [(1, 100.0), (8, 800.0)], ["throughput could not be measured at batch 32: out of memory"]),
        ((), 4, [(4, 400.0)], []),
        ((1, 8), 4, [(4, 400.0)], ["its batch is fixed: throughput was measured at 4 alone"]),
    ],
)
def test_throughput_by_batch(tmp_path: Path, asked: tuple[int, ...], fixed: int | None, flows: list[tuple[int, float]], doubts: list[str]) -> None:
    """At each batch that was asked for, one that fails left out with a doubt; a file whose batch is fixed has that one alone."""
    contender = Flowing(*artifact(tmp_path / "f.onnx"), opened={"batch": fixed, "threads": 1})
    alone.flow(questions(Way(batches=asked)), contender, 500)
    assert [(flow.batch, flow.images_per_s) for flow in contender.flows] == flows
    assert contender.doubts == doubts


class Profiling(Contender):
    """A contender whose agent profiles so, or fails."""

    told: Any = None

    def ask(self, job: str, timeout_s: float, **wishes: Any) -> dict[str, Any]:
        assert job == "profile"
        if isinstance(self.told, Exception):
            raise self.told
        return {"nodes": self.told}


def profiled(contender: Contender, provider: str = "CPUExecutionProvider") -> Contender:
    """The contender after its layers were asked for."""
    alone.profile(questions(Way(layers=True), provider), contender)
    return contender


def test_layers_are_timed_where_they_are_asked_for(tmp_path: Path) -> None:
    """As the agent told them; not asked for, the agent is not asked either."""
    contender = Profiling(*artifact(tmp_path / "f.onnx"))
    contender.told = [{"name": "a", "op": "Conv", "us": [3, 4]}]
    alone.profile(questions(Way()), contender)
    assert contender.layer_times == []
    assert profiled(contender).layer_times == [LayerTime(name="a", op="Conv", us=[3.0, 4.0])]
    assert contender.doubts == []


def test_a_profile_that_fails_costs_nothing_else(tmp_path: Path) -> None:
    """The file keeps its other figures, with a doubt."""
    contender = Profiling(*artifact(tmp_path / "f.onnx"))
    contender.told = DeviceError("it crashed")
    assert profiled(contender).doubts == ["its layers could not be timed: it crashed"]
    assert contender.failure is None


def test_a_runtime_that_times_its_calls_only(tmp_path: Path) -> None:
    """What runs beside the CPU is not believed to be done when its call returns."""
    contender = Profiling(*artifact(tmp_path / "f.onnx"))
    assert profiled(contender, "CUDAExecutionProvider").doubts == [
        "its layers were not timed: of CUDAExecutionProvider the runtime times its own calls, not their work"
    ]

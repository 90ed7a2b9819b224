"""bench/sustained.py: a toy file under real load for a second, and what a machine in heat would have told."""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgekd.bench import Load, loaded, sustain
from edgekd.bench import sustained as module
from edgekd.device.process import Agent
from edgekd.device.session import Session
from edgekd.errors import DeviceError, MissingError
from edgekd.events import Event, Note, Progress
from edgekd.measurements import Measurement, Moment, Timing
from tests.device.nets import aim, artifact, heavy
from tests.device.processes import gone

HEAVY = "file/heavy/as-is"


def told(clock: float, warmth: float | None, throttles: int | None) -> dict[str, Any]:
    """An answer to `state` of a machine with two cores and one sensor."""
    sensors = {} if warmth is None else {"cpu": warmth, "board": 20.0}
    return {"clock_mhz": [800.0, clock], "temperature_c": sensors, "load": 1.0, "throttles": throttles, "busy_s": 1.0, "cpu_s": 1.0}


class Heating:
    """Stands where sessions and agents do: a second of its clock is a moment, and latency rises; where it is told so, it dies."""

    def __init__(self, states: list[dict[str, Any]], dies_after_s: float = 1e9) -> None:
        self.states, self.dies_after_s = iter(states), dies_after_s
        self.asked: list[Mapping[str, Any]] = []
        self.now = 0.0

    def ask(self, job: str, timeout_s: float = 0, **wishes: Any) -> dict[str, Any]:
        if job == "open":
            return {}
        if job == "state":
            return next(self.states)
        if self.now >= self.dies_after_s:
            raise DeviceError("the agent ended while at work on `time`: SIGKILL")
        self.asked.append(wishes)
        self.now += 1.0
        return {"samples": [2.0, 2.0 + self.now, 100.0]}

    def start(self) -> "Heating":
        return self

    def place(self, file: Path) -> str:
        return str(file)

    def __enter__(self) -> "Heating":
        return self

    def __exit__(self, *_: object) -> None:
        return None


def heated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Heating, **wishes: Any) -> tuple[Load, list[Event]]:
    """Three seconds of load on such a machine, and what was told of it."""
    events: list[Event] = []
    monkeypatch.setattr(module, "connect", lambda host, python: machine)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: machine.now))
    (load,) = sustain([(*artifact(heavy(tmp_path / "heavy.onnx")), "cpu")], {"cpu": "local"}, seconds=3, emit=events.append, **wishes)
    return load, events


def test_a_second_on_this_machine(tmp_path: Path) -> None:
    """Moments one after another until the second is over, each with its median, its inferences and the machine's state; it tells how far it is."""
    events: list[Event] = []
    asked = [(*artifact(heavy(tmp_path / name)), "quiet") for name in ("heavy.onnx", "copy.onnx")]
    began = time.monotonic()
    loads = sustain(asked, {aim(tmp_path): "local"}, seconds=1, emit=events.append)
    assert time.monotonic() - began >= 2
    assert [(load.artifact, load.target) for load in loads] == [(HEAVY, "quiet"), ("file/copy/as-is", "quiet")]
    for load in loads:
        seconds = [moment.at_s for moment in load.moments]
        assert seconds == sorted(seconds)
        assert seconds[-1] >= 1 > seconds[-2] if len(seconds) > 1 else seconds[0] >= 1
        assert all(moment.ms > 0 and moment.inferences >= 1 and moment.when == "during" for moment in load.moments)
        if load.untold is None:
            assert all(moment.clock_mhz and moment.temperature_c for moment in load.moments)
    progress = [event for event in events if isinstance(event, Progress)]
    assert {(event.what, event.total, event.unit) for event in progress} == {("sustained load on quiet", 2, "s")}
    assert [event.done for event in progress] == sorted(event.done for event in progress)
    assert progress[-1].done == 2


def test_what_a_machine_in_heat_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its clock, its warmth and whether it was slowed, moment by moment, and two doubts."""
    states = [told(3000, 50, 7), told(3000, 60, 7), told(2900, 70, 8), told(2000, 80, 8)]
    load, events = heated(tmp_path, monkeypatch, Heating(states))
    assert [(moment.at_s, moment.ms, moment.inferences, moment.throttled) for moment in load.moments] == [
        (1.0, 3.0, 3, False),
        (2.0, 4.0, 3, True),
        (3.0, 5.0, 3, False),
    ]
    assert [(max(moment.clock_mhz), moment.temperature_c["cpu"]) for moment in load.moments] == [(3000, 60), (2900, 70), (2000, 80)]
    assert load.doubts == [
        "under sustained load the processor was slowed for its heat, first after 2 s",
        "under sustained load the clock fell from 3000 to 2000 MHz",
    ]
    assert load.untold is None
    assert [event.done for event in events if isinstance(event, Progress)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("clock", "warmth", "words"),
    [
        (3000, None, "the machine tells no temperature, as there is no sensor in /sys/class/thermal"),
        (0, 50, "the machine tells no clock, as neither cpufreq nor /proc/cpuinfo has it"),
        (0, None, "the machine tells no clock, as neither .* has it, and no temperature, as there is no sensor in /sys/class/thermal"),
    ],
)
def test_what_a_machine_keeps_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: float, warmth: float | None, words: str) -> None:
    """It has a reason, and raises no doubt."""
    states = [{**told(clock, warmth, None), "clock_mhz": [clock] if clock else []}] * 4
    load, _ = heated(tmp_path, monkeypatch, Heating(states))
    assert re.fullmatch(words, load.untold or "")
    assert load.doubts == []
    assert all(moment.throttled is None for moment in load.moments)


def test_a_file_that_fails_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured until then is kept, with what ended it as a doubt and a warning."""
    load, events = heated(tmp_path, monkeypatch, Heating([told(3000, 50, 7)] * 9, dies_after_s=2))
    assert [moment.at_s for moment in load.moments] == [1.0, 2.0]
    assert load.doubts == ["sustained load ended after 2 of 3 s: the agent ended while at work on `time`: SIGKILL"]
    assert [event.text for event in events if isinstance(event, Note)] == [f"{HEAVY} on cpu: {load.doubts[0]}"]
    load, _ = heated(tmp_path, monkeypatch, Heating([told(3000, 50, 7)], dies_after_s=0))
    assert (load.moments, load.untold) == ([], None)
    assert load.doubts[0].startswith("sustained load ended after 0 of 3 s")


@pytest.mark.parametrize(("fps", "frame_ms"), [(None, None), (30, 1e3 / 30)])
def test_it_goes_at_a_cameras_pace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fps: float | None, frame_ms: float | None) -> None:
    """Where that is asked for; else one inference follows the other. A moment is a twentieth of three seconds."""
    machine = Heating([told(3000, 50, 7)] * 9)
    heated(tmp_path, monkeypatch, machine, fps=fps, dims={"rows": 2})
    assert {(asked["frame_ms"], asked["min_ms"], asked["dims"]["rows"]) for asked in machine.asked} == {(frame_ms, 150.0, 2)}


def test_a_stopped_load_leaves_no_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of a minute."""
    started: list[Agent] = []
    start = Session.start

    def seen(session: Session) -> Agent:
        started.append(start(session))
        return started[-1]

    def stop(event: Event) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "start", seen)
    with pytest.raises(KeyboardInterrupt):
        sustain([(*artifact(heavy(tmp_path / "heavy.onnx")), "quiet")], {aim(tmp_path): "local"}, seconds=10, emit=stop)
    assert [gone(agent.pid) for agent in started] == [True]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is refused before any load."""
    with pytest.raises(MissingError, match=r"file/b/as-is must be a file, there is none at .*b\.onnx"):
        sustain([(*artifact(tmp_path / "b.onnx"), "cpu")], {"cpu": "local"}, seconds=1)


@pytest.fixture
def measurements() -> list[Measurement]:
    """One file on two targets."""
    timing = Timing(launches=[])
    return [
        Measurement(artifact="a", target=target, host="", runtime="", provider="", batch=1, threads=1, timing=timing, doubts=["busy"])
        for target in "xy"
    ]


def test_measurements_gain_their_load(measurements: list[Measurement]) -> None:
    """That of their artifact and target, with its doubts behind theirs; the others stay as they are."""
    moments = [Moment(when="during", at_s=1.0, ms=2.0, inferences=3)]
    first, second = loaded(measurements, [Load(artifact="a", target="y", moments=moments, untold="no clock", doubts=["hot"])])
    assert first == measurements[0]
    assert (second.sustained, second.untold, second.doubts) == (moments, "no clock", ["busy", "hot"])

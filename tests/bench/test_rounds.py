"""bench/rounds.py: toy files measured for real in a few seconds, and what is left out or noted."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgekd.bench import Bench, Plan, bench, duel
from edgekd.device.process import Agent
from edgekd.device.session import Session
from edgekd.errors import DeviceError, UsageError
from edgekd.events import Event, Note, Progress
from tests.device.nets import Shape, aim, artifact, classifier, heavy, stubborn
from tests.device.processes import gone

TINY = Plan(launches=2, rounds=3, block_ms=4, block_runs=3, warm_ms=1, flow_ms=150, duels=3, duel_ms=20)
MAX_S = 40.0
"""Far more than a tiny plan takes: a busy machine does not cut it short."""
HEAVY, COPY, BATCHED, BROKEN = (f"file/{name}/as-is" for name in ("heavy", "copy", "batched", "broken"))


def one(folder: Path, shape: Shape = ("batch", 256), *, target: Mapping[str, Any] | None = None, plan: Plan = TINY, **wishes: Any) -> Bench:
    """A single file measured in one launch."""
    plan = replace(plan, launches=1)
    return bench([artifact(heavy(folder / "heavy.onnx", shape))], {aim(folder, **(target or {})): "local"}, plan=plan, **{"max_s": MAX_S, **wishes})


@pytest.fixture(scope="module")
def events() -> list[Event]:
    """What the bench of `measured` told."""
    return []


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, events: list[Event]) -> Bench:
    """A file, its copy, one of four images at a time, and one that does not open."""
    folder = tmp_path_factory.mktemp("bench")
    files = [heavy(folder / "heavy.onnx"), heavy(folder / "copy.onnx"), heavy(folder / "batched.onnx", (4, 256)), folder / "broken.onnx"]
    files[-1].write_bytes(b"no model")
    pairs = [(COPY, HEAVY), (BROKEN, HEAVY)]
    return bench([artifact(file) for file in files], {aim(folder): "local", "cpu": ""}, pairs=pairs, plan=TINY, max_s=MAX_S, emit=events.append)


def test_every_launch_and_round_is_kept(measured: Bench) -> None:
    """With all their samples, above 0, and what loading and the first inference took."""
    assert [measurement.artifact for measurement in measured.measurements] == [HEAVY, COPY, BATCHED]
    for measurement in measured.measurements:
        assert [len(launch.rounds) for launch in measurement.timing.launches] == [3, 3]
        assert all(len(samples) >= 3 for launch in measurement.timing.launches for samples in launch.rounds)
        assert min(measurement.timing.samples) > 0
        assert all(launch.load_ms > 0 and launch.first_ms > 0 for launch in measurement.timing.launches)


def test_what_it_ran_on_stands_beside_it(measured: Bench) -> None:
    """Target, runtime, provider and threads, and the host with its runtimes."""
    for measurement in measured.measurements:
        assert (measurement.target, measurement.host, measurement.fps) == ("quiet", "local", None)
        assert (measurement.runtime, measurement.provider, measurement.threads) == ("onnxruntime", "CPUExecutionProvider", 1)
    assert list(measured.hosts) == ["local"]
    assert "onnxruntime" in measured.hosts["local"].runtimes


def test_the_batch_is_the_files_own(measured: Bench) -> None:
    """The target's where it is open, four where the file takes four."""
    assert [measurement.batch for measurement in measured.measurements] == [1, 1, 4]


def test_memory_and_throughput(measured: Bench) -> None:
    """Both were measured: memory is more than the weights of 1 MiB, and less than the machine's."""
    for measurement in measured.measurements:
        assert measurement.memory is not None
        assert 2**20 < measurement.memory < 2**30
        assert measurement.throughput is not None
        assert measurement.throughput > 0


def test_energy_is_a_figure_or_a_reason(measured: Bench) -> None:
    """Never both, never neither."""
    assert all((measurement.energy is None) != (measurement.energy_reason is None) for measurement in measured.measurements)


def test_a_file_is_as_fast_as_its_copy(measured: Bench) -> None:
    """Taken in turn, on any machine, in three launches, which the interval is drawn from."""
    (ratio,) = measured.ratios
    assert (ratio.artifact, ratio.against, ratio.target, ratio.quantity, ratio.confidence) == (COPY, HEAVY, "quiet", "latency", 0.95)
    assert 0.5 < ratio.value < 2
    assert ratio.low < ratio.value < ratio.high
    assert len(ratio.launches) == 3
    assert ratio == duel.ratio(COPY, HEAVY, "quiet", ratio.launches)


def test_states_go_with_it(measured: Bench) -> None:
    """Before and after each of two launches."""
    states = measured.measurements[0].states
    if Path("/proc/loadavg").exists():
        assert [state.when for state in states] == ["before", "during", "during", "after"]
        assert all(state.load is not None for state in states)


def test_one_that_does_not_open_is_left_out(measured: Bench, events: list[Event]) -> None:
    """With its reason and a warning, while the others go on."""
    assert list(measured.failures) == [f"{BROKEN} on quiet"]
    assert "`open` failed in the runtime" in measured.failures[f"{BROKEN} on quiet"]
    (warning,) = [event for event in events if isinstance(event, Note) and event.level == "warning"]
    assert warning.text.startswith(f"{BROKEN} is not measured on quiet: `open` failed")


def test_a_target_without_a_host_is_noted(measured: Bench, events: list[Event]) -> None:
    """It is not measured, and that is said."""
    assert Note(text="cpu has no host: it is not measured") in events


def test_it_tells_how_far_it_is(measured: Bench, events: list[Event]) -> None:
    """From the first block to the last of all, and never backwards."""
    progress = [event for event in events if isinstance(event, Progress) and event.what == "measuring on quiet"]
    assert [event.done for event in progress] == sorted({event.done for event in progress})
    assert progress[-1].done == progress[-1].total == 4 * (2 * 3 + 1)
    assert all(event.seconds_left is not None and event.seconds_left <= MAX_S for event in progress)


def test_a_comparison_that_fails_costs_no_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the files took stands; that they are not compared is a failure with its reason."""
    monkeypatch.setattr("edgekd.bench.duel.Duel._launch", failing)
    told: list[Event] = []
    files = [artifact(heavy(tmp_path / f"{name}.onnx")) for name in ("heavy", "copy")]
    found = bench(files, {aim(tmp_path): "local"}, pairs=[(COPY, HEAVY)], plan=replace(TINY, launches=1), max_s=MAX_S, emit=told.append)
    assert len(found.measurements) == 2
    assert (found.ratios, found.failures) == ([], {"ratios on quiet": "both would not fit"})
    assert Note(text="nothing is compared on quiet: both would not fit", level="warning") in told


def test_launches_that_compare_are_spread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all that is measured, so that what the machine does in one stretch is not in all of them."""
    begun: list[str] = []
    start = Session.start

    def noted(session: Session, of: str = "") -> Agent:
        begun.append(of.split()[0] if of else "host")
        return start(session, of)

    monkeypatch.setattr(Session, "start", noted)
    files = [artifact(heavy(tmp_path / f"{name}.onnx", layers=1)) for name in ("heavy", "copy")]
    found = bench(files, {aim(tmp_path): "local"}, pairs=[(COPY, HEAVY)], plan=TINY, max_s=MAX_S)
    both = [HEAVY, COPY]
    assert begun == ["host", *both, "duel", *both, "duel", "duel", *both]
    assert len(found.ratios[0].launches) == 3


def failing(*_: object) -> None:
    """In the place of a launch."""
    raise DeviceError("both would not fit")


def test_nothing_that_opens(tmp_path: Path) -> None:
    """Then there is no result, and every reason is told."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.onnx").write_bytes(b"no model")
    files = [artifact(tmp_path / f"{name}.onnx") for name in ("a", "b")]
    with pytest.raises(DeviceError, match=r"nothing could be measured\. file/a/as-is on quiet: .*; file/b/as-is on quiet: "):
        bench(files, {aim(tmp_path): "local"}, plan=TINY)


def test_an_agent_that_dies_at_its_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file is left out with what ended it; the other's figures stand, and no agent is left."""
    started: list[Agent] = []
    start = Session.start

    def odd(session: Session, *python: str) -> Agent:
        agent = start(session, *python)
        if len(started) == 4:  # the one that tells the host, two of the first launch, the first of the second
            agent.kill()
        started.append(agent)
        return agent

    monkeypatch.setattr(Session, "start", odd)
    files = [artifact(heavy(tmp_path / f"{name}.onnx", layers=1)) for name in ("a", "b")]
    result = bench(files, {aim(tmp_path): "local"}, plan=TINY, max_s=MAX_S)
    assert [measurement.artifact for measurement in result.measurements] == ["file/a/as-is"]
    assert "SIGKILL" in result.failures["file/b/as-is on quiet"]
    assert all(gone(agent.pid) for agent in started)


def test_a_camera_sets_the_pace(tmp_path: Path) -> None:
    """At 50 images a second, inferences of two images each start 40 ms apart, however fast they are."""
    began = time.monotonic()
    (measurement,) = one(tmp_path, fps=50, target={"batch": 2}).measurements
    assert (measurement.fps, measurement.batch) == (50, 2)
    assert time.monotonic() - began >= 0.040 * len(measurement.timing.samples)
    assert len(measurement.timing.samples) >= 9


def test_open_axes_are_given_their_size(tmp_path: Path) -> None:
    """By name; an axis that was not given one is asked for. A batch that is given so counts in latency and throughput alike."""
    (measurement,) = one(tmp_path, ("batch", "rows", 256), dims={"rows": 3, "batch": 2}).measurements
    assert measurement.batch == 2
    with pytest.raises(DeviceError, match=r"axis 1 of input 'x0' has no fixed size .* as in edgekd bench --dim rows=224"):
        one(tmp_path, ("batch", "rows", 256))


def test_throughput_that_cannot_be_had_is_a_doubt(tmp_path: Path) -> None:
    """A file whose batch is open in name only is timed at one image all the same."""
    (measurement,) = bench(
        [artifact(stubborn(tmp_path / "f.onnx"))], {aim(tmp_path): "local"}, plan=replace(TINY, launches=1), max_s=MAX_S
    ).measurements
    assert measurement.throughput is None
    assert any(doubt.startswith("throughput could not be measured at batch 8: `flow` failed in the runtime") for doubt in measurement.doubts)


def test_the_time_is_kept(tmp_path: Path) -> None:
    """A plan of ten thousand rounds of 50 ms is cut to the 2 s that there are, with a round at the least."""
    endless = Plan(rounds=10_000, block_ms=50, block_runs=1, warm_ms=1, flow_ms=150)
    (measurement,) = one(tmp_path, plan=endless, max_s=2).measurements
    assert 1 <= len(measurement.timing.launches[0].rounds) <= 40


def test_without_a_host_nothing_is_measured(tmp_path: Path) -> None:
    """No failure either."""
    assert bench([artifact(classifier(tmp_path / "a.onnx"))], {"cpu": ""}) == Bench([], [], {}, {})


def test_a_precision_that_no_target_takes(tmp_path: Path) -> None:
    """It is not run where it is known not to; as it is, a file goes anywhere."""
    with pytest.raises(UsageError, match=r"no file has a precision that cpu takes\. Name another target"):
        bench([artifact(classifier(tmp_path / "a.onnx"), "int8-trt")], {"cpu": "local"})

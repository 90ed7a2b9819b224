"""Latency on the spot: how long it goes on, what is compared with what, and one real sitting."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from edgekd.bench import Bench, Plan, duel
from edgekd.budget import judge
from edgekd.errors import MissingError, UsageError
from edgekd.events import Event, Note, silent
from edgekd.gate import check, measuring, read_all, renamed
from edgekd.gate.limits import limits_from
from edgekd.limit import Limit
from edgekd.measurements import Host, Launch, Measurement, Timing
from edgekd.record import Artifact, Report, Verdict
from tests.gate.folders import written
from tests.gate.test_limits import CAMERA
from tests.report.sample import SHIPPED, sample_report
from tests.toys import brightness

Pace = Callable[[str, random.Random], float]
HOST = Host(cpu="Example", architecture="x86_64", cores=4, memory=1)


class Stopwatch:
    """A bench whose files take the time that they are told, with 2 % of noise; it counts its sittings."""

    def __init__(self, pace: Pace) -> None:
        self.pace, self.sittings, self.asked = pace, 0, [0.0]
        self.files: list[str] = []
        self.names: dict[str, str] = {}

    def __call__(
        self, files: Sequence[tuple[Artifact, Path]], targets: dict[str, str], *, pairs: Sequence[tuple[str, str]], max_s: float, plan: Plan, **_: Any
    ) -> Bench:
        self.sittings += 1
        self.plan = plan
        self.asked.append(max_s)
        self.files = [artifact.name for artifact, path in files if path.is_file()]
        draw = random.Random(self.sittings)
        names = [self.names.get(target, target) for target in targets]
        found = [self.measurement(name, target, plan, draw) for target in names for name in self.files]
        ratios = [duel.ratio(*pair, target, self.quotients(*pair, plan, draw)) for target in names for pair in pairs]
        return Bench(found, ratios, {"local": HOST}, {})

    def quotients(self, artifact: str, against: str, plan: Plan, draw: random.Random) -> list[float]:
        """As launches have them that held both, 1 % apart."""
        return [self.pace(artifact, draw) / self.pace(against, draw) * draw.gauss(1, 0.01) for _ in range(plan.duels)]

    def measurement(self, name: str, target: str, plan: Plan, draw: random.Random) -> Measurement:
        def launch() -> Launch:
            own = self.pace(name, draw) * draw.gauss(1, 0.01)
            return Launch(load_ms=1, first_ms=1, rounds=[[own * draw.gauss(1, 0.02) for _ in range(10)] for _ in range(plan.rounds)])

        timing = Timing(launches=[launch() for _ in range(plan.launches)])
        doubts = ["no time was left to measure throughput", "the machine was busy"]
        return Measurement(
            artifact=name, target=target, host="local", runtime="onnxruntime", provider="CPU", batch=1, threads=1, timing=timing,
            memory=self.sittings, doubts=doubts,
        )  # fmt: skip


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Pace], Stopwatch]:
    """Put such a bench in the place of the real one."""

    def put(pace: Pace) -> Stopwatch:
        watch = Stopwatch(pace)
        monkeypatch.setattr(measuring, "bench", watch)
        return watch

    return put


def steady(new: float, old: float = 1.0) -> Pace:
    """The baseline takes `old` ms, anything else `new`."""
    return lambda name, draw: old if "baseline" in name else new


def grown(tmp_path: Path, limit: str = "growth.latency=5%", **wishes: Any) -> Verdict:
    """The one verdict on a new model beside an old one."""
    old, new = brightness(tmp_path / "old.onnx"), brightness(tmp_path / "new.onnx")
    (verdict,) = check([new], limits_from([limit]), baseline=old, measure=True, **wishes)
    return verdict


@pytest.mark.parametrize(("pace", "state"), [(0.9, "pass"), (1.0, "pass"), (1.2, "over"), (2.0, "over")])
def test_a_plain_case_takes_few_sittings(tmp_path: Path, timed: Callable[[Pace], Stopwatch], pace: float, state: str) -> None:
    """The old model takes its turns beside the new one, and the ratio decides."""
    watch = timed(steady(pace))
    verdict = grown(tmp_path)
    assert (verdict.state, verdict.quantity) == (state, "growth.latency")
    assert watch.files == ["file/new/as-is", "file/baseline new/as-is"]
    assert watch.sittings <= 2
    assert verdict.before == pytest.approx(1.0, rel=0.02)


def test_all_sittings_launches_count(tmp_path: Path, timed: Callable[[Pace], Stopwatch]) -> None:
    """The ratio that is judged is of all of them, and keeps each."""
    watch = timed(steady(1.045))
    old, new = brightness(tmp_path / "old.onnx"), brightness(tmp_path / "new.onnx")
    ((_, now),), ((_, then),) = read_all([new], deep=False), read_all([old], deep=False)
    limit = Limit(growth={"latency": "5%"})
    report, _ = measuring.measured(measuring.Contest(now, [limit], renamed(then, [new]), old), max_s=60, emit=silent)
    (ratio,) = report.ratios
    assert watch.sittings > 1
    assert len(ratio.launches) == watch.sittings * measuring.IN_TURN.duels
    assert ratio.confidence == measuring.CONFIDENCE
    assert ratio == duel.ratio(ratio.artifact, ratio.against, "cpu", ratio.launches, confidence=measuring.CONFIDENCE, method=measuring.METHOD)


@pytest.mark.parametrize(
    ("limits", "plan"),
    [
        (["growth.latency=5%"], measuring.IN_TURN),
        (["growth.latency_p50=5%", "size=1MB"], measuring.IN_TURN),
        (["growth.latency=5%", "latency_p50=1s"], measuring.APART),
        (["growth.latency_p95=5%"], measuring.APART),
        (["growth.memory=5%"], measuring.APART),
    ],
)
def test_times_of_their_own_take_more_launches(tmp_path: Path, timed: Callable[[Pace], Stopwatch], limits: list[str], plan: Plan) -> None:
    """Where every limit is on a ratio that is taken in turn, each file's own time is taken once, to be shown."""
    watch = timed(steady(1.0))
    check([brightness(tmp_path / "new.onnx")], limits_from(limits), baseline=brightness(tmp_path / "old.onnx"), measure=True)
    assert watch.plan == plan


def test_on_the_limit_it_stops_when_the_time_is_up(tmp_path: Path, timed: Callable[[Pace], Stopwatch], monkeypatch: pytest.MonkeyPatch) -> None:
    """Undecided and not wrong; each sitting is asked for what is left, and no more than eight are held."""
    watch = timed(steady(1.05))
    events: list[Event] = []
    assert grown(tmp_path, emit=events.append).state == "undecided"
    assert watch.sittings == measuring.SITTINGS
    assert Note(text="undecided so far: file/new/as-is, growth.latency ≤ 5%") in events
    assert Note(text="file/new/as-is on cpu: the machine was busy", level="warning") in events
    assert not any("throughput" in event.text for event in events if isinstance(event, Note))
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr("edgekd.gate.measuring.time.monotonic", lambda: float(next(clock)))
    watch = timed(steady(1.05))
    assert grown(tmp_path, max_time=10.0).state == "undecided"
    assert (watch.sittings, watch.asked[1:]) == (1, [6.0])


def test_one_sitting_is_held_however_little_time_there_is(tmp_path: Path, timed: Callable[[Pace], Stopwatch]) -> None:
    """A second is enough to decide a plain case."""
    watch = timed(steady(1.0))
    (verdict,) = check([brightness(tmp_path / "m.onnx")], limits_from(["latency_p50=2ms"]), measure=True, max_time=1.0)
    assert (verdict.state, watch.sittings) == ("pass", 1)


def test_limits_of_its_own_need_no_baseline(tmp_path: Path, timed: Callable[[Pace], Stopwatch]) -> None:
    """Medians, memory of the first sitting, a factor between two files; a p95 goes on until it has samples enough."""
    watch = timed(lambda name, draw: 2.0 if "slow" in name else 1.0)
    files = [brightness(tmp_path / "fast.onnx"), brightness(tmp_path / "slow.onnx")]
    limits = [
        Limit(artifact="fast.onnx", latency_p50="2 ms", latency_p95="2 ms", memory=2, speedup=1.5, against="file/slow/as-is", size="1 MB"),
        Limit(artifact="slow.onnx", latency_p50="1 ms"),
    ]
    verdicts = check(files, limits, measure=True)
    assert {f"{v.artifact} {v.quantity}": v.state for v in verdicts} == {
        "file/fast/as-is size": "pass",
        "file/fast/as-is latency_p50": "pass",
        "file/fast/as-is latency_p95": "pass",
        "file/fast/as-is memory": "pass",
        "file/fast/as-is speedup": "pass",
        "file/slow/as-is latency_p50": "over",
    }
    assert watch.sittings == 1
    assert watch.asked[1] == pytest.approx(5 * 60, abs=1)


def test_the_paired_interval_pays_for_every_look(tmp_path: Path, timed: Callable[[Pace], Stopwatch]) -> None:
    """Eight looks at 99.4 % are together at least as sure as one at 95 %: of two equal models few are ever called grown."""
    assert measuring.CONFIDENCE == pytest.approx(0.99375)
    states = []
    for seed in range(20):
        watch = timed(steady(1.0))
        watch.sittings = 100 * seed
        states.append(grown(tmp_path, "growth.latency=0%").state)
    assert states.count("over") <= 1


def test_a_times_interval_pays_for_every_look_too() -> None:
    """A time that lies on its limit, looked at after each of eight sittings: seldom decided, where 95 % at each look often would be."""

    def decided(seed: int, looks: int) -> bool:
        """Whether any look excludes what is true."""
        artifact = Artifact(role="file", network="m", precision="as-is", path="m", sha256="", size=1, params=1, macs=1, opset=20)
        session, draw, watch = measuring.Session(), random.Random(seed), Stopwatch(steady(1.0))
        limit = Limit(target="cpu", latency_p50="1 ms")
        for _ in range(measuring.SITTINGS):
            session.add(Bench([watch.measurement(artifact.name, "cpu", Plan(launches=5, rounds=1), draw)], [], {"local": HOST}, {}))
            report, _ = measuring.Contest(Report(edgekd="0", name="m", created="", artifacts=[artifact]), [limit]).reports(session)
            if judge(report, [limit], looks=looks)[0].state != "undecided":
                return True
        return False

    seeds = range(60)
    assert sum(decided(seed, measuring.SITTINGS) for seed in seeds) <= 0.05 * len(seeds)
    assert sum(decided(seed, 1) for seed in seeds) > 0.05 * len(seeds)


def test_what_is_printed_pays_for_every_look_too(tmp_path: Path, timed: Callable[[Pace], Stopwatch]) -> None:
    """The interval of the verdict is that by which the last look was judged."""
    file, limits = brightness(tmp_path / "m.onnx"), limits_from(["latency_p50=2ms"], target="cpu")
    timed(steady(1.0))
    (verdict,) = check([file], limits, measure=True)
    timed(steady(1.0))
    ((_, report),) = read_all([file], deep=False)
    now, _ = measuring.measured(measuring.Contest(report, limits), max_s=60, emit=silent)
    assert verdict.text == judge(now, limits, looks=measuring.SITTINGS)[0].text


def test_a_part_of_a_time_is_taken_in_turn(tmp_path: Path, timed: Callable[[Pace], Stopwatch]) -> None:
    """As a factor is; it needs no baseline."""
    watch = timed(lambda name, draw: 2.0 if "slow" in name else 1.0)
    files = [brightness(tmp_path / "fast.onnx"), brightness(tmp_path / "slow.onnx")]
    (verdict,) = check(files, [Limit(artifact="fast.onnx", against="file/slow/as-is", relative={"latency": "60 %"})], measure=True)
    assert verdict.state == "pass"
    assert verdict.measured == pytest.approx(0.5, rel=0.02)
    assert watch.sittings == 1


def test_a_target_of_ones_own_is_measured_on(tmp_path: Path, timed: Callable[[Pace], Stopwatch]) -> None:
    """The bench is given its file, and what it measured is found under its name."""
    (tmp_path / "camera.toml").write_text(CAMERA)
    watch = timed(steady(1.0))
    watch.names = {"camera.toml": "cam-2"}
    (verdict,) = check([brightness(tmp_path / "m.onnx")], limits_from(["latency_p50=2ms"], target="camera.toml"), measure=True)
    assert (verdict.state, verdict.target) == ("pass", "cam-2")


def test_files_are_timed_beside_a_report(tmp_path: Path, timed: Callable[[Pace], Stopwatch]) -> None:
    """Whichever is named first, the files are what is measured, and the report is held to its own limits."""
    watch = timed(steady(1.0))
    run, file = written(tmp_path / "run", sample_report()), brightness(tmp_path / "m.onnx")
    limits = [Limit(artifact=SHIPPED, size="1 MB"), Limit(artifact="m.onnx", latency_p50="2 ms")]
    verdicts = check([file, run], limits, measure=True)
    assert [(verdict.quantity, verdict.state) for verdict in verdicts] == [("size", "pass"), ("latency_p50", "pass")]
    assert watch.files == ["file/m/as-is"]


def test_what_cannot_be_measured_is_said(tmp_path: Path) -> None:
    """No limit on a time, no bare file, no time."""
    file = brightness(tmp_path / "m.onnx")
    with pytest.raises(UsageError, match="--measure is for limits on times, and there are none"):
        check([file], limits_from(["size=1MB"]), measure=True)
    with pytest.raises(UsageError, match=r"--measure times \.onnx files, and .*run is a report"):
        check([written(tmp_path / "run", sample_report())], limits_from(["latency_p50=1s"]), measure=True)
    with pytest.raises(UsageError, match="--max-time takes seconds above 0, got -1"):
        check([file], limits_from(["latency_p50=1s"]), measure=True, max_time=-1.0)
    with pytest.raises(MissingError, match="tpu"):
        check([file], limits_from(["latency_p50=1s"], target="tpu"), measure=True)


def test_a_real_sitting(tmp_path: Path) -> None:
    """A model beside its copy, timed here: no interval says that it became a hundred times slower, and it takes more than a nanosecond."""
    file = brightness(tmp_path / "m.onnx")
    grew, absolute = check(
        [file], limits_from(["growth.latency=9900%", "latency_p50=1ns"]), baseline=brightness(tmp_path / "old.onnx"), measure=True, max_time=5
    )[::-1]
    assert grew.state in ("pass", "undecided")  # a machine that is busy all through leaves it open
    assert absolute.state == "over"
    assert grew.before is not None
    assert grew.before > 0

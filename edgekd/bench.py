"""How fast: artifacts × targets → measurements with every raw sample, ratios with their intervals, and what to doubt about them.

In: files with what is known of them, and targets with their hosts. Out: a `Bench`. On each host every file gets an agent process of its own;
all are loaded first, then take turns in rounds of blocks, so that what slows the machine for a while slows all alike and leaves their ratios.
That is done again in several launches, since where a process happens to lie in memory changes its speed. Memory, throughput and energy
come from a pass of their own with one agent at work. No accuracy is measured here, no limit judged, nothing printed or written.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekd import stats, target
from edgekd.device.doubts import doubts
from edgekd.device.host import Agent, Session, check_host, connect, read_host
from edgekd.device.watch import Look, Watch
from edgekd.errors import DeviceError, MissingError, UsageError
from edgekd.events import Emit, Note, Progress, silent
from edgekd.record import Artifact, Host, Launch, Measurement, Ratio, Timing
from edgekd.target import Target

ENERGY_S = 30.0
"""Seconds that an energy reading is taken over; shorter ones are mostly the counter's own steps."""
FLOW_BATCH = 8
"""Images a batch for throughput; 1, 8 and 32 were tried on CPUs, and 8 was the best or near it."""
PATIENCE_S = 30.0
"""How long an agent may be silent beyond the time that the whole bench has."""
METHOD = "median over median; bootstrap of launches, then rounds, drawn in pairs; 1000 resamples"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured where time allows. Blocks go on for `block_ms` and `block_runs` inferences, after `warm_ms` that are dropped."""

    launches: int = 3
    rounds: int = 6
    block_ms: float = 200.0
    block_runs: int = 20
    warm_ms: float = 20.0
    flow_ms: float = 1000.0


FULL = Plan()
QUICK = Plan(rounds=4, block_ms=60.0, block_runs=10, warm_ms=10.0, flow_ms=300.0)
"""Eight small files in 15 seconds or so, process starts included."""


@dataclass(frozen=True)
class Bench:
    """What was measured, and by `ARTIFACT on TARGET` why something could not be."""

    measurements: list[Measurement]
    ratios: list[Ratio]
    hosts: dict[str, Host]
    failures: dict[str, str]


def resolve(targets: Mapping[str, str], base: Path = Path()) -> list[tuple[Target, str]]:
    """Each target that has a host, with it; paths are relative to `base`. Asked early, it spares a long run a late refusal.

    Raises:
        MissingError, UsageError: an unknown target, a runtime that cannot be measured yet, or a host that no session can be opened with.
    """
    found = []
    for name, host in targets.items():
        what = target.load(name, base)
        if not host:
            continue
        if what.runtime != "onnxruntime":
            raise UsageError(f"only targets that run ONNX Runtime can be measured yet, {name} runs {what.runtime}. Leave its host empty: {name}=")
        check_host(host)
        found.append((what, host))
    return found


def bench(
    files: Sequence[tuple[Artifact, Path]],
    targets: Mapping[str, str],
    *,
    pairs: Sequence[tuple[str, str]] = (),
    seed: int = 0,
    max_s: float = 60.0,
    fps: float | None = None,
    dims: Mapping[str, int] | None = None,
    plan: Plan = FULL,
    base: Path = Path(),
    emit: Emit = silent,
) -> Bench:
    """Measure every file on every target that has a host and takes its precision; the whole in about `max_s` seconds.

    `pairs` name artifact and what it is compared with: the ratio is the first's latency over the second's. `fps` starts inferences at a camera's
    pace instead of one after another. `dims` gives open axes of bare files their size, by the axis's name or as `INPUT.AXIS`; an open first axis is
    the batch. `base` is the folder that the paths of targets are relative to. A file that fails is left out, with a warning and its reason in
    `failures`.

    Raises:
        UsageError, MissingError: as `resolve`, no such file, two files of one name, a pair that names none, or no file that any target takes.
        DeviceError: not a single file could be measured. MissingExtra: there is no runtime.
    """
    where = resolve(targets, base)
    _check(files, pairs)
    for name in sorted(set(targets) - {what.name for what, _ in where} - {name for name, host in targets.items() if host}):
        emit(Note(text=f"{name} has no host: it is not measured"))
    result = Bench([], [], {}, {})
    for what, host in where:
        fitting = [_Contender(artifact, path) for artifact, path in files if _fits(artifact, what)]
        if fitting:
            with connect(host) as session:
                _Bout(session, what, fitting, plan, max_s / len(where), fps, dict(dims or {}), emit).measure(result)
            result.ratios.extend(_ratios(result.measurements, what.name, pairs, seed))
    if where and not result.measurements:
        reasons = "; ".join(f"{name}: {why}" for name, why in result.failures.items())
        if reasons:
            raise DeviceError(f"nothing could be measured. {reasons}")
        raise UsageError(f"no file has a precision that {', '.join(what.name for what, _ in where)} takes. Name another target.")
    return result


def _check(files: Sequence[tuple[Artifact, Path]], pairs: Sequence[tuple[str, str]]) -> None:
    names = [artifact.name for artifact, _ in files]
    for artifact, path in files:
        if not path.is_file():
            raise MissingError(f"{artifact.name} must be a file, there is none at {path}.")
        if names.count(artifact.name) > 1:
            raise UsageError(f"two files are called {artifact.name}, and their figures could not be told apart. Rename one.")
    for name in {name for pair in pairs for name in pair} - set(names):
        raise UsageError(f"a ratio needs two files that are measured, {name!r} is none of: {', '.join(names)}")


def _fits(artifact: Artifact, what: Target) -> bool:
    return artifact.precision == "as-is" or artifact.precision in what.precisions


def _ratios(measurements: Sequence[Measurement], name: str, pairs: Sequence[tuple[str, str]], seed: int) -> Iterator[Ratio]:
    found = {each.artifact: [launch.rounds for launch in each.timing.launches] for each in measurements if each.target == name}
    for artifact, against in pairs:
        if artifact in found and against in found:
            value, low, high = stats.ratio_of_medians(found[artifact], found[against], seed=seed)
            yield Ratio(
                artifact=artifact,
                against=against,
                target=name,
                quantity="latency",
                value=value,
                low=low,
                high=high,
                confidence=0.95,
                method=METHOD,
                seed=seed,
            )


# One target -----------------------------------------------------------------------------------------------------------


@dataclass
class _Contender:
    """An artifact while it is measured, with its agent of the moment."""

    artifact: Artifact
    path: Path
    agent: Agent | None = None
    opened: dict[str, Any] = field(default_factory=dict)
    batch: int = 1
    """Images that one inference took."""
    first_ms: float = 0.0
    rounds: list[list[float]] = field(default_factory=list)
    launches: list[Launch] = field(default_factory=list)
    clocks: list[float] = field(default_factory=list)
    """MHz of the fastest core at the end of each block."""
    memory: int | None = None
    throughput: float | None = None
    energy: float | None = None
    energy_reason: str | None = None
    doubts: list[str] = field(default_factory=list)
    failure: str | None = None

    def ask(self, job: str, timeout_s: float, **wishes: Any) -> dict[str, Any]:
        """Ask the agent of the moment; raises as `Agent.ask`."""
        assert self.agent is not None
        return self.agent.ask(job, timeout_s, **wishes)

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Keep a failure as this contender's own: the others go on."""
        try:
            yield
        except DeviceError as error:
            self.failure = str(error)


class _Bout:
    """All that is measured on one target in one session."""

    def __init__(
        self,
        session: Session,
        what: Target,
        contenders: list[_Contender],
        plan: Plan,
        max_s: float,
        fps: float | None,
        dims: dict[str, int],
        emit: Emit,
    ) -> None:
        self._session, self._target, self._contenders, self._plan, self._emit = session, what, contenders, plan, emit
        self._fps, self._dims = fps, dims
        self._start = time.monotonic()
        self._end = self._start + max_s
        self._patience = max_s + PATIENCE_S
        self._watch = Watch()
        self._total = len(contenders) * (plan.launches * plan.rounds + 1)

    def measure(self, result: Bench) -> None:
        """Fill `result` with what the contenders come to."""
        key = self._session.host
        with self._session.start() as agent:
            result.hosts[key] = host = read_host(agent)
        # The last pass takes a known time; the launches share the rest.
        reserve = min(0.4 * (self._end - self._start), len(self._contenders) * (self._plan.flow_ms / 1e3 + 0.5))
        for launch in range(self._plan.launches):
            left = self._end - reserve - time.monotonic()
            if self._alive() and (launch == 0 or left > 0):
                self._launch(launch, time.monotonic() + left / (self._plan.launches - launch))
        self._watch.end()
        self._alone()
        for each in self._contenders:
            if each.failure is None:
                result.measurements.append(self._measurement(each, key, host.cores))
            else:
                result.failures[f"{each.artifact.name} on {self._target.name}"] = each.failure
                self._emit(Note(text=f"{each.artifact.name} is not measured on {self._target.name}: {each.failure}", level="warning"))

    def _alive(self) -> list[_Contender]:
        return [each for each in self._contenders if each.failure is None]

    @contextmanager
    def _agents(self) -> Iterator[None]:
        """An agent for each, started side by side: only what is timed must be alone."""
        alive = self._alive()
        try:
            for each in alive:
                each.agent = self._session.start()
                with each.trying():
                    each.agent.send("start")
            for each in self._alive():
                assert each.agent is not None
                with each.trying():
                    each.opened = {"resident": each.agent.receive(self._patience)["resident"]}
            yield
        finally:
            for each in alive:
                if each.agent is not None:
                    each.agent.close()

    def _open(self, each: _Contender, threads: int) -> None:
        place = self._session.place(each.path)
        wishes = {"provider": self._target.provider, "threads": threads, "short_spin": self._fps is None}
        each.opened.update(each.ask("open", self._patience, path=place, **wishes))

    # Latency

    def _launch(self, launch: int, deadline: float) -> None:
        """Every process started, every file loaded, then rounds until they are all done or the time is up."""
        with self._agents():
            for each in self._alive():
                each.rounds = []
                with each.trying():
                    self._open(each, self._target.threads)
            before = self._look()
            lasted = 0.0
            for number in range(self._plan.rounds):
                begun = time.monotonic()
                if number and begun + lasted > deadline:
                    break
                self._round(launch, number, deadline)
                lasted = time.monotonic() - begun
            self._watch.count_others(before, self._look())
        for each in self._alive():
            each.launches.append(Launch(load_ms=each.opened["load_ms"], first_ms=each.first_ms, rounds=each.rounds))

    def _round(self, launch: int, number: int, deadline: float) -> None:
        """One block of each, in this round's order."""
        order = stats.turns(self._alive(), launch, self._plan.rounds, number)
        blocks_left = len(order) * (self._plan.rounds - number)
        for at, each in enumerate(order):
            left_ms = 1e3 * (deadline - time.monotonic()) / (blocks_left - at)
            with each.trying():
                block = self._block(each, max(left_ms, self._plan.block_ms))
                each.first_ms = each.first_ms if block["first_ms"] is None else block["first_ms"]
                each.rounds.append(block["samples"])
                each.clocks.append(max(block["clock_mhz"], default=0.0))
            self._tell(launch * self._plan.rounds * len(self._contenders) + number * len(self._contenders) + at + 1)

    def _block(self, each: _Contender, max_ms: float, **wishes: Any) -> dict[str, Any]:
        """A block's samples in ms, and what came with them."""
        asked: dict[str, Any] = {
            "warm_ms": self._plan.warm_ms,
            "min_ms": self._plan.block_ms,
            "min_runs": self._plan.block_runs,
            "max_ms": max_ms,
            "batch": self._target.batch,
            "dims": self._dims,
            "frame_ms": None if self._fps is None else 1e3 / self._fps,
        }
        block = each.ask("time", self._patience, **{**asked, **wishes})
        each.batch = block["batch"]
        return block

    def _tell(self, done: int) -> None:
        spent = time.monotonic() - self._start
        left = min(spent / done * (self._total - done), max(0.0, self._end - time.monotonic()))
        self._emit(Progress(what=f"measuring on {self._target.name}", done=done, total=self._total, unit="blocks", seconds_left=left))

    def _look(self) -> Look:
        """How the machine is, and how much CPU time the agents and this process have had."""
        told = {}
        for each in self._alive():
            with each.trying():
                told[each.artifact.name] = each.ask("state", self._patience)
        return self._watch.look(told)

    # Memory, energy, throughput

    def _alone(self) -> None:
        """Each by itself, the others' agents idle: peak memory, energy where it is counted, throughput."""
        with self._agents():
            alive = self._alive()
            for at, each in enumerate(alive):
                with each.trying():
                    self._open(each, self._target.threads)
                    self._weigh(each)
                    left_s = (self._end - time.monotonic()) / (len(alive) - at)
                    self._meter(each, left_s)
                    self._flow(each, min(self._plan.flow_ms, 1e3 * left_s))
                self._tell(self._total - len(alive) + at + 1)
                if each.agent is not None:
                    each.agent.close()

    def _weigh(self, each: _Contender) -> None:
        """Peak resident bytes of loading and running the file, over those of the bare runtime."""
        block = self._block(each, 0, warm_ms=0, min_ms=0, min_runs=1, frame_ms=None)
        resident = each.opened["resident"]
        each.memory = max(0, block["peak"] - resident) if block["peak"] is not None and resident is not None else None
        each.energy_reason = block["energy_reason"]

    def _meter(self, each: _Contender, left_s: float) -> None:
        """Joules an image over half a minute of inferences, where the machine counts them and there is the time."""
        if each.energy_reason is not None:
            return
        if left_s < ENERGY_S + self._plan.flow_ms / 1e3:
            each.energy_reason = f"{ENERGY_S:.0f} s for each file are needed and the time allowed has {max(left_s, 0):.0f} s"
            return
        block = self._block(each, 1e3 * ENERGY_S, min_ms=1e3 * ENERGY_S)
        image_ms = 1e3 / self._fps if self._fps else stats.median(block["samples"]) / each.batch
        each.energy = block["joules"] / block["seconds"] * image_ms / 1e3

    def _flow(self, each: _Contender, min_ms: float) -> None:
        """Images a second with several batches in flight: on a CPU one thread a batch, as many batches as threads, gets the most done."""
        if min_ms < 100:
            each.doubts.append("no time was left to measure throughput")
            return
        on_cpu, threads = self._target.provider == "CPUExecutionProvider", each.opened["threads"]
        batch = each.opened["batch"] or FLOW_BATCH
        try:
            if on_cpu and threads > 1:
                self._open(each, 1)
            flow = each.ask("flow", self._patience, batch=batch, min_ms=min_ms, streams=threads if on_cpu else 2, dims=self._dims)
            each.throughput = flow["images_per_s"]
        except DeviceError as error:
            each.doubts.append(f"throughput could not be measured at batch {batch}: {error}")

    # What it comes to

    def _measurement(self, each: _Contender, key: str, cores: int) -> Measurement:
        timing = Timing(launches=each.launches)
        doubted = doubts(timing, clocks=each.clocks, states=self._watch.states, others=self._watch.others, cores=cores)
        return Measurement(
            artifact=each.artifact.name,
            target=self._target.name,
            host=key,
            runtime=self._target.runtime,
            provider=each.opened["provider"],
            batch=each.batch,
            fps=self._fps,
            threads=self._target.threads or cores,
            timing=timing,
            throughput=each.throughput,
            memory=each.memory,
            energy=each.energy,
            energy_reason=each.energy_reason,
            states=self._watch.states,
            doubts=[*doubted, *each.doubts],
        )

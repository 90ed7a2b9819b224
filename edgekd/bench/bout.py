"""All that is measured of some files on one target of one host: latency in rounds, then each file alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from edgekd import stats, timings
from edgekd.bench import opening
from edgekd.bench.contender import Contender
from edgekd.bench.operators import layer_times
from edgekd.bench.plan import Bench, Plan, Way
from edgekd.device.doubts import doubts
from edgekd.device.host import Session, read_host
from edgekd.device.watch import Look, Watch
from edgekd.errors import DeviceError
from edgekd.events import Emit, Note, Progress
from edgekd.measurements import Flow, Launch, Measurement, Timing
from edgekd.target import Target

ENERGY_S = 30.0
"""Seconds that an energy reading is taken over; shorter ones are mostly the counter's own steps."""
REST_S = 5.0
"""Seconds that the machine is left alone, to know what it takes at rest."""
PROFILE_S = 1.0
"""Seconds that a profile's runs take at most, but for the first two."""
PATIENCE_S = 30.0
"""How long an agent may be silent beyond the time that the whole bench has."""


class Bout:
    """All that is measured on one target in one session, in `max_s` seconds.

    After each round, and each file that was measured alone, `between` is told what share is done: what it does on the host then comes on top of that
    time. It gives the CPU seconds that it has had there in all.
    """

    def __init__(
        self,
        session: Session,
        what: Target,
        contenders: list[Contender],
        plan: Plan,
        max_s: float,
        way: Way,
        emit: Emit,
        between: Callable[[float], float] = lambda share: 0.0,
    ) -> None:
        self._session, self._target, self._contenders, self._plan, self._emit = session, what, contenders, plan, emit
        self._way, self._between, self._between_s = way, between, 0.0
        self._start = self._session.now()
        self._end = self._start + max_s
        self._patience = max_s + PATIENCE_S
        self._watch = Watch(here=session.here)
        self._total = len(contenders) * (plan.launches * plan.rounds + 1)

    def measure(self, result: Bench) -> None:
        """Fill `result` with what the contenders come to."""
        key = self._session.host
        with self._session.start() as agent:
            host = read_host(agent, self._target.runtime)
        known = result.hosts.get(key)
        if known is not None:  # by another target: one machine, and what it has of either
            host = msgspec.structs.replace(host, runtimes={**known.runtimes, **host.runtimes})
        result.hosts[key] = host
        # The last pass takes a known time; the launches share the rest.
        alone_s = self._plan.flow_ms / 1e3 * max(1, len(self._way.batches)) + 0.5 + (0.3 if self._way.layers else 0.0)
        reserve = min(0.4 * (self._end - self._start), len(self._contenders) * alone_s)
        for launch in range(self._plan.launches):
            left = self._end - reserve - self._session.now()
            if self._alive() and (launch == 0 or left > 0):
                self._launch(launch, self._session.now() + left / (self._plan.launches - launch))
        self._watch.end()
        self._alone()
        for each in self._contenders:
            if each.failure is None:
                result.measurements.append(self._measurement(each, key, host.cores))
            else:
                result.failures[f"{each.artifact.name} on {self._target.name}"] = each.failure
                self._emit(Note(text=f"{each.artifact.name} is not measured on {self._target.name}: {each.failure}", level="warning"))

    def _alive(self) -> list[Contender]:
        return [each for each in self._contenders if each.failure is None]

    @contextmanager
    def _agents(self) -> Iterator[None]:
        """An agent for each, started side by side: only what is timed must be alone."""
        alive = self._alive()
        try:
            for each in alive:
                each.agent = self._session.start(f"{each.artifact.name} on {self._target.name}")
                with each.trying():
                    each.agent.send("start", runtime=self._target.runtime)
            for each in self._alive():
                assert each.agent is not None
                with each.trying():
                    each.opened = {"resident": each.agent.receive(self._patience)["resident"]}
            yield
        finally:
            for each in alive:
                if each.agent is not None:
                    each.agent.close()

    def _open(self, each: Contender, threads: int, **other: Any) -> None:
        wishes = {"threads": threads, "short_spin": self._way.fps is None, **opening.wishes(self._target, self._way), **other}
        each.opened.update(each.ask("open", self._patience, path=self._session.place(each.path), **wishes))

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
                begun = self._session.now()
                if number and begun + lasted > deadline:
                    break
                self._round(launch, number, deadline)
                lasted = self._session.now() - begun
                deadline += self._pause((launch * self._plan.rounds + number + 1) * len(self._contenders))
            self._watch.count_others(before, self._look())
        for each in self._alive():
            if each.agent is not None and each.agent.lost:
                each.doubts.append(f"the line to {self._session.host} was lost while it was timed, {each.agent.lost} times; its process began anew")
            each.launches.append(Launch(load_ms=each.opened["load_ms"], first_ms=each.first_ms, rounds=each.rounds))

    def _round(self, launch: int, number: int, deadline: float) -> None:
        """One block of each, in this round's order."""
        order = timings.turns(self._alive(), launch, self._plan.rounds, number)
        blocks_left = len(order) * (self._plan.rounds - number)
        for at, each in enumerate(order):
            left_ms = 1e3 * (deadline - self._session.now()) / (blocks_left - at)
            with each.trying():
                block = self._block(each, max(left_ms, self._plan.block_ms))
                each.first_ms = each.first_ms if block["first_ms"] is None else block["first_ms"]
                each.rounds.append(block["samples"])
                each.clocks.append(max(block["clock_mhz"], default=0.0))
                each.gpu_clocks.append(block.get("gpu_mhz") or 0.0)
            self._tell(launch * self._plan.rounds * len(self._contenders) + number * len(self._contenders) + at + 1)

    def _pause(self, done: int) -> float:
        """Let others work on the host; the seconds that they took, which are given back."""
        begun = self._session.now()
        self._between_s = self._between(done / self._total)
        taken = self._session.now() - begun
        self._end += taken
        return taken

    def _block(self, each: Contender, max_ms: float, **wishes: Any) -> dict[str, Any]:
        """A block's samples in ms, and what came with them."""
        asked: dict[str, Any] = {
            "warm_ms": self._plan.warm_ms,
            "min_ms": self._plan.block_ms,
            "min_runs": self._plan.block_runs,
            "max_ms": max_ms,
            "batch": self._target.batch,
            "dims": dict(self._way.dims),
            "frame_ms": None if self._way.fps is None else 1e3 / self._way.fps,
        }
        block = each.ask("time", self._patience, **{**asked, **wishes})
        each.batch = block["batch"]
        return block

    def _tell(self, done: int) -> None:
        spent = self._session.now() - self._start
        left = min(spent / done * (self._total - done), max(0.0, self._end - self._session.now()))
        self._emit(Progress(what=f"measuring on {self._target.name}", done=done, total=self._total, unit="blocks", seconds_left=left))

    def _look(self) -> Look:
        """How the machine is, and how much CPU time the agents and this process have had."""
        told = {}
        alive = self._alive()
        for each in alive:
            with each.trying():
                # What takes a moment to read is asked for once: of the last, whose state is kept.
                told[each.artifact.name] = each.ask("state", self._patience, raw=each is alive[-1])
        return self._watch.look(told, self._between_s)

    # Memory, energy, throughput, layers

    def _alone(self) -> None:
        """Each by itself, the others' agents idle: peak memory, energy where it is counted, throughput, and last what profiling would change."""
        with self._agents():
            alive = self._alive()
            for at, each in enumerate(alive):
                with each.trying():
                    self._open(each, self._target.threads)
                    self._weigh(each)
                    self._part(each)
                    left_s = (self._end - self._session.now()) / (len(alive) - at)
                    self._meter(each, left_s)
                    self._flow(each, min(self._plan.flow_ms, 1e3 * left_s / max(1, len(self._way.batches))))
                    self._profile(each)
                self._tell(self._total - len(alive) + at + 1)
                if each.agent is not None:
                    each.agent.close()
                self._pause(self._total - len(alive) + at + 1)

    def _weigh(self, each: Contender) -> None:
        """Peak resident bytes of loading and running the file, over those of the bare runtime."""
        block = self._block(each, 0, warm_ms=0, min_ms=0, min_runs=1, frame_ms=None)
        resident = each.opened["resident"]
        each.memory = max(0, block["peak"] - resident) if block["peak"] is not None and resident is not None else None

    def _part(self, each: Contender) -> None:
        """What an engine's inference is made of."""
        if each.built is not None:
            each.engine = opening.engine_run(each.built, each.ask("parts", self._patience, batch=self._target.batch, dims=dict(self._way.dims)))
            each.doubts.extend(opening.engine_doubts(each.engine))

    def _meter(self, each: Contender, left_s: float) -> None:
        """Joules an image over half a minute of inferences, in all and above rest, where the machine counts them and there is the time."""
        each.energy_reason = each.ask("rest", self._patience, seconds=0)["energy_reason"]
        if each.energy_reason is not None:
            return
        if left_s < ENERGY_S + REST_S + self._plan.flow_ms / 1e3:
            each.energy_reason = f"{ENERGY_S + REST_S:.0f} s for each file are needed and the time allowed has {max(left_s, 0):.0f} s"
            return
        rest = each.ask("rest", self._patience, seconds=REST_S)
        block = self._block(each, 1e3 * ENERGY_S, min_ms=1e3 * ENERGY_S, metered=True)
        each.energy_reason = block["energy_reason"]
        if block["joules"] is None or rest["joules"] is None:
            return
        image_s = 1 / self._way.fps if self._way.fps else stats.median(block["samples"]) / each.batch / 1e3
        watts, at_rest = block["joules"] / block["seconds"], rest["joules"] / rest["seconds"]
        each.energy, each.energy_above_rest, each.energy_rail = watts * image_s, (watts - at_rest) * image_s, block["rail"]

    def _flow(self, each: Contender, min_ms: float) -> None:
        """Images a second with several batches in flight, at each batch size: on a CPU one thread a batch, as many batches as threads, gets the most
        done."""
        if min_ms < 100:
            each.doubts.append("no time was left to measure throughput")
            return
        on_cpu, threads, fixed = self._target.on_cpu, each.opened["threads"], each.opened["batch"]
        own_threads = self._target.runtime == "onnxruntime"  # which a stream brings along; others are told how many share theirs
        if fixed and self._way.batches:
            each.doubts.append(f"its batch is fixed: throughput was measured at {fixed} alone")
        if own_threads and on_cpu and threads > 1:
            self._open(each, 1)
        for batch in [fixed] if fixed else self._way.batches or (opening.FLOW_BATCH,):
            try:
                streams = threads if on_cpu else 2
                if not own_threads:
                    self._open(each, threads, streams=streams, batch=batch)
                flow = each.ask("flow", self._patience, batch=batch, min_ms=min_ms, streams=streams, dims=dict(self._way.dims))
                each.flows.append(Flow(batch=flow["batch"], images_per_s=flow["images_per_s"], streams=flow["streams"]))
            except DeviceError as error:
                each.doubts.append(f"throughput could not be measured at batch {batch}: {error}")

    def _profile(self, each: Contender) -> None:
        """What each layer takes, by a session of its own that keeps a profile; a file that it fails for keeps its other figures."""
        if not self._way.layers:
            return
        if not self._target.on_cpu:
            each.doubts.append(f"its layers were not timed: of {self._target.provider} the runtime times its own calls, not their work")
            return
        try:
            told = each.ask(
                "profile",
                self._patience,
                path=self._session.place(each.path),
                provider=self._target.provider,
                **({} if self._target.runtime == "onnxruntime" else {"runtime": self._target.runtime}),
                threads=self._target.threads,
                folder=self._session.room(),
                max_ms=1e3 * PROFILE_S,
                batch=self._target.batch,
                dims=dict(self._way.dims),
            )
            each.layer_times = layer_times(each.artifact, each.path, told["nodes"])
        except DeviceError as error:
            each.doubts.append(f"its layers could not be timed: {error}")

    # What it comes to

    def _measurement(self, each: Contender, key: str, cores: int) -> Measurement:
        timing = Timing(launches=each.launches)
        doubted = doubts(timing, clocks=each.clocks, gpu_clocks=each.gpu_clocks, states=self._watch.states, others=self._watch.others, cores=cores)
        return Measurement(
            artifact=each.artifact.name,
            target=self._target.name,
            host=key,
            runtime=self._target.runtime,
            provider=each.opened["provider"],
            batch=each.batch,
            fps=self._way.fps,
            threads=self._target.threads or cores,
            timing=timing,
            throughput=max((flow.images_per_s for flow in each.flows), default=None),
            flows=each.flows,
            memory=each.memory,
            energy=each.energy,
            energy_above_rest=each.energy_above_rest,
            energy_rail=each.energy_rail,
            energy_reason=each.energy_reason,
            engine=each.engine,
            layer_times=each.layer_times,
            states=self._watch.states,
            doubts=[*doubted, *each.doubts],
        )

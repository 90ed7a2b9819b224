"""All that is measured of some files on one target of one host: latency in rounds, then each file alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from edgekd import timings
from edgekd.bench import alone
from edgekd.bench.contender import Contender
from edgekd.bench.plan import Bench
from edgekd.bench.questions import Questions
from edgekd.device.doubts import doubts
from edgekd.device.host import read_host
from edgekd.device.watch import Look, Watch
from edgekd.events import Emit, Note, Progress
from edgekd.measurements import Launch, Measurement, Timing


class Bout:
    """All that is measured of some files by one set of questions, in the time that those have.

    After each round, and each file that was measured alone, `between` is told what share is done: what it does on the host then comes on top of that
    time. It gives the CPU seconds that it has had there in all.
    """

    def __init__(self, asked: Questions, contenders: list[Contender], emit: Emit, between: Callable[[float], float] = lambda share: 0.0) -> None:
        self._asked, self._contenders, self._emit = asked, contenders, emit
        self._between, self._between_s = between, 0.0
        self._start = asked.session.now()
        self._end = self._start + asked.max_s
        self._watch = Watch(here=asked.session.here)
        self._total = len(contenders) * (asked.plan.launches * asked.plan.rounds + 1)

    def measure(self, result: Bench) -> None:
        """Fill `result` with what the contenders come to."""
        key = self._asked.session.host
        with self._asked.session.start() as agent:
            host = read_host(agent, self._asked.target.runtime)
        known = result.hosts.get(key)
        if known is not None:  # by another target: one machine, and what it has of either
            host = msgspec.structs.replace(host, runtimes={**known.runtimes, **host.runtimes})
        result.hosts[key] = host
        # The last pass takes a known time; the launches share the rest.
        alone_s = self._asked.plan.flow_ms / 1e3 * max(1, len(self._asked.way.batches)) + 0.5 + (0.3 if self._asked.way.layers else 0.0)
        reserve = min(0.4 * (self._end - self._start), len(self._contenders) * alone_s)
        for launch in range(self._asked.plan.launches):
            left = self._end - reserve - self._asked.session.now()
            if self._alive() and (launch == 0 or left > 0):
                self._launch(launch, self._asked.session.now() + left / (self._asked.plan.launches - launch))
        self._watch.end()
        self._alone()
        for each in self._contenders:
            if each.failure is None:
                result.measurements.append(self._measurement(each, key, host.cores))
            else:
                result.failures[f"{each.artifact.name} on {self._asked.target.name}"] = each.failure
                self._emit(Note(text=f"{each.artifact.name} is not measured on {self._asked.target.name}: {each.failure}", level="warning"))

    def _alive(self) -> list[Contender]:
        return [each for each in self._contenders if each.failure is None]

    @contextmanager
    def _agents(self) -> Iterator[None]:
        """An agent for each, started side by side: only what is timed must be alone."""
        alive = self._alive()
        try:
            for each in alive:
                each.agent = self._asked.session.start(f"{each.artifact.name} on {self._asked.target.name}")
                with each.trying():
                    each.agent.send("start", runtime=self._asked.target.runtime)
            for each in self._alive():
                assert each.agent is not None
                with each.trying():
                    each.opened = {"resident": each.agent.receive(self._asked.patience)["resident"]}
            yield
        finally:
            for each in alive:
                if each.agent is not None:
                    each.agent.close()

    # Latency

    def _launch(self, launch: int, deadline: float) -> None:
        """Every process started, every file loaded, then rounds until they are all done or the time is up."""
        with self._agents():
            for each in self._alive():
                each.rounds = []
                with each.trying():
                    self._asked.open(each, self._asked.target.threads)
            before = self._look()
            lasted = 0.0
            for number in range(self._asked.plan.rounds):
                begun = self._asked.session.now()
                if number and begun + lasted > deadline:
                    break
                self._round(launch, number, deadline)
                lasted = self._asked.session.now() - begun
                deadline += self._pause((launch * self._asked.plan.rounds + number + 1) * len(self._contenders))
            self._watch.count_others(before, self._look())
        for each in self._alive():
            if each.agent is not None and each.agent.lost:
                each.doubts.append(
                    f"the line to {self._asked.session.host} was lost while it was timed, {each.agent.lost} times; its process began anew"
                )
            each.launches.append(Launch(load_ms=each.opened["load_ms"], first_ms=each.first_ms, rounds=each.rounds))

    def _round(self, launch: int, number: int, deadline: float) -> None:
        """One block of each, in this round's order."""
        order = timings.turns(self._alive(), launch, self._asked.plan.rounds, number)
        blocks_left = len(order) * (self._asked.plan.rounds - number)
        for at, each in enumerate(order):
            left_ms = 1e3 * (deadline - self._asked.session.now()) / (blocks_left - at)
            with each.trying():
                block = self._asked.block(each, max(left_ms, self._asked.plan.block_ms))
                each.first_ms = each.first_ms if block["first_ms"] is None else block["first_ms"]
                each.rounds.append(block["samples"])
                each.clocks.append(max(block["clock_mhz"], default=0.0))
                each.gpu_clocks.append(block.get("gpu_mhz") or 0.0)
            self._tell(launch * self._asked.plan.rounds * len(self._contenders) + number * len(self._contenders) + at + 1)

    def _pause(self, done: int) -> float:
        """Let others work on the host; the seconds that they took, which are given back."""
        begun = self._asked.session.now()
        self._between_s = self._between(done / self._total)
        taken = self._asked.session.now() - begun
        self._end += taken
        return taken

    def _tell(self, done: int) -> None:
        spent = self._asked.session.now() - self._start
        left = min(spent / done * (self._total - done), max(0.0, self._end - self._asked.session.now()))
        self._emit(Progress(what=f"measuring on {self._asked.target.name}", done=done, total=self._total, unit="blocks", seconds_left=left))

    def _look(self) -> Look:
        """How the machine is, and how much CPU time the agents and this process have had."""
        told = {}
        alive = self._alive()
        for each in alive:
            with each.trying():
                # What takes a moment to read is asked for once: of the last, whose state is kept.
                told[each.artifact.name] = each.ask("state", self._asked.patience, raw=each is alive[-1])
        return self._watch.look(told, self._between_s)

    # Memory, energy, throughput, layers

    def _alone(self) -> None:
        """Each by itself, the others' agents idle: peak memory, energy where it is counted, throughput, and last what profiling would change."""
        with self._agents():
            alive = self._alive()
            for at, each in enumerate(alive):
                with each.trying():
                    alone.measure(self._asked, each, (self._end - self._asked.session.now()) / (len(alive) - at))
                self._tell(self._total - len(alive) + at + 1)
                if each.agent is not None:
                    each.agent.close()
                self._pause(self._total - len(alive) + at + 1)

    # What it comes to

    def _measurement(self, each: Contender, key: str, cores: int) -> Measurement:
        timing = Timing(launches=each.launches)
        doubted = doubts(timing, clocks=each.clocks, gpu_clocks=each.gpu_clocks, states=self._watch.states, others=self._watch.others, cores=cores)
        return Measurement(
            artifact=each.artifact.name,
            target=self._asked.target.name,
            host=key,
            runtime=self._asked.target.runtime,
            provider=each.opened["provider"],
            batch=each.batch,
            fps=self._asked.way.fps,
            threads=self._asked.target.threads or cores,
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

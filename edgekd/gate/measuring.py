"""Latency on the spot: bare files, and the model that they grew from, timed in turn until every limit is decided or the time is up.

In: a report of bare files with their limits. Out: the same with measurements, and the baseline's with its own. Each sitting starts its processes
anew, and all sittings together are judged: launches are what varies most on a shared machine, and what intervals are drawn from. What is compared
runs in one process, inference by inference (`bench.duel`). Since every sitting is another chance to be wrong, each interval is wide enough for all of
them together (Bonferroni), a paired ratio's as much as a time's.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edgekd import budget
from edgekd.bench import Bench, Plan, bench, duel
from edgekd.budget import choose
from edgekd.budget.figures import confidence
from edgekd.budget.growth import PACE, TIMED, plain, twin
from edgekd.errors import UsageError
from edgekd.events import Emit, Note
from edgekd.gate.limits import bounds
from edgekd.limit import Limit
from edgekd.measurements import Host, Measurement, Timing
from edgekd.record import Artifact, Report, Verdict

SITTINGS = 8
"""At most so many looks at the intervals."""
CONFIDENCE = confidence(SITTINGS)
METHOD = f"{duel.METHOD}; {CONFIDENCE:.2%} for at most {SITTINGS} looks"
HERE, CPU = "local", "cpu"
APART = Plan(launches=5, rounds=3, block_ms=100.0, flow_ms=0.0, duels=5, duel_ms=300.0)
"""A sitting where some limit is on a time itself. Many short launches: where a process happens to lie in memory changes its speed more than the
rounds within it."""
IN_TURN = Plan(launches=1, rounds=1, block_ms=200.0, flow_ms=0.0, duels=6, duel_ms=300.0)
"""A sitting where all limits are on ratios."""


@dataclass
class Session:
    """What has been measured so far, by artifact and target."""

    measurements: dict[tuple[str, str], Measurement] = field(default_factory=dict)
    hosts: dict[str, Host] = field(default_factory=dict)
    ratios: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)
    """Each launch's, by artifact, what it is divided by, and target."""

    def add(self, found: Bench) -> None:
        """Put a sitting's launches behind the earlier ones."""
        self.hosts.update(found.hosts)
        for ratio in found.ratios:
            self.ratios.setdefault((ratio.artifact, ratio.against, ratio.target), []).extend(ratio.launches)
        for new in found.measurements:
            key = (new.artifact, new.target)
            old = self.measurements.get(key)
            launches = [*(old.timing.launches if old else []), *new.timing.launches]
            doubts = [*(old.doubts if old else []), *(doubt for doubt in new.doubts if "throughput" not in doubt)]
            states = [*(old.states if old else []), *new.states]
            self.measurements[key] = msgspec.structs.replace(
                new, timing=Timing(launches=launches), doubts=list(dict.fromkeys(doubts)), states=states, memory=old.memory if old else new.memory
            )


@dataclass(frozen=True)
class Contest:
    """Bare files with their limits, and the baseline's model where there is one; `own_targets` are files that describe targets, by name."""

    report: Report
    limits: Sequence[Limit]
    then: Report | None = None
    before: Path | None = None
    own_targets: Mapping[str, str] = field(default_factory=dict)

    @property
    def targets(self) -> list[str]:
        """Where the limits on times are held."""
        return list(dict.fromkeys(limit.target for limit in map(placed, self.limits) if timed(limit) and limit.target is not None))

    @property
    def places(self) -> dict[str, str]:
        """The same targets as they are loaded, each on this machine."""
        return {self.own_targets.get(name, name): HERE for name in self.targets}

    @property
    def earlier(self) -> Artifact | None:
        """The baseline's model under a name of its own."""
        return twin(self.then.artifacts[0]) if self.then is not None and self.before is not None else None

    def files(self) -> list[tuple[Artifact, Path]]:
        """All that take turns."""
        own = [(artifact, Path(artifact.path)) for artifact in self.report.artifacts]
        return [*own, (self.earlier, self.before)] if self.earlier is not None and self.before is not None else own

    def pairs(self) -> list[tuple[str, str]]:
        """What is divided by what: each file by the baseline's model, and by what a speedup or a share of its time is against."""
        found = [(artifact.name, self.earlier.name) for artifact in self.report.artifacts if self.earlier is not None]
        for limit in self.limits:
            for artifact in self.report.artifacts if any(map(_beside_another, bounds(limit))) else ():
                other = choose.against(self.report, artifact, limit.against)
                if not isinstance(other, str) and other.name != artifact.name:
                    found.append((artifact.name, other.name))
        return list(dict.fromkeys(found))

    @property
    def apart(self) -> bool:
        """Whether some limit is on a time itself, not on a ratio that is taken in turn."""
        return not all(self._in_turn(name) for limit in self.limits for name in timed(limit))

    def _in_turn(self, name: str) -> bool:
        return _beside_another(name) or (name.startswith("growth.") and plain(name) in PACE and self.earlier is not None)

    def reports(self, session: Session) -> tuple[Report, Report | None]:
        """The reports as they are with what was measured so far."""
        ratios = [duel.ratio(*names, launches, confidence=CONFIDENCE, method=METHOD) for names, launches in session.ratios.items()]
        own = {artifact.name for artifact in self.report.artifacts}
        mine = [each for each in session.measurements.values() if each.artifact in own]
        report = msgspec.structs.replace(self.report, hosts=session.hosts, measurements=mine, ratios=ratios)
        if self.earlier is None or self.then is None:
            return report, self.then
        name = self.then.artifacts[0].name
        theirs = [msgspec.structs.replace(each, artifact=name) for each in session.measurements.values() if each.artifact == self.earlier.name]
        return report, msgspec.structs.replace(self.then, hosts=session.hosts, measurements=theirs)


def _beside_another(quantity: str) -> bool:
    """Whether it is a ratio of latencies to what the limit is against."""
    return quantity == "speedup" or (quantity.startswith("relative.") and plain(quantity) in PACE)


def placed(limit: Limit) -> Limit:
    """A limit on a time with its target: where it names none, the CPU that it is timed on."""
    return msgspec.structs.replace(limit, target=limit.target or CPU) if timed(limit) else limit


def timed(limit: Limit) -> list[str]:
    """What a limit bounds that takes measuring."""
    return [name for name in bounds(limit) if plain(name) in (*TIMED, "speedup")]


def measured(contest: Contest, *, max_s: float, emit: Emit) -> tuple[Report, Report | None]:
    """Measure until no limit is open, at most `max_s` seconds for each limit on a time.

    Raises:
        UsageError: no limit asks for a time; else as `bench`.
    """
    asked = sum(len(timed(limit)) for limit in contest.limits)
    if not asked:
        raise UsageError("--measure is for limits on times, and there are none. Add one, as in --limit latency_p50=12ms or growth.latency=5%")
    end = time.monotonic() + max_s * asked
    session, plan = Session(), APART if contest.apart else IN_TURN
    for sitting in range(SITTINGS):
        left = end - time.monotonic()
        if sitting and left < _LEAST_S:
            break
        found = bench(contest.files(), contest.places, pairs=contest.pairs(), max_s=max(left, _LEAST_S), plan=plan, emit=emit)
        session.add(found)
        report, then = contest.reports(session)
        waiting = _open(budget.judge(report, contest.limits, then, looks=SITTINGS))
        if not waiting:
            break
        emit(Note(text=f"undecided so far: {', '.join(waiting)}"))
    for measurement in session.measurements.values():
        for doubt in measurement.doubts:
            emit(Note(text=f"{measurement.artifact} on {measurement.target}: {doubt}", level="warning"))
    return contest.reports(session)


_LEAST_S = 3.0
"""Seconds under which a sitting is not worth its start."""


def _open(verdicts: Sequence[Verdict]) -> list[str]:
    """Which limits more measuring may decide: those on times that straddle, and percentiles that want more samples. Memory is read once."""
    return [
        f"{verdict.artifact}, {verdict.limit}"
        for verdict in verdicts
        if plain(verdict.quantity) in (*PACE, "latency_p95", "speedup")
        and (
            (verdict.state == "undecided" and verdict.measured is not None)
            or (verdict.state == "missing" and verdict.quantity.endswith("latency_p95"))
        )
    ]

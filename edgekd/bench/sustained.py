"""How latency holds under load that goes on: one file after another back to back (or at a camera's pace), about a second at a time, with the
machine's clock and temperature read beside it. What is measured here is raw; what it comes to is the report's to say.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from edgekd import stats
from edgekd.bench import opening
from edgekd.bench.plan import Way
from edgekd.bench.questions import PATIENCE_S
from edgekd.bench.where import check, resolve
from edgekd.device.host import connect, state_record
from edgekd.device.process import Agent
from edgekd.device.settings import UNCHANGED, Settings, applied
from edgekd.errors import DeviceError
from edgekd.events import Emit, Note, Progress, silent
from edgekd.measurements import Measurement, Moment
from edgekd.record import Artifact
from edgekd.target import Target

EVERY_S = 1.0
FEWEST = 20
"""Moments at least, however short the whole is."""
_FELL = 0.95
"""A clock that ends below this share of what it was at first is worth a doubt."""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Sustained load of one artifact on one target: what a measurement gains by it."""

    artifact: str
    target: str
    moments: list[Moment]
    untold: str | None = None
    doubts: list[str] = []


def sustain(
    asked: Sequence[tuple[Artifact, Path, str]],
    targets: Mapping[str, str],
    *,
    seconds: float,
    fps: float | None = None,
    dims: Mapping[str, int] | None = None,
    settings: Settings = UNCHANGED,
    python: Sequence[str] = (),
    base: Path = Path(),
    emit: Emit = silent,
) -> list[Load]:
    """`seconds` of load on each artifact on a target (by its name), one after another; further arguments as `bench`.

    One that fails on the way keeps what was measured until then, with a warning and a doubt.

    Raises:
        MissingError, UsageError: as `resolve`, or no such file.
    """
    check(list({artifact.name: (artifact, path) for artifact, path, _ in asked}.values()))
    known = {what.name: (what, host) for what, host in resolve(targets, base)}
    way, found = Way(fps=fps, dims=dims or {}), []
    for number, (artifact, path, target) in enumerate(asked):
        what, host = known[target]
        moments: list[Moment] = []
        doubts: list[str] = []
        try:
            with connect(host, python) as session, applied(session, settings, emit) as moved, session.start() as agent:
                if what.by_engine:
                    opening.build(session, what, path, way, emit)
                agent.ask("open", path=session.place(path), threads=what.threads, short_spin=fps is None, **opening.wishes(what, way))
                for moment in _moments(agent, what, way, seconds):
                    moments.append(moment)
                    emit(_progress(target, number * seconds + moment.at_s, len(asked) * seconds))
            doubts = [f"under sustained load {doubt}" for doubt in moved]
        except DeviceError as error:
            doubts = [f"sustained load ended after {moments[-1].at_s if moments else 0:.0f} of {seconds:.0f} s: {error}"]
            emit(Note(text=f"{artifact.name} on {target}: {doubts[0]}", level="warning"))
        found.append(Load(artifact=artifact.name, target=target, moments=moments, untold=_untold(moments), doubts=[*_doubts(moments), *doubts]))
    return found


def loaded(measurements: Sequence[Measurement], loads: Sequence[Load]) -> list[Measurement]:
    """The measurements, those that there is a load of with it."""
    found = {(load.artifact, load.target): load for load in loads}

    def with_load(each: Measurement) -> Measurement:
        load = found.get((each.artifact, each.target))
        if load is None:
            return each
        return msgspec.structs.replace(each, sustained=load.moments, untold=load.untold, doubts=[*each.doubts, *load.doubts])

    return list(map(with_load, measurements))


def _moments(agent: Agent, what: Target, way: Way, seconds: float) -> Iterator[Moment]:
    """Moments one after another until the time is up; between two of them the runtime idles for as long as clock and temperature are read."""
    every_s = min(EVERY_S, seconds / FEWEST)
    before = agent.ask("state")
    begin = time.monotonic()
    spent = 0.0
    while spent < seconds:
        block = agent.ask(
            "time",
            seconds + PATIENCE_S,
            warm_ms=0,
            min_ms=1e3 * every_s,
            min_runs=1,
            max_ms=2e3 * every_s,
            batch=what.batch,
            dims=dict(way.dims),
            frame_ms=None if way.fps is None else 1e3 / way.fps,
        )
        told = agent.ask("state")
        spent = round(time.monotonic() - begin, 3)
        state = msgspec.structs.asdict(state_record(told, "during", before))
        yield Moment(**state, at_s=spent, ms=stats.median(block["samples"]), inferences=len(block["samples"]))
        before = told


def _progress(target: str, done_s: float, total_s: float) -> Progress:
    done, total = min(round(done_s), round(total_s)), round(total_s)
    return Progress(what=f"sustained load on {target}", done=done, total=total, unit="s", seconds_left=max(0.0, total_s - done_s))


def _untold(moments: Sequence[Moment]) -> str | None:
    """What the machine keeps to itself, and why, in words."""
    lacking = [] if any(moment.clock_mhz for moment in moments) else ["no clock, as neither cpufreq nor /proc/cpuinfo has it"]
    lacking += [] if any(moment.temperature_c for moment in moments) else ["no temperature, as there is no sensor in /sys/class/thermal"]
    return f"the machine tells {', and '.join(lacking)}" if moments and lacking else None


def _doubts(moments: Sequence[Moment]) -> Iterator[str]:
    """Heat, in words."""
    slowed = next((moment for moment in moments if moment.throttled), None)
    if slowed is not None:
        yield f"under sustained load the processor was slowed for its heat, first after {slowed.at_s:.0f} s"
    clocks = [max(moment.clock_mhz) for moment in moments if any(moment.clock_mhz)]
    tenth = max(1, len(clocks) // 10)
    first, last = (stats.median(part) if part else 0.0 for part in (clocks[:tenth], clocks[-tenth:]))
    if last < _FELL * first:
        yield f"under sustained load the clock fell from {first:.0f} to {last:.0f} MHz"

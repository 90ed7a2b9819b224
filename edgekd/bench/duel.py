"""How much slower one file is than another: both in one process, inference by inference, in several launches.

In: files by name, and which are divided by which. Out: ratios of latencies, one a launch, and their interval. A process of its own for each file, as
for its latency, would give each its own luck with memory and cores; measured on a busy machine of two cores, ratios of such processes spread 15 %
from launch to launch and these 1.5 % (benchmarks/LOG.md).
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekd import stats
from edgekd.bench.plan import Plan, Way
from edgekd.device.host import Session
from edgekd.events import Emit, Progress
from edgekd.record import Ratio
from edgekd.target import Target

FEWEST = 2
"""Launches that are held however little time there is: one says nothing of its spread."""
METHOD = "mean of the launches' logarithms, Student's t; a launch's ratio is the median over its turns"
Samples = Mapping[str, Sequence[float]]
"""What one launch took for each file, ms, turn by turn."""


def duel(session: Session, what: Target, files: Mapping[str, Path], *, plan: Plan, way: Way, deadline: float, emit: Emit) -> list[Samples]:
    """All files in turn, in `plan.duels` launches or as many as end before `deadline` (of time.monotonic).

    Raises:
        DeviceError: a launch failed, which the files did not by themselves.
    """
    found: list[Samples] = []
    begun = time.monotonic()
    for launch in range(plan.duels):
        spent = time.monotonic() - begun
        if launch >= FEWEST and begun + spent + spent / launch > deadline:
            break
        names = list(files)
        # Who is loaded first, and begins, changes from launch to launch.
        if launch % 2:
            names.reverse()
        left_s = max(0.0, deadline - time.monotonic()) / (plan.duels - launch)
        with session.start() as agent:
            told = agent.ask(
                "duel",
                _PATIENCE_S + left_s,
                paths=[session.place(files[name]) for name in names],
                provider=what.provider,
                threads=what.threads,
                min_ms=plan.duel_ms * len(names) / 2,
                min_turns=_TURNS,
                max_ms=max(plan.duel_ms, 1e3 * left_s),
                batch=what.batch,
                dims=dict(way.dims),
                frame_ms=None if way.fps is None else 1e3 / way.fps,
            )
        found.append(dict(zip(names, told["samples"], strict=True)))
        left = (time.monotonic() - begun) / (launch + 1) * (plan.duels - launch - 1)
        emit(Progress(what=f"comparing on {what.name}", done=launch + 1, total=plan.duels, unit="launches", seconds_left=left))
    return found


def quotients(launches: Sequence[Samples], artifact: str, against: str) -> list[float]:
    """One file's latency over another's in each launch: the median over its turns, in each of which both were run."""
    return [stats.median([ours / theirs for ours, theirs in zip(each[artifact], each[against], strict=True)]) for each in launches]


def ratio(artifact: str, against: str, target: str, launches: Sequence[float], *, confidence: float = 0.95, method: str = METHOD) -> Ratio:
    """What the launches' ratios come to."""
    value, low, high = stats.mean_ratio(launches, confidence)
    return Ratio(
        artifact=artifact, against=against, target=target, quantity="latency", value=value, low=low, high=high,
        confidence=confidence, method=method, launches=list(launches),
    )  # fmt: skip


_TURNS = 5
"""Turns of a launch at the least."""
_PATIENCE_S = 60.0
"""How long loading and the turns at the least may take."""

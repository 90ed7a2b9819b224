"""How much slower one file is than another: both in one process, inference by inference, in several launches.

In: files by name, and which are divided by which. Out: ratios of latencies, one a launch, and their interval. A process of its own for each file, as
for its latency, would give each its own luck with memory and cores; measured on a busy machine of two cores, ratios of such processes spread 15 %
from launch to launch and these 1.5 % (benchmarks/LOG.md).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekd import stats
from edgekd.bench import opening
from edgekd.bench.plan import Plan, Way
from edgekd.device.host import Session
from edgekd.events import Emit, Progress
from edgekd.measurements import Ratio
from edgekd.target import Target

FEWEST = 2
"""Launches that are held however little time there is: one says nothing of its spread."""
METHOD = "mean of the launches' logarithms, Student's t; a launch's ratio is the median over its turns"
Samples = Mapping[str, Sequence[float]]
"""What one launch took for an inference of each file, ms, turn by turn; of a faster file the mean of as many as take the slowest's time for one."""


def duel(
    session: Session,
    what: Target,
    files: Mapping[str, Path],
    *,
    plan: Plan,
    way: Way,
    deadline: float,
    emit: Emit,
    rival: Target | None = None,
) -> list[Samples]:
    """All files in turn, in `plan.duels` launches or as many as end before `deadline` (of `session.now`).

    `rival` is a target of another runtime on the same machine: it runs each file too, whose samples stand under `by(rival, name)`.

    Raises:
        DeviceError: a launch failed, which the files did not by themselves.
    """
    found: list[Samples] = []
    begun = session.now()
    for launch in range(plan.duels):
        spent = session.now() - begun
        if launch >= FEWEST and begun + spent + spent / launch > deadline:
            break
        names = list(files)
        # Who is loaded first, and begins, changes from launch to launch.
        if launch % 2:
            names.reverse()
        left_s = max(0.0, deadline - session.now()) / (plan.duels - launch)
        with session.start(f"duel on {what.name}") as agent:
            told = agent.ask(
                "duel",
                _PATIENCE_S + left_s,
                paths=[session.place(files[name]) for name in names],
                **opening.wishes(what, way, shape=False),
                threads=what.threads,
                min_ms=plan.duel_ms * len(names) / 2,
                min_turns=_TURNS,
                max_ms=max(plan.duel_ms, 1e3 * left_s),
                batch=what.batch,
                dims=dict(way.dims),
                frame_ms=None if way.fps is None else 1e3 / way.fps,
                **({} if rival is None else {"rival": {"runtime": rival.runtime, **opening.wishes(rival, way, shape=False)}}),
            )
        if rival is not None:
            names += [by(rival, name) for name in names]
        found.append(dict(zip(names, told["samples"], strict=True)))
        left = (session.now() - begun) / (launch + 1) * (plan.duels - launch - 1)
        emit(Progress(what=f"comparing on {what.name}", done=launch + 1, total=plan.duels, unit="launches", seconds_left=left))
    return found


def by(rival: Target, name: str) -> str:
    """What a file's samples stand under where another runtime ran it beside the target's own."""
    return f"{name} by {rival.runtime}"


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

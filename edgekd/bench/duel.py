"""How much slower one file is than another: both in one process, inference by inference, in several launches.

In: files by name, and which are divided by which. Out: ratios of latencies, one a launch, and their interval. A process of its own for each file, as
for its latency, would give each its own luck with memory and cores; measured on a busy machine of two cores, ratios of such processes spread 15 %
from launch to launch and these 1.5 %. Launches that follow each other at once share what the machine does in those seconds, and their interval would
not know of it: whoever has other work on the host holds some launches between each two parts of it (both in benchmarks/LOG.md).
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekd import stats
from edgekd.bench import opening
from edgekd.bench.plan import Plan, Way
from edgekd.device.session import Session
from edgekd.events import Emit, Progress, silent
from edgekd.measurements import Ratio
from edgekd.target import Target

FEWEST = 2
"""Launches that are held however little time there is: one says nothing of its spread."""
UNSEEN = 0.01
"""Standard deviation of what all launches of a sitting may be off together, as a share of the ratio's logarithm: the machine is not the same from one
minute to the next, and files of unlike weight take that unlike. One sitting cannot see it, many did (benchmarks/trust.py). Equal files have none."""
TRIM = 0.1
"""Launches that are left out at either end, as a share, rounded down: beside a busy neighbour a launch or two lie far off."""
METHOD = (
    "mean of the launches' logarithms but for a tenth of them at either end, Student's t (Yuen), and 1 % of that mean for what the machine differs "
    "between sittings; a launch's ratio is the median over its turns"
)
Samples = Mapping[str, Sequence[float]]
"""What one launch took for an inference of each file, ms, turn by turn; of a faster file the mean of as many as take the slowest's time for one."""


class Duel:
    """The launches on one target, held as the time comes; `max_s` is what all of them may take, in seconds of `session.now`.

    `rival` is a target of another runtime on the same machine: it runs each file too, whose samples stand under `by(rival, name)`.
    """

    def __init__(self, session: Session, what: Target, *, plan: Plan, way: Way, max_s: float, rival: Target | None = None) -> None:
        self.launches: list[Samples] = []
        self.cpu_s = 0.0
        """CPU time that the launches took on the host."""
        self.max_s, self.spent_s = max_s, 0.0
        self._session, self._target, self._plan, self._way, self._rival = session, what, plan, way, rival

    def hold(self, files: Mapping[str, Path], share: float = 1.0, *, emit: Emit = silent) -> None:
        """Hold launches until there is this share of `plan.duels`, or another one would take more than that share of the time.

        Raises:
            DeviceError: a launch failed, which the files did not by themselves.
        """
        while (held := len(self.launches)) < round(share * self._plan.duels):
            if held >= FEWEST and self.spent_s * (held + 1) / held > share * self.max_s:
                break
            self._launch(files)
            left_s = self.spent_s / (held + 1) * (self._plan.duels - held - 1)
            emit(Progress(what=f"comparing on {self._target.name}", done=held + 1, total=self._plan.duels, unit="launches", seconds_left=left_s))

    def _launch(self, files: Mapping[str, Path]) -> None:
        begun, held = self._session.now(), len(self.launches)
        # Who is loaded first, and begins, changes from launch to launch.
        names = list(files)[:: -1 if held % 2 else 1]
        left_s = max(0.0, self.max_s - self.spent_s) / (self._plan.duels - held)
        rival = self._rival
        with self._session.start(f"duel on {self._target.name}") as agent:
            told = agent.ask(
                "duel",
                _PATIENCE_S + left_s,
                paths=[self._session.place(files[name]) for name in names],
                **opening.wishes(self._target, self._way, shape=False),
                threads=self._target.threads,
                min_ms=self._plan.duel_ms * len(names) / 2,
                min_turns=_TURNS,
                max_ms=max(self._plan.duel_ms, 1e3 * left_s),
                batch=self._target.batch,
                dims=dict(self._way.dims),
                frame_ms=None if self._way.fps is None else 1e3 / self._way.fps,
                **({} if rival is None else {"rival": {"runtime": rival.runtime, **opening.wishes(rival, self._way, shape=False)}}),
            )
        self.cpu_s += told["cpu_s"]
        if rival is not None:
            names += [by(rival, name) for name in names]
        self.launches.append(dict(zip(names, told["samples"], strict=True)))
        self.spent_s += self._session.now() - begun


def by(rival: Target, name: str) -> str:
    """What a file's samples stand under where another runtime ran it beside the target's own."""
    return f"{name} by {rival.runtime}"


def quotients(launches: Sequence[Samples], artifact: str, against: str) -> list[float]:
    """One file's latency over another's in each launch that held both: the median over its turns, in each of which both were run."""
    both = [each for each in launches if artifact in each and against in each]
    return [stats.median([ours / theirs for ours, theirs in zip(each[artifact], each[against], strict=True)]) for each in both]


def ratio(artifact: str, against: str, target: str, launches: Sequence[float], *, confidence: float = 0.95, method: str = METHOD) -> Ratio:
    """What the launches' ratios come to: their mean, with an interval for their own spread and, independent of it, what they cannot show."""
    value, _, high = stats.mean_ratio(launches, confidence, trim=TRIM)
    unseen = statistics.NormalDist().inv_cdf(0.5 + confidence / 2) * UNSEEN * math.log(value)
    wide = math.exp(math.hypot(math.log(high / value), unseen))
    return Ratio(
        artifact=artifact, against=against, target=target, quantity="latency", value=value, low=value / wide, high=value * wide,
        confidence=confidence, method=method, launches=list(launches),
    )  # fmt: skip


_TURNS = 5
"""Turns of a launch at the least."""
_PATIENCE_S = 60.0
"""How long loading and the turns at the least may take."""

"""How the machine was while something ran: its states, and the cores that other programs kept busy.

In: what agents answer to `state`, by the artifact that each holds. Out: `states` and `others`, as `doubts` wants them. Nothing is asked here.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from edgekd.device.host import state_record
from edgekd.measurements import State


@dataclass(frozen=True)
class Look:
    """CPU seconds spent at a moment: by all programs together (None where the machine does not tell), and by this process and its agents."""

    at: float
    busy_s: float | None
    own_s: float
    of: frozenset[str]


@dataclass
class Watch:
    """Looks at one machine, from the first to the last; `here`: this process runs on it too."""

    here: bool = True
    states: list[State] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    """Cores that other programs kept busy, by pair of looks."""
    _first: Mapping[str, Any] = field(default_factory=dict)

    def look(self, told: Mapping[str, Mapping[str, Any]], ended_s: float = 0.0) -> Look:
        """Keep the state in the last of these answers; what CPU time was spent until now, `ended_s` of it by agents that are no more."""
        last = next(reversed(list(told.values())), None)
        if last is not None:
            self._first = self._first or last
            state = state_record(last, "during" if self.states else "before", self._first)
            self.states.append(msgspec.structs.replace(state, foreign=foreign(last.get("gpu_processes"), told)))
        own = (time.process_time() if self.here else 0.0) + sum(answer["cpu_s"] for answer in told.values()) + ended_s
        # Answers that were kept tell when they were given.
        at = time.monotonic() if last is None else last.get("at", time.monotonic())
        return Look(at, last["busy_s"] if last else None, own, frozenset(told))

    def count_others(self, before: Look, after: Look) -> None:
        """Cores that were busy with other programs between two looks; only where the same agents were looked at."""
        if before.busy_s is not None and after.busy_s is not None and before.of == after.of:
            busy, own = after.busy_s - before.busy_s, after.own_s - before.own_s
            self.others.append((busy - own) / max(after.at - before.at, 1e-3))

    def end(self) -> None:
        """The last state was the one after the work."""
        if self.states:
            self.states[-1] = msgspec.structs.replace(self.states[-1], when="after")


def foreign(processes: Sequence[int] | None, told: Mapping[str, Mapping[str, Any]]) -> int | None:
    """How many of the processes on a GPU are none of the agents that answered; None where the GPU does not tell.

    In a container the agents know themselves by other numbers than the GPU does: where it has none of theirs, as many as they are count as theirs.
    """
    if processes is None:
        return None
    own = {answer["pid"] for answer in told.values()}
    known = len(own.intersection(processes)) or len(own)
    return max(0, len(set(processes)) - known)

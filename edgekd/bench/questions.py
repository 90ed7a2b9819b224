"""What a bout asks an agent of a file, with the wishes that hold for all of its files: to open it, and to time a block of it."""

from dataclasses import dataclass
from typing import Any

from edgekd.bench import opening
from edgekd.bench.contender import Contender
from edgekd.bench.plan import Plan, Way
from edgekd.device.session import Session
from edgekd.target import Target

PATIENCE_S = 30.0
"""How long an agent may be silent beyond the time that a whole bout has."""


@dataclass(frozen=True)
class Questions:
    """What holds for all files of a bout: in which session, on which target, how much of what, and in how many seconds."""

    session: Session
    target: Target
    plan: Plan
    way: Way
    max_s: float

    @property
    def patience(self) -> float:
        """How long an agent may be silent, in seconds."""
        return self.max_s + PATIENCE_S

    def open(self, each: Contender, threads: int, **other: Any) -> None:
        """Have its agent load a file."""
        wishes = {"threads": threads, "short_spin": self.way.fps is None, **opening.wishes(self.target, self.way), **other}
        each.opened.update(each.ask("open", self.patience, path=self.session.place(each.path), **wishes))

    def block(self, each: Contender, max_ms: float, **wishes: Any) -> dict[str, Any]:
        """A block's samples in ms, and what came with them."""
        asked: dict[str, Any] = {
            "warm_ms": self.plan.warm_ms,
            "min_ms": self.plan.block_ms,
            "min_runs": self.plan.block_runs,
            "max_ms": max_ms,
            "batch": self.target.batch,
            "dims": dict(self.way.dims),
            "frame_ms": None if self.way.fps is None else 1e3 / self.way.fps,
        }
        block = each.ask("time", self.patience, **{**asked, **wishes})
        each.batch = block["batch"]
        return block

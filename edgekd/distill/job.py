"""What is to be learnt: a `Job`, as `distill` and its loop take it."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from edgekd.distill.beside import Beside
from edgekd.distill.ranks import ALONE, Ranks
from edgekd.files import sha256_json
from edgekd.phases import Phase, Train
from edgekd.record import How


@dataclasses.dataclass(frozen=True)
class Job:
    """What is to be learnt.

    Attributes:
        phases: each with its terms, which `edgekd.phases.termed` gives to those that name none.
        train: with batch, optimiser and augmentation stated (`filled`); precision and memory format are measured where they are open.
        folder: where the checkpoint stands; a killed run goes on from it, bit for bit on the CPU.
        kept: called after each checkpoint.
        beside: what is learnt beside the phases' terms; not with several ranks.
        ranks: the processes that teach together, each on its part of every batch: as many images a step as one alone shows.
    """

    phases: tuple[Phase, ...]
    train: Train
    folder: Path
    how: How = "distilled"
    seed: int = 0
    checkpoint_s: float = 30.0
    kept: Callable[[], None] = lambda: None
    beside: Beside | None = None
    ranks: Ranks = ALONE

    @property
    def key(self) -> str:
        """Equal for jobs whose checkpoints may be exchanged, where images and teacher are the same: whoever keeps folders tells those apart."""
        table: dict[str, object] = {"phases": self.phases, "train": self.train, "seed": self.seed, "how": self.how}
        return sha256_json(table if self.beside is None else {**table, "beside": self.beside.key})

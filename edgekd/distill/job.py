"""What is to be learnt: a `Job`, as the loop takes it."""

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
    """What is to be learnt. `train` has its optimiser, augmentation, precision and memory format filled in."""

    name: str
    how: How
    phases: tuple[Phase, ...]
    train: Train
    seed: int
    folder: Path
    checkpoint_s: float = 30.0
    kept: Callable[[], None] = lambda: None
    """Called after each checkpoint."""
    beside: Beside | None = None
    """What is learnt beside the phases' terms."""
    ranks: Ranks = ALONE
    """The processes that teach together."""

    @property
    def key(self) -> str:
        """Equal for jobs whose checkpoints may be exchanged, where images and teacher are the same: whoever keeps folders tells those apart."""
        table: dict[str, object] = {"phases": self.phases, "train": self.train, "seed": self.seed, "how": self.how}
        return sha256_json(table if self.beside is None else {**table, "beside": self.beside.key})

"""What is to be learnt: a `Job`, as `distill` and its loop take it, and the joint of a lesson beside the terms of its phases."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from edgekd.distill.ranks import ALONE, Ranks
from edgekd.files import sha256_json
from edgekd.phases import Phase, Train
from edgekd.record import How


class Beside(Protocol):
    """A lesson beside the phases' terms: losses that look at more than a batch and its teacher. What it learns or remembers is in its state, which
    the checkpoint holds.

    Attributes:
        names: of its losses, in the order of its parts; none may be a term's.
        key: equal for lessons whose checkpoints may be exchanged.
    """

    names: tuple[str, ...]
    key: str

    def parts(self, network: nn.Module, images: Tensor, logits: Tensor, *, step: int) -> Tensor:
        """Weighted losses (names,) of one step, from which gradients go back to the network.

        Args:
            network: the student in training mode. What is asked of it beyond the step's images must leave its BatchNorm statistics as they are.
            images: (batch, channels, height, width) in [0, 1], as the step shows them; after the step's own come those of a lesson that is `Hosting`.
            logits: (batch, classes) of the student for them, float32.
            step: how many steps were done before; which further images are shown must depend on it alone, so that a run resumes.
        """

    def follow(self, network: nn.Module) -> None:
        """What is to be done after the optimiser's step."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where `state_dict` stood."""


@runtime_checkable
class Hosting(Beside, Protocol):
    """A lesson that brings images of its own: they go through the network in one batch with the step's, so that both are normalised alike."""

    def guests(self, step: int, *, plain: bool) -> Tensor | None:
        """Further images (more, channels, height, width) of a step, where the network is; None: none. Which ones depends on `step` alone; `plain`: as
        they are, as the step's own are shown."""


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


def guests_of(lesson: Beside | None, step: int, *, plain: bool) -> Tensor | None:
    """The images that a lesson brings into a step; None where there are none."""
    return lesson.guests(step, plain=plain) if isinstance(lesson, Hosting) else None

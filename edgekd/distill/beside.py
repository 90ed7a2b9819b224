"""The joint of what is learnt beside a phase's terms: losses that look at more than a batch and its teacher.

In, at each step: the network in training mode, the step's images and logits. Out: weighted losses that are added to the phase's own. Whatever
such a lesson learns or remembers is in its state, which the checkpoint holds.
"""

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from edgekd.data.batches import order
from edgekd.distill.schedule import steps_per_pass


class Beside(Protocol):
    """A lesson beside the phases' terms.

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


class Passes:
    """Which images a lesson shows at a step, pass after pass over `count` images in an order of the seed's and the pass's own, `size` a step."""

    def __init__(self, count: int, size: int, seed: int) -> None:
        self.count, self.size, self.seed = count, size, seed
        self._order, self._order_of = torch.empty(0, dtype=torch.int64), -1

    def at(self, step: int) -> tuple[Tensor, int]:
        """Positions (size,) of a step's images, and the number of the pass that it belongs to."""
        number, slot = divmod(step, steps_per_pass(self.count, self.size))
        if self._order_of != number:
            self._order, self._order_of = order(self.count, self.seed, number), number
        return self._order[slot * self.size : (slot + 1) * self.size], number


def guests_of(lesson: Beside | None, step: int, *, plain: bool) -> Tensor | None:
    """The images that a lesson brings into a step; None where there are none."""
    return lesson.guests(step, plain=plain) if isinstance(lesson, Hosting) else None

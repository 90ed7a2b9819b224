"""The joint of what is learnt beside a phase's terms: losses that look at more than a batch and its teacher.

In, at each step: the network in training mode, the step's images and logits. Out: weighted losses that are added to the phase's own. Whatever
such a lesson learns or remembers is in its state, which the checkpoint holds.
"""

from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn


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


def guests_of(lesson: Beside | None, step: int, *, plain: bool) -> Tensor | None:
    """The images that a lesson brings into a step; None where there are none."""
    return lesson.guests(step, plain=plain) if isinstance(lesson, Hosting) else None

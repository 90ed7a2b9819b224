"""A student that learns on and keeps what it knew: the old student answers beside it, and old images are shown again.

In: the old student, how much it counts, and old images where they are there. Out: a `Beside` with the losses `keep` and, with old images,
`replay`. At each step the old student, frozen and in eval mode, answers the step's images, and the new one is asked for the same about the
classes that the old one knows (`keep`). Old images join them, half as many, changed as the step's own are, or as plain: their labels are `replay`,
and the old student answers them too. Which of them, and in which views, is decided by seed and step alone. Nothing is learnt or
remembered here, so that a resumed run needs no state.

What the labels of the step's own images ask is the phase's business. Over all classes, images of new ones push all old ones down alike. `keep` does
not resist that, as it compares the old classes among themselves: without old images the new classes then win wherever both are possible. Among
the classes that are shown (`terms.Label.among`) nothing pushes the old ones down. Beside old images it must be over all: these push new classes
down, and nothing else would push them up again.

BatchNorm: old images go through the network in one batch with the step's own, in training mode, and the running statistics are those of both, as on
a device that meets both. Answered apart, each by statistics of its own, a network learns to tell old from new by how they are normalised, and loses
that once it is used: on the digits, learnt in two halves, 52 % instead of 96 % of all test images (resnet8, one seed).

Sources:
    keep: Li, Hoiem, "Learning without Forgetting", ECCV 2016, arXiv:1606.09282, section 3: T = 2; there without T², and with a head for each task.
    replay: Rolnick et al., "Experience Replay for Continual Learning", NeurIPS 2019, arXiv:1811.11682.
"""

from typing import Any

import msgspec
import torch
from jaxtyping import Float
from torch import Tensor, nn

from edgekd.data.batches import Batches
from edgekd.distill import losses
from edgekd.distill.schedule import Passes
from edgekd.phases import Augment, Optimizer, Train

KEEP, REPLAY = "keep", "replay"
SHARE = 2
"""A step's own images over the old ones beside them."""
WEIGHT = {False: 3.0, True: 1.0}
"""Of the old student's answers, without and with old images: each chosen on validation images (benchmarks/LOG.md)."""
RATE = 0.4
"""Peak of the learning rate over that of a student from scratch, by the same optimiser."""
DEARER = {False: 4 / 3, True: 2.0}
"""About how many times as long a step takes, without and with old images: a forward pass is a third of a step."""


def keep(student: Float[Tensor, "batch classes"], old: Float[Tensor, "batch known"], temperature: float) -> Float[Tensor, ""]:
    """Mean over samples of T²·KL(softmax(old/T) ‖ softmax(student/T)), both over the `known` first classes alone.

    0 where the old classes are told from each other as before, whatever is said of the others. Its gradient at a sample's logits is
    T·(softmax(student/T) − softmax(old/T))/batch for known classes and 0 for the others.
    """
    heat = torch.full((len(student),), temperature, dtype=torch.float32, device=student.device)
    return losses.kd(student[:, : old.shape[1]], old, heat)


def gentler(train: Train, stated: Optimizer | None) -> Train:
    """Settings of a student from scratch as one takes them that learns on: at `RATE` of the learning rate, where none was `stated`."""
    assert train.optimizer is not None, "the defaults are not filled in"
    if stated is not None:
        return train
    return msgspec.structs.replace(train, optimizer=msgspec.structs.replace(train.optimizer, lr=RATE * train.optimizer.lr))


class Replay:
    """Old images, a few a step.

    Args:
        images: with labels among the new student's classes, on the training device.
        size: how many a step shows, at most all.
    """

    def __init__(self, images: Batches, size: int, *, augment: Augment, view_seed: int, seed: int) -> None:
        self.images, self.size, self.augment, self.view_seed = images, min(size, len(images)), augment, view_seed
        self._passes = Passes(len(images), self.size, seed)

    def __len__(self) -> int:
        return len(self.images)

    def shown(self, step: int, *, plain: bool = False) -> tuple[Tensor, Tensor]:
        """Images (size, c, h, w) and labels (size,) of a step: the next ones of a pass, in the view that bears the pass's number, or as they are."""
        positions, number = self._passes.at(step)
        images, labels, _ = self.images.plain(positions) if plain else self.images.view(positions, number, self.augment, self.view_seed)
        return images, labels

    def labels(self, step: int) -> Tensor:
        """Labels (size,) of a step alone."""
        return self.images.labels[self._passes.at(step)[0].to(self.images.device)]


class Keeping:
    """The lesson beside the labels; a `Beside` that is `Hosting` old images.

    Args:
        old: the student as it was; its classes are the first of the new one's.
        weight: of what it answers; 0: it is not asked.
        temperature: at which both answers are compared.
        replay: old images; None: none are shown.
        key: equal for lessons with the same old student, options and old images.
    """

    def __init__(self, old: nn.Module, *, weight: float, temperature: float, replay: Replay | None, key: str) -> None:
        self.old = old.eval().requires_grad_(False)
        self.weight, self.temperature, self.replay, self.key = weight, temperature, replay, key
        self.names: tuple[str, ...] = (*((KEEP,) if weight else ()), *((REPLAY,) if replay is not None else ()))

    def guests(self, step: int, *, plain: bool) -> Tensor | None:
        """A step's old images."""
        return None if self.replay is None else self.replay.shown(step, plain=plain)[0]

    def parts(self, network: nn.Module, images: Tensor, logits: Tensor, *, step: int) -> Tensor:
        """What the student lost of its old answers, weighted, and the cross entropy of old images over all classes; each a mean over its images."""
        found = []
        if self.weight:
            with torch.no_grad():
                answers = self.old(images).float()
            found.append(self.weight * keep(logits, answers, self.temperature))
        if self.replay is not None:
            labels = self.replay.labels(step)
            found.append(losses.label(logits[-len(labels) :], labels))
        return torch.stack(found)

    def follow(self, network: nn.Module) -> None:
        """Nothing: the old student stays as it was."""

    def state_dict(self) -> dict[str, Any]:
        """Empty: what is shown depends on the step alone."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to take up."""

"""A student that also learns from images of its target, which have no labels: a running average of itself teaches it there, beside its terms.

In: the student as it begins, the target's images, the recipe's `Domain`. Out: a lesson that is `Hosting`, whose loss is called `domain`. At each step
the self-teacher answers some images as they are, its answers are brought into balance, and where it is about as sure as the student is of the source,
the student is asked for the same, sharpened, on a changed view of them. Which images and views is decided by seed and step alone; the loss stands in
`consistency`.

BatchNorm: the student is shown source and target in one batch, as many of each, so that its statistics are of both, in training as in its file. The
self-teacher answers with those of the target's batch alone (Li et al. 2016, arXiv:1603.04779), which takes much of the change of place off; with the
student's running ones it learnt nothing where the places differ much. First trials with resnet8, one seed, source and target right in %:

    target's images are shown                        Fashion-MNIST, 3,000 images, poor contrast    digits, other brightness
    not at all                                       77.8, 19.3                                    100.0, 10.9
    in one batch with the source's                   77.0, 65.5                                     99.7, 98.6
    by themselves, with the running statistics       63.1, 58.5                                     98.9, 96.4
    by themselves, with their own                    77.3, 38.6                                    100.0, 95.5
"""

import copy
from typing import Any

import msgspec
import torch
from torch import Tensor, nn

from edgekd import units
from edgekd.data.batches import Batches
from edgekd.distill.batchnorm import by_batch
from edgekd.distill.consistency import balanced, consistency, ramp, sure
from edgekd.distill.optimizer import warmed
from edgekd.distill.schedule import Passes
from edgekd.files import sha256_json
from edgekd.phases import Augment
from edgekd.recipe import Domain
from edgekd.tasks.classify import Frequencies

NAME = "domain"
COLOUR = 0.5
"""Least strength of colour changes in the student's view: brightness and contrast are what most often differs between places."""
RAMP = 0.3
"""Share of all steps in which the weight rises: at first the self-teacher knows nothing."""
MEMORY = 0.99
"""Decay per step of the mean of the self-teacher's answers, which the balance is taken from."""
FEW = 0.05
"""A share of sure images below which hardly anything is learnt from the target."""


class SelfTeaching:
    """The lesson on the target.

    Attributes:
        teacher: the running average of the student's parameters; it has no use for running statistics.
        certain: running share of the target's images that the self-teacher was sure of.

    Args:
        student: as it begins; it is copied.
        target: its images, of the run's size, on the training device. Their labels are not looked at.
        content: hash of these images.
        wanted: (classes,) how often each class is met on the target, as shares or counts.
        augment: how the run's views differ from the images; the student's views of the target differ at least by `COLOUR` besides.
        batch: target images a step.
        steps: of the whole training.
    """

    def __init__(
        self,
        student: nn.Module,
        target: Batches,
        options: Domain,
        *,
        content: str,
        wanted: Frequencies,
        augment: Augment,
        view_seed: int,
        batch: int,
        seed: int,
        steps: int,
    ) -> None:
        self.names: tuple[str, ...] = (NAME,)
        self.target, self.options, self.view_seed, self.seed, self.steps = target, options, view_seed, seed, steps
        self.augment = msgspec.structs.replace(augment, colour=max(augment.colour, COLOUR))
        self.batch = min(batch, len(target))
        self.teacher = copy.deepcopy(student).to(target.device).eval().requires_grad_(False)
        shares = torch.as_tensor(wanted, dtype=torch.float32)
        self.wanted = (shares / shares.sum()).to(target.device)
        self.seen = self.wanted.clone()
        self.certain = torch.zeros((), device=target.device)
        self.followed = 0
        self.key = sha256_json(
            {
                "options": msgspec.structs.replace(options, target=content, test=None),
                "wanted": self.wanted.tolist(),
                "augment": self.augment,
                "view_seed": view_seed,
                "batch": self.batch,
                "seed": seed,
                "steps": steps,
            }
        )
        self._passes = Passes(len(target), self.batch, seed)
        self._plain = torch.empty(0)

    def guests(self, step: int, *, plain: bool) -> Tensor | None:
        """The student's view of the step's target images; a changed one in plain phases too, as it must not be what the self-teacher sees."""
        self._plain, view = self.target.plain_and_view(*self.chosen(step), self.augment, self.view_seed)
        return view

    def parts(self, network: nn.Module, images: Tensor, logits: Tensor, *, step: int) -> Tensor:
        """The weighted loss (1,) on this step's images of the target, which stand behind the step's own."""
        own = len(logits) - len(self._plain)
        answers, counted = self._answers(self._plain, logits[:own].detach(), step)
        loss = consistency(logits[own:], answers, counted, temperature=self.options.temperature)
        return (self.options.weight * ramp(step, RAMP * self.steps) * loss).reshape(1)

    def chosen(self, step: int) -> tuple[Tensor, int]:
        """Positions of a step's images, and the number of the pass over the target that it belongs to, which is that of its view."""
        return self._passes.at(step)

    @torch.no_grad()
    def _answers(self, images: Tensor, source: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """The self-teacher's logits, in balance where that is asked for, and which of them count beside the student's logits on the source."""
        with by_batch(self.teacher):
            answers: Tensor = self.teacher(images).float()
        self.seen.lerp_(answers.softmax(dim=-1).mean(dim=0), 1 - warmed(MEMORY, step))
        if self.options.align:
            answers = balanced(answers, self.seen, self.wanted)
        counted = sure(answers, source, self.options.confidence)
        self.certain.lerp_(counted.float().mean(), 1 - warmed(MEMORY, step))
        return answers, counted

    @torch.no_grad()
    def follow(self, network: nn.Module) -> None:
        """Move the self-teacher towards the student."""
        self.followed += 1
        share = 1 - warmed(self.options.decay, self.followed)
        for ours, theirs in zip(self.teacher.parameters(), network.parameters(), strict=True):
            ours.lerp_(theirs, share)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"teacher": self.teacher.state_dict(), "seen": self.seen, "certain": self.certain, "followed": self.followed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where `state_dict` stood."""
        self.teacher.load_state_dict(state["teacher"])
        self.seen.copy_(state["seen"])
        self.certain.copy_(state["certain"])
        self.followed = state["followed"]

    def told(self) -> str:
        """How much of the target was learnt from, in a sentence."""
        share = float(self.certain)
        text = f"in the end the self-teacher was sure enough of {units.percent_text(share)} of the target's images"
        return text if share >= FEW else f"{text}: hardly anything was learnt from them; a lower domain.confidence lets more of them count"

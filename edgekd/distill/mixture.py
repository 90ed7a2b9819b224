"""Several teachers that answer as one: how their logits are mixed, and who mixes them.

In: the logits of each teacher for the same images, and a weight for each of them. Out: logits. `mixture` is their weighted mean. The mean of logits
is the normalised geometric mean of the teachers' probabilities, and so at every temperature T at once:

    softmax(Σ wₖ·zₖ / T)  ∝  Π softmax(zₖ / T)^wₖ        with Σ wₖ = 1

which is why logits are mixed and not probabilities: an arithmetic mean depends on the T at which it is taken, and T differs between phases and
images; this one can be standardised, moved to another prior and softened afterwards as one teacher's logits are. Hinton, Vinyals and Dean (2015,
arXiv:1503.02531, section 1) name both means for the soft targets of an ensemble. Its price: a teacher whose logits are larger counts for more.

Rules for the weights:
    mean         all alike
    accuracy     in proportion to how many validation images a teacher has right
    confidence   per sample, in proportion to exp(−H), H the entropy of the teacher's probabilities at T = 1 in nats: one that hesitates among m
                 classes alike counts for 1/m of one that is sure. That a teacher of lower entropy should count for more is Kwon, Na, Lee and Kim's
                 ("Adaptive Knowledge Distillation Based on Entropy", ICASSP 2020); exp(−H) is bounded where a teacher is sure, as 1/H is not.

It trains nothing and scores nothing. Each teacher's own answers are remembered, and mixed where they are read: another rule or a further teacher
asks none of them anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from edgekd.distill.leading import whole
from edgekd.distill.teacher import Teacher
from edgekd.errors import UsageError
from edgekd.models.network import Network
from edgekd.phases import Phase
from edgekd.tasks.classify import Frequencies, adjust
from edgekd.terms import COMPARING_TERMS


def mixture(
    answers: Float[Tensor, "teachers batch classes"], weights: Float[Tensor, "teachers batch"] | Float[Tensor, "teachers 1"]
) -> Float[Tensor, "batch classes"]:
    """The weighted mean of the teachers' logits, with weights that sum to 1 over the teachers.

    It is computed from the first teacher's on, so that teachers who say the same are given back bit for bit.
    """
    first = answers[0]
    return first + (weights.unsqueeze(-1) * (answers - first)).sum(dim=0)


def check_terms(phases: Sequence[Phase]) -> None:
    """Refuse phases that several teachers, or none but its answers, cannot serve.

    Raises:
        UsageError: a term compares features, and several networks have no inside in common, nor have answers one.
    """
    for phase in phases:
        if phase.compares_insides:
            names = ", ".join(type(term).__name__.lower() for term in phase.terms if isinstance(term, COMPARING_TERMS))
            raise UsageError(
                f"terms that look inside a teacher need one network that is asked; phase {phase.name!r} has {names}. Take these terms out "
                "(with --features-first, if that put them there), or teach with one network: without co_teacher, and not by stored answers."
            )


def alike(teachers: int) -> tuple[float, ...]:
    """The rule `mean`."""
    return (1 / teachers,) * teachers


def by_accuracy(accuracies: Sequence[float]) -> tuple[float, ...]:
    """The rule `accuracy`: shares of validation images that each teacher has right, scaled to sum to 1.

    Raises:
        UsageError: none has any right.
    """
    whole = sum(accuracies)
    if not whole > 0:
        raise UsageError(
            'mixture = "accuracy" weighs teachers by the validation images that they have right, and none has any. '
            'Check their weights and preprocess, or set mixture = "mean".'
        )
    return tuple(accuracy / whole for accuracy in accuracies)


def by_confidence(answers: Float[Tensor, "teachers batch classes"]) -> Float[Tensor, "teachers batch"]:
    """The rule `confidence`: exp(−entropy) of each teacher's probabilities at T = 1, scaled to sum to 1 for each sample."""
    logs = answers.log_softmax(dim=-1)
    return (logs.exp() * logs).sum(dim=-1).softmax(dim=0)


@dataclass(frozen=True)
class Ensemble:
    """Networks that teach together.

    Attributes:
        weights: of each member, for all images alike; None: per sample by `by_confidence`.
        frequencies: of the classes in each member's own training, taken off its logits before they are mixed; None: nothing is.
        wanted: class frequencies put in their place; None: all alike.
    """

    members: tuple[Network, ...]
    weights: tuple[float, ...] | None
    frequencies: tuple[Frequencies | None, ...]
    wanted: Frequencies | None = None

    @property
    def name(self) -> str:
        """The members' names, as in resnet56+resnet20."""
        return "+".join(member.name for member in self.members)

    @property
    def classes(self) -> int:
        """Width of the logits."""
        return self.members[0].classes

    def mixed(self, answers: Float[Tensor, "teachers batch classes"]) -> Float[Tensor, "batch classes"]:
        """One answer of the members' logits, `moved` before."""
        if self.weights is None:
            return mixture(answers, by_confidence(answers))
        return mixture(answers, answers.new_tensor(self.weights).unsqueeze(-1))

    def moved(self, answers: Sequence[Float[Tensor, "batch classes"]]) -> Float[Tensor, "teachers batch classes"]:
        """The members' logits as they are, one tensor a member, moved to the wanted class frequencies."""
        own = zip(answers, self.frequencies, strict=True)
        return torch.stack([logits if frequencies is None else adjust(logits, frequencies, self.wanted) for logits, frequencies in own])


class Mixed:
    """Teachers, each with a way of its own to answer, as one `Teacher`."""

    def __init__(self, teachers: Sequence[Teacher], ensemble: Ensemble) -> None:
        self.teachers = teachers
        self.ensemble = ensemble

    def answer(self, images: Tensor, positions: Tensor, view: int | None) -> Tensor:
        """Mixed logits (batch, classes) for view `view` (None: plain) of the images at `positions`."""
        return self.ensemble.mixed(torch.stack([whole(teacher.answer(images, positions, view)) for teacher in self.teachers]))

    def plain(self) -> Tensor:
        """The same for all training images (n, classes), unaugmented."""
        return self.ensemble.mixed(torch.stack([whole(teacher.plain()) for teacher in self.teachers]))

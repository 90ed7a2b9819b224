"""Learning from answers of one's own on images without labels, as pure functions: the loss, the balance of the answers, and a weight that rises.

Takes the student's logits for one view of some images and a self-teacher's for another; gives one scalar. Half precision is widened to float32, and
no value is read back from the device. Gradients reach the student; hand over the self-teacher's logits detached. Who the self-teacher is, and which
images and views are shown, is `domain`'s.

Sources:
    a teacher that is a running average of the student, its warm-up, and a weight that rises: Tarvainen and Valpola, "Mean teachers are better role
        models", NeurIPS 2017, arXiv:1703.01780.
    the same from one domain to another, with sure answers only: French, Mackiewicz, Fisher, "Self-ensembling for visual domain adaptation", ICLR
        2018, arXiv:1706.05208.
    a plain view's sure answer for a changed view, averaged over all images: Sohn et al., "FixMatch", NeurIPS 2020, arXiv:2001.07685.
    sharpened answers: Berthelot et al., "MixMatch", NeurIPS 2019, arXiv:1905.02249.
    balanced: Berthelot et al., "ReMixMatch: Distribution Alignment and Augmentation Anchoring", ICLR 2020, arXiv:1911.09785.
    sure as measured by how sure the student is of the source: Berthelot et al., "AdaMatch: A Unified Approach to Semi-Supervised Learning and Domain
        Adaptation", ICLR 2022, arXiv:2106.04732.
"""

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.losses import wide

LEAST_SHARE = 1e-4
"""Of a class, where shares are divided: one that is never named is not raised without bound."""


def consistency(
    student: Float[Tensor, "batch classes"], teacher: Float[Tensor, "batch classes"], counted: Bool[Tensor, " batch"], *, temperature: float
) -> Float[Tensor, ""]:
    """Mean over all images of KL(softmax(teacher/temperature) ‖ softmax(student)) in nats, where those that are not `counted` give 0.

    As the sum is divided by all images, a few counted ones among many move the student little. Its gradient at a counted image's student logits is
    (softmax(student) − softmax(teacher/temperature))/batch, at any other's 0. With the student's own logits of the same view, detached, in the
    teacher's place and temperature = 1 that is 0 everywhere: from these nothing is learnt, whatever the weight.
    """
    target, ours = _logs(teacher / temperature), _logs(student)
    divergence = (target.exp() * (target - ours)).sum(dim=-1)
    return (counted * divergence).mean()


def sure(teacher: Float[Tensor, "batch classes"], source: Float[Tensor, "images classes"], share: float) -> Bool[Tensor, " batch"]:
    """Which images the teacher gives its first choice at least `share` of the probability that the student's has on average over `source`, at T = 1.

    A bound of its own would mean another thing for each way of learning: a student of standardised or smoothed answers is unsure even where it is
    right, one of labels alone is sure of everything.
    """
    return _logs(teacher).amax(dim=-1).exp() >= share * _logs(source).amax(dim=-1).exp().mean()


def balanced(
    teacher: Float[Tensor, "batch classes"], seen: Float[Tensor, " classes"], wanted: Float[Tensor, " classes"]
) -> Float[Tensor, "batch classes"]:
    """Logits of probabilities in proportion to softmax(teacher)·wanted/seen: a class that is named more often than there are images of it gives way.

    Args:
        seen: mean probability of each class in the teacher's answers so far.
        wanted: share of each class among the images.
    """
    return wide(teacher) + wanted.clamp(min=LEAST_SHARE).log() - seen.clamp(min=LEAST_SHARE).log()


def ramp(step: int, steps: float) -> float:
    """What a weight is multiplied by: from 0 at the first step to 1 after so many."""
    return min(1.0, step / max(1.0, steps))


def _logs(logits: Tensor) -> Tensor:
    return F.log_softmax(wide(logits), dim=-1)

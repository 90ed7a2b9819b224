"""The hard loss where classes are unbalanced or missing: class weights by the effective number of images, logits adjusted by class frequencies, and
classes without images left out.

Takes how many images of each class a phase sees. Pure functions; what is off (0) changes nothing. How the teacher's answers are moved from one set of
class frequencies to another is `tasks.classify.adjust`'s business.

Sources:
    class_weights: Cui, Jia, Lin, Song, Belongie, "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, arXiv:1901.05555.
    log_prior: Menon, Jayasumana, Rawat, Jain, Veit, Kumar, "Long-tail Learning via Logit Adjustment", ICLR 2021, arXiv:2007.07314.
    shown: Caccia, Aljundi, Asadi, Tuytelaars, Pineau, Belilovsky, "New Insights on Reducing Abrupt Representation Change in Online Continual
        Learning", ICLR 2022, arXiv:2104.05025 (ACE); there the classes of a batch, here those of a phase.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.losses import wide


def class_weights(counts: Int[Tensor, " classes"], beta: float) -> Float[Tensor, " classes"]:
    """Weights of mean 1 over the classes with images, each proportional to 1/E with E = (1 − βⁿ)/(1 − β), the effective number of a class's n images.

    β = 0 weighs all classes alike, β → 1 by 1/n. A class without images has the weight of one image, and takes nothing from the others'.
    """
    n = counts.clamp(min=1).double()
    # by expm1, as 1 − βⁿ loses its digits where β comes near 1
    inverse = -(1 - beta) / torch.expm1(n * (math.log(beta) if beta else -math.inf))
    return inverse / inverse[counts > 0].mean()


def log_prior(counts: Int[Tensor, " classes"], tau: float) -> Float[Tensor, " classes"]:
    """τ·log(class frequency), to be added to a network's logits while it learns: without it, they then suit classes that are equally likely.

    A class without images counts as if it had one.
    """
    n = counts.clamp(min=1).double()
    return tau * (n.log() - n.sum().log())


def label(
    student: Float[Tensor, "batch classes"],
    labels: Int[Tensor, " batch"],
    counts: Int[Tensor, " classes"],
    *,
    smoothing: float = 0.0,
    class_balance: float = 0.0,
    logit_adjustment: float = 0.0,
    shown: Int[Tensor, " shown"] | None = None,
) -> Float[Tensor, ""]:
    """Cross entropy with the labels at T = 1, in nats: the mean over samples of the label's class weight times its loss on adjusted logits.

    Args:
        counts: images that the phase sees of each class, of as many as the logits have.
        smoothing: the share in [0, 1) that is given to all classes, or to all that are shown: alike, or under `logit_adjustment` by
            softmax(log_prior). Given alike there, it would raise rare classes above the label.
        class_balance: β of `class_weights`, in [0, 1).
        logit_adjustment: τ of `log_prior`, 0 or more.
        shown: the classes that are asked among, rising, every label one of them: the others' logits have no gradient. None: all.
    """
    if shown is not None:
        student, labels, counts = student[:, shown], torch.searchsorted(shown, labels), counts[shown]
    logits = wide(student)
    prior = log_prior(counts, logit_adjustment).to(logits.dtype)
    spread = smoothing and logit_adjustment
    losses = F.cross_entropy(logits + prior, labels, label_smoothing=0.0 if spread else smoothing, reduction="none")
    if spread:
        losses = (1 - smoothing) * losses - smoothing * (prior.softmax(0) * F.log_softmax(logits + prior, dim=1)).sum(dim=1)
    return (class_weights(counts, class_balance).to(logits.dtype)[labels] * losses).mean()

"""Losses where an image may have several labels, each a yes or no of its own: `bce` with the labels, `kd` with a teacher's logits.

Takes logits (batch, labels), and labels that are 1 (shown), 0 (not shown) or −1 (not known); gives one scalar, the sum over labels and the mean over
the batch, so that a label's logit is pulled as hard as a class's in cross entropy. float16 and bfloat16 are widened to float32 first, probabilities
are compared as logarithms, and no value is read back from the device. Gradients reach the student; hand over the teacher's logits detached.

Sources:
    kd: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015, arXiv:1503.02531, of each label's two outcomes, softened alike;
        so the logit part of Yang, Xu, Pan, Liu, Hu, "Multi-Label Knowledge Distillation", ICCV 2023, arXiv:2308.06453.
    positive_weights: Cui, Jia, Lin, Song, Belongie, "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, arXiv:1901.05555, of
        images that show a label against those that do not.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.losses import wide


def bce(
    student: Float[Tensor, "batch labels"],
    labels: Int[Tensor, "batch labels"],
    *,
    smoothing: float = 0.0,
    positive: Float[Tensor, " labels"] | None = None,
) -> Float[Tensor, ""]:
    """Binary cross entropy with the labels, in nats; a label that is not known adds nothing.

    Its gradient at a logit is (sigmoid(logit) − label)/batch, where `positive` is 1.

    Args:
        smoothing: in [0, 1); the targets are 1 − smoothing/2 and smoothing/2.
        positive: how many times as much an image that shows the label weighs as one that does not; None: once.
    """
    logits = wide(student)
    target = labels.clamp(min=0).to(logits.dtype) * (1 - smoothing) + smoothing / 2
    losses = -(target * F.logsigmoid(logits) + (1 - target) * F.logsigmoid(-logits))
    if positive is not None:  # by what is shown, not by the target: smoothing would weigh up what is not
        losses = torch.where(labels == 1, positive.to(logits.dtype), 1.0) * losses
    return torch.where(labels >= 0, losses, 0.0).sum(dim=-1).mean()


def kd(
    student: Float[Tensor, "batch labels"],
    teacher: Float[Tensor, "batch labels"],
    temperature: Float[Tensor, " batch"],
) -> Float[Tensor, ""]:
    """Mean over samples of the sum over labels of T²·KL(Bernoulli(sigmoid(teacher/T)) ‖ Bernoulli(sigmoid(student/T))), T of each sample.

    0 where both say the same, never below. Its gradient at a sample's student logit is T·(sigmoid(student/T) − sigmoid(teacher/T))/batch.
    """
    scale = temperature.unsqueeze(-1)
    ours, theirs = wide(student) / scale, wide(teacher) / scale
    shown = theirs.sigmoid() * (F.logsigmoid(theirs) - F.logsigmoid(ours))
    lacking = (-theirs).sigmoid() * (F.logsigmoid(-theirs) - F.logsigmoid(-ours))
    return (temperature.square() * (shown + lacking).sum(dim=-1)).mean()


def label_counts(labels: Int[Tensor, "n labels"]) -> Int[Tensor, "2 labels"]:
    """Of each label, the images that are known not to show it, and those that do."""
    return torch.stack([(labels == 0).sum(dim=0), (labels == 1).sum(dim=0)])


def positive_weights(counts: Int[Tensor, "2 labels"], beta: float) -> Float[Tensor, " labels"]:
    """The weight of images that show a label over that of images that do not: E(lacking)/E(showing), with E(n) = (1 − βⁿ)/(1 − β), the effective
    number of n images. β = 0 gives 1, β → 1 the ratio of the counts. None is counted as one."""
    n = counts.clamp(min=1).double()
    effective = -torch.expm1(n * (math.log(beta) if beta else -math.inf))  # by expm1, as 1 − βⁿ loses its digits where β comes near 1
    return (effective[0] / effective[1]).float()

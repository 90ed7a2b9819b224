"""Losses on what networks compute on the way: `feature`, `attention`, `relation`, `contrast`, `review`.

Takes features of both networks, maps (batch, channels, height, width) or vectors (batch, width), already of equal shape where a loss says so
(`bridges` sees to that); gives one scalar, the mean over the batch. float16 and bfloat16 are widened to float32 first. Gradients reach the
student's features; hand over the teacher's detached.

It holds nothing that is learnt, and does not choose which features belong together (`bridges`, `models.taps`).

Sources:
    feature: Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015, arXiv:1412.6550.
    attention: Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017, arXiv:1612.03928.
    relation: Park, Kim, Lu, Cho, "Relational Knowledge Distillation", CVPR 2019, arXiv:1904.05068.
    contrast: Tian, Krishnan, Isola, "Contrastive Representation Distillation", ICLR 2020, arXiv:1910.10699; in the batch as van den Oord et al.,
        "Representation Learning with Contrastive Predictive Coding", 2018, arXiv:1807.03748, equation 4.
    review: Chen, Liu, Zhao, Jia, "Distilling Knowledge via Knowledge Review", CVPR 2021, arXiv:2104.09044, section 3.3.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.losses import wide

LEAST_NORM = 1e-6
"""Norm below which a vector has no direction: it is divided by this instead."""
LEVELS = (4, 2, 1)
"""Sides of the grids that `review` compares pooled maps on, beside the maps themselves."""


def feature(student: Float[Tensor, "batch *place"], teacher: Float[Tensor, "batch *place"]) -> Float[Tensor, ""]:
    """Mean squared difference over all values of two features of one shape."""
    return F.mse_loss(wide(student), wide(teacher))


def attention(
    student: Float[Tensor, "batch c h w"],
    teacher: Float[Tensor, "batch d h w"],
    *,
    form: Literal["squares", "sigmoid"] = "squares",
) -> Float[Tensor, ""]:
    """How differently two networks look at the places of an image; numbers of channels may differ.

    squares: the mean of squares over channels, as a vector over places of length 1; the squared distance of the two, mean over samples, in [0, 2].
    sigmoid: the sigmoid of the mean over channels; mean squared difference over places and samples, in [0, 1].
    """
    student, teacher = wide(student), wide(teacher)
    if form == "sigmoid":
        return F.mse_loss(student.mean(1).sigmoid(), teacher.mean(1).sigmoid())
    ours, theirs = (F.normalize(maps.square().mean(1).flatten(1), dim=1, eps=LEAST_NORM) for maps in (student, teacher))
    return (ours - theirs).square().sum(1).mean()


def relation(
    student: Float[Tensor, "batch width"],
    teacher: Float[Tensor, "batch other"],
    *,
    distance: float = 1.0,
    angle: float = 2.0,
) -> Float[Tensor, ""]:
    """`distance` times the difference of pairwise distances, plus `angle` times that of angles within triplets; widths may differ.

    Distances are over the batch's mean distance; a triplet's angle is the cosine at its middle sample. Both differences are Huber's with a threshold
    of 1, means over ordered pairs (with each sample's own, which is 0, left out) and over all ordered triplets, as the paper has them.
    A batch of one has neither: 0.
    """
    student, teacher = wide(student), wide(teacher)
    if len(student) < 2:
        return student.sum() * 0
    apart = ~torch.eye(len(student), dtype=torch.bool, device=student.device)
    value = distance * F.smooth_l1_loss(_distances(student)[apart], _distances(teacher)[apart])
    return value + angle * F.smooth_l1_loss(_cosines(student), _cosines(teacher)) if angle else value


def contrast(
    student: Float[Tensor, "batch width"],
    teacher: Float[Tensor, "batch width"],
    labels: Int[Tensor, " batch"],
    *,
    sharpness: float = 0.1,
) -> Float[Tensor, ""]:
    """Cross entropy, in nats, of finding each sample's own teacher embedding among the batch's, by cosine over `sharpness`.

    Other samples of the same class are left out: they are no wrong answers. Embeddings that say nothing give log(batch) where all samples are of
    different classes, and 0 where all are of one.
    """
    student, teacher = (F.normalize(wide(each), dim=1, eps=LEAST_NORM) for each in (student, teacher))
    likeness = student @ teacher.T / sharpness
    same = labels.unsqueeze(0) == labels.unsqueeze(1)
    own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    places = torch.arange(len(labels), device=labels.device)
    return F.cross_entropy(likeness.masked_fill(same & ~own, float("-inf")), places)


def review(student: Float[Tensor, "batch c h w"], teacher: Float[Tensor, "batch c h w"]) -> Float[Tensor, ""]:
    """Mean squared difference of two maps as they are and pooled to 4×4, 2×2 and 1×1, weighted 1, 1/2, 1/4, 1/8 over their sum.

    The paper's hierarchical context loss. A grid that is no smaller than the maps is left out.
    """
    student, teacher = wide(student), wide(teacher)
    total, weight, whole = F.mse_loss(student, teacher), 1.0, 1.0
    for side in LEVELS:
        if side >= min(student.shape[-2:]):
            continue
        weight /= 2
        whole += weight
        total = total + weight * F.mse_loss(F.adaptive_avg_pool2d(student, side), F.adaptive_avg_pool2d(teacher, side))
    return total / whole


def _distances(vectors: Tensor) -> Tensor:
    """(batch, batch) Euclidean distances over their mean; 0 where all samples are one."""
    squares = (vectors.unsqueeze(0) - vectors.unsqueeze(1)).square().sum(-1)
    apart = squares > LEAST_NORM**2
    # The root's slope at 0 is infinite: samples that are one get no gradient.
    lengths = torch.where(apart, squares, 1.0).sqrt() * apart
    count = apart.sum().clamp_min(1)
    return lengths / (lengths.sum() / count).clamp_min(LEAST_NORM)


def _cosines(vectors: Tensor) -> Tensor:
    """(batch, batch, batch): cosine at the first sample between the directions to the second and the third."""
    towards = vectors.unsqueeze(0) - vectors.unsqueeze(1)
    squares = towards.square().sum(-1, keepdim=True)
    apart = squares > LEAST_NORM**2
    directions = towards * torch.where(apart, squares, 1.0).rsqrt() * apart
    return directions @ directions.transpose(1, 2)

"""Losses on logits as pure functions: `label`, `kd`, `dkd`, `dist`, `levels`, and `standardise`, an option of the soft ones.

Takes the student's logits, the teacher's logits or the labels, and a temperature per sample; gives one scalar, the mean over the batch
(`standardise` gives logits). float16 and bfloat16 are widened to float32 first, probabilities are compared as logarithms, and no value is
read back from the device, so that all of it compiles into one graph. Gradients reach the student; hand over the teacher's logits detached.

It does not weight or add up terms (`objective`), nor choose temperatures (`temperature`).

Sources:
    kd: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015, arXiv:1503.02531.
    dkd: Zhao, Cui, Song, Qiu, Liang, "Decoupled Knowledge Distillation", CVPR 2022, arXiv:2203.08679.
    dist: Huang, You, Wang, Qian, Xu, "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022, arXiv:2205.10536.
    levels: Jin, Wang, Lin, "Multi-Level Logit Distillation", CVPR 2023, pages 24276–24285.
    standardise: Sun, Ren, Li, Wang, Cao, "Logit Standardization in Knowledge Distillation", CVPR 2024, arXiv:2403.01427.
    label smoothing: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, arXiv:1512.00567.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from edgekd.errors import UsageError

LEAST_SPREAD = 1e-4
"""Norm of centred probabilities below which a correlation is noise; `dist` then counts none."""

LEAST_VARIANCE = 1e-7
"""Added to the variance of logits in `standardise`, so that equal logits stay 0."""


def label(student: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"], *, smoothing: float = 0.0) -> Float[Tensor, ""]:
    """Cross entropy with the labels at T = 1, in nats; `smoothing` in [0, 1) is the share given to all classes alike."""
    return F.cross_entropy(wide(student), labels, label_smoothing=smoothing)


def kd(
    student: Float[Tensor, "batch classes"],
    teacher: Float[Tensor, "batch classes"],
    temperature: Float[Tensor, " batch"],
) -> Float[Tensor, ""]:
    """Mean over samples of T²·KL(softmax(teacher/T) ‖ softmax(student/T)), summed over classes, T of each sample.

    0 where both say the same, never below. Its gradient at a sample's student logits is T·(softmax(student/T) − softmax(teacher/T))/batch:
    for T well above the spread of the logits that no longer depends on T, below about 2 it does (Hinton et al. 2015, section 2.1).
    """
    soft, target = _log_softened(student, temperature), _log_softened(teacher, temperature)
    return (temperature.square() * _divergence(target, soft)).mean()


def dkd(
    student: Float[Tensor, "batch classes"],
    teacher: Float[Tensor, "batch classes"],
    labels: Int[Tensor, " batch"],
    temperature: Float[Tensor, " batch"],
    *,
    alpha: float = 1.0,
    beta: float = 8.0,
) -> Float[Tensor, ""]:
    """Mean over samples of T²·(alpha·target part + beta·non-target part), the two halves of `kd` with weights of their own.

    The target part is the divergence of (label, anything else), the non-target part that among the other classes once the label's is left
    out. With alpha = 1 and beta = 1 − the teacher's softened probability of the label, it is `kd` (Zhao et al. 2022).

    Raises:
        UsageError: fewer than 3 classes, where no two others are left to compare.
    """
    classes = student.shape[-1]
    if classes < 3:
        raise UsageError(f"dkd compares the classes beside the label, so it needs 3 classes or more, got {classes}. Use kd instead.")
    scale = temperature.unsqueeze(-1)
    target_margin, target_others = _split(wide(teacher) / scale, labels)
    margin, others = _split(wide(student) / scale, labels)
    target_part = _divergence(_log_binary(target_margin), _log_binary(margin))
    other_part = _divergence(F.log_softmax(target_others, dim=-1), F.log_softmax(others, dim=-1))
    return (temperature.square() * (alpha * target_part + beta * other_part)).mean()


def dist(
    student: Float[Tensor, "batch classes"],
    teacher: Float[Tensor, "batch classes"],
    temperature: Float[Tensor, " batch"],
    *,
    beta: float = 1.0,
    gamma: float = 1.0,
) -> Float[Tensor, ""]:
    """beta·(1 − correlation between classes) + gamma·(1 − correlation within each class), of softened probabilities, times T².

    Between classes: Pearson's correlation along each sample's row, averaged over samples with the sample's own T². Within a class: along each
    class's column, averaged over classes, times the batch's mean T². With one T for all, both are the paper's. The second asks for 2
    samples or more, and means something from some dozens on. A row or column that hardly varies (norm below `LEAST_SPREAD`) in either counts as
    uncorrelated and sends no gradient, as all columns do in a batch of one.
    """
    soft, target = _log_softened(student, temperature).exp(), _log_softened(teacher, temperature).exp()
    square = temperature.square()
    between = (square * (1 - _correlation(soft, target))).mean()
    within = square.mean() * (1 - _correlation(soft.T, target.T)).mean()
    return beta * between + gamma * within


def levels(
    student: Float[Tensor, "batch classes"],
    teacher: Float[Tensor, "batch classes"],
    temperature: Float[Tensor, " batch"],
    *,
    spread: Sequence[float] = (0.5, 0.75, 1.0, 1.25, 1.5),
    instance: float = 1.0,
    batch: float = 1.0,
    classes: float = 1.0,
) -> Float[Tensor, ""]:
    """Sum over the temperatures `spread`·T of three differences between softened probabilities, (batch, classes): P the student's, Q the teacher's.

    instance: `kd`. batch: ‖P·Pᵀ − Q·Qᵀ‖²/batch, how alike samples are answered. classes: ‖Pᵀ·P − Qᵀ·Q‖²/classes, which classes are mistaken for each
    other; squared Frobenius norms, not times T². 0 where both say the same, never below.

    So they stand in the paper, whose batches of 64 have fewer images than there are classes. Where a batch has r times as many images as classes, the
    second grows with r and the third with r²: at 128 images of 10 classes they alone were left, and the student said the same of every image
    (benchmarks/LOG.md). There they are divided by r and r².

    The paper's second, more strongly augmented view is none of this function's business: there is one view.
    """
    return torch.stack([_at_one_heat(student, teacher, factor * temperature, (instance, batch, classes)) for factor in spread]).sum()


def _at_one_heat(student: Tensor, teacher: Tensor, temperature: Tensor, weights: tuple[float, float, float]) -> Tensor:
    soft, target = _log_softened(student, temperature), _log_softened(teacher, temperature)
    ours, theirs = soft.exp(), target.exp()
    samples = (temperature.square() * _divergence(target, soft)).mean()
    images, classes = ours.shape
    crowd = max(1.0, images / classes)
    rows = (ours @ ours.T - theirs @ theirs.T).square().sum() / images / crowd
    columns = (ours.T @ ours - theirs.T @ theirs).square().sum() / classes / crowd**2
    return weights[0] * samples + weights[1] * rows + weights[2] * columns


def standardise(logits: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch classes"]:
    """Logits with mean 0 and standard deviation 1 over each sample's classes (population's), to be given to a soft loss in their stead.

    The student is then asked for the order and the ratios of the teacher's logits, no longer for their scale, which shows in its
    calibration. Sun et al. use it with T = 2 and a weight of 9.
    """
    return F.layer_norm(wide(logits), logits.shape[-1:], eps=LEAST_VARIANCE)


def _log_softened(logits: Tensor, temperature: Tensor) -> Tensor:
    return F.log_softmax(wide(logits) / temperature.unsqueeze(-1), dim=-1)


def _divergence(target: Tensor, soft: Tensor) -> Tensor:
    """KL(target ‖ soft) of each row, from log probabilities."""
    return (target.exp() * (target - soft)).sum(dim=-1)


def _split(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """How far each label's logit stands above the log-sum of the others (batch,), and the others (batch, classes − 1)."""
    places = torch.arange(logits.shape[-1] - 1, device=logits.device)
    others = logits.gather(1, places + (places >= labels.unsqueeze(-1)).long())
    return logits.gather(1, labels.long().unsqueeze(-1)).squeeze(-1) - others.logsumexp(dim=-1), others


def _log_binary(margin: Tensor) -> Tensor:
    """log probabilities of (label, anything else), (batch, 2); exact where 1 − p would round to 0."""
    return torch.stack([F.logsigmoid(margin), F.logsigmoid(-margin)], dim=-1)


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    """Pearson's correlation of each pair of rows; 0 without a gradient where either hardly varies."""
    first, second = first - first.mean(dim=-1, keepdim=True), second - second.mean(dim=-1, keepdim=True)
    squares = torch.stack([first.square().sum(dim=-1), second.square().sum(dim=-1)])
    floor = LEAST_SPREAD**2
    inverse = squares.clamp_min(floor).rsqrt()
    value = (first * second).sum(dim=-1) * inverse[0] * inverse[1]
    return torch.where((squares > floor).all(dim=0), value, 0.0)


def wide(values: Tensor) -> Tensor:
    """float32 at least, as float16 and bfloat16 are too narrow for logarithms and sums; float64 stays."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values

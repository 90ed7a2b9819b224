"""Losses on what transformers compute: `heads`, `values`, `tokens`, and what makes two networks' heads and tokens as many.

Takes probabilities of attention (batch, heads, query, key), value vectors (batch, heads, tokens, width), or the answers of a distillation token;
gives one scalar, the mean over the batch. float16 and bfloat16 are widened to float32 first. Gradients reach the student's; hand over the teacher's
detached. Where attention is within windows, a window is a sample.

It reads no network (`models.attention`), and does not choose which layers belong together (`inside`).

Sources:
    heads, values: Wang et al., "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of Pre-Trained Transformers", NeurIPS 2020,
        arXiv:2002.10957, sections 3.1 and 3.2. It has as many heads on either side; groups and nearest are this project's.
    split: Wang et al., "MiniLMv2: Multi-Head Self-Attention Relation Distillation for Compressing Pretrained Transformers", Findings of ACL 2021,
        arXiv:2012.15828.
    tokens: Touvron et al., "Training data-efficient image transformers & distillation through attention", ICML 2021, arXiv:2012.12877, section 4.
"""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill import losses
from edgekd.distill.losses import wide
from edgekd.models.attention import patches

LEAST = 1e-30
"""Probability whose logarithm goes no further down, as small as float32 has it with an inverse to spare: below it nothing draws a student back."""


def heads(student: Float[Tensor, "batch heads query key"], teacher: Float[Tensor, "batch heads query key"]) -> Float[Tensor, ""]:
    """KL(teacher ‖ student) of what each query attends to, in nats; the mean over samples, heads and queries. 0 where both attend alike."""
    ours, theirs = wide(student), wide(teacher)
    return (theirs * (theirs.clamp_min(LEAST).log() - ours.clamp_min(LEAST).log())).sum(-1).mean()


def values(student: Float[Tensor, "batch heads tokens width"], teacher: Float[Tensor, "batch heads tokens other"]) -> Float[Tensor, ""]:
    """KL(teacher ‖ student) of softmax(V·Vᵀ/√width) along each token's row, in nats; the mean over samples, heads and tokens. Widths may differ."""
    soft, target = _log_relation(student), _log_relation(teacher)
    return (target.exp() * (target - soft)).sum(-1).mean()


def tokens(
    student: Float[Tensor, "batch classes"],
    teacher: Float[Tensor, "batch classes"],
    temperature: Float[Tensor, " batch"],
    *,
    form: Literal["hard", "soft"] = "hard",
) -> Float[Tensor, ""]:
    """What a distillation token's own answer lacks of the teacher's: cross entropy with its first choice at T = 1, or `losses.kd`.

    Args:
        student: the logits of the distillation token's head.
    """
    return losses.kd(student, teacher, temperature) if form == "soft" else losses.label(student, teacher.argmax(1))


def same_heads(student: Float[Tensor, "batch ours q k"], teacher: Float[Tensor, "batch theirs q k"], match: str) -> tuple[Tensor, Tensor]:
    """Both in as many heads: by `groups` the fewer of both numbers, by `nearest` the student's, each with the teacher's at the same place of all."""
    ours, theirs = student.shape[1], teacher.shape[1]
    if match == "nearest":
        return student, teacher[:, [(2 * head + 1) * theirs // (2 * ours) for head in range(ours)]]
    fewer = min(ours, theirs)
    return _in_groups(student, fewer), _in_groups(teacher, fewer)


def split(vectors: Float[Tensor, "batch heads tokens width"], into: int) -> Float[Tensor, "batch into tokens other"]:
    """All heads' vectors side by side, cut into another number of heads, which divides their whole width."""
    return torch.unflatten(vectors.transpose(1, 2).flatten(2), 2, (into, -1)).transpose(1, 2)


def vectors_on(grid: tuple[int, int], vectors: Float[Tensor, "*lead tokens width"]) -> Float[Tensor, "*lead fewer width"]:
    """Tokens of a square picture as those of a coarser one, by the mean of the patches that lie in each.

    Args:
        grid: (tokens before the patches, patches a side), neither of them more than there are (`shared_grid`); what stands before beyond is left out.
    """
    before, side = grid
    found = patches(vectors.shape[-2])
    assert found is not None, "tokens that are no square have no grid"
    first, rest = vectors[..., :before, :], vectors[..., found[0] :, :]
    if found[1] != side:
        maps = rest.transpose(-2, -1).reshape(-1, vectors.shape[-1], found[1], found[1])
        rest = F.adaptive_avg_pool2d(maps, side).flatten(2).transpose(-2, -1).reshape(*vectors.shape[:-2], side * side, vectors.shape[-1])
    return torch.cat((first, rest), -2)


def attention_on(grid: tuple[int, int], probabilities: Float[Tensor, "batch heads query key"]) -> Float[Tensor, "batch heads fewer fewer"]:
    """The same of attention: what patches are attended to adds up where they become one, queries are averaged, and rows still add up to 1."""
    before, side = grid
    found = patches(probabilities.shape[-1])
    assert found is not None, "tokens that are no square have no grid"
    keys = vectors_on(grid, wide(probabilities).transpose(-2, -1)).transpose(-2, -1)
    share = torch.ones(keys.shape[-1], dtype=keys.dtype, device=keys.device)
    share[before:] = (found[1] / side) ** 2
    keys = keys * share
    return vectors_on(grid, keys / keys.sum(-1, keepdim=True).clamp_min(LEAST))


def shared_grid(student: int, teacher: int) -> tuple[int, int] | None:
    """What both have, of so many tokens each: (tokens before the patches, patches a side); None where one is no square."""
    ours, theirs = patches(student), patches(teacher)
    return None if ours is None or theirs is None else (min(ours[0], theirs[0]), min(ours[1], theirs[1]))


def _log_relation(vectors: Tensor) -> Tensor:
    vectors = wide(vectors)
    return F.log_softmax(vectors @ vectors.transpose(-2, -1) / math.sqrt(vectors.shape[-1]), dim=-1)


def _in_groups(probabilities: Tensor, groups: int) -> Tensor:
    """Heads averaged in so many groups of neighbours, as even as they come: where they do not divide, two groups share a head."""
    many = probabilities.shape[1]
    if many == groups:
        return probabilities
    bounds = [(group * many // groups, -(-(group + 1) * many // groups)) for group in range(groups)]
    return torch.stack([probabilities[:, first:last].mean(1) for first, last in bounds], 1)

"""What a later phase sees: positions of training images, chosen by a rule.

All rules look at plain views, in eval mode, at T = 1, and break ties by position, so that a choice is a pure function of (seed, logits, labels).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgekd.data.batches import Batches
from edgekd.distill.leading import Answers, named, sureness, whole
from edgekd.distill.teacher import BATCH, Teacher, answer_all
from edgekd.errors import TrainingError
from edgekd.phases import Phase, Subset
from edgekd.tasks import several

NEEDS_TEACHER = frozenset({"confident", "hard", "mixed"})
"""Rules that cannot be followed without a teacher; the others serve a student taught alone too."""
FEWEST = 2
NEEDS_STUDENT = frozenset({"hard", "mixed"})


@dataclass(frozen=True)
class Pool:
    """What a rule may look at: labels (n,) or, where an image may have several, (n, labels), and logits (n, classes) of teacher and student on plain
    views, where the rule needs them."""

    labels: Tensor
    seed: int
    teacher: Answers | None = None
    student: Tensor | None = None


def choose(subset: Subset, pool: Pool) -> Tensor:
    """Positions (k,) int64 in ascending order, k = fraction × n rounded, at least `FEWEST`.

    Raises:
        TrainingError: the rule finds fewer, as `hard` where the teacher has none right.
    """
    count = max(FEWEST, round(subset.fraction * len(pool.labels)))
    positions = RULES[subset.by](count, pool)
    if len(positions) == 0:
        raise TrainingError(
            f"the subset {subset.by!r} is made of images that the teacher has right, and it has none right here. "
            'Check the teacher\'s preprocess and class order, or choose by = "random".'
        )
    if len(positions) < FEWEST:
        raise TrainingError(
            f"a phase learns from {FEWEST} images or more, as batch norm compares them; the subset {subset.by!r} finds {len(positions)} of "
            f'{len(pool.labels)}. Take a larger fraction, or choose by = "random".'
        )
    return positions.sort().values


def positions(phase: Phase, network: nn.Module, data: Batches, teacher: Teacher | None, *, seed: int, bf16: bool) -> Tensor:
    """The training images of a phase, as `choose` does: all of them where it takes no subset. Asks the teacher and the network as the rule needs.

    Raises:
        TrainingError: as `choose`, or the rule needs a teacher where there is none.
    """
    if phase.subset is None:
        return torch.arange(len(data))
    theirs = None
    if phase.subset.by in NEEDS_TEACHER:
        if teacher is None:
            raise TrainingError(
                f"phase {phase.name!r} takes a subset by {phase.subset.by!r}, which only a teacher can choose; without one choose random or balanced."
            )
        theirs = teacher.plain()
    plain = (batch[0] for batch in data.plain_batches(BATCH))
    ours = torch.cat(list(answer_all(network, plain, bf16=bf16))) if phase.subset.by in NEEDS_STUDENT else None
    return choose(phase.subset, Pool(data.labels, seed, teacher=theirs, student=ours))


def _shuffled(n: int, seed: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


def _random(count: int, pool: Pool) -> Tensor:
    return _shuffled(len(pool.labels), pool.seed)[:count]


def _balanced(count: int, pool: Pool) -> Tensor:
    """The same number of each class, as far as it has them; what rare classes lack is shared among the others.

    Of several labels an image, each label and the images without any are such classes, and an image counts for the one that needs it first.
    """
    shuffled = _shuffled(len(pool.labels), pool.seed)
    labels = pool.labels.cpu()[shuffled]
    if several(labels):
        shown = labels == 1
        columns = torch.cat([shown, ~shown.any(1, keepdim=True)], dim=1)
        ranks = torch.where(columns, columns.cumsum(0), len(labels) + 1).amin(1)
        return shuffled[ranks.argsort(stable=True)[:count]]
    # an image's rank within its class: taking the lowest ranks first fills all classes evenly
    by_class = labels.argsort(stable=True)
    sizes = labels.bincount()
    starts = sizes.cumsum(0) - sizes
    rank = torch.empty_like(labels)
    rank[by_class] = torch.arange(len(labels)) - starts[labels[by_class]]
    return shuffled[rank.argsort(stable=True)[:count]]


def _right(pool: Pool) -> Tensor:
    assert pool.teacher is not None
    return (named(pool.teacher).cpu() == pool.labels.cpu()).nonzero().flatten()


def _confident(count: int, pool: Pool) -> Tensor:
    """The teacher is right, and sure."""
    assert pool.teacher is not None
    right = _right(pool)
    sure = sureness(pool.teacher).cpu()[right]
    return right[sure.argsort(descending=True, stable=True)[:count]]


def _hard(count: int, pool: Pool) -> Tensor:
    """The student is farthest from the teacher, by KL divergence, among images that the teacher has right."""
    assert pool.teacher is not None, "the rule needs the teacher's logits"
    assert pool.student is not None, "the rule needs the student's logits"
    right = _right(pool)
    teacher = whole(pool.teacher).float().log_softmax(1)
    student = pool.student.float().log_softmax(1).to(teacher.device)
    distance = (teacher.exp() * (teacher - student)).sum(1).cpu()[right]
    return right[distance.argsort(descending=True, stable=True)[:count]]


def _mixed(count: int, pool: Pool) -> Tensor:
    """Half hard, the rest at random from what is left."""
    hard = _hard(count // 2, pool)
    shuffled = _shuffled(len(pool.labels), pool.seed)
    rest = shuffled[~torch.isin(shuffled, hard)]
    return torch.cat([hard, rest[: count - len(hard)]])


RULES: dict[str, Callable[[int, Pool], Tensor]] = {
    "random": _random,
    "balanced": _balanced,
    "confident": _confident,
    "hard": _hard,
    "mixed": _mixed,
}

"""Losses on features: literals worked out by hand, a plain reference, invariants, gradients, shapes."""

import math
from collections.abc import Callable

import pytest
import torch
from beartype import beartype
from jaxtyping import TypeCheckError, jaxtyped
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill import features

Loss = Callable[[Tensor, Tensor], Tensor]
LABELS = torch.tensor([0, 1, 2, 0, 3])
ON_MAPS: dict[str, Loss] = {
    "feature": features.feature,
    "attention": features.attention,
    "attention by sigmoid": lambda s, t: features.attention(s, t, form="sigmoid"),
    "review": features.review,
}
ON_VECTORS: dict[str, Loss] = {
    "feature": features.feature,
    "relation": features.relation,
    "contrast": lambda s, t: features.contrast(s, t, LABELS),
}
on_maps = pytest.mark.parametrize("loss", ON_MAPS.values(), ids=ON_MAPS)
on_vectors = pytest.mark.parametrize("loss", ON_VECTORS.values(), ids=ON_VECTORS)


def maps(seed: int = 0, channels: int = 3, side: int = 6) -> Tensor:
    return torch.randn(5, channels, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def vectors(seed: int = 0, width: int = 4) -> Tensor:
    return torch.randn(5, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# Literals -------------------------------------------------------------------------------------------------------------


def test_feature_literal() -> None:
    """(1² + 3²) / 2."""
    assert features.feature(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 5.0]])).item() == 5


def test_attention_literal() -> None:
    """Squares of one place against the other: the two unit vectors are at right angles, 2 apart in squares."""
    ours, theirs = torch.tensor([[[[3.0, 0.0]]]]), torch.tensor([[[[0.0, -7.0]], [[0.0, 1.0]]]])
    assert features.attention(ours, theirs).item() == pytest.approx(2)


def test_attention_by_sigmoid_literal() -> None:
    """Channel means 0 and ln 3 at one place: sigmoids of 1/2 and 3/4, a quarter apart."""
    ours, theirs = torch.tensor([[[[1.0]], [[-1.0]]]]), torch.tensor([[[[2 * math.log(3)]], [[0.0]]]])
    assert features.attention(ours, theirs, form="sigmoid").item() == pytest.approx(1 / 16)


def test_relation_literal() -> None:
    """Three on a line at 0, 1 and 3 against 0, 1 and 2: distances 1, 2, 3 over 2 and 1, 1, 2 over 4/3; all angles are 0 or 180 degrees in both."""
    ours, theirs = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[0.0], [1.0], [2.0]])
    differences = [1 / 2 - 3 / 4, 2 / 2 - 3 / 4, 3 / 2 - 6 / 4]
    assert features.relation(ours, theirs).item() == pytest.approx(sum(d * d / 2 for d in differences) / 3)


def test_contrast_literal() -> None:
    """Two samples at right angles that each find their own: −ln(e^10 / (e^10 + 1))."""
    both = torch.eye(2)
    assert features.contrast(both, both, torch.tensor([0, 1])).item() == pytest.approx(math.log1p(math.exp(-10)), rel=1e-3)


def test_review_literal() -> None:
    """Maps of 2×2 that differ by 1 at two places of four: 2/4 as they are, (2/4)² pooled to one, weighted 1 and 1/2."""
    ours, theirs = torch.zeros(1, 1, 2, 2), torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
    assert features.review(ours, theirs).item() == pytest.approx((0.5 + 0.5 * 0.25) / 1.5)


# References and invariants ----------------------------------------------------------------------------------------------


def test_feature_is_the_papers() -> None:
    """The mean of squares over samples, channels and places (Romero et al. 2015, equation 3, without its half), one by one in float64."""
    ours, theirs = maps(), maps(1)
    squares = [(a - b) ** 2 for a, b in zip(ours.flatten().tolist(), theirs.flatten().tolist(), strict=True)]
    assert features.feature(ours, theirs).item() == pytest.approx(sum(squares) / len(squares), rel=1e-12)


def test_relation_is_the_papers() -> None:
    """Against loops over pairs and triplets, in float64."""
    ours, theirs = vectors(1), vectors(2, width=7)

    def distances(each: Tensor) -> Tensor:
        found = torch.tensor([[(a - b).norm() for b in each] for a in each], dtype=torch.float64)
        return found / found[found > 0].mean()

    def angle(each: Tensor, i: int, j: int, k: int) -> Tensor:
        return F.normalize(each[j] - each[i], dim=0) @ F.normalize(each[k] - each[i], dim=0)

    apart = ~torch.eye(5, dtype=torch.bool)
    far = F.smooth_l1_loss(distances(ours)[apart], distances(theirs)[apart])
    triplets = [(i, j, k) for i in range(5) for j in range(5) for k in range(5)]
    wide = F.smooth_l1_loss(torch.stack([angle(ours, *t) for t in triplets]), torch.stack([angle(theirs, *t) for t in triplets]))
    assert features.relation(ours, theirs).item() == pytest.approx((far + 2 * wide).item(), rel=1e-9)


def test_contrast_is_cross_entropy_over_the_other_classes() -> None:
    """Against a loop that leaves out samples of the same class."""
    ours, theirs = F.normalize(vectors(1), dim=1), F.normalize(vectors(2), dim=1)
    losses = []
    for i, sample in enumerate(ours):
        among = [j for j in range(5) if j == i or LABELS[j] != LABELS[i]]
        likeness = torch.stack([sample @ theirs[j] / 0.1 for j in among])
        losses.append(-likeness.log_softmax(0)[among.index(i)])
    assert features.contrast(ours, theirs, LABELS).item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-9)


def test_contrast_of_few_classes() -> None:
    """Of two classes each sample is told from those of the other one alone; of one there is nothing to tell, and no gradient that is no number."""
    ours, theirs = vectors().requires_grad_(), vectors(1)
    two = torch.tensor([0, 1, 1, 0, 1])
    unit, other = ours.detach() / ours.detach().norm(dim=1, keepdim=True), theirs / theirs.norm(dim=1, keepdim=True)
    likeness = (unit @ other.T / 0.1).exp()
    costs = [-math.log(likeness[i, i] / sum(likeness[i, j] for j in range(5) if j == i or two[j] != two[i])) for i in range(5)]
    assert features.contrast(ours, theirs, two).item() == pytest.approx(sum(costs) / 5, rel=1e-9)
    alone = features.contrast(ours, theirs, torch.zeros(5, dtype=torch.int64))
    alone.backward()  # type: ignore[no-untyped-call]
    assert alone.item() == 0
    assert ours.grad is not None
    assert not ours.grad.any()


def test_review_is_the_papers() -> None:
    """Hierarchical context: maps as they are, then means over grids of 4, 2 and 1, each half the weight of the one before; over the weights' sum."""
    ours, theirs = maps(1, side=8), maps(2, side=8)
    total = (ours - theirs).square().mean()
    for weight, side in ((1 / 2, 4), (1 / 4, 2), (1 / 8, 1)):
        step = 8 // side
        parts = [
            (ours - theirs)[..., row : row + step, column : column + step].mean((2, 3)) for row in range(0, 8, step) for column in range(0, 8, step)
        ]
        total = total + weight * torch.stack(parts).square().mean()
    assert features.review(ours, theirs).item() == pytest.approx((total / (1 + 1 / 2 + 1 / 4 + 1 / 8)).item(), rel=1e-12)


def test_attention_is_the_papers() -> None:
    """Both forms sample by sample in float64: squared unit vectors over places summed, and sigmoids of channel means averaged over places."""
    ours, theirs = maps(1), maps(2, channels=4)
    squares, sigmoids = [], []
    for one, other in zip(ours, theirs, strict=True):
        first, second = ((each**2).mean(0).flatten() for each in (one, other))
        squares.append(((first / first.norm() - second / second.norm()) ** 2).sum())
        sigmoids.append(((1 / (1 + (-one.mean(0)).exp()) - 1 / (1 + (-other.mean(0)).exp())) ** 2).mean())
    assert features.attention(ours, theirs).item() == pytest.approx(torch.stack(squares).mean().item(), rel=1e-12)
    assert features.attention(ours, theirs, form="sigmoid").item() == pytest.approx(torch.stack(sigmoids).mean().item(), rel=1e-12)


@on_maps
def test_equal_maps_cost_nothing(loss: Loss) -> None:
    """Teacher = student, with and without scale where the loss does not see it."""
    assert loss(maps(), maps()).item() == pytest.approx(0, abs=1e-12)


def test_attention_and_relation_do_not_see_scale() -> None:
    """A student whose features are three times the teacher's looks at the same places, and sees the same relations."""
    assert features.attention(3 * maps(), maps()).item() == pytest.approx(0, abs=1e-12)
    assert features.relation(3 * vectors(), vectors()).item() == pytest.approx(0, abs=1e-12)


def test_relation_does_not_see_rotations() -> None:
    """Only distances and angles count."""
    turn = torch.linalg.qr(vectors(3)[:4])[0]
    assert features.relation(vectors() @ turn, vectors()).item() == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("samples", [torch.zeros(4, 3), torch.ones(1, 3), torch.cat([torch.zeros(3, 3), torch.ones(1, 3)])])
def test_relations_of_samples_that_are_one(samples: Tensor) -> None:
    """No distance and no angle, and gradients that are numbers."""
    student = samples.clone().requires_grad_()
    loss = features.relation(student, torch.randn(len(samples), 5, generator=torch.Generator().manual_seed(0)))
    loss.backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    assert torch.isfinite(loss)
    assert torch.isfinite(student.grad).all()


# Gradients, types, shapes -----------------------------------------------------------------------------------------------


@on_maps
def test_gradients_on_maps(loss: Loss) -> None:
    """Against finite differences, in float64."""
    assert torch.autograd.gradcheck(lambda student: loss(student, maps(1)), (maps().requires_grad_(),))


@on_vectors
def test_gradients_on_vectors(loss: Loss) -> None:
    """Against finite differences, in float64."""
    assert torch.autograd.gradcheck(lambda student: loss(student, vectors(1)), (vectors().requires_grad_(),))


def numbers(loss: Loss, values: Tensor) -> bool:
    """Whether the loss of float16 values against their opposites is finite, and its gradient."""
    student = values.half().requires_grad_()
    value = loss(student, -values.half())
    value.backward()  # type: ignore[no-untyped-call]
    return student.grad is not None and bool(torch.isfinite(value) and torch.isfinite(student.grad).all())


@on_maps
@pytest.mark.parametrize("size", [1e4, 0.0])
def test_extreme_half_maps_stay_numbers(loss: Loss, size: float) -> None:
    """float16 up to ±10⁴ and all zeros."""
    assert numbers(loss, size * maps().sign())


@on_vectors
@pytest.mark.parametrize("size", [1e4, 0.0])
def test_extreme_half_vectors_stay_numbers(loss: Loss, size: float) -> None:
    """The same of vectors, whose distances and products would leave float16 by far."""
    assert numbers(loss, size * vectors().sign())


def test_shapes_are_held() -> None:
    """Maps of different sizes are refused where their places are compared."""
    checked = jaxtyped(typechecker=beartype)(features.attention)
    with pytest.raises(TypeCheckError):
        checked(maps(side=6), maps(side=3))

"""Losses on what transformers compute: literals worked out by hand, plain references, invariants, gradients, shapes; grids and heads made alike."""

import math
from typing import Literal

import pytest
import torch
from beartype import beartype
from jaxtyping import TypeCheckError, jaxtyped
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill import attentions, losses

LN3 = math.log(3)


def attention(seed: int = 0, heads: int = 3, tokens: int = 5, scale: float = 1.0) -> Tensor:
    """Probabilities (2, heads, tokens, tokens), float64."""
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(2, heads, tokens, tokens, generator=generator, dtype=torch.float64)).softmax(-1)


def vectors(seed: int = 0, heads: int = 3, tokens: int = 5, width: int = 4) -> Tensor:
    """Value vectors (2, heads, tokens, width), float64."""
    return torch.randn(2, heads, tokens, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def logits(seed: int = 0, classes: int = 4) -> Tensor:
    return torch.randn(5, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# Literals -------------------------------------------------------------------------------------------------------------


def test_heads_literal() -> None:
    """One query of two hesitates where the teacher is three to one, the other agrees: half of ¾·ln 1.5 + ¼·ln ½."""
    student = torch.tensor([[0.5, 0.5], [0.2, 0.8]], dtype=torch.float64).view(1, 1, 2, 2)
    teacher = torch.tensor([[0.75, 0.25], [0.2, 0.8]], dtype=torch.float64).view(1, 1, 2, 2)
    assert attentions.heads(student, teacher).item() == pytest.approx((0.75 * math.log(1.5) + 0.25 * math.log(0.5)) / 2, abs=1e-12)


def test_values_literal() -> None:
    """The student's tokens are alike; the teacher's are at right angles and √(ln 3·√2) long, so that each is three to one for itself."""
    side = math.sqrt(LN3 * math.sqrt(2))
    teacher = (side * torch.eye(2, dtype=torch.float64)).view(1, 1, 2, 2)
    student = torch.zeros(1, 1, 2, 7, dtype=torch.float64)
    assert attentions.values(student, teacher).item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5), abs=1e-12)


def test_tokens_literal() -> None:
    """Three to one against the teacher's choice: ln 4; soft at T = 1, KL of (¾, ¼) from (¼, ¾) is ½·ln 3. Two classes are enough."""
    student, teacher = torch.tensor([[LN3, 0.0]], dtype=torch.float64), torch.tensor([[0.0, LN3]], dtype=torch.float64)
    heat = torch.ones(1, dtype=torch.float64)
    assert attentions.tokens(student, teacher, heat).item() == pytest.approx(math.log(4), abs=1e-12)
    assert attentions.tokens(student, teacher, heat, form="soft").item() == pytest.approx(LN3 / 2, abs=1e-12)


# References -----------------------------------------------------------------------------------------------------------


def test_heads_are_the_papers() -> None:
    """Against a loop over samples, heads and queries, in float64."""
    ours, theirs = attention(1), attention(2)
    rows = [F.kl_div(o.log(), t, reduction="sum") for o, t in zip(ours.view(-1, 5), theirs.view(-1, 5), strict=True)]
    assert attentions.heads(ours, theirs).item() == pytest.approx(torch.stack(rows).mean().item(), rel=1e-9)


def test_values_are_the_papers() -> None:
    """Against a loop over samples and heads, with widths that differ."""
    ours, theirs = vectors(1, width=2), vectors(2, width=9)

    def relation(each: Tensor) -> Tensor:
        return (each @ each.T / math.sqrt(each.shape[1])).softmax(-1)

    rows = []
    for mine, other in zip(ours.flatten(0, 1), theirs.flatten(0, 1), strict=True):
        soft, target = relation(mine), relation(other)
        rows += [(target[token] * (target[token] / soft[token]).log()).sum() for token in range(5)]
    assert attentions.values(ours, theirs).item() == pytest.approx(torch.stack(rows).mean().item(), rel=1e-9)


def test_tokens_are_the_papers() -> None:
    """Hard: cross entropy with the teacher's first choice; soft: the distillation loss itself."""
    student, teacher, heat = logits(1), logits(2), torch.full((5,), 3.0, dtype=torch.float64)
    assert torch.equal(attentions.tokens(student, teacher, heat), F.cross_entropy(student, teacher.argmax(1)))
    assert torch.equal(attentions.tokens(student, teacher, heat, form="soft"), losses.kd(student, teacher, heat))


# Invariants -----------------------------------------------------------------------------------------------------------


def test_equal_networks_lose_nothing() -> None:
    """Teacher = student, and never below 0 otherwise."""
    heat = torch.ones(5, dtype=torch.float64)
    assert attentions.heads(attention(), attention()).item() == 0
    assert attentions.values(vectors(), vectors()).item() == pytest.approx(0, abs=1e-15)
    assert attentions.tokens(logits(), logits(), heat, form="soft").item() == pytest.approx(0, abs=1e-15)
    for seed in range(1, 6):
        assert attentions.heads(attention(seed), attention()) > 0
        assert attentions.values(vectors(seed), vectors()) > 0


def test_values_do_not_see_rotations() -> None:
    """Only how alike tokens are counts."""
    turn = torch.linalg.qr(vectors(3)[0, 0, :4])[0]
    assert attentions.values(vectors() @ turn, vectors()).item() == pytest.approx(0, abs=1e-12)


# Gradients, types, shapes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["hard", "soft"])
def test_gradients(form: Literal["hard", "soft"]) -> None:
    """Against finite differences, in float64; heads from the scores on."""
    scores = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64).requires_grad_()
    teacher, heat = attention(1, heads=2, tokens=4)[:1], torch.full((5,), 2.0, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda student: attentions.heads(student.softmax(-1), teacher), (scores,))
    assert torch.autograd.gradcheck(lambda student: attentions.values(student, vectors(1)), (vectors().requires_grad_(),))
    assert torch.autograd.gradcheck(lambda student: attentions.tokens(student, logits(1), heat, form=form), (logits().requires_grad_(),))


@pytest.mark.parametrize("size", [1e4, 0.0])
def test_extreme_half_values_stay_numbers(size: float) -> None:
    """float16 up to ±10⁴ and all zeros, one-hot attention against another one: value and gradient are finite."""
    wide, heat = size * vectors().sign(), torch.ones(5)
    scores = (size * attention().sub(0.3).sign()).float().requires_grad_()
    given = [scores, wide.half().requires_grad_(), (size * logits().sign()).half().requires_grad_()]
    found = [
        attentions.heads(given[0].softmax(-1).half(), (-size * attention().sub(0.3).sign()).softmax(-1).half()),
        attentions.values(given[1], -wide.flip(2).half()),
        attentions.tokens(given[2], (-size * logits().sign()).half(), heat, form="soft"),
    ]
    for value, leaf in zip(found, given, strict=True):
        value.backward()  # type: ignore[no-untyped-call]
        assert value.dtype == torch.float32
        assert torch.isfinite(value)
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all()


def test_a_student_that_looks_at_the_wrong_place_is_drawn_back() -> None:
    """All its attention at one key and the teacher's at another: the gradient is that of the divergence, as of any softmax."""
    scores = torch.tensor([25.0, 0.0, 0.0]).expand(1, 1, 1, 3).clone().requires_grad_()
    teacher = torch.tensor([0.0, 25.0, 0.0]).softmax(0).expand(1, 1, 1, 3)
    (gradient,) = torch.autograd.grad(attentions.heads(scores.softmax(-1), teacher), scores)
    torch.testing.assert_close(gradient, scores.detach().softmax(-1) - teacher)


def test_shapes_are_held() -> None:
    """Another number of heads or tokens is refused where they are compared."""
    checked = jaxtyped(typechecker=beartype)(attentions.heads)
    for other in (attention(heads=2), attention(tokens=4)):
        with pytest.raises(TypeCheckError):
            checked(attention(), other)


# Heads and tokens made as many ----------------------------------------------------------------------------------------


def test_heads_in_groups() -> None:
    """The more are averaged to the fewer, on either side; where they do not divide, neighbours share a head."""
    many, few = attention(0, heads=6), attention(1, heads=3)
    ours, theirs = attentions.same_heads(few, many, "groups")
    assert torch.equal(ours, few)
    torch.testing.assert_close(theirs, torch.stack([many[:, 2 * head : 2 * head + 2].mean(1) for head in range(3)], 1))
    ours, theirs = attentions.same_heads(many, few, "groups")
    assert (ours.shape, torch.equal(theirs, few)) == (few.shape, True)
    third = attentions.same_heads(few, attention(1, heads=2), "groups")[0]
    torch.testing.assert_close(third, torch.stack([few[:, :2].mean(1), few[:, 1:].mean(1)], 1))


@pytest.mark.parametrize(("ours", "theirs", "places"), [(3, 12, [2, 6, 10]), (4, 3, [0, 1, 1, 2]), (1, 3, [1]), (3, 3, [0, 1, 2])])
def test_nearest_heads(ours: int, theirs: int, places: list[int]) -> None:
    """Each of the student's stays, and has the teacher's in the middle of its share."""
    student, teacher = attentions.same_heads(attention(0, heads=ours), attention(1, heads=theirs), "nearest")
    assert torch.equal(student, attention(0, heads=ours))
    assert torch.equal(teacher, attention(1, heads=theirs)[:, places])


@pytest.mark.parametrize("match", ["groups", "nearest"])
def test_as_many_heads_stay_as_they_are(match: str) -> None:
    """Nothing is mixed, and attention still adds up to 1."""
    ours, theirs = attentions.same_heads(attention(0), attention(1), match)
    assert torch.equal(ours, attention(0))
    assert torch.equal(theirs, attention(1))
    mixed = attentions.same_heads(attention(0, heads=5), attention(1), match)
    assert all(torch.allclose(each.sum(-1), torch.ones((), dtype=torch.float64)) for each in mixed)


def test_vectors_are_split_anew() -> None:
    """All heads side by side, cut elsewhere: as many numbers in the same order for each token."""
    given = vectors(heads=3, width=4)
    found = attentions.split(given, 2)
    assert found.shape == (2, 2, 5, 6)
    assert torch.equal(found[1, :, 4].flatten(), given[1, :, 4].flatten())
    assert torch.equal(attentions.split(given, 3), given)


def test_vectors_on_a_coarser_grid() -> None:
    """A class token and 4×4 patches as 2×2: each the mean of the four within it; a token that the other lacks is left out."""
    patches = torch.arange(16.0).view(1, 16, 1)
    found = attentions.vectors_on((1, 2), torch.cat((torch.tensor([[[7.0], [9.0]]]), patches), 1))
    assert found.flatten().tolist() == [7, 2.5, 4.5, 10.5, 12.5]
    assert torch.equal(attentions.vectors_on((0, 4), patches), patches)


def test_attention_on_a_coarser_grid() -> None:
    """Patches that become one are attended to by the sum of their shares, and attend by their mean."""
    uniform = torch.full((1, 2, 17, 17), 1 / 17)
    found = attentions.attention_on((1, 2), uniform)
    torch.testing.assert_close(found[0, 0], torch.tensor([1.0, 4, 4, 4, 4]).div(17).repeat(5, 1))
    given = attention(tokens=18)
    coarse = attentions.attention_on((1, 4), given)
    torch.testing.assert_close(coarse.sum(-1), torch.ones(2, 3, 17, dtype=torch.float64))
    kept = [0, *range(2, 18)]
    expected = given[:, :, kept][..., kept]
    torch.testing.assert_close(coarse, expected / expected.sum(-1, keepdim=True))
    torch.testing.assert_close(attentions.attention_on((2, 4), given), given)


def test_attention_that_goes_to_what_is_left_out_stays_a_number() -> None:
    """All of it on a token that the other network lacks: nothing is left, and nothing is divided by 0."""
    given = torch.zeros(1, 1, 6, 6)
    given[..., 1] = 1
    assert torch.equal(attentions.attention_on((1, 2), given), torch.zeros(1, 1, 5, 5))


def test_what_two_networks_share() -> None:
    """The fewer tokens before the patches, the coarser grid; None where one is no square."""
    assert attentions.shared_grid(66, 197) == (1, 8)
    assert attentions.shared_grid(64, 65) == (0, 8)
    assert attentions.shared_grid(65, 33) is None

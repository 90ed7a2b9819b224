"""edgekd.distill.bridges: the student's features brought to the teacher's shapes."""

import math
from collections.abc import Sequence
from typing import TypeAlias

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.bridges import bridge, placed, resized, vector
from edgekd.errors import UsageError
from edgekd.models.taps import Tap
from edgekd.terms import Attention, Contrast, Feature, Relation, Review

Compared: TypeAlias = Feature | Attention | Relation | Contrast | Review

STAGES = [(Tap("a", (4, 8, 8)), Tap("x", (6, 8, 8))), (Tap("b", (8, 4, 4)), Tap("y", (12, 2, 2)))]
HEADS = [(Tap("p", (8,)), Tap("q", (12,)))]
TOKENS = [(Tap("t", (17, 6)), Tap("x", (5, 8, 8)))]
"""A transformer's beside a convolutional network's: a class token and 4×4 patches."""


def features(pairs: Sequence[tuple[Tap, Tap]]) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(3, *ours.shape, generator=generator), torch.randn(3, *theirs.shape, generator=generator)) for ours, theirs in pairs]


@pytest.mark.parametrize(
    ("term", "pairs", "shapes", "learns"),
    [
        (Feature(), STAGES, [(3, 6, 8, 8), (3, 12, 2, 2)], True),
        (Feature(), HEADS, [(3, 12)], True),
        (Attention(), STAGES, [(3, 4, 8, 8), (3, 8, 2, 2)], False),
        (Relation(), HEADS, [(3, 8)], False),
        (Relation(), STAGES, [(3, 4), (3, 8)], False),
        (Contrast(width=5), HEADS, [(3, 5)], True),
        (Review(), STAGES, [(3, 6, 8, 8), (3, 12, 2, 2)], True),
        (Feature(), TOKENS, [(3, 5, 8, 8)], True),
        (Attention(), TOKENS, [(3, 6, 8, 8)], False),
        (Review(), TOKENS, [(3, 5, 8, 8)], True),
        (Relation(), TOKENS, [(3, 6)], False),
        (Contrast(width=5), TOKENS, [(3, 5)], True),
    ],
)
def test_pairs_come_out_comparable(term: Compared, pairs: list[tuple[Tap, Tap]], shapes: list[tuple[int, ...]], learns: bool) -> None:
    """Each term gets the shapes that its loss takes, from modules that learn only where the term's source has them learn."""
    module = bridge(term, pairs)
    matched = module(features(pairs))
    assert [tuple(ours.shape) for ours, _ in matched] == shapes
    if not isinstance(term, (Attention, Relation)):
        assert all(ours.shape == theirs.shape for ours, theirs in matched)
    assert any(True for _ in module.parameters()) is learns


def test_stages_are_fused_as_in_the_paper() -> None:
    """Chen et al. 2021, figure 4b, in float64: both sides to a middle width, the deeper one enlarged, each weighed by an attention map of its own
    that reads both, the sum through a 3×3 convolution to the teacher's channels."""
    module = bridge(Review(), STAGES).double().eval()
    given = [(ours.double(), theirs.double()) for ours, theirs in features(STAGES)]
    weights = dict(module.named_parameters())

    def normed(maps: Tensor, name: str, padding: int) -> Tensor:
        found = F.conv2d(maps, weights[f"{name}.0.weight"], padding=padding)
        scale, shift = weights[f"{name}.1.weight"] / math.sqrt(1 + 1e-5), weights[f"{name}.1.bias"]  # as no batch was seen yet
        return found * scale[:, None, None] + shift[:, None, None]

    deep = normed(given[1][0], "enter.1", 0)
    large = deep.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    own = normed(given[0][0], "enter.0", 0)
    both = torch.cat([own, large], dim=1)
    ours, theirs = (torch.einsum("c,nchw->nhw", weights["mix.0.weight"][k, :, 0, 0], both) + weights["mix.0.bias"][k] for k in (0, 1))
    mixed = own / (1 + (-ours).exp())[:, None] + large / (1 + (-theirs).exp())[:, None]
    expected = [normed(mixed, "leave.0", 1), F.avg_pool2d(normed(deep, "leave.1", 1), 2)]
    for (found, _), wanted in zip(module(given), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_a_fused_stage_knows_the_deeper_ones() -> None:
    """The first stage's output moves with the last stage's features, and not the other way round."""
    module = bridge(Review(), STAGES).eval()
    given = features(STAGES)
    before = [ours for ours, _ in module(given)]
    deeper = [ours for ours, _ in module([given[0], (given[1][0] + 1, given[1][1])])]
    shallower = [ours for ours, _ in module([(given[0][0] + 1, given[0][1]), given[1]])]
    assert not torch.equal(before[0], deeper[0])
    assert torch.equal(before[1], shallower[1])


def test_stages_the_wrong_way_round_are_refused() -> None:
    """A deeper stage would be fused with what is no deeper than it."""
    with pytest.raises(UsageError, match=r"from the shallowest stage to the deepest; a is \(4, 8, 8\) and stands behind b, \(8, 4, 4\)\. Turn"):
        bridge(Review(), STAGES[::-1])
    bridge(Review(), [STAGES[0], STAGES[0]])


def test_resizing_averages_down_and_interpolates_up() -> None:
    """A constant stays what it is; vectors are left alone."""
    small, large, words = torch.full((1, 1, 2, 2), 3.0), torch.full((1, 1, 4, 4), 3.0), torch.ones(1, 5)
    assert torch.equal(resized(large, small), small)
    assert torch.equal(resized(small, large), large)
    assert resized(words, words) is words
    assert torch.equal(resized(torch.arange(4.0).view(1, 1, 2, 2), torch.zeros(1, 1, 1, 1)).flatten(), torch.tensor([1.5]))


def test_maps_and_tokens_become_vectors() -> None:
    """By their mean over places; a vector is one."""
    assert torch.equal(vector(torch.arange(8.0).view(1, 2, 2, 2)), torch.tensor([[1.5, 5.5]]))
    assert torch.equal(vector(torch.tensor([[[1.0, 2.0], [3.0, 6.0]]])), torch.tensor([[2.0, 4.0]]))
    assert torch.equal(vector(torch.ones(2, 3)), torch.ones(2, 3))


@pytest.mark.parametrize("term", [Attention(), Review()])
def test_vectors_have_no_places(term: Attention | Review) -> None:
    """The error names the tap and its shape."""
    with pytest.raises(UsageError, match=r"compares maps .*; the tap p is \(8,\)\. Choose a stage"):
        bridge(term, HEADS)


def test_tokens_are_placed_as_their_patches_lie() -> None:
    """Row by row, without what stands before them; maps and vectors stay."""
    tokens = torch.arange(2 * 6.0).view(1, 6, 2)
    assert placed(tokens).tolist() == [[[[4, 6], [8, 10]], [[5, 7], [9, 11]]]]
    maps, words = torch.ones(1, 2, 3, 3), torch.ones(1, 2)
    assert placed(maps) is maps
    assert placed(words) is words


def test_a_projection_goes_both_ways() -> None:
    """A convolutional student's maps are brought to a transformer's patches."""
    ((ours, theirs),) = bridge(Feature(), [(TOKENS[0][1], TOKENS[0][0])])([(torch.ones(3, 5, 8, 8), torch.ones(3, 17, 6))])
    assert ours.shape == theirs.shape == (3, 6, 4, 4)


@pytest.mark.parametrize("tap", [Tap("s", (33, 6)), Tap("s", (9, 6), square=False)])
def test_tokens_of_no_square_have_no_places(tap: Tap) -> None:
    """Neither where their number is none, nor where the picture is none."""
    with pytest.raises(UsageError, match=rf"compares maps .*; the tap s is \({tap.shape[0]}, 6\)\. Choose a stage"):
        bridge(Attention(), [(tap, TOKENS[0][1])])
    with pytest.raises(UsageError, match=r"compares maps with maps or vectors with vectors; s is"):
        bridge(Feature(), [(tap, TOKENS[0][1])])


def test_maps_and_vectors_do_not_go_together() -> None:
    """A 1×1 projection cannot make a vector of a map."""
    with pytest.raises(UsageError, match=r"a is \(4, 8, 8\), q \(12,\)\. Choose two stages, or pooled for both"):
        bridge(Feature(), [(STAGES[0][0], HEADS[0][1])])

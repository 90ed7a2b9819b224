"""passes: which images each step sees, without any state."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgekd.data.batches import order
from edgekd.distill.passes import Passes


def test_a_pass_is_its_order_in_pieces() -> None:
    """Full batches only; the next pass has another order, and the first one its own number."""
    passes = Passes(10, 4, seed=3, first=5)
    assert passes.steps == 2
    seen = [passes.at(step) for step in range(4)]
    assert [number for _, number in seen] == [5, 5, 6, 6]
    assert torch.cat([positions for positions, _ in seen[:2]]).tolist() == order(10, 3, 5)[:8].tolist()
    assert torch.cat([positions for positions, _ in seen[2:]]).tolist() == order(10, 3, 6)[:8].tolist()


def test_fewer_images_than_a_batch() -> None:
    """A step shows them all."""
    positions, number = Passes(3, 8, seed=0).at(7)
    assert (sorted(positions.tolist()), number) == ([0, 1, 2], 7)


@given(count=st.integers(1, 40), size=st.integers(1, 12), step=st.integers(0, 60), ahead=st.integers(0, 5))
def test_what_comes_is_what_will_be_asked_for(count: int, size: int, step: int, ahead: int) -> None:
    """The next steps of the same pass and no others; asking changes nothing, and a step is the same whatever was asked before."""
    passes = Passes(count, size, seed=1)
    own, number = passes.at(step)
    coming = passes.coming(step, ahead)
    later = [passes.at(step + 1 + more) for more in range(ahead)]
    assert [positions.tolist() for positions in coming] == [positions.tolist() for positions, its in later if its == number]
    assert passes.at(step)[0].tolist() == own.tolist() == Passes(count, size, seed=1).at(step)[0].tolist()


@pytest.mark.parametrize("count", [1, 7])
def test_every_image_once_a_pass(count: int) -> None:
    """Where batches divide the images."""
    passes = Passes(count, 1, seed=2)
    assert sorted(int(passes.at(step)[0]) for step in range(count)) == list(range(count))

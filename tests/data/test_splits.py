"""edgekd.data.splits: seeded cuts that keep classes in proportion and groups whole."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from edgekd.data.splits import hold_out
from edgekd.errors import UsageError


@given(counts=st.lists(st.integers(1, 40), min_size=1, max_size=8), fraction=st.floats(0, 0.99), seed=st.integers(-3, 2**40))
@settings(max_examples=50)
def test_every_class_keeps_an_image(counts: list[int], fraction: float, seed: int) -> None:
    """Whatever the fraction, training keeps one image of each class or more, and no class gives up much more than its share."""
    labels = np.repeat(np.arange(len(counts)), counts)
    held = hold_out(labels, fraction, seed)
    for label, count in enumerate(counts):
        taken = int(held[labels == label].sum())
        assert taken <= count - 1
        assert taken <= count * fraction + 1
    assert held.sum() <= round(float(np.sum(np.array(counts) * fraction))) + 1


def test_classes_keep_their_proportions() -> None:
    """A tenth of each class, exactly where it divides, and the total right where it does not."""
    labels = np.repeat([0, 1, 2], [1000, 100, 10])
    held = hold_out(labels, 0.1, 0)
    assert [int(held[labels == label].sum()) for label in range(3)] == [100, 10, 1]
    many = np.repeat(np.arange(100), 5)
    assert hold_out(many, 0.1, 0).sum() == 50


def test_seed_decides() -> None:
    """The same seed cuts the same images, another one others; a fraction of 0 cuts none."""
    labels = np.repeat([0, 1], 50)
    assert np.array_equal(hold_out(labels, 0.2, 1), hold_out(labels, 0.2, 1))
    assert not np.array_equal(hold_out(labels, 0.2, 1), hold_out(labels, 0.2, 2))
    assert not hold_out(labels, 0.0, 1).any()


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_whole(seed: int) -> None:
    """Every group is held out as a whole or not at all, near the fraction, with each class left in training."""
    random = np.random.RandomState(0)
    groups = [f"patient {number}" for number in random.randint(0, 40, 400)]
    labels = random.randint(0, 3, 400)
    held = hold_out(labels, 0.2, seed, groups)
    for group in set(groups):
        assert len(set(held[[name == group for name in groups]].tolist())) == 1
    assert 50 < held.sum() < 110
    assert set(labels[~held].tolist()) == {0, 1, 2}


def test_few_groups_still_give_some() -> None:
    """Three large groups: one is held out although it is more than was asked for."""
    labels = np.tile([0, 1], 30)
    groups = ["a"] * 20 + ["b"] * 20 + ["c"] * 20
    assert hold_out(labels, 0.1, 0, groups).sum() == 20


def test_groups_that_cannot_be_held_out() -> None:
    """One group per class: holding one out would take a class away."""
    with pytest.raises(UsageError, match=r"a group never spans train and validation, and each of the 2 group\(s\).*validation = \"0 %\""):
        hold_out(np.array([0, 0, 1, 1]), 0.2, 0, ["a", "a", "b", "b"])

"""edgekd.data.splits: seeded cuts that keep classes in proportion and groups whole, and long tails."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from edgekd.data.splits import hold_out, keep, tail_counts
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


@pytest.mark.parametrize(
    ("classes", "images", "imbalance", "whole"),
    [(10, 5000, 100, 12_406), (10, 5000, 50, 13_996), (10, 5000, 10, 20_431), (100, 500, 100, 10_847), (100, 500, 10, 19_573)],
)
def test_the_published_long_tails(classes: int, images: int, imbalance: float, whole: int) -> None:
    """CIFAR-10 and CIFAR-100 have as many images as the literature says, from all of the first class to 1/imbalance of the last."""
    counts = tail_counts(np.full(classes, images), imbalance)
    assert counts.sum() == whole
    assert (counts[0], counts[-1]) == (images, images / imbalance)


@given(counts=st.lists(st.integers(1, 10**6), min_size=2, max_size=50), imbalance=st.floats(1, 1000))
@settings(max_examples=100)
def test_a_long_tail_of_any_classes(counts: list[int], imbalance: float) -> None:
    """No class gives more than it has, one gives all (but for rounding), the shares fall as asked, or none is to be had."""
    try:
        tail = tail_counts(np.array(counts), imbalance)
    except UsageError:
        return
    assert (tail <= counts).all()
    assert (tail > np.array(counts) - 1.001).any()
    assert (np.diff(tail) <= 0).all()
    assert tail[0] / (tail[-1] + 1) <= imbalance * (1 + 1e-9)


def test_an_imbalance_that_empties_a_class_is_refused() -> None:
    """With how many classes, and how few images there are."""
    with pytest.raises(UsageError, match=r"with imbalance = 100, 2 of 4 classes .* the smallest has 10 training .* Make imbalance smaller"):
        tail_counts(np.full(4, 10), 100)
    with pytest.raises(UsageError, match=r"3 of 3 classes would keep none: the smallest has 0 training .* Leave the classes out that have none"):
        tail_counts(np.array([10, 0, 10]), 2)


def test_so_many_of_each_class_are_kept() -> None:
    """By the seed alone; all of a class where as many are asked for."""
    labels = np.tile([0, 1, 2], 20)
    kept = keep(labels, np.array([20, 5, 0]), 0)
    assert np.bincount(labels[kept], minlength=3).tolist() == [20, 5, 0]
    assert np.array_equal(kept, keep(labels, np.array([20, 5, 0]), 0))
    assert not np.array_equal(kept, keep(labels, np.array([20, 5, 0]), 1))


# Several labels an image ----------------------------------------------------------------------------------------------


@given(
    labels=st.integers(2, 6),
    n=st.integers(20, 120),
    rate=st.floats(0.02, 0.6),
    fraction=st.floats(0.05, 0.5),
    seed=st.integers(0, 1000),
)
@settings(max_examples=50, deadline=None)
def test_rare_labels_stand_on_both_sides(labels: int, n: int, rate: float, fraction: float, seed: int) -> None:
    """Whatever comes together, each label that is shown is among the images that are left; one that two images show alone is held, too."""
    marks = (np.random.default_rng(seed).random((n, labels)) < rate).astype(np.int64)
    held = hold_out(marks, fraction, seed)
    alone = marks * (marks.sum(axis=1, keepdims=True) == 1)
    for label in np.flatnonzero(marks.any(axis=0)):
        assert marks[~held, label].any()
        if alone[:, label].sum() == marks[:, label].sum() >= 2:
            assert marks[held, label].any()


def test_several_labels_keep_their_proportions() -> None:
    """About a tenth of each label and of all images; the same for the same seed; labels that are not known do not count."""
    marks = (np.random.default_rng(0).random((2000, 5)) < np.array([0.5, 0.2, 0.1, 0.05, 0.01])).astype(np.int64)
    held = hold_out(marks, 0.1, 0)
    assert np.abs(marks[held].sum(axis=0) - 0.1 * marks.sum(axis=0)).max() <= 12
    assert abs(int(held.sum()) - 200) <= 20
    assert np.array_equal(held, hold_out(marks, 0.1, 0))
    assert not np.array_equal(held, hold_out(marks, 0.1, 1))
    assert np.array_equal(held, hold_out(np.where(marks == 0, -1, marks), 0.1, 0))


def test_groups_stay_whole_where_images_have_several_labels() -> None:
    """A patient is on one side, each label on both, the rare one too."""
    marks = (np.random.default_rng(1).random((300, 3)) < [0.4, 0.3, 0.02]).astype(np.int64)
    groups = [f"p{number // 3}" for number in range(300)]
    for seed in range(10):
        held = hold_out(marks, 0.2, seed, groups)
        assert not {groups[place] for place in np.flatnonzero(held)} & {groups[place] for place in np.flatnonzero(~held)}
        assert 0.1 < held.mean() < 0.3
        assert marks[held].any(axis=0).all()
        assert marks[~held].any(axis=0).all()


def test_a_tail_of_one_class() -> None:
    """Has no other end."""
    with pytest.raises(UsageError, match=r"two classes or more, got 1 with imbalance = 10\. Leave imbalance out"):
        tail_counts(np.array([50]), 10.0)


def test_a_label_of_two_images_has_one_of_each_kind() -> None:
    """Also where another label's only image shows it, too: that one is learnt from, and does not stand for this label's share."""
    for seed in range(8):
        draw = np.random.default_rng(seed)
        labels = (draw.random((400, 30)) < np.geomspace(0.2, 0.004, 30)).astype(np.int64)
        labels[draw.integers(0, 400, 6), -6:] = 0
        labels[np.arange(6), np.arange(24, 30)] = 1
        held = hold_out(labels, 0.1, seed) == 1
        totals = labels.sum(axis=0)
        alone = labels[:, totals == 1].any(axis=1)
        assert not held[alone].any()
        free = labels[~alone].sum(axis=0)
        assert (labels[held].sum(axis=0)[free > 1] > 0).all()
        assert (labels[~held].sum(axis=0)[totals > 0] > 0).all()

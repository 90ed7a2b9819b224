"""Labels that are flipped on purpose: how many, to what, and what stays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.data.images import Images, Source
from edgekd.data.noise import flipped, is_flipped
from edgekd.errors import UsageError


def source(count: int = 2000, classes: int = 10, seed: int = 0) -> Source:
    """Images of one pixel; train's indices are every third number."""
    labels = np.random.default_rng(seed).integers(0, classes, count)

    def split(index: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Images:
        return Images(labels[: len(index)], index, (1, 1, 1), np.zeros((len(index), 1, 1, 1), np.uint8))

    names = tuple(map(str, range(classes)))
    return Source("npz:x", names, split(np.arange(count) * 3), split(np.arange(50)), split(np.arange(60)), "hash", True)


def test_about_so_many_labels_are_flipped_each_to_any_other_class_alike() -> None:
    """A fifth of them, within what chance allows; every other class takes about as many."""
    clean = source(20_000)
    noisy = flipped(clean, 0.2)
    wrong = noisy.train.labels != clean.train.labels
    assert wrong.mean() == pytest.approx(0.2, abs=0.01)
    assert np.array_equal(wrong, is_flipped(clean.train.index, 0.2))
    shifts = np.bincount((noisy.train.labels - clean.train.labels)[wrong] % 10, minlength=10)
    assert shifts[0] == 0
    assert shifts[1:].min() > 0.8 * wrong.sum() / 9


def test_what_is_chosen_and_tested_by_stays() -> None:
    """Only train's labels change, and the hash with them: by the share."""
    clean = source()
    noisy, more = flipped(clean, 0.2), flipped(clean, 0.3)
    assert (noisy.valid, noisy.test, noisy.train.index is clean.train.index, noisy.classes) == (clean.valid, clean.test, True, clean.classes)
    assert len({clean.sha256, noisy.sha256, more.sha256}) == 3
    assert flipped(clean, 0.2).sha256 == noisy.sha256
    assert flipped(clean, 0.0) is clean


@given(st.integers(2, 12), st.floats(0.01, 0.99), st.integers(0, 100))
def test_a_flip_depends_on_the_images_index_alone(classes: int, share: float, seed: int) -> None:
    """In another order and without its neighbours an image's label becomes the same; a larger share flips what a smaller one does."""
    clean = source(300, classes, seed)
    labels = flipped(clean, share).train.labels
    assert labels.min() >= 0
    assert labels.max() < classes
    some = np.random.default_rng(seed).permutation(300)[:40]
    fewer = Source("npz:x", clean.classes, clean.train.take(some), clean.valid, clean.test, "hash", True)
    assert np.array_equal(flipped(fewer, share).train.labels, labels[some])
    assert not (is_flipped(clean.train.index, share / 2) & ~is_flipped(clean.train.index, share)).any()


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    """From 0 to below 1."""
    with pytest.raises(UsageError, match="label_noise is a share of the training labels, from 0 % to below 100 %"):
        flipped(source(), share)


def test_several_labels_an_image_are_not_flipped() -> None:
    """What is one of them is not defined."""
    images = Images(np.zeros((4, 2), np.int64), np.arange(4), (1, 1, 1), np.zeros((4, 1, 1, 1), np.uint8))
    with pytest.raises(UsageError, match="label_noise flips one label an image"):
        flipped(Source("npz:x", ("a", "b"), images, images, images, "hash", True), 0.2)

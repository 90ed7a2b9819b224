"""edgekd.data.images: one split, resident or read."""

import numpy as np
import pytest

from edgekd.data.images import Images, class_counts


def test_read_and_take_agree_between_kinds() -> None:
    """Resident and streamed images give the same pixels, labels and index, also after `take`."""
    pixels = np.arange(5 * 2 * 2).reshape(5, 2, 2, 1).astype(np.uint8)
    labels, index = np.array([0, 1, 0, 1, 1]), np.arange(5) * 10
    held = Images(labels, index, (2, 2, 1), pixels=pixels)
    read = Images(labels, index, (2, 2, 1), reader=lambda wanted: pixels[wanted // 10])
    for images in (held, read):
        part = images.take(np.array([4, 1]))
        assert len(part) == 2
        assert part.index.tolist() == [40, 10]
        assert part.labels.tolist() == [1, 1]
        assert np.array_equal(part.read(np.array([1, 0])), pixels[[1, 4]])
        assert images.nbytes == 20


def test_an_empty_split_has_no_images() -> None:
    """`validation = 0 %` leaves this."""
    images = Images(np.zeros(0, np.int64), np.zeros(0, np.int64), (2, 2, 1), pixels=np.zeros((0, 2, 2, 1), np.uint8))
    assert len(images) == 0
    assert images.read(np.zeros(0, np.int64)).shape == (0, 2, 2, 1)


def test_pixels_must_fit_the_shape() -> None:
    """Our own invariant: pixels and shape agree."""
    with pytest.raises(AssertionError):
        Images(np.zeros(1, np.int64), np.zeros(1, np.int64), (2, 2, 1), pixels=np.zeros((1, 3, 2, 1), np.uint8))


def test_class_counts_include_absent_classes() -> None:
    """Classes without images count 0."""
    assert class_counts(np.array([0, 2, 2]), 4).tolist() == [1, 0, 2, 0]

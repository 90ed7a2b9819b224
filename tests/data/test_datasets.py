"""edgekd.data.datasets: pictures and labels by number."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgekd.data.datasets import from_datasets
from edgekd.data.images import Found
from edgekd.data.pictures import Wanted
from edgekd.errors import MissingError, UsageError
from edgekd.events import silent


class Pairs:
    """A data set of these items; one that is an error is raised."""

    def __init__(self, *items: Any, **more: Any) -> None:
        self.items = items
        self.__dict__.update(more)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, number: int) -> Any:
        item = self.items[number]
        if isinstance(item, Exception):
            raise item
        return item


def grey(value: int, size: int = 4) -> NDArray[np.uint8]:
    """A picture of one grey."""
    return np.full((size, size), value, np.uint8)


def found(classes: tuple[str, ...] | None = None, **sets: Any) -> Found:
    """What stands in these data sets."""
    return from_datasets(sets, classes, "mine", Wanted(), silent)


def test_splits_keep_their_labels_and_count_on() -> None:
    """Pictures or arrays, labels listed or not; the index goes on from split to split."""
    read = found(
        train=Pairs((grey(7), 1), (Image.fromarray(grey(8)), 0), targets=[1, 0]), test=Pairs([grey(9), 1]), valid=Pairs((grey(5), np.int64(0)))
    )
    assert read.valid is not None
    assert read.test is not None
    assert read.train.labels.tolist() == [1, 0]
    assert [split.index.tolist() for split in (read.train, read.valid, read.test)] == [[0, 1], [3], [2]]
    assert read.train.read(np.arange(2))[:, 0, 0, 0].tolist() == [7, 8]
    assert read.test.read(np.array([0]))[0, 0, 0, 0] == 9
    assert (read.train.shape, read.classes) == ((4, 4, 1), ("0", "1"))


def test_labels_are_what_the_items_give() -> None:
    """A list that a data set keeps may be of before its own transform of labels."""
    read = found(train=Pairs((grey(7), 1), (grey(8), 0), (grey(9), 1), targets=[2, 0, 3]))
    assert read.train.labels.tolist() == [1, 0, 1]


def test_pictures_that_do_not_read_are_left_out() -> None:
    """Where labels are listed; with the split and number named."""
    read = found(train=Pairs((grey(7), 0), OSError("gone"), (grey(8), 0), (grey(9), 1), targets=[0, 1, 0, 1]))
    assert read.unreadable == ("mine, train image 1",)
    assert read.train.labels.tolist() == [0, 0, 1]
    assert read.lacks_test == "mine has no test images: it has train; --test SPEC names unseen images."


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (iter([]), r"mine, train: a data set has a length and gives \(picture, label\) by number; list_iterator does not"),
        (Pairs(grey(0)), r"mine, train: each item must be \(picture, label\); item 0 is ndarray"),
        (Pairs(grey(0), targets=[0]), r"mine, train: each item must be \(picture, label\); item 0 is ndarray"),
        (Pairs((grey(0), 0), (grey(0), 0.5)), r"labels are one whole number an image; item 1 has 0\.5"),
        (Pairs((grey(0), "cat"), targets=["cat"]), r"labels are one whole number an image; item 0 has 'cat'"),
        (Pairs((grey(0), 0), OSError("gone")), r"item 1 has no label that can be read: gone\. With labels in `targets`"),
        (Pairs((grey(0) / 255, 0)), r"a picture is Pillow's, or uint8 .*; got float64 \(4, 4\)\. Take transforms off"),
        (Pairs((grey(0)[None], 0)), r"a picture is Pillow's, or uint8 .*; got uint8 \(1, 4, 4\)"),
        (Pairs((grey(0), 0), (grey(0), 2)), r"labels count from 0 without gaps, .* has 0, 2"),
    ],
)
def test_what_a_data_set_may_not_give(train: Any, message: str) -> None:
    """Each mistake has its own words."""
    with pytest.raises(UsageError, match=message):
        found(train=train)


def test_training_pictures_must_be_there() -> None:
    """Readable test pictures alone are no data set, nor are they a training split's."""
    with pytest.raises(MissingError, match=r"none of the training images of mine can be read; the first is mine, train image 0"):
        found(test=Pairs((grey(0), 0), OSError(), targets=[0, 0]), train=Pairs(OSError(), targets=[0]))
    with pytest.raises(UsageError, match=r"mine has no training images"):
        found(train=Pairs(), test=Pairs((grey(0), 0)))
    with pytest.raises(UsageError, match=r"names 2 classes, so labels run from 0 to 1; got 2 to 2"):
        found(("a", "b"), train=Pairs((grey(0), 2)))


def test_several_labels_an_image_want_arrays() -> None:
    """A label is a number here."""
    with pytest.raises(UsageError, match=r"one label an image; with task = \"multilabel\" give arrays"):
        from_datasets({"train": Pairs((grey(0), 0))}, None, "mine", Wanted(several=True), silent)

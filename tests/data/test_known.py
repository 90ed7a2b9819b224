"""edgekd.data.known: labels by classes that are known already, then by new ones."""

import numpy as np

from edgekd.data.images import Images, Source
from edgekd.data.known import renumbered


def source(*classes: str, labels: tuple[int, ...]) -> Source:
    """As many black images in each split as there are labels."""
    split = Images(
        np.array(labels), np.arange(len(labels)), (2, 2, 1), np.zeros((len(labels), 2, 2, 1), np.uint8), logits=np.zeros((len(labels), 9), np.float16)
    )
    return Source("npz:some.npz", classes, split, split, split, "hash", True)


def test_known_classes_come_first_and_keep_their_numbers() -> None:
    """Whatever the data's own order; what it does not show stays a class."""
    found = renumbered(source("duck", "cat", "ant", labels=(0, 1, 2, 2)), ["cat", "dog"])
    assert found.classes == ("cat", "dog", "duck", "ant")
    for split in (found.train, found.valid, found.test):
        assert split.labels.tolist() == [2, 0, 3, 3]
        assert split.logits is None


def test_its_hash_says_how_it_is_numbered() -> None:
    """Other known classes are other data; by the whole list it is the same again."""
    data = source("duck", "cat", labels=(0, 1))
    first, second = renumbered(data, ["cat", "dog"]), renumbered(data, ["dog", "cat"])
    assert len({first.sha256, second.sha256, data.sha256}) == 3
    assert renumbered(data, list(first.classes)).sha256 == first.sha256

"""Training labels that are wrong on purpose: a share of them flipped to another class, to see how a teacher, its students and labels alone bear it.

In: a `Source`. Out: the same with other training labels and another hash; validation and test images keep theirs. Which label is flipped, and to
what, depends on the image's own index alone: not on the order, and not on which others are there. A larger share flips those of a smaller one, too.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgekd.data.images import Integers, Source
from edgekd.errors import UsageError
from edgekd.files import sha256_json

SEED = 0
"""Of the flips: fixed, and not the run's, so that all runs and seeds learn from the same labels."""
_GOLDEN, _FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def flipped(source: Source, share: float) -> Source:
    """The source with about this share of its training labels flipped, each to any other class alike; 0 gives it back.

    Raises:
        UsageError: no share from 0 to below 1, or images that may have several labels.
    """
    if not 0 <= share < 1:
        raise UsageError(f"label_noise is a share of the training labels, from 0 % to below 100 %; got {share:.0%}.")
    if not share:
        return source
    labels = source.train.labels
    if labels.ndim != 1:
        raise UsageError("label_noise flips one label an image, and these images may have several. Leave it out.")
    if np.unique(labels).size < 2:
        raise UsageError("label_noise flips labels to other classes, and the training images show one. Leave it out.")
    classes = int(labels.max()) + 1  # those that are known without training images stand behind these
    other = (labels + 1 + (_bits(source.train.index, 1) % np.uint64(classes - 1)).astype(np.int64)) % classes
    wrong: Integers = np.where(is_flipped(source.train.index, share), other, labels)
    return replace(source, train=replace(source.train, labels=wrong), sha256=sha256_json({"data": source.sha256, "label noise": share, "seed": SEED}))


def is_flipped(index: Integers, share: float) -> NDArray[np.bool_]:
    """Whether the labels of the images of these indices are flipped."""
    return np.asarray(_bits(index, 0) < np.uint64(share * 2**53) * np.uint64(2**11))


def _bits(index: Integers, draw: int) -> NDArray[np.uint64]:
    """64 random bits for each index (Steele et al. 2014, SplitMix64), of one of several draws."""
    with np.errstate(over="ignore"):
        bits = (index.astype(np.uint64) * np.uint64(2) + np.uint64(draw) + np.uint64(SEED)) * _GOLDEN
        bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
        bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
        return np.asarray(bits ^ (bits >> np.uint64(31)))

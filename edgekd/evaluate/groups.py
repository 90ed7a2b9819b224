"""Head, middle and tail: classes by how many training images they have, and how well each group is told.

In: training images by class, then labels and which answers were right. Out: `ClassGroups`, and a `Metric` a group: the mean of its classes' recalls,
so that a group's own common class counts no more than its rare ones. Intervals are Wilson's by class, put together in squares (Zou and Donner 2008).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekd import stats
from edgekd.scores import ClassGroups, Metric

MANY, FEW = 100, 20
"""Training images above which a class is of the head, and below which of the tail, where that leaves no group empty (Liu et al. 2019,
arXiv:1904.05160)."""


def grouped(counts: Sequence[int], classes: Sequence[str]) -> ClassGroups | None:
    """The classes in three groups by their training images, commonest first: by `MANY` and `FEW`, or in thirds; None where there are not three."""
    if len(classes) < 3:
        return None
    order = np.argsort(-np.asarray(counts), kind="stable")
    sizes = np.asarray(counts)[order]
    parts = [order[sizes > MANY], order[(sizes <= MANY) & (sizes >= FEW)], order[sizes < FEW]]
    split = all(len(part) for part in parts)
    head, middle, tail = ([classes[place] for place in part] for part in (parts if split else np.array_split(order, 3)))
    return ClassGroups(rule="bounds" if split else "thirds", head=head, middle=middle, tail=tail)


def group_recalls(labels: NDArray[np.int64], right: NDArray[np.bool_], classes: Sequence[str], groups: ClassGroups) -> dict[str, Metric]:
    """The mean recall of head, middle and tail, over the classes that are shown; a group of which none is shown is left out."""
    shown, hits = np.bincount(labels, minlength=len(classes)), np.bincount(labels[right], minlength=len(classes))
    place = {name: number for number, name in enumerate(classes)}
    found = {}
    for group in ("head", "middle", "tail"):
        there = [label for label in map(place.__getitem__, getattr(groups, group)) if shown[label]]
        if there:
            found[group] = _mean([stats.proportion(int(hits[label]), int(shown[label])) for label in there], int(shown[there].sum()))
    return found


def _mean(shares: Sequence[stats.Interval], images: int) -> Metric:
    values, lows, highs = np.array(shares).T
    value, k = float(values.mean()), len(shares)
    below, above = float(np.linalg.norm(values - lows)), float(np.linalg.norm(highs - values))
    return Metric(value=value, low=value - below / k, high=value + above / k, n=images)

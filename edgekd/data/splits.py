"""Cutting one set of images into two: seeded, the same share of every class with groups kept whole, or a long tail of classes.

In: labels, and groups where there are any. Out: a mask of what is held out, or of what is kept. No pixels are touched.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekd.data.images import Integers
from edgekd.errors import UsageError

Mask = NDArray[np.bool_]

_ROUNDING = 1e-6
"""Added before rounding down: powers of a float may fall short of a whole number by a last bit."""


def hold_out(labels: Integers, fraction: float, seed: int, groups: Sequence[str] | None = None) -> Mask:
    """Which images to hold out: a `fraction` of each class, with at least one of each class left.

    Raises:
        UsageError: groups so few or so large that none can be held out.
    """
    if fraction <= 0 or len(labels) == 0:
        return np.zeros(len(labels), dtype=np.bool_)
    if groups is not None:
        return _hold_out_groups(labels, fraction, seed, groups)
    held = np.zeros(len(labels), dtype=np.bool_)
    values, counts = np.unique(labels, return_counts=True)
    shuffled = np.random.RandomState(_seed32(seed)).permutation(len(labels))
    for value, share in zip(values, _shares(counts, fraction), strict=True):
        held[shuffled[labels[shuffled] == value][:share]] = True
    return held


def tail_counts(counts: Integers, imbalance: float) -> Integers:
    """Images of each class (classes,) in the largest exponential long tail that `counts` allow: n·imbalance^(−c/(C−1)), rounded down.

    The first class is the commonest; where all classes have as many images, n is their number, as in Cao et al. 2019 (arXiv:1906.07413).

    Raises:
        UsageError: a class would have no image left.
    """
    shares = float(imbalance) ** (-np.arange(len(counts)) / (len(counts) - 1))
    wanted = np.floor(float((counts / shares).min()) * shares + _ROUNDING).astype(np.int64)
    if not wanted.all():
        fewest = int(counts.min())
        raise UsageError(
            f"a long tail keeps a training image of each class or more; with imbalance = {imbalance:g}, {int((wanted == 0).sum())} of {len(counts)} "
            f"classes would keep none: the smallest has {fewest} training images to begin with. "
            f"{'Make imbalance smaller' if fewest else 'Leave the classes out that have none'}."
        )
    return np.asarray(wanted)


def keep(labels: Integers, counts: Integers, seed: int) -> Mask:
    """Which images to keep: `counts` (classes,) of each class, taken at random."""
    kept = np.zeros(len(labels), dtype=np.bool_)
    shuffled = np.random.RandomState(_seed32(seed)).permutation(len(labels))
    for label, count in enumerate(counts):
        kept[shuffled[labels[shuffled] == label][:count]] = True
    return kept


def _seed32(seed: int) -> int:
    """RandomState, whose streams numpy has frozen for ever, takes 32 bits."""
    return seed % 2**32


def _shares(counts: Integers, fraction: float) -> Integers:
    """How many of each class to hold out: rounded down, then the largest remainders get one more until the total is right."""
    exact = counts * fraction
    shares = np.floor(exact).astype(np.int64)
    missing = round(float(exact.sum())) - int(shares.sum())
    room = counts - 1
    for place in np.argsort(shares - exact, kind="stable"):
        if missing <= 0:
            break
        if shares[place] < room[place]:
            shares[place] += 1
            missing -= 1
    capped: Integers = np.minimum(shares, room)
    return capped


def _hold_out_groups(labels: Integers, fraction: float, seed: int, groups: Sequence[str]) -> Mask:
    """Whole groups, taken in random order while each brings the class counts nearer to the fraction."""
    names, member = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    values, label = np.unique(labels, return_inverse=True)
    table = np.zeros((len(names), len(values)), dtype=np.int64)
    np.add.at(table, (member, label), 1)
    total = table.sum(axis=0)
    target = total * fraction
    held = np.zeros(len(values), dtype=np.int64)
    chosen: list[int] = []
    order = np.random.RandomState(_seed32(seed)).permutation(len(names))
    possible = [int(group) for group in order if np.all(total - table[group] > 0)]
    for group in possible:
        after = held + table[group]
        if np.all(total - after > 0) and np.abs(target - after).sum() < np.abs(target - held).sum():
            held = after
            chosen.append(group)
    if not chosen:
        if not possible:
            raise UsageError(
                f"a group never spans train and validation, and each of the {len(names)} group(s) holds all images of some class. "
                'Make smaller groups, name a split for each image, or train with validation = "0 %".'
            )
        chosen = [min(possible, key=lambda group: float(np.abs(target - table[group]).sum()))]
    return np.asarray(np.isin(member, chosen), dtype=np.bool_)

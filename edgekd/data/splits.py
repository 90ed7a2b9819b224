"""Cutting one set of images into two: seeded, the same share of every class with groups kept whole, or a long tail of classes.

In: labels, and groups where there are any. Out: a mask of what is held out, or of what is kept. No pixels are touched.

Where images have several labels, the rarest label is shared out first, then the rarest of what is left (after Sechidis, Tsoumakas, Vlahavas, "On the
Stratification of Multi-Label Data", ECML PKDD 2011, with all images of a label at once), so that rare labels stand on both sides.
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
    """Which images to hold out: a `fraction` of each class, with at least one of each class left. Of several labels an image at least one is held,
    too, where two images or more show it and labels that come together allow it.

    Raises:
        UsageError: groups so few or so large that none can be held out.
    """
    if fraction <= 0 or len(labels) == 0:
        return np.zeros(len(labels), dtype=np.bool_)
    if groups is not None:
        return _hold_out_groups(labels, fraction, seed, groups)
    if labels.ndim == 2:
        return _hold_out_several(labels == 1, fraction, seed)
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
        UsageError: one class, or one would have no image left.
    """
    if len(counts) < 2:
        raise UsageError(f"a long tail is of two classes or more, got {len(counts)} with imbalance = {imbalance:g}. Leave imbalance out.")
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


def _hold_out_several(shown: Mask, fraction: float, seed: int) -> Mask:
    """The cut where images (n, labels) show several labels: the rarest label first, and of images without any the share that is then missing."""
    n = len(shown)
    held, left = np.zeros(n, dtype=np.bool_), np.ones(n, dtype=np.bool_)
    shuffled = np.random.RandomState(_seed32(seed)).permutation(n)
    totals = shown.sum(axis=0)
    left &= ~shown[:, totals == 1].any(axis=1)  # a label's only image is learnt from, whatever else it shows
    while (counts := shown[left].sum(axis=0)).any():
        label = int(np.argmin(np.where(counts > 0, counts, n + 1)))
        its = shuffled[left[shuffled] & shown[shuffled, label]]
        wanted = max(1, round(float(totals[label]) * fraction)) - int(shown[held, label].sum())
        held[its[: max(0, wanted)]] = True
        left[its] = False
    bare = shuffled[left[shuffled]]
    held[bare[: max(0, min(round(n * fraction) - int(held.sum()), len(bare) - 1))]] = True
    for column in shown[:, totals > 0].T:  # the only image of a label, or all that come with rarer ones, may have been held
        if not column[~held].any():
            held[int(np.argmax(column))] = False
    return held


def _hold_out_groups(labels: Integers, fraction: float, seed: int, groups: Sequence[str]) -> Mask:
    """Whole groups, taken in random order while each brings the class counts nearer to the fraction."""
    names, member = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    table = _by_group(labels, member, len(names))
    total = table.sum(axis=0)
    target = total * fraction
    held = np.zeros(table.shape[1], dtype=np.int64)
    chosen: list[int] = []
    order = np.random.RandomState(_seed32(seed)).permutation(len(names))
    if labels.ndim == 2:  # those with the rarest label first, or it would find no room any more
        order = order[np.argsort(np.where(table > 0, total, len(labels)).min(axis=1)[order], kind="stable")]
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


def _by_group(labels: Integers, member: Integers, groups: int) -> Integers:
    """Images of each class that occurs in each group, int64 (groups, classes); of several labels an image, all images are one class more."""
    if labels.ndim == 1:
        values, label = np.unique(labels, return_inverse=True)
        table = np.zeros((groups, len(values)), dtype=np.int64)
        np.add.at(table, (member, label), 1)
        return table
    shown = labels[:, (labels == 1).any(axis=0)] == 1
    table = np.zeros((groups, shown.shape[1] + 1), dtype=np.int64)
    np.add.at(table, member, np.pad(shown, ((0, 0), (0, 1)), constant_values=True))
    return table

"""How well answers rank images: the area under the ROC curve of each class against the rest, averaged over the classes.

In: logits and labels. Out: a `Metric`. It is the chance that an image of a class gets a higher probability of it than an image of another does, ties
counting a half (Hanley and McNeil 1982); 0.5 is guessing, and no threshold or class frequency moves it. The interval is 1.96 standard deviations of
the mean over images of their influence on it, classes together (DeLong, DeLong and Clarke-Pearson 1988); where every image is ranked right it has no
width.
"""

import numpy as np
from numpy.typing import NDArray

from edgekd.evaluate.metrics import Labels, Logits, log_shares
from edgekd.scores import Metric

_Z = 1.96


def macro_auc(logits: Logits, labels: Labels) -> Metric | None:
    """The mean of the one-vs-rest areas of logits (n, classes), over the classes that the labels (n,) show; None where they show fewer than two."""
    n, shown = len(labels), np.unique(labels)
    if len(shown) < 2:
        return None
    scores = log_odds(logits)
    areas, influence = [], np.zeros(n)
    for label in shown:
        positive = labels == label
        share = _beaten(scores[:, label], positive)
        area = float(share[positive].mean())
        areas.append(area)
        influence += np.where(positive, n / positive.sum(), n / (~positive).sum()) * (share - area)
    value, spread = float(np.mean(areas)), _Z * float(influence.std(ddof=1)) / len(shown) / float(np.sqrt(n))
    return Metric(value=value, low=max(0.0, value - spread), high=min(1.0, value + spread), n=n)


def log_odds(logits: Logits) -> NDArray[np.float64]:
    """log(p / (1 - p)) of each class's probability, in whose order images rank; where p itself is 1 to every digit, this still tells them apart."""
    logs, rows = log_shares(logits), np.arange(len(logits))
    top = logs.argmax(axis=1)
    rest = logs.copy()
    rest[rows, top] = -np.inf
    highest = rest.max(axis=1)
    # Of the likeliest class 1 - p is summed from the others, as nothing is left of it once p has been rounded.
    others = highest + np.log(np.exp(rest - highest[:, None]).sum(axis=1))
    shares = np.exp(logs)
    shares[rows, top] = 0
    odds = logs - np.log1p(-shares)
    odds[rows, top] = logs[rows, top] - others
    return np.asarray(odds)


def _beaten(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Of each positive image the share of the others that score lower, of each other the share of positive ones that score higher; ties a half."""
    _, place = np.unique(scores, return_inverse=True)
    ours, theirs = np.bincount(place, positive), np.bincount(place, ~positive)
    lower = (np.cumsum(theirs) - theirs / 2) / theirs.sum()
    higher = 1 - (np.cumsum(ours) - ours / 2) / ours.sum()
    return np.asarray(np.where(positive, lower[place], higher[place]))

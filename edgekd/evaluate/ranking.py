"""How well scores rank the images that show a label above those that do not: average precision, the area under the ROC curve, the best threshold.

One label at a time: scores (n,) and marks (n,) that are 1 (shown), 0 (not shown) or −1 (not known, left out). Images may be weighted, as a resample
weighs them by how often it drew each. Equal scores are one step of a curve, so that the order of the images plays no part. Only the images that show
the label are looked at one by one: there are few of them, and curves change nothing else between them.

Sources:
    average precision: the sum over steps of the precision times the recall that is gained, without interpolation (Everingham et al., "The PASCAL
        Visual Object Classes Challenge: A Retrospective", IJCV 2015, but for their envelope).
    auc: how often an image that shows the label stands above one that does not, ties half (Hanley and McNeil, Radiology 143, 1982).
    best threshold: the cut of greatest F1, as in Lipton, Elkan, Naryanaswamy, "Optimal Thresholding of Classifiers to Maximize F1 Measure", ECML PKDD
        2014.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ranked:
    """The images of which one label is known, from the highest score down: `places` (k,) and their scores (k,).

    Of those that show the label, in that order: where each stands `at` (p,), where the run of equal scores that it is in `begins` and `ends`, and how
    many that show it stand before that run (`first`) and up to its end (`last`).
    """

    places: Counts
    scores: NDArray[Any]
    at: Counts
    begins: Counts
    ends: Counts
    first: Counts
    last: Counts


@dataclass(frozen=True, eq=False)
class Steps:
    """For each image that shows the label (p,): how often it counts, and how many show it (`hits`) and are there at all (`images`) above the run of
    equal scores that it is in, and with that run."""

    counts: Counts
    hits_above: Counts
    images_above: Counts
    hits: Counts
    images: Counts
    positives: int
    negatives: int


def ranked(scores: NDArray[Any], marks: Counts) -> Ranked:
    """The order of the images by one label's scores."""
    known = np.flatnonzero(marks >= 0)
    places = known[np.argsort(-scores[known], kind="stable")]
    ordered = scores[places]
    edges = np.concatenate([[0], np.flatnonzero(np.diff(ordered)) + 1, [len(places)]])
    at = np.flatnonzero(marks[places] == 1)
    run = np.searchsorted(edges, at, side="right")
    begins, ends = edges[run - 1], edges[run] if len(at) else at
    return Ranked(places, ordered, at, begins, ends, np.searchsorted(at, begins), np.searchsorted(at, ends))


def steps(found: Ranked, weights: Counts | None = None) -> Steps:
    """Counts along a ranking; `weights` (n,) say how often each image counts, None: once."""
    own = np.ones(len(found.places), np.int64) if weights is None else weights[found.places]
    counts = own[found.at]
    hits, images = (np.concatenate([[0], np.cumsum(each)]) for each in (counts, own))
    positives = int(hits[-1])
    return Steps(
        counts,
        hits[found.first],
        images[found.begins],
        hits[found.last],
        images[found.ends],
        positives=positives,
        negatives=int(images[-1]) - positives,
    )


def average_precision(along: Steps) -> float:
    """In [0, 1]; NaN where no image shows the label."""
    if not along.positives:
        return float("nan")
    return float((along.counts * (along.hits / np.maximum(along.images, 1))).sum() / along.positives)


def auc(along: Steps) -> float:
    """In [0, 1]; NaN where all images show the label, or none does."""
    if not along.positives or not along.negatives:
        return float("nan")
    ahead = (along.images_above - along.hits_above + along.images - along.hits) / 2
    return float((along.counts * (along.negatives - ahead)).sum() / (along.positives * along.negatives))


def best_cut(found: Ranked) -> float:
    """The score from which on calling the label gives the greatest F1, halfway to the next lower score; NaN where no image shows it.

    Of equally good cuts the highest.
    """
    along = steps(found)
    if not along.positives:
        return float("nan")
    end = int(found.ends[np.argmax(2 * along.hits / (along.positives + along.images))])
    above, below = float(found.scores[end - 1]), float(found.scores[min(end, len(found.scores) - 1)])
    return below + (above - below) / 2

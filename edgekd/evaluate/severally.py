"""Scores where an image may have several labels: how well each is ranked and told, the means over labels, and what changed against the teacher.

In: logits (n, labels), labels that are 1, 0 or −1 (not known), thresholds of the probabilities. Out: a `Score`; and what is fitted or guarded by such
figures before there is one.

    map              mean average precision: over the labels that some image shows. The figure that leads.
    macro_f1         mean over the labels that are shown or answered of F1 at the thresholds
    auc              mean over the labels of which both kinds of image are there
    accuracy         the share of images with all known labels right
    label_accuracy   mean over images of the share of their known labels that is right
    nll              mean over images of the mean binary cross entropy of their known labels
    agreement, flips mean over images of the share of labels that both call alike, and that the teacher has right and this wrong
    map_drop         the teacher's map minus this one's

95 % intervals of the means over labels: 1.96 standard deviations of 200 resamples of the images (seeded), put together in squares with Wilson's
interval of each label that is told without a mistake, or not at all, as a share of the images that show it: resampling sees no spread there. map_drop
is resampled with the same images for both. A mean over images of shares has Wilson's interval: a share can vary no more than a yes or no of its mean.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgekd import stats
from edgekd.evaluate import metrics, ranking
from edgekd.evaluate.metrics import Labels, Logits
from edgekd.scores import LabelScore, Metric, Score
from edgekd.tasks.multilabel import THRESHOLD, decided, probabilities

_GUESSES = 100
_Z = 1.96

Floats = NDArray[np.float64]


# Without a Score ------------------------------------------------------------------------------------------------------


def mean_average_precision(logits: Logits, labels: Labels) -> float:
    """Over the labels that some image shows; 0 where none shows any."""
    return _mean(_Ranking.of(logits, labels).precisions()) if (labels == 1).any() else 0.0


def guessing(labels: Labels) -> float:
    """The mean average precision that 95 of 100 random orders of the images stay below (seeded)."""
    draw = np.random.default_rng(metrics.SEED)
    return float(np.quantile([mean_average_precision(draw.random(labels.shape, np.float32), labels) for _ in range(_GUESSES)], 0.95))


def fit_thresholds(logits: Logits, labels: Labels) -> list[float]:
    """For each label the probability of greatest F1 on these images; `THRESHOLD` where none of them shows it."""
    cuts = np.array([ranking.best_cut(ranking.ranked(logits[:, k].astype(np.float64), labels[:, k])) for k in range(labels.shape[1])])
    found: list[float] = np.where(np.isnan(cuts), THRESHOLD, probabilities(np.nan_to_num(cuts))).tolist()
    return found


# A Score --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Ranking:
    """An answerer's ranking of the images by each label, (labels,) of them."""

    by_label: list[ranking.Ranked]

    @classmethod
    def of(cls, logits: Logits, labels: Labels) -> "_Ranking":
        return cls([ranking.ranked(logits[:, k], labels[:, k]) for k in range(labels.shape[1])])

    def along(self, weights: NDArray[np.int64] | None = None) -> list[ranking.Steps]:
        return [ranking.steps(found, weights) for found in self.by_label]

    def precisions(self, weights: NDArray[np.int64] | None = None) -> Floats:
        return np.array(list(map(ranking.average_precision, self.along(weights))))


def score(
    logits: Logits,
    labels: Labels,
    *,
    artifact: str,
    split: Literal["train", "valid", "test"],
    classes: Sequence[str],
    host: str,
    images: str,
    thresholds: Sequence[float],
    teacher_logits: Logits | None,
    teacher_thresholds: Sequence[float],
) -> Score:
    """The Score of logits and labels that were checked; () for thresholds stands for `THRESHOLD` of each label."""
    answers, known = decided(logits, thresholds), labels >= 0
    right = (answers == (labels == 1)) | ~known
    own, told = _Ranking.of(logits, labels), _told(answers, labels)
    along = own.along()
    means = {"map": own.precisions(), "macro_f1": _f1(told, np.ones(len(labels), np.int64)), "auc": np.array(list(map(ranking.auc, along)))}
    positives = np.array([each.positives for each in along])
    other = None if teacher_logits is None else _Ranking.of(teacher_logits, labels)
    drawn = _resampled(own, other, told)
    found = {name: _macro(values, drawn[name], positives, len(labels)) for name, values in means.items() if not np.isnan(values).all()}
    whole = right.all(axis=1)
    found |= {"accuracy": metrics.share(whole), "label_accuracy": _over_images(right, known), **_nll(logits, labels)}
    against = {}
    if other is not None and teacher_logits is not None:
        theirs = decided(teacher_logits, teacher_thresholds)
        against = _against(theirs, answers, labels)
        lost = _mean(other.precisions()) - _mean(means["map"])
        spread = _spread(drawn["map_drop"])
        against["map_drop"] = Metric(value=lost, low=max(-1.0, lost - spread), high=min(1.0, lost + spread), n=len(labels))
    shown = np.flatnonzero(positives).tolist()
    limits = list(thresholds) or [THRESHOLD] * len(classes)
    return Score(
        artifact=artifact,
        split=split,
        host=host,
        n=len(labels),
        metrics=found,
        recall={classes[k]: metrics.share(answers[labels[:, k] == 1, k]) for k in shown},
        against=against,
        correct=base64.b64encode(np.packbits(whole).tobytes()).decode("ascii"),
        images=images,
        labels={classes[k]: _label(limits[k], along[k], *(float(values[k]) for values in means.values())) for k in shown},
    )


def _label(threshold: float, along: ranking.Steps, precision: float, f1: float, auc: float) -> LabelScore:
    return LabelScore(
        threshold=threshold,
        positives=along.positives,
        negatives=along.negatives,
        average_precision=precision,
        auc=None if np.isnan(auc) else auc,
        f1=f1,
    )


def _told(answers: NDArray[np.bool_], labels: Labels) -> NDArray[np.float32]:
    """Of each image and label, 1 or 0 (n, 3, labels): it is said to be there and is, it is there, it is said to be there of those that are known."""
    return np.stack([answers & (labels == 1), labels == 1, answers & (labels >= 0)], axis=1).astype(np.float32)


def _f1(told: NDArray[np.float32], weights: NDArray[np.int64]) -> Floats:
    """Of each label; NaN where no image shows it and none is said to. Counts of images are exact in float32, as they are below 2²⁴."""
    hits, shown, called = np.tensordot(weights.astype(np.float32), told, 1).astype(np.float64)
    whole = shown + called
    return np.asarray(np.where(whole > 0, 2 * hits / np.maximum(whole, 1), np.nan))


def _resampled(own: _Ranking, other: _Ranking | None, told: NDArray[np.float32]) -> dict[str, list[float]]:
    """The means over labels of resampled images, and the teacher's lead in the first of them."""
    n, draw = len(told), np.random.default_rng(metrics.SEED)
    drawn: dict[str, list[float]] = {"map": [], "macro_f1": [], "auc": [], "map_drop": []}
    for _ in range(metrics.RESAMPLES):
        weights = np.bincount(draw.integers(0, n, n), minlength=n)
        along = own.along(weights)
        precision = _mean(np.array(list(map(ranking.average_precision, along))))
        drawn["map"].append(precision)
        drawn["auc"].append(_mean(np.array(list(map(ranking.auc, along)))))
        drawn["macro_f1"].append(_mean(_f1(told, weights)))
        if other is not None:
            drawn["map_drop"].append(_mean(other.precisions(weights)) - precision)
    return drawn


def _mean(values: Floats) -> float:
    """Over the labels that have a value; NaN where none has one, as in an unlucky resample."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")


def _spread(drawn: Sequence[float]) -> float:
    there = np.array(drawn)[~np.isnan(drawn)]
    return _Z * float(np.std(there, ddof=1)) if len(there) > 1 else 0.0


def _macro(values: Floats, drawn: Sequence[float], positives: NDArray[np.int64], images: int) -> Metric:
    """The mean over labels with its interval; labels at 0 or 1 are shares of the images that show them."""
    there = ~np.isnan(values)
    value, spread, k = _mean(values), _spread(drawn), int(there.sum())
    certain = [
        stats.proportion(round(float(each)) * n, n)
        for each, n in zip(values[there], np.maximum(positives[there], 1).tolist(), strict=True)
        if each in (0.0, 1.0)
    ]
    below = float(np.linalg.norm([own - low for own, low, _ in certain])) / k
    above = float(np.linalg.norm([high - own for own, _, high in certain])) / k
    low, high = value - float(np.hypot(spread, below)), value + float(np.hypot(spread, above))
    return Metric(value=value, low=max(0.0, low), high=min(1.0, high), n=images)


def _over_images(holds: NDArray[np.bool_], known: NDArray[np.bool_]) -> Metric:
    """The mean over images, of which some label is known, of the share of their known labels for which something holds."""
    counts = known.sum(axis=1)
    shares = (holds & known).sum(axis=1)[counts > 0] / counts[counts > 0]
    value, low, high = stats.proportion(float(shares.sum()), len(shares))
    return Metric(value=value, low=low, high=high, n=len(shares))


def _nll(logits: Logits, labels: Labels) -> dict[str, Metric]:
    """None where one image alone has a known label: it says nothing of a spread."""
    wide, known = logits.astype(np.float64), labels >= 0
    surprise = np.logaddexp(0.0, np.where(labels == 1, -wide, wide))
    counts = known.sum(axis=1)
    means = np.where(known, surprise, 0.0).sum(axis=1)[counts > 0] / counts[counts > 0]
    if len(means) < 2:
        return {}
    value, low, high = stats.mean_interval(means.tolist())
    return {"nll": Metric(value=value, low=max(0.0, low), high=high, n=len(means))}


def _against(theirs: NDArray[np.bool_], ours: NDArray[np.bool_], labels: Labels) -> dict[str, Metric]:
    """What changed since the teacher, label by label, and for whole images."""
    known, truth = labels >= 0, labels == 1
    before, now = theirs == truth, ours == truth
    return {
        "agreement": _over_images(theirs == ours, np.ones_like(known)),
        "flips": _over_images(before & ~now, known),
        "accuracy_drop": metrics.paired((before | ~known).all(axis=1), (now | ~known).all(axis=1)),
    }

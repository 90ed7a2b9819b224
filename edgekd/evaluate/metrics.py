"""The metrics of a split and their intervals: accuracy, calibration, means over classes, what changed against the teacher. Arrays in, `Metric`s out.

How each interval comes about stands in `edgekd.evaluate`. Asks nothing of a file; what a page draws beside the metrics is `drawings`'.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgekd import stats
from edgekd.scores import Metric
from edgekd.tasks import classify

Logits: TypeAlias = NDArray[np.float32]
Labels: TypeAlias = NDArray[np.int64]

BINS = 15
RESAMPLES = 200
SEED = 0
_Z = 1.96


def metrics(logits: Logits, labels: Labels, answers: Labels) -> dict[str, Metric]:
    """Every metric that stands for so many classes, by name."""
    classes = logits.shape[1]
    right = answers == labels
    logs = log_shares(logits)
    surprise, confidence = -logs[np.arange(len(labels)), labels], np.exp(logs.max(axis=1))
    accuracy = share(right)
    found = {"accuracy": accuracy, **_by_class(labels, answers, classes), "ece": _ece(confidence, right, accuracy)}
    found["nll"] = _metric(stats.mean_interval(surprise.tolist()), len(labels), highest=np.inf)
    if "top5" in classify.metric_names(classes):
        found["top5"] = share(_rank(logits, labels) < 5)
    return {name: found[name] for name in classify.metric_names(classes)}


def log_shares(logits: Logits) -> NDArray[np.float64]:
    """The logarithm of each class's probability: softmax without overflow."""
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    return np.asarray(wide - np.log(np.exp(wide).sum(axis=1, keepdims=True)))


def bin_of(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which of `BINS` equal bins a confidence lies in: (0, 1/15] to (14/15, 1]."""
    return np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)


def _rank(logits: Logits, labels: Labels) -> NDArray[np.int64]:
    """How many classes stand before the label; equal logits in class order, as argmax takes them."""
    own = logits[np.arange(len(labels)), labels][:, None]
    before = np.arange(logits.shape[1]) < labels[:, None]
    return np.asarray(((logits > own) | ((logits == own) & before)).sum(axis=1))


def against(teacher: Labels, answers: Labels, labels: Labels) -> dict[str, Metric]:
    """What changed since the teacher, image by image."""
    before, now = teacher == labels, answers == labels
    return {
        "agreement": share(teacher == answers),
        "flips": share(before & ~now),
        "accuracy_drop": paired(before, now),
    }


def _by_class(labels: Labels, answers: Labels, classes: int) -> dict[str, Metric]:
    """Balanced accuracy and macro F1. Images differ here only by (label, answer), so those cells are what is resampled."""
    cells, counts = np.unique(labels * classes + answers, return_counts=True)
    rows, columns = np.divmod(cells, classes)
    n = len(labels)

    def tally(weights: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Images of each class that are right, shown, and answered."""
        hits = np.bincount(rows, np.where(rows == columns, weights, 0), classes)
        return hits, np.bincount(rows, weights, classes), np.bincount(columns, weights, classes)

    hits, shown, answered = tally(counts)
    draws = np.random.default_rng(SEED).multinomial(n, counts / n, size=RESAMPLES)
    drawn = [tally(draw) for draw in draws]
    # F1 = 2J / (1 + J), where J is the share right among images that are of the class or were called it.
    recalls = _wilson(hits, shown)
    overlaps = [(2 * share / (1 + share)) for share in _wilson(hits, shown + answered - hits)]
    balanced = _wider(recalls, [_mean_over(h, s) for h, s, _ in drawn])
    f1 = _wider(overlaps, [_mean_over(2 * h, s + a) for h, s, a in drawn])
    return {"balanced_accuracy": _metric(balanced, n), "macro_f1": _metric(f1, n)}


def _mean_over(part: NDArray[Any], whole: NDArray[Any]) -> float:
    """Mean of part / whole over the classes that are there."""
    there = whole > 0
    return float((part[there] / whole[there]).mean())


def _wilson(hits: NDArray[Any], of: NDArray[Any]) -> tuple[NDArray[np.float64], ...]:
    """Shares with Wilson's bounds, of the classes that are there: value, low, high."""
    shares = [stats.proportion(int(k), int(n)) for k, n in zip(hits, of, strict=True) if n > 0]
    return tuple(np.array(shares).T)


def _wider(parts: Sequence[NDArray[np.float64]], drawn: Sequence[float]) -> stats.Interval:
    """The mean of `parts` (values, lows, highs) with the wider of: their bounds put together in squares, and 1.96 deviations of what was drawn."""
    values, lows, highs = parts
    value, spread, k = float(values.mean()), _Z * float(np.std(drawn, ddof=1)), len(values)
    below, above = np.linalg.norm(values - lows) / k, np.linalg.norm(highs - values) / k
    return value, value - max(spread, float(below)), value + max(spread, float(above))


def _ece(confidence: NDArray[np.float64], right: NDArray[np.bool_], accuracy: Metric) -> Metric:
    """Expected calibration error over equal bins of confidence (Naeini et al. 2015; Guo et al. 2017, arXiv:1706.04599)."""
    n = len(right)
    place, gap = bin_of(confidence), right - confidence

    def error(places: NDArray[np.int64], gaps: NDArray[np.float64]) -> float:
        return float(np.abs(np.bincount(places, gaps, BINS)).sum() / n)

    value, draw = error(place, gap), np.random.default_rng(SEED)
    drawn = []
    for _ in range(RESAMPLES):
        chosen = draw.integers(0, n, n)
        drawn.append(error(place[chosen], gap[chosen]))
    spread = _Z * float(np.std(drawn, ddof=1))
    low, high = max(spread, accuracy.high - accuracy.value), max(spread, accuracy.value - accuracy.low)
    return _metric((value, value - low, value + high), n)


def share(hits: NDArray[np.bool_]) -> Metric:
    """Of images, with Wilson's interval."""
    return _metric(stats.proportion(int(hits.sum()), len(hits)), len(hits))


def paired(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Metric:
    """The share that the first has right minus the second's, on the same images."""
    difference = stats.paired_difference(int((first & ~second).sum()), int((second & ~first).sum()), len(first))
    return _metric(difference, len(first), lowest=-1.0)


def _metric(interval: stats.Interval, n: int, *, lowest: float = 0.0, highest: float = 1.0) -> Metric:
    value, low, high = interval
    return Metric(value=value, low=max(low, lowest), high=min(high, highest), n=n)

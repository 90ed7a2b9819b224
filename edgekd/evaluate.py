"""How well a file or network answers a split: accuracy, calibration, recall by class, and what changed against the teacher.

`evaluate` asks any Predict for the logits of a split, `score` makes a Score of logits that are there already, `compare` pairs two Scores
on the same images. All are numpy: 10,000 images of 100 classes take well under a second beside the answering, and no torch is imported.
How fast it answers is `bench`'s, whether that is good enough `budget`'s.

How the 95 % intervals come about:
    accuracy, top5, recall, agreement, flips   shares of images: Wilson's interval
    accuracy_drop                              paired image by image: `stats.paired_difference`
    nll                                        a mean over images: Student's t
    balanced_accuracy, macro_f1                the wider of two: 200 resamples of the images (seeded, their standard deviation times 1.96), and
                                               Wilson's intervals of all classes put together in squares (Zou and Donner 2008), which holds where no
                                               image was wrong and resampling sees no spread
    ece                                        the wider of such resamples and accuracy's own interval
"""

import base64
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgekd import stats
from edgekd.errors import EdgekdError, UsageError
from edgekd.events import Emit, Progress, silent
from edgekd.record import Metric, Score
from edgekd.tasks import classify

Predict: TypeAlias = Callable[[Mapping[str, NDArray[Any]]], Mapping[str, NDArray[Any]]]
"""Named arrays in, named arrays out: images uint8 (n, h, w, c) → logits (n, classes). It applies its own Preprocess."""

Split: TypeAlias = Literal["train", "valid", "test"]
Logits: TypeAlias = NDArray[np.float32]
Labels: TypeAlias = NDArray[np.int64]

BINS = 15
RESAMPLES = 200
SEED = 0
_Z = 1.96


class Images(Protocol):
    """The part of a data source's split that is asked for here."""

    @property
    def labels(self) -> Labels: ...

    def __len__(self) -> int: ...

    def read(self, positions: NDArray[np.int64], /) -> NDArray[np.uint8]: ...


# Asking ---------------------------------------------------------------------------------------------------------------


def evaluate(
    predict: Predict,
    images: Images,
    *,
    artifact: str,
    split: Split,
    classes: Sequence[str],
    host: str = "",
    teacher_logits: Logits | None = None,
    batch: int = 256,
    emit: Emit = silent,
) -> tuple[Score, Logits]:
    """Answer every image of a split in order, in batches, and score the answers: the Score and the logits (n, classes).

    `teacher_logits` are the teacher's on the same split, from its own evaluation; without them `against` stays empty. `host` is the key of the
    machine that answered.

    Raises:
        UsageError: as `score`, or answers that are not one row of `classes` logits an image.
        EdgekdError: logits that are not finite.
    """
    classify.check_labels(images.labels, classes, split)
    digest = hashlib.sha256(images.labels.astype("<i8").tobytes())
    logits = np.empty((len(images), len(classes)), np.float32)
    started = time.perf_counter()
    for start in range(0, len(images), batch):
        pixels = images.read(np.arange(start, min(start + batch, len(images))))
        if start == 0:
            digest.update(repr(pixels.shape[1:]).encode())
        digest.update(np.ascontiguousarray(pixels).data)
        stop = start + len(pixels)
        logits[start:stop] = _answer(predict, pixels, artifact, len(classes))
        left = (time.perf_counter() - started) * (len(images) - stop) / stop
        emit(Progress(what=f"evaluate {artifact}", done=stop, total=len(images), seconds_left=left))
    scored = score(
        logits, images.labels, artifact=artifact, split=split, classes=classes, host=host, images=digest.hexdigest(), teacher_logits=teacher_logits
    )
    return scored, logits


def _answer(predict: Predict, pixels: NDArray[np.uint8], artifact: str, classes: int) -> NDArray[Any]:
    outputs = predict({classify.INPUT: pixels})
    if classify.OUTPUT not in outputs:
        raise UsageError(f"{artifact} must answer with an output called {classify.OUTPUT!r}, got {sorted(outputs)}. Rename it in the file.")
    answer = outputs[classify.OUTPUT]
    if answer.shape != (len(pixels), classes):
        raise UsageError(
            f"{artifact} must answer {len(pixels)} images with {classes} logits each, one a class of the data, got an array of shape {answer.shape}. "
            "Give it the data it was taught on."
        )
    return answer


# Scoring --------------------------------------------------------------------------------------------------------------


def score(
    logits: Logits,
    labels: Labels,
    *,
    artifact: str,
    split: Split,
    classes: Sequence[str],
    host: str = "",
    images: str = "",
    teacher_logits: Logits | None = None,
) -> Score:
    """The Score of logits (n, classes) that are there already; `images` is the hash of the split they answer.

    Recall stands for the classes that the split shows; balanced accuracy is its mean, macro F1 the mean over classes shown or answered.

    Raises:
        UsageError: fewer than 2 images, labels outside the classes, logits of another shape.
        EdgekdError: logits that are not finite.
    """
    classify.check_labels(labels, classes, split)
    n = len(labels)
    if n < 2:
        raise UsageError(f"a split needs 2 images or more to be scored, {split} has {n}. Add images, or give others with --test.")
    _check(logits, (n, len(classes)), artifact)
    answers = logits.argmax(axis=1)
    right = answers == labels
    against: dict[str, Metric] = {}
    if teacher_logits is not None:
        _check(teacher_logits, (n, len(classes)), "the teacher")
        against = _against(teacher_logits.argmax(axis=1), answers, labels)
    return Score(
        artifact=artifact,
        split=split,
        host=host,
        n=n,
        metrics=_metrics(logits, labels, answers),
        recall={classes[c]: _share(right[labels == c]) for c in np.unique(labels)},
        against=against,
        correct=base64.b64encode(np.packbits(right).tobytes()).decode("ascii"),
        images=images,
    )


def compare(first: Score, second: Score) -> Metric:
    """Accuracy of the first minus accuracy of the second, paired on the same images: positive where the second is worse.

    Raises:
        UsageError: the two do not tell which images were right, or answered other images.
    """
    for scored in (first, second):
        if not (scored.correct and scored.images):
            raise UsageError(
                f"pairing two scores needs the images that each had right, {scored.artifact} on {scored.split} tells none. Evaluate it again."
            )
    if (first.images, first.n) != (second.images, second.n):
        raise UsageError(
            f"two scores can be paired only on the same images, got {first.artifact} on {first.n} images of hash {first.images[:8]} and "
            f"{second.artifact} on {second.n} of hash {second.images[:8]}. Evaluate both on one split."
        )
    return _paired(_right(first), _right(second))


def _right(scored: Score) -> NDArray[np.bool_]:
    bits = np.frombuffer(base64.b64decode(scored.correct), np.uint8)
    return np.unpackbits(bits, count=scored.n).astype(np.bool_)


def _check(logits: Logits, shape: tuple[int, int], artifact: str) -> None:
    if logits.shape != shape:
        raise UsageError(
            f"{artifact} must have {shape[1]} logits for each of {shape[0]} images, got an array of shape {logits.shape}. Evaluate it on this split."
        )
    broken = ~np.isfinite(logits).all(axis=1)
    if broken.any():
        raise EdgekdError(
            f"logits must be finite numbers, {artifact} answered {int(broken.sum())} of {shape[0]} images with NaN or infinity, "
            f"the first at image {int(broken.argmax())}. Export it at a wider precision, or teach it again."
        )


# Metrics --------------------------------------------------------------------------------------------------------------


def _metrics(logits: Logits, labels: Labels, answers: Labels) -> dict[str, Metric]:
    classes = logits.shape[1]
    right = answers == labels
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(wide).sum(axis=1))
    surprise = log_sum - wide[np.arange(len(labels)), labels]
    confidence = np.exp(-log_sum)
    accuracy = _share(right)
    found = {"accuracy": accuracy, **_by_class(labels, answers, classes), "ece": _ece(confidence, right, accuracy)}
    found["nll"] = _metric(stats.mean_interval(surprise.tolist()), len(labels), highest=np.inf)
    if "top5" in classify.metric_names(classes):
        found["top5"] = _share(_rank(logits, labels) < 5)
    return {name: found[name] for name in classify.metric_names(classes)}


def _rank(logits: Logits, labels: Labels) -> NDArray[np.int64]:
    """How many classes stand before the label; equal logits in class order, as argmax takes them."""
    own = logits[np.arange(len(labels)), labels][:, None]
    before = np.arange(logits.shape[1]) < labels[:, None]
    return np.asarray(((logits > own) | ((logits == own) & before)).sum(axis=1))


def _against(teacher: Labels, answers: Labels, labels: Labels) -> dict[str, Metric]:
    before, now = teacher == labels, answers == labels
    return {
        "agreement": _share(teacher == answers),
        "flips": _share(before & ~now),
        "accuracy_drop": _paired(before, now),
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
    """Expected calibration error over equal bins of confidence, (0, 1/15] to (14/15, 1] (Naeini et al. 2015; Guo et al. 2017, arXiv:1706.04599)."""
    n = len(right)
    place = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gap = right - confidence

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


def _share(hits: NDArray[np.bool_]) -> Metric:
    return _metric(stats.proportion(int(hits.sum()), len(hits)), len(hits))


def _paired(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Metric:
    difference = stats.paired_difference(int((first & ~second).sum()), int((second & ~first).sum()), len(first))
    return _metric(difference, len(first), lowest=-1.0)


def _metric(interval: stats.Interval, n: int, *, lowest: float = 0.0, highest: float = 1.0) -> Metric:
    value, low, high = interval
    return Metric(value=value, low=max(low, lowest), high=min(high, highest), n=n)

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
Where an image may have several labels: `severally`.
"""

import base64
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekd.errors import EdgekdError, UsageError
from edgekd.evaluate import drawings, metrics, severally
from edgekd.evaluate.groups import group_recalls
from edgekd.evaluate.metrics import Labels, Logits
from edgekd.events import Emit, Progress, silent
from edgekd.scores import ClassGroups, Metric, Score
from edgekd.tasks import classify, several, task_of

__all__ = ["Images", "Labels", "Logits", "Predict", "Split", "compare", "evaluate", "score"]

Predict: TypeAlias = Callable[[Mapping[str, NDArray[Any]]], Mapping[str, NDArray[Any]]]
"""Named arrays in, named arrays out: images uint8 (n, h, w, c) → logits (n, classes). It applies its own Preprocess."""

Split: TypeAlias = Literal["train", "valid", "test"]


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
    thresholds: Sequence[float] = (),
    teacher_thresholds: Sequence[float] = (),
    groups: ClassGroups | None = None,
    disagreements: int = 0,
    batch: int = 256,
    emit: Emit = silent,
) -> tuple[Score, Logits]:
    """Answer every image of a split in order, in batches, and score the answers: the Score and the logits (n, classes).

    `teacher_logits` are the teacher's on the same split, from its own evaluation; without them `against` stays empty. At most so many
    `disagreements` with it are kept as pictures. `groups` of classes get a recall each. `host` is the key of the machine that answered. Where an
    image may have several labels, each is said to be there from its threshold of probability on ((): 0.5), and no disagreements are kept.

    Raises:
        UsageError: as `score`, or answers that are not one row of `classes` logits an image.
        EdgekdError: logits that are not finite.
    """
    task_of(images.labels).check_labels(images.labels, classes, split)
    digest = hashlib.sha256(images.labels.astype("<i8").tobytes())
    logits = np.empty((len(images), len(classes)), np.float32)
    emit(Progress(what=f"evaluate {artifact}", done=0, total=len(images)))
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
        logits,
        images.labels,
        artifact=artifact,
        split=split,
        classes=classes,
        host=host,
        images=digest.hexdigest(),
        teacher_logits=teacher_logits,
        thresholds=thresholds,
        teacher_thresholds=teacher_thresholds,
        groups=groups,
    )
    if teacher_logits is not None and disagreements and not several(images.labels):
        found = drawings.disagreements(teacher_logits, logits, images.labels, classes, images.read, disagreements)
        scored = msgspec.structs.replace(scored, disagreements=found)
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
    thresholds: Sequence[float] = (),
    teacher_thresholds: Sequence[float] = (),
    groups: ClassGroups | None = None,
) -> Score:
    """The Score of logits (n, classes) that are there already; `images` is the hash of the split they answer.

    Recall stands for the classes that the split shows; balanced accuracy is its mean, macro F1 the mean over classes shown or answered.

    Raises:
        UsageError: fewer than 2 images, labels outside the classes, logits of another shape.
        EdgekdError: logits that are not finite.
    """
    task_of(labels).check_labels(labels, classes, split)
    n = len(labels)
    if n < 2:
        raise UsageError(f"a split needs 2 images or more to be scored, {split} has {n}. Add images, or give others with --test.")
    _check(logits, (n, len(classes)), artifact)
    if teacher_logits is not None:
        _check(teacher_logits, (n, len(classes)), "the teacher")
    if several(labels):
        return severally.score(
            logits, labels, artifact=artifact, split=split, classes=classes, host=host, images=images, thresholds=thresholds,
            teacher_logits=teacher_logits, teacher_thresholds=teacher_thresholds,
        )  # fmt: skip
    answers = logits.argmax(axis=1)
    right = answers == labels
    against: dict[str, Metric] = {}
    if teacher_logits is not None:
        against = metrics.against(teacher_logits.argmax(axis=1), answers, labels)
    return Score(
        artifact=artifact,
        split=split,
        host=host,
        n=n,
        metrics=metrics.metrics(logits, labels, answers),
        recall={classes[c]: metrics.share(right[labels == c]) for c in np.unique(labels)},
        groups=group_recalls(labels, right, classes, groups) if groups is not None else {},
        against=against,
        correct=base64.b64encode(np.packbits(right).tobytes()).decode("ascii"),
        images=images,
        reliability=drawings.reliability(logits, right),
        confusion=drawings.confusion(labels, answers, classes),
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
    return metrics.paired(_right(first), _right(second))


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

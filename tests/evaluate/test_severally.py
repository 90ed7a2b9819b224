"""edgekd.evaluate.severally: scores of several labels an image by hand and against scikit-learn, intervals, what changed, thresholds."""

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, log_loss, roc_auc_score

from edgekd.errors import EdgekdError, UsageError
from edgekd.evaluate import compare, evaluate, score
from edgekd.evaluate.severally import fit_thresholds, guessing, mean_average_precision
from edgekd.record import Report
from edgekd.reportfile import decode_report, encode_report
from edgekd.scores import Score
from tests.test_evaluate import numbered, reader

NAMES = ["a", "b", "c", "d"]
LABELS = np.array([[1, 0], [1, 1], [0, 0], [0, -1]])
LOGITS = np.array([[2.0, 1.0], [-1.0, 3.0], [1.0, -2.0], [-3.0, 5.0]], np.float32)
"""Label a: both orders; b: one wrongly said to be there, and one that nobody knows."""


def made(n: int = 300, labels: int = 4, seed: int = 0, sure: float = 1.5) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits that rank better than chance, and marks; the last label is rare."""
    draw = np.random.default_rng(seed)
    marks = (draw.random((n, labels)) < np.linspace(0.5, 0.05, labels)).astype(np.int64)
    return (draw.standard_normal((n, labels)) + sure * (2 * marks - 1)).astype(np.float32), marks


def scored(logits: NDArray[np.float32], marks: NDArray[np.int64], **more: Any) -> Score:
    options = {"artifact": "student/toy/fp32", "split": "test", "classes": NAMES[: marks.shape[1]], "images": "hash", **more}
    return score(logits, marks, **options)


def values(found: Score) -> dict[str, float]:
    return {name: metric.value for name, metric in found.metrics.items()}


def test_a_score_by_hand() -> None:
    """Of label a, one of two is told and one wrongly; of b the one, and one wrongly. One image of four has all of its known labels right."""
    found = scored(LOGITS, LABELS)
    told = values(found)
    assert told["map"] == pytest.approx(((1 + 2 / 3) / 2 + 1) / 2)
    assert told["auc"] == pytest.approx((0.75 + 1) / 2)
    assert told["macro_f1"] == pytest.approx((2 * 1 / (2 + 2) + 2 * 1 / (1 + 2)) / 2)
    assert told["accuracy"] == 1 / 4
    assert told["label_accuracy"] == pytest.approx((0.5 + 0.5 + 0.5 + 1) / 4)
    assert found.lead == found.metrics["map"]
    assert {label: metric.value for label, metric in found.recall.items()} == {"a": 0.5, "b": 1.0}
    label = found.labels["b"]
    assert (label.positives, label.negatives, label.threshold, label.average_precision, label.auc, label.f1) == (1, 2, 0.5, 1.0, 1.0, 2 / 3)


def test_scikit_learn_says_the_same() -> None:
    """All means over labels, exact agreement, and the likelihood, at thresholds of one's own."""
    logits, marks = made()
    thresholds = [0.5, 0.4, 0.3, 0.7]
    shares = 1 / (1 + np.exp(-logits.astype(np.float64)))
    called = shares >= thresholds
    assert values(scored(logits, marks, thresholds=thresholds)) == pytest.approx(
        {
            "map": average_precision_score(marks, logits, average="macro"),
            "macro_f1": f1_score(marks, called, average="macro"),
            "auc": roc_auc_score(marks, logits, average="macro"),
            "accuracy": accuracy_score(marks, called),
            "label_accuracy": (called == marks).mean(),
            "nll": np.mean([log_loss(marks[:, k], shares[:, k]) for k in range(4)]),
        },
        abs=1e-6,
    )


def test_unknown_labels_count_nowhere() -> None:
    """A label scores as its known images alone do."""
    logits, marks = made()
    hidden = np.where(np.random.default_rng(1).random(marks.shape) < 0.3, -1, marks)
    found = scored(logits, hidden)
    for k, name in enumerate(NAMES):
        known = hidden[:, k] >= 0
        assert found.labels[name].average_precision == pytest.approx(average_precision_score(marks[known, k], logits[known, k]))
        assert found.labels[name].auc == pytest.approx(roc_auc_score(marks[known, k], logits[known, k]))
        assert found.labels[name].f1 == pytest.approx(f1_score(marks[known, k], logits[known, k] >= 0))


def test_labels_that_no_image_shows_are_left_out() -> None:
    """Of the means, of recall and of the table; one that all images show has no area."""
    logits, marks = made()
    marks[:, 1], marks[:, 2] = 0, 1
    found = scored(logits, marks)
    assert list(found.labels) == list(found.recall) == ["a", "c", "d"]
    assert found.labels["c"].auc is None
    assert found.metrics["auc"].value == pytest.approx(np.mean([roc_auc_score(marks[:, k], logits[:, k]) for k in (0, 3)]))


# Intervals ------------------------------------------------------------------------------------------------------------


def test_every_interval_holds_its_value_and_is_repeatable() -> None:
    """In [0, 1], the wider the fewer images, and the same each time."""
    few, many = (scored(*made(n)) for n in (60, 2000))
    assert few == scored(*made(60))
    for name, metric in few.metrics.items():
        assert 0 <= metric.low <= metric.value <= metric.high
        assert name == "nll" or metric.high <= 1
        assert metric.high - metric.low > many.metrics[name].high - many.metrics[name].low > 0


def test_intervals_hold_the_truth() -> None:
    """Of 16 draws from one source all but a few have an interval around what very many images give."""
    logits, marks = made(20_000, seed=99)
    averages = {"map": mean_average_precision(logits, marks), "macro_f1": f1_score(marks, logits >= 0, average="macro")}
    found = [scored(*made(150, seed=seed)).metrics for seed in range(16)]
    for name, truth in (averages | {"auc": roc_auc_score(marks, logits, average="macro")}).items():
        assert sum(metrics[name].low <= truth <= metrics[name].high for metrics in found) >= 13


def test_a_perfect_ranking_of_few_images_is_not_certain() -> None:
    """Resampling sees no spread there; ten images of each label say no more than Wilson's interval does."""
    marks = np.repeat(np.eye(2, dtype=np.int64), 10, axis=0)
    found = scored((8.0 * (2 * marks - 1)).astype(np.float32), marks).metrics
    for name in ("map", "auc", "macro_f1"):
        assert found[name].value == found[name].high == 1
        assert 0.7 < found[name].low < 0.9


# Against the teacher --------------------------------------------------------------------------------------------------


def test_against_the_teacher_by_hand() -> None:
    """Seven decisions of eight are alike; of those that are known the teacher has one right which this has wrong."""
    teacher = LOGITS.copy()
    teacher[0, 1] = -1.0
    found = scored(LOGITS, LABELS, teacher_logits=teacher).against
    assert found["agreement"].value == pytest.approx(7 / 8)
    assert found["flips"].value == pytest.approx((1 / 2) / 4)
    assert found["accuracy_drop"].value == 1 / 4
    assert found["map_drop"].value == 0


def test_the_teachers_own_thresholds_count() -> None:
    """Each says yes from its own threshold on."""
    found = scored(LOGITS, LABELS, teacher_logits=LOGITS, thresholds=[0.5, 0.5], teacher_thresholds=[0.99, 0.5]).against
    assert found["agreement"].value == pytest.approx(6 / 8)


def test_map_lost_is_paired() -> None:
    """Nearly the same answers differ by little, and surely so; without pairing the interval would be as wide as mAP's own, and wider."""
    logits, marks = made()
    near = logits + 0.05 * np.random.default_rng(3).standard_normal(logits.shape).astype(np.float32)
    found = scored(near, marks, teacher_logits=logits)
    drop = found.against["map_drop"]
    assert drop.value == pytest.approx(mean_average_precision(logits, marks) - mean_average_precision(near, marks))
    assert drop.low <= drop.value <= drop.high
    assert drop.high - drop.low < 0.4 * (found.metrics["map"].high - found.metrics["map"].low)


def test_pairs_go_by_whole_images() -> None:
    """`compare` counts images with all labels right, as accuracy does."""
    first, second = scored(LOGITS, LABELS), scored(-LOGITS, LABELS)
    assert compare(first, second).value == first.metrics["accuracy"].value - second.metrics["accuracy"].value


# Thresholds, guessing, asking -----------------------------------------------------------------------------------------


def test_thresholds_are_those_of_the_greatest_f1() -> None:
    """On the images that they are fitted on no other does better than they; a label that no image shows has a half."""
    logits, marks = made()
    marks[:, 2] = 0
    thresholds = fit_thresholds(logits, marks)
    assert thresholds[2] == 0.5
    fitted = scored(logits, marks, thresholds=thresholds)
    for other in ([0.5] * 4, [0.3] * 4, [0.7] * 4):
        beside = scored(logits, marks, thresholds=other)
        assert all(fitted.labels[name].f1 >= beside.labels[name].f1 for name in fitted.labels)


def test_thresholds_of_extreme_logits() -> None:
    """Finite, in [0, 1], and they say what they were fitted to."""
    marks = np.array([[1, 0], [0, 1], [0, 1]])
    logits = np.where(marks == 1, 1e4, -1e4).astype(np.float32)
    thresholds = fit_thresholds(logits, marks)
    assert all(0 <= threshold <= 1 and math.isfinite(threshold) for threshold in thresholds)
    assert scored(logits, marks, thresholds=thresholds).metrics["accuracy"].value == 1


def test_guessing_is_hardly_more_than_the_share_of_images() -> None:
    """And a ranking that knows something is beyond it."""
    logits, marks = made(1000)
    expected = float(marks.mean(axis=0).mean())
    assert expected < guessing(marks) < expected + 0.05
    assert mean_average_precision(logits, marks) > guessing(marks)


def test_files_are_asked_and_scored() -> None:
    """As for one label an image: every image in order, in batches; a report with the score reads back equal."""
    logits, marks = made(50)
    found, answered = evaluate(reader(logits), numbered(marks), artifact="student/toy/fp32", split="test", classes=NAMES, batch=16)
    assert np.array_equal(answered, logits)
    assert values(found) == values(scored(logits, marks))
    assert found.disagreements == []
    report = Report(edgekd="0", name="r", created="", scores=[found])
    assert decode_report(encode_report(report)) == report
    assert report.leading == "map"
    assert msgspec.structs.replace(report, scores=[]).leading == "accuracy"


def test_what_cannot_be_scored() -> None:
    """Labels that fit no classes, and answers that are no numbers, in the words that one label an image has."""
    logits, marks = made(50)
    with pytest.raises(UsageError, match=r"a column for each of 3 labels, got int64 of shape \(50, 4\)"):
        score(logits, marks, artifact="x", split="test", classes=NAMES[:3])
    logits[7, 2] = np.nan
    with pytest.raises(EdgekdError, match="x answered 1 of 50 images with NaN or infinity, the first at image 7"):
        score(logits, marks, artifact="x", split="test", classes=NAMES)

"""Scores: literals worked out by hand, torchmetrics as the reference, intervals, pairing, what is refused."""

import base64
import math
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgekd.errors import EdgekdError, UsageError
from edgekd.evaluate import Labels, Logits, Predict, compare, evaluate, score
from edgekd.events import Event, Progress
from edgekd.scores import Score


@dataclass(frozen=True)
class Pictures:
    """A split in memory."""

    pixels: NDArray[np.uint8]
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self.pixels[positions]


def numbered(labels: Labels) -> Pictures:
    """One-pixel images that carry their own number, so that a double can answer by it."""
    n = len(labels)
    pixels = np.stack([np.arange(n) % 256, np.arange(n) // 256, np.zeros(n)], axis=1).astype(np.uint8)
    return Pictures(pixels.reshape(n, 1, 1, 3), labels)


def reader(logits: Logits, sizes: list[int] | None = None) -> Predict:
    """A Predict that answers each numbered image with its row."""

    def predict(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        pixels = inputs["images"].astype(np.int64)
        if sizes is not None:
            sizes.append(len(pixels))
        return {"logits": logits[pixels[:, 0, 0, 0] + 256 * pixels[:, 0, 0, 1]]}

    return predict


def made(n: int, classes: int, seed: int = 0, sure: float = 2.0) -> tuple[Logits, Labels]:
    """Logits that are right more often than not, and labels."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, n)
    logits = 1.5 * generator.standard_normal((n, classes))
    logits[np.arange(n), labels] += sure
    return logits.astype(np.float32), labels


def scored(logits: Logits, labels: Labels, *, images: str = "hash", teacher: Logits | None = None, artifact: str = "student/toy/fp32") -> Score:
    classes = [f"c{i}" for i in range(logits.shape[1])]
    return score(logits, labels, artifact=artifact, split="test", classes=classes, images=images, teacher_logits=teacher)


def answering(answers: list[int], classes: int = 2, confidence: float = 0.9) -> Logits:
    """Logits whose softmax gives each answer that confidence, and the others the rest alike."""
    probabilities = np.full((len(answers), classes), (1 - confidence) / (classes - 1))
    probabilities[np.arange(len(answers)), answers] = confidence
    logits: Logits = np.log(probabilities).astype(np.float32)
    return logits


LABELS = np.array([0, 0, 1, 1])
ANSWERS = answering([0, 1, 1, 1])


# Literals -------------------------------------------------------------------------------------------------------------


def test_metrics_literal() -> None:
    """Three of four right at a confidence of 0.9 each, worked out by hand."""
    found = {name: metric.value for name, metric in scored(ANSWERS, LABELS).metrics.items()}
    assert found == pytest.approx(
        {
            "accuracy": 0.75,
            "balanced_accuracy": (1 / 2 + 1) / 2,
            "macro_f1": (2 / 3 + 4 / 5) / 2,
            "ece": 0.9 - 0.75,
            "nll": -(3 * math.log(0.9) + math.log(0.1)) / 4,
        },
        abs=1e-6,
    )


def test_recall_by_class_literal() -> None:
    """Each class by its name with its own number of images; Wilson's interval of 1 in 2 is (0.0945, 0.9055)."""
    recall = scored(ANSWERS, LABELS).recall
    assert list(recall) == ["c0", "c1"]
    assert (recall["c0"].value, recall["c0"].n) == (0.5, 2)
    assert (recall["c0"].low, recall["c0"].high) == pytest.approx((0.0945, 0.9055), abs=1e-4)
    assert recall["c1"].value == 1


def test_against_the_teacher_literal() -> None:
    """The teacher has images 0, 1, 3 right, this 0, 2, 3: half agree, one flipped, and the accuracies are equal."""
    against = scored(ANSWERS, LABELS, teacher=answering([0, 0, 0, 1])).against
    assert {name: metric.value for name, metric in against.items()} == {"agreement": 0.5, "flips": 0.25, "accuracy_drop": 0.0}
    assert against["accuracy_drop"].low < 0 < against["accuracy_drop"].high


def test_accuracy_drop_is_positive_where_the_student_is_worse() -> None:
    """A teacher with all four right loses a quarter."""
    assert scored(ANSWERS, LABELS, teacher=answering([0, 0, 1, 1])).against["accuracy_drop"].value == 0.25


def test_flips_are_what_the_teacher_had_right() -> None:
    """The teacher has all four right, this three: one flipped; the other way round none did."""
    right = answering([0, 0, 1, 1])
    assert scored(ANSWERS, LABELS, teacher=right).against["flips"].value == 0.25
    assert scored(right, LABELS, teacher=ANSWERS).against["flips"].value == 0


def test_without_a_teacher_nothing_is_compared() -> None:
    """The teacher's own score has no `against`."""
    assert scored(ANSWERS, LABELS).against == {}


def test_correct_is_one_bit_an_image() -> None:
    """Right, wrong, right, right is 1011 and four bits of padding."""
    assert base64.b64decode(scored(ANSWERS, LABELS).correct) == bytes([0b10110000])


def test_top5_stands_from_six_classes_on() -> None:
    """Five classes leave it out; with seven, ranks 0, 4, 5 and 6 of the label give one half."""
    assert "top5" not in scored(*made(20, 5)).metrics
    logits = np.tile(np.arange(7, 0, -1, dtype=np.float32), (4, 1))
    assert scored(logits, np.array([0, 4, 5, 6])).metrics["top5"].value == 0.5


def test_equal_logits_are_ranked_as_argmax_ranks_them() -> None:
    """Where all logits are equal the first class is the answer, and the first five the top five."""
    metrics = scored(np.zeros((7, 7), np.float32), np.arange(7)).metrics
    assert metrics["accuracy"].value == pytest.approx(1 / 7)
    assert metrics["top5"].value == pytest.approx(5 / 7)


def test_absent_classes_are_left_out() -> None:
    """A class the split does not show has no recall; one that was answered all the same counts as 0 in F1."""
    result = scored(answering([0, 1, 2, 1], classes=4), np.array([0, 0, 1, 1]))
    assert list(result.recall) == ["c0", "c1"]
    assert result.metrics["balanced_accuracy"].value == 0.5
    assert result.metrics["macro_f1"].value == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


def test_nll_of_huge_logits_is_exact() -> None:
    """Logits of ±10,000 neither overflow nor round: a wrong answer costs the whole distance."""
    logits = np.array([[1e4, -1e4], [1e4, -1e4]], np.float32)
    assert scored(logits, np.array([0, 1])).metrics["nll"].value == pytest.approx(1e4)


# Reference ------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_metrics_equal_torchmetrics() -> None:
    """400 images of 8 unbalanced classes: every metric equals torchmetrics' to 1e-6."""
    import torch
    from torchmetrics.functional.classification import multiclass_accuracy, multiclass_calibration_error, multiclass_f1_score

    logits, labels = made(400, 8, sure=1.5)
    logits, labels = logits[(labels < 5) | (np.arange(400) % 3 == 0)], labels[(labels < 5) | (np.arange(400) % 3 == 0)]
    found = {name: metric.value for name, metric in scored(logits, labels).metrics.items()}
    z, y = torch.from_numpy(logits), torch.from_numpy(labels)
    expected = {
        "accuracy": multiclass_accuracy(z, y, 8, average="micro"),
        "top5": multiclass_accuracy(z, y, 8, average="micro", top_k=5),
        "balanced_accuracy": multiclass_accuracy(z, y, 8, average="macro"),
        "macro_f1": multiclass_f1_score(z, y, 8, average="macro"),
        "ece": multiclass_calibration_error(z.softmax(1), y, 8, n_bins=15, norm="l1"),
        "nll": torch.nn.functional.cross_entropy(z.double(), y),
    }
    assert found == pytest.approx({name: value.item() for name, value in expected.items()}, abs=1e-6)


# Intervals ------------------------------------------------------------------------------------------------------------


@given(st.integers(2, 60), st.integers(2, 8), st.integers(0, 10_000), st.floats(-2, 12))
@settings(max_examples=40, deadline=None)
def test_intervals_hold_their_values(n: int, classes: int, seed: int, sure: float) -> None:
    """low ≤ value ≤ high for every metric, finite, and shares within [0, 1]."""
    logits, labels = made(n, classes, seed, sure)
    result = scored(logits, labels, teacher=made(n, classes, seed + 1)[0])
    for name, metric in (result.metrics | result.recall | result.against).items():
        assert metric.low <= metric.value <= metric.high
        assert math.isfinite(metric.high)
        assert metric.low >= (-1 if name == "accuracy_drop" else 0)
        assert name == "nll" or metric.high <= 1


def test_no_interval_closes_where_every_image_is_right() -> None:
    """Thirty of thirty says little about the next thousand: each share and the calibration error keep a width."""
    labels = np.arange(30) % 3
    result = scored(answering(labels.tolist(), classes=3, confidence=1 - 1e-9), labels, teacher=answering(labels.tolist(), classes=3))
    for name, metric in (result.metrics | result.recall | result.against).items():
        assert name == "nll" or metric.high - metric.low > 0.05


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1", "ece"])
def test_intervals_narrow_with_the_root_of_the_images(name: str) -> None:
    """A hundred times the images, a tenth of the width."""
    few, many = (scored(*made(n, 4)).metrics[name] for n in (200, 20_000))
    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(10, rel=0.35)


def test_intervals_are_the_same_each_time() -> None:
    """Resampling is seeded: equal logits give equal scores, byte for byte."""
    logits, labels = made(100, 7)
    assert msgspec.json.encode(scored(logits, labels)) == msgspec.json.encode(scored(logits, labels))


# Asking ---------------------------------------------------------------------------------------------------------------


def test_evaluate_asks_in_order_and_in_batches() -> None:
    """300 images in batches of 128: the rest comes last, each answer stands at its image, and progress ends at all."""
    logits, labels = made(300, 7)
    sizes: list[int] = []
    seen: list[Event] = []
    result, answers = evaluate(
        reader(logits, sizes),
        numbered(labels),
        artifact="student/toy/fp32",
        split="valid",
        classes="abcdefg",
        host="here",
        batch=128,
        emit=seen.append,
    )
    assert sizes == [128, 128, 44]
    assert np.array_equal(answers, logits)
    assert answers.dtype == np.float32
    assert (result.artifact, result.split, result.host, result.n) == ("student/toy/fp32", "valid", "here", 300)
    last = seen[-1]
    assert isinstance(last, Progress)
    assert (last.done, last.total, last.seconds_left) == (300, 300, 0)
    assert msgspec.json.decode(msgspec.json.encode(result), type=Score) == result


def test_the_hash_tells_images_and_labels_apart() -> None:
    """In other batches the same images and labels hash alike; another pixel, label or order does not."""
    logits, labels = made(20, 3)
    images = numbered(labels)
    other_pixel = Pictures(images.pixels.copy(), labels)
    other_pixel.pixels[7, 0, 0, 2] = 1

    def hashed(split: Pictures, batch: int = 8) -> str:
        answer = reader(logits)
        return evaluate(answer, split, artifact="a", split="test", classes="abc", batch=batch)[0].images

    first = hashed(images)
    assert hashed(images, batch=5) == first
    assert hashed(other_pixel) != first
    assert hashed(Pictures(images.pixels, (labels + 1) % 3)) != first
    assert hashed(Pictures(images.pixels[::-1], labels)) != first


def test_images_of_another_shape_are_other_images() -> None:
    """The same bytes, wide and tall, are not paired."""
    pixels, labels = np.arange(24, dtype=np.uint8), np.array([0, 1])

    def hashed(*shape: int) -> str:
        split = Pictures(pixels.reshape(2, *shape), labels)
        return evaluate(lambda inputs: {"logits": np.zeros((2, 2), np.float32)}, split, artifact="a", split="test", classes="ab")[0].images

    assert hashed(1, 4, 3) != hashed(4, 1, 3)


def test_evaluate_compares_with_the_teacher() -> None:
    """The logits of the teacher's own evaluation are handed to the student's."""
    logits, labels = made(50, 3)
    _, teacher = evaluate(reader(logits), numbered(labels), artifact="teacher/toy/fp32", split="test", classes="abc")
    result, _ = evaluate(reader(logits), numbered(labels), artifact="student/toy/fp32", split="test", classes="abc", teacher_logits=teacher)
    assert (result.against["agreement"].value, result.against["flips"].value, result.against["accuracy_drop"].value) == (1, 0, 0)


def test_ten_thousand_images_take_under_a_second() -> None:
    """10,000 images of 100 classes, beside the answering, in processor time."""
    logits, labels = made(10_000, 100)
    pictures, predict = numbered(labels), reader(logits)
    started = time.process_time()
    evaluate(predict, pictures, artifact="a", split="test", classes=[str(i) for i in range(100)], teacher_logits=logits)
    assert time.process_time() - started < 1


def test_no_torch_is_imported() -> None:
    """Scores can be made where only the `measure` extra is installed."""
    code = "import sys, edgekd.evaluate; print([m for m in ('torch', 'torchmetrics', 'onnxruntime') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


# Pairing --------------------------------------------------------------------------------------------------------------


def test_compare_pairs_two_scores_as_accuracy_drop_does() -> None:
    """The difference read back from the stored bits is the one taken from the logits."""
    logits, labels = made(99, 4)
    teacher, _ = made(99, 4, seed=3)
    student = scored(logits, labels, teacher=teacher)
    assert compare(scored(teacher, labels), student) == student.against["accuracy_drop"]


def test_compare_the_other_way_round_changes_the_sign() -> None:
    """First minus second."""
    labels = made(60, 4)[1]
    first, second = scored(made(60, 4)[0], labels), scored(made(60, 4, seed=5)[0], labels)
    there, back = compare(first, second), compare(second, first)
    assert (back.value, back.low, back.high) == pytest.approx((-there.value, -there.high, -there.low))


def test_scores_of_other_images_are_not_paired() -> None:
    """The message names both files, their images' hashes and the remedy."""
    logits, labels = made(20, 3)
    first = scored(logits, labels, images="aaaaaaaa1", artifact="teacher/toy/fp32")
    second = scored(logits, labels, images="bbbbbbbb2", artifact="student/toy/fp32")
    with pytest.raises(UsageError, match="got teacher/toy/fp32 on 20 images of hash aaaaaaaa and student/toy/fp32 on 20 of hash bbbbbbbb"):
        compare(first, second)


def test_a_score_without_bits_is_not_paired() -> None:
    """The message names the file and the split."""
    logits, labels = made(20, 3)
    with pytest.raises(UsageError, match=r"student/toy/fp32 on test tells none\. Evaluate it again"):
        compare(scored(logits, labels), scored(logits, labels, images=""))


# What is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(value: float) -> None:
    """The message names the file, how many images and the first of them."""
    logits, labels = made(20, 3)
    logits[[4, 9], 1] = value
    with pytest.raises(EdgekdError, match="student/toy/fp16 answered 2 of 20 images with NaN or infinity, the first at image 4"):
        evaluate(reader(logits), numbered(labels), artifact="student/toy/fp16", split="test", classes="abc")


def test_a_teacher_that_is_not_finite_is_refused() -> None:
    """It would agree with nobody and look like a bad student."""
    logits, labels = made(20, 3)
    with pytest.raises(EdgekdError, match="the teacher answered 20 of 20"):
        scored(logits, labels, teacher=np.full_like(logits, np.nan))


def test_a_teacher_of_another_split_is_refused() -> None:
    """Its logits answer other images."""
    logits, labels = made(20, 3)
    with pytest.raises(UsageError, match=r"the teacher must have 3 logits for each of 20 images, got an array of shape \(19, 3\)"):
        scored(logits, labels, teacher=logits[1:])


def test_an_answer_of_another_number_of_classes_is_refused() -> None:
    """The message says how many logits were asked for and what came."""
    logits, labels = made(20, 4)
    with pytest.raises(UsageError, match=r"student/toy/fp32 must answer 20 images with 3 logits each.*shape \(20, 4\)"):
        evaluate(reader(logits), numbered(labels % 3), artifact="student/toy/fp32", split="test", classes="abc")


def test_an_answer_without_logits_is_refused() -> None:
    """The message names the outputs that came."""
    _, labels = made(20, 3)
    with pytest.raises(UsageError, match=r"an output called 'logits', got \['boxes'\]"):
        evaluate(lambda inputs: {"boxes": inputs["images"]}, numbered(labels), artifact="a", split="test", classes="abc")


def test_labels_outside_the_classes_are_refused() -> None:
    """Before the first image is answered."""
    logits, labels = made(20, 3)
    with pytest.raises(UsageError, match="test labels must be 0 to 1"):
        evaluate(reader(logits), numbered(labels), artifact="a", split="test", classes="ab")


@pytest.mark.parametrize("n", [0, 1])
def test_a_split_of_less_than_two_images_is_refused(n: int) -> None:
    """One image has no interval."""
    with pytest.raises(UsageError, match=rf"needs 2 images or more to be scored, test has {n}"):
        scored(np.zeros((n, 3), np.float32), np.zeros(n, np.int64))

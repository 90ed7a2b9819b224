"""Tests of edgekd/evaluate/drawings.py, and that `evaluate` keeps what it makes."""

import base64
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from edgekd.evaluate import Logits, evaluate
from edgekd.evaluate.drawings import LONGEST, confusion, disagreements, png, reliability, shrunk
from edgekd.evaluate.metrics import BINS, metrics
from edgekd.scores import Disagreement
from tests.test_evaluate import answering, made, numbered, reader, scored

CLASSES = ["cat", "dog", "deer"]


# How sure -------------------------------------------------------------------------------------------------------------


def test_answers_stand_in_the_bin_of_their_confidence() -> None:
    """Four at 0.9, three of them right, in the bin from 13/15 to 14/15; the other bins are empty."""
    bins = reliability(answering([0, 1, 1, 1]), np.array([True, False, True, True]))
    assert len(bins) == BINS == 15
    assert (bins[13].images, bins[13].accuracy) == (4, 0.75)
    assert bins[13].confidence == pytest.approx(0.9)
    assert {(each.images, each.confidence, each.accuracy) for place, each in enumerate(bins) if place != 13} == {(0, 0.0, 0.0)}


@given(st.integers(2, 200), st.integers(2, 9), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_the_bins_are_those_of_the_calibration_error(n: int, classes: int, seed: int) -> None:
    """They hold every image, their means lie within them, and their gaps, weighed by their images, come to the ECE."""
    logits, labels = made(n, classes, seed)
    answers = logits.argmax(axis=1)
    bins = reliability(logits, answers == labels)
    assert sum(each.images for each in bins) == n
    for place, each in enumerate(bins):
        assert not each.images or place / BINS - 1e-9 <= each.confidence <= (place + 1) / BINS + 1e-9
    gaps = sum(each.images * abs(each.accuracy - each.confidence) for each in bins) / n
    assert gaps == pytest.approx(metrics(logits, labels, answers)["ece"].value, abs=1e-9)


# What is mixed up -----------------------------------------------------------------------------------------------------


def test_what_is_called_another_is_counted() -> None:
    """Two cats called dogs, one deer called a cat; what is right or never happened is not there."""
    found = confusion(np.array([0, 0, 0, 1, 2]), np.array([1, 1, 0, 1, 0]), CLASSES)
    assert found == {"cat": {"dog": 2}, "deer": {"cat": 1}}


def test_confusion_and_accuracy_are_of_the_same_images() -> None:
    """What is called another, and what is right, are all images."""
    logits, labels = made(500, 7)
    result = scored(logits, labels)
    wrong = sum(count for answers in result.confusion.values() for count in answers.values())
    assert 1 - wrong / result.n == pytest.approx(result.metrics["accuracy"].value)


# Where they differ ----------------------------------------------------------------------------------------------------


def probable(*rows: list[float]) -> Logits:
    """Logits whose softmax are these rows."""
    logits: Logits = np.log(np.array(rows)).astype(np.float32)
    return logits


def differing(most: int = 24) -> list[Disagreement]:
    """Four images: on 1, 2 and 3 the two differ, on 2 both are surest."""
    teacher = probable([0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6])
    student = probable([0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8], [0.5, 0.3, 0.2])
    pictures = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
    return disagreements(teacher, student, np.array([0, 0, 1, 2]), CLASSES, lambda places: pictures[places], most)


def test_the_surest_stand_first() -> None:
    """By the less sure of the two, with what the image is, what each says and how surely."""
    found = differing()
    assert [(each.index, each.label, each.teacher, each.student) for each in found] == [
        (2, "dog", "dog", "deer"),
        (1, "cat", "cat", "dog"),
        (3, "deer", "deer", "cat"),
    ]
    assert (found[1].teacher_probability, found[1].student_probability) == pytest.approx((0.6, 0.7))
    assert [read_png(base64.b64decode(each.png)).item() for each in found] == [2, 1, 3]


def test_by_the_less_sure_of_the_two() -> None:
    """One that both are fairly sure of stands before one of which one alone is certain."""
    teacher, student = probable([0.98, 0.01, 0.01], [0.7, 0.2, 0.1]), probable([0.3, 0.4, 0.3], [0.2, 0.7, 0.1])
    pictures = np.zeros((2, 1, 1, 1), np.uint8)
    found = disagreements(teacher, student, np.array([0, 0]), CLASSES, lambda places: pictures[places], 2)
    assert [each.index for each in found] == [1, 0]


def test_only_so_many_are_kept() -> None:
    """And where all agree no image is read."""
    assert [each.index for each in differing(2)] == [2, 1]
    logits, labels = made(5, 3)

    def refuse(places: NDArray[np.int64]) -> NDArray[np.uint8]:
        raise AssertionError(places)

    assert disagreements(logits, logits, labels, CLASSES, refuse, 24) == []


def test_evaluate_keeps_what_it_is_asked_for() -> None:
    """The pictures are those of the split; without a teacher, or unasked, there are none."""
    logits, labels = made(300, 3)
    teacher, _ = made(300, 3, seed=9)
    asked: dict[str, Any] = {"artifact": "student/toy/fp32", "split": "test", "classes": CLASSES}
    images = numbered(labels)
    found, _ = evaluate(reader(logits), images, teacher_logits=teacher, disagreements=4, **asked)
    assert len(found.disagreements) == 4
    for each in found.disagreements:
        assert np.array_equal(read_png(base64.b64decode(each.png)), images.pixels[each.index])
        assert (each.label, each.student) == (CLASSES[labels[each.index]], CLASSES[logits[each.index].argmax()])
    assert evaluate(reader(logits), images, teacher_logits=teacher, **asked)[0].disagreements == []
    assert evaluate(reader(logits), images, disagreements=4, **asked)[0].disagreements == []


# Pictures -------------------------------------------------------------------------------------------------------------


def read_png(data: bytes) -> NDArray[np.uint8]:
    """A PNG's pixels (h, w, c), by Pillow."""
    with Image.open(io.BytesIO(data)) as picture:
        pixels = np.asarray(picture)
    return pixels if pixels.ndim == 3 else pixels[..., None]


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_a_png_holds_its_pixels(height: int, width: int, channels: int, seed: int) -> None:
    """Pillow reads back each of them."""
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    assert np.array_equal(read_png(png(picture)), picture)


@given(st.integers(1, 300), st.integers(1, 300))
@settings(max_examples=40, deadline=None)
def test_a_picture_becomes_small_and_keeps_its_shape(height: int, width: int) -> None:
    """No side longer than allowed, none lost, one colour stays that colour; a small one is left alone."""
    small = shrunk(np.full((height, width, 3), 77, np.uint8))
    assert 1 <= min(small.shape[:2])
    assert max(small.shape[:2]) <= LONGEST
    assert np.all(small == 77)
    assert small.shape[:2] == (height, width) or max(height, width) > LONGEST


def test_a_pixel_is_the_mean_of_those_it_stands_for() -> None:
    """Four by four into two by two."""
    picture = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    assert shrunk(picture, 2)[..., 0].tolist() == [[2, 4], [10, 12]]

"""Tests of edgekd/evaluate/quality.py."""

import numpy as np
import pytest

from edgekd.evaluate.quality import quality
from edgekd.evaluate.severally import mean_average_precision

LOGITS = np.array([[2, 0, 0], [2, 0, 0], [2, 0, 0], [0, 2, 0], [2, 1, 0]], np.float32)
LABELS = np.array([0, 0, 0, 1, 1])


def test_one_label_by_hand() -> None:
    """Four of five are right; of the classes that are shown, all of the first and half of the second; the third is not shown."""
    assert quality(LABELS)(LOGITS) == pytest.approx(0.8)
    assert quality(LABELS, balanced=True)(LOGITS) == pytest.approx(0.75)


def test_a_class_that_is_not_shown_counts_for_nothing() -> None:
    """Also where one behind it is."""
    logits = np.array([[9, 0, 0], [9, 0, 0], [0, 0, 9], [9, 0, 0]], np.float32)
    assert quality(np.array([0, 0, 2, 2]), balanced=True)(logits) == pytest.approx(0.75)


def test_several_labels() -> None:
    """Mean average precision, whatever is asked about balance."""
    marks = np.array([[1, 0, 1], [1, 1, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]])
    expected = mean_average_precision(LOGITS, marks)
    assert quality(marks)(LOGITS) == quality(marks, balanced=True)(LOGITS) == expected
    assert 0 < expected < 1

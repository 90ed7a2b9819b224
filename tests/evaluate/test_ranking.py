"""edgekd.evaluate.ranking: rankings worked out by hand, scikit-learn as the reference, ties, weights, the best threshold."""

import math
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from edgekd.evaluate.ranking import auc, average_precision, best_cut, ranked, steps


def both(scores: NDArray[Any], marks: NDArray[np.int64], weights: NDArray[np.int64] | None = None) -> tuple[float, float]:
    """Average precision and area."""
    along = steps(ranked(scores, marks), weights)
    return average_precision(along), auc(along)


@st.composite
def answers(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Scores, some of them equal, and marks of both kinds."""
    n = draw(st.integers(2, 40))
    scores = draw(st.lists(st.integers(-4, 4), min_size=n, max_size=n))
    marks = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n).filter(lambda found: 0 < sum(found) < len(found)))
    return np.array(scores) / 2, np.array(marks)


def test_by_hand() -> None:
    """Shown at ranks 1 and 3 of 4: (1/1 + 2/3)/2; three of four pairs stand the right way."""
    assert both(np.array([0.9, 0.8, 0.7, 0.1]), np.array([1, 0, 1, 0])) == pytest.approx(((1 + 2 / 3) / 2, 0.75))


def test_equal_scores_are_one_step() -> None:
    """All alike: the precision is the share that shows the label, and half of all pairs stand the right way; in whatever order they come."""
    assert both(np.zeros(4), np.array([1, 0, 0, 0])) == both(np.zeros(4), np.array([0, 0, 0, 1])) == (0.25, 0.5)


def test_what_is_not_known_is_left_out() -> None:
    """Wherever it stands."""
    assert both(np.array([0.95, 0.9, 0.8, 0.75, 0.7, 0.1]), np.array([-1, 1, 0, -1, 1, 0])) == both(np.arange(4.0, 0, -1), np.array([1, 0, 1, 0]))


@given(answers())
@settings(max_examples=50)
def test_scikit_learn_says_the_same(found: tuple[NDArray[np.float64], NDArray[np.int64]]) -> None:
    """With equal scores among them."""
    scores, marks = found
    assert both(scores, marks) == pytest.approx((average_precision_score(marks, scores), roc_auc_score(marks, scores)))


@given(answers(), st.integers(0, 99))
@settings(max_examples=50)
def test_a_weight_is_so_many_images(found: tuple[NDArray[np.float64], NDArray[np.int64]], seed: int) -> None:
    """As a resample has them: drawn twice, or not at all."""
    scores, marks = found
    weights = np.random.default_rng(seed).integers(0, 3, len(scores))
    repeated = np.repeat(scores, weights), np.repeat(marks, weights)
    assert both(scores, marks, weights) == pytest.approx(both(*repeated), nan_ok=True)


def test_labels_that_no_image_shows_have_no_value() -> None:
    """Nor has the area where all show it, and nothing is known of a label without images."""
    scores = np.array([0.2, 0.1])
    assert all(map(math.isnan, both(scores, np.array([0, 0]))))
    precision, area = both(scores, np.array([1, 1]))
    assert (precision, math.isnan(area)) == (1.0, True)
    assert all(map(math.isnan, both(scores, np.array([-1, -1]))))
    assert math.isnan(best_cut(ranked(scores, np.array([-1, 0]))))


def test_the_best_cut_by_hand() -> None:
    """Halfway between the last image that is called and the next; the last of all where all are called."""
    assert best_cut(ranked(np.array([3.0, 2.0, 1.0, -1.0]), np.array([1, 1, 0, 0]))) == 1.5
    assert best_cut(ranked(np.array([3.0, 2.0]), np.array([0, 1]))) == 2.0
    assert best_cut(ranked(np.array([3.0, 2.0, 2.0, 0.0]), np.array([1, 1, 0, 0]))) == 1.0


@given(answers())
@settings(max_examples=50)
def test_no_other_cut_has_a_greater_f1(found: tuple[NDArray[np.float64], NDArray[np.int64]]) -> None:
    """Of all places between scores."""
    scores, marks = found

    def f1(cut: float) -> float:
        called = scores >= cut
        return 2 * int((marks * called).sum()) / int(marks.sum() + called.sum())

    assert f1(best_cut(ranked(scores, marks))) == max(map(f1, scores))

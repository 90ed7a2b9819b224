"""One temperature: against a case worked out by hand, against scipy, and what it may not change."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from edgekd.errors import EdgekdError, UsageError
from edgekd.evaluate import score
from edgekd.evaluate.calibration import COLDEST, HOTTEST, calibration, fitted, with_unscaled
from edgekd.evaluate.metrics import Labels, Logits, log_shares
from tests.test_evaluate import made

CLASSES = ["cat", "dog", "deer"]


def nll(logits: Logits, labels: Labels, temperature: float) -> float:
    """The mean negative log-likelihood at a temperature."""
    return float(-log_shares((logits / np.float32(temperature)).astype(np.float32))[np.arange(len(labels)), labels].mean())


def test_two_classes_by_hand() -> None:
    """Three of four right at a distance of 2: probabilities must be 3/4, so that 2 / T is log 3."""
    logits = np.array([[2, 0], [2, 0], [2, 0], [2, 0]], np.float32)
    assert fitted(logits, np.array([0, 0, 0, 1])) == pytest.approx(2 / math.log(3), rel=1e-9)


@given(st.integers(2, 300), st.integers(2, 12), st.integers(0, 10_000), st.floats(0.2, 8))
def test_no_other_temperature_is_likelier(n: int, classes: int, seed: int, scale: float) -> None:
    """scipy's bounded search over log T finds none that is better by more than it is exact."""
    logits, labels = made(n, classes, seed)
    assume((logits.argmax(1) != labels).any())
    logits = (scale * logits).astype(np.float32)
    ours = fitted(logits, labels)
    theirs = minimize_scalar(lambda log: nll(logits, labels, math.exp(log)), bounds=(math.log(COLDEST), math.log(HOTTEST)), method="bounded")
    assert nll(logits, labels, ours) <= float(theirs.fun) + 1e-6
    assert COLDEST <= ours <= HOTTEST


@given(st.integers(0, 10_000), st.floats(0.5, 4))
def test_logits_times_a_number_need_it_as_much_hotter(seed: int, factor: float) -> None:
    """T grows with the logits, and what comes of them stays."""
    logits, labels = made(200, 5, seed)
    assert fitted((factor * logits).astype(np.float32), labels) == pytest.approx(factor * fitted(logits, labels), rel=1e-4)


def test_answers_that_are_all_right_are_not_certain() -> None:
    """Three of them at a distance of 2 count as four of five: 2 / T is log 4. Without end they end at a bound, and so do those that are all wrong."""
    logits = np.array([[2, 0], [2, 0], [0, 2]], np.float32)
    assert fitted(logits, np.array([0, 0, 1])) == pytest.approx(2 / math.log(4), rel=1e-9)
    logits = np.array([[1e4, -1e4], [-1e4, 1e4]], np.float32)
    assert fitted(logits, np.array([0, 1])) == pytest.approx(HOTTEST)
    assert fitted(logits, np.array([1, 0])) == pytest.approx(HOTTEST)
    assert fitted((logits / 1e8).astype(np.float32), np.array([0, 1])) == pytest.approx(COLDEST)
    assert math.isfinite(fitted(np.zeros((3, 4), np.float32), np.array([0, 1, 2])))


@pytest.mark.parametrize(
    ("logits", "labels", "kind", "words"),
    [
        (np.zeros((0, 2)), np.zeros(0, int), UsageError, "a temperature is fitted on labelled images, got 0 answers"),
        (np.zeros((2, 2)), np.zeros(3, int), UsageError, r"got 2 answers and labels of shape \(3,\)"),
        (np.full((2, 2), np.nan), np.zeros(2, int), EdgekdError, "a temperature is fitted on finite logits"),
    ],
)
def test_what_cannot_be_fitted_is_refused(logits: Logits, labels: Labels, kind: type[EdgekdError], words: str) -> None:
    """With the remedy."""
    with pytest.raises(kind, match=words):
        fitted(logits, labels)


def test_calibration_is_of_the_test_images() -> None:
    """T comes of the validation logits alone; ECE and NLL are those of the test logits, as they are and divided; too sure answers get better."""
    (held, held_labels), (logits, labels) = made(400, 3, 1), made(500, 3, 2)
    held, logits = (4 * held).astype(np.float32), (4 * logits).astype(np.float32)
    found = calibration(held, held_labels, logits, labels, CLASSES)
    assert (found.temperature, found.images) == (fitted(held, held_labels), 400)
    before = score(logits, labels, artifact="a", split="test", classes=CLASSES).metrics
    assert (found.ece, found.nll) == (before["ece"], before["nll"])
    assert found.scaled_nll.value == pytest.approx(nll(logits, labels, found.temperature), rel=1e-5)
    assert found.scaled_nll.value < found.nll.value
    assert found.scaled_ece.value < found.ece.value
    assert np.array_equal((logits / np.float32(found.temperature)).argmax(1), logits.argmax(1))


def test_a_files_score_tells_what_it_was_before() -> None:
    """Logits that were divided by T, times T, are those before; the other metrics stay."""
    logits, labels = made(300, 3, 3)
    plain = score(logits, labels, artifact="a", split="test", classes=CLASSES)
    divided = (logits / 2).astype(np.float32)
    scored = with_unscaled(score(divided, labels, artifact="a", split="test", classes=CLASSES), divided, labels, CLASSES, 2.0)
    assert (scored.metrics["unscaled_ece"], scored.metrics["unscaled_nll"]) == (plain.metrics["ece"], plain.metrics["nll"])
    assert scored.metrics["accuracy"] == plain.metrics["accuracy"]
    assert scored.metrics["nll"] != plain.metrics["nll"]

"""edgekd.evaluate.auc: literals worked out by hand, scikit-learn as the reference, intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from edgekd.evaluate import Labels, Logits
from edgekd.evaluate.auc import log_odds, macro_auc


def made(n: int, classes: int, seed: int, sure: float = 1.0) -> tuple[Logits, Labels]:
    """Logits that lean towards the labels, of which every class has some."""
    draw = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    logits = draw.normal(size=(n, classes)) + sure * np.eye(classes)[labels]
    return logits.astype(np.float32), labels


def probabilities(logits: Logits) -> NDArray[np.float64]:
    """Softmax."""
    shares = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def test_a_literal() -> None:
    """Of four pairs of a positive and a negative image one is ranked wrong, one ties: (2 + ½)/4; with two classes both areas are the same."""
    logits = np.array([[0, 3], [0, 1], [0, 1], [0, 2]], np.float32)
    found = macro_auc(logits, np.array([1, 1, 0, 0]))
    assert found is not None
    assert found.value == pytest.approx(2.5 / 4)
    assert found.n == 4


@given(st.integers(0, 1000), st.integers(2, 6), st.booleans())
def test_as_scikit_learn_has_it(seed: int, classes: int, ties: bool) -> None:
    """One against the rest, mean over the classes; also where many answers tie."""
    logits, labels = made(60, classes, seed)
    logits = logits[np.arange(60) % 9] if ties else logits
    found = macro_auc(logits, labels)
    shares = probabilities(logits)
    expected = roc_auc_score(labels, shares[:, 1]) if classes == 2 else roc_auc_score(labels, shares, multi_class="ovr", average="macro")
    assert found is not None
    assert found.value == pytest.approx(expected, abs=1e-9)
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize("classes", [2, 5])
def test_sure_answers_are_ranked_too(classes: int) -> None:
    """Logits forty and more apart are probabilities of 1 to every digit, and still one above another: and no ties."""
    logits = np.full((4, classes), -300, np.float32)
    logits[:, 0], logits[:, 1] = 0, [40, 60, 80, 100]
    labels = np.array([0, 0, 1, 1])
    for scale in (0.1, 1.0, 30.0):
        found = macro_auc(np.asarray(scale * logits, np.float32), labels)
        assert found is not None
        assert found.value == 1
    odds = log_odds(np.array([[1.0, 3.0], [0.0, 90.0], [2.0, 2.0]], np.float32))
    np.testing.assert_allclose(odds, [[-2, 2], [-90, 90], [0, 0]], rtol=1e-9, atol=1e-9)


def test_only_classes_that_are_shown_count() -> None:
    """A class that no image is of has no area; a single one has none to be told from."""
    logits, labels = made(40, 2, 0)
    wider = np.concatenate([logits, np.full((40, 1), -30, np.float32)], axis=1)
    first, second = macro_auc(logits, labels), macro_auc(wider, labels)
    assert first is not None
    assert second is not None
    assert second.value == pytest.approx(first.value, abs=1e-6)
    assert macro_auc(logits, np.zeros(40, np.int64)) is None


def test_the_extremes() -> None:
    """All right is 1, all wrong 0, all alike a half; extreme logits are numbers too."""
    labels = np.array([0, 1, 2, 0, 1, 2])
    right = (1e4 * np.eye(3)[labels]).astype(np.float32)
    for logits, expected in ((right, 1.0), (-right, 0.0), (np.zeros((6, 3), np.float32), 0.5)):
        found = macro_auc(logits, labels)
        assert found is not None
        assert found.value == pytest.approx(expected)


def test_the_interval_holds_what_it_says() -> None:
    """Of 200 draws of 150 images about 95 % have the value of a very large one within theirs; four times the images halve it."""
    whole = macro_auc(*made(60_000, 3, 1))
    assert whole is not None
    found = [macro_auc(*made(150, 3, 10 + seed)) for seed in range(200)]
    held = [each is not None and each.low <= whole.value <= each.high for each in found]
    assert 0.9 <= float(np.mean(held)) <= 0.99
    wide, narrow = macro_auc(*made(150, 3, 5)), macro_auc(*made(600, 3, 5))
    assert wide is not None
    assert narrow is not None
    assert (wide.high - wide.low) / (narrow.high - narrow.low) == pytest.approx(2, rel=0.25)

"""One label an image: which losses and metrics fit, which labels are refused, how priors move logits."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgekd.errors import UsageError
from edgekd.tasks import classify


def test_soft_losses_by_the_number_of_classes() -> None:
    """Decoupled distillation needs classes beside the label to compare."""
    assert classify.soft_losses(2) == ("kd", "dist", "levels")
    assert classify.soft_losses(3) == ("kd", "dkd", "dist", "levels")


def test_losses_that_fit_pass() -> None:
    """All five for ten classes, the label and kd for two."""
    classify.check_losses(["label", "kd", "dkd", "dist", "levels"], 10)
    classify.check_losses(["label", "kd"], 2)


def test_a_loss_that_does_not_fit_is_refused() -> None:
    """The message names the classes, what fits and what came."""
    with pytest.raises(UsageError, match="with 2 classes the losses that fit are label, kd, dist, levels, got 'dkd'"):
        classify.check_losses(["kd", "dkd"], 2)


def test_one_class_is_refused() -> None:
    """There is nothing to tell apart."""
    with pytest.raises(UsageError, match=r"needs 2 classes or more, got 1\. Add images"):
        classify.check_losses(["label"], 1)


def test_labels_that_name_classes_pass() -> None:
    """Any integer dtype does."""
    classify.check_labels(np.array([0, 2, 1], np.uint8), "abc", "test")


def test_labels_outside_the_classes_are_refused() -> None:
    """The message says the range, the first bad label, where it stands and how many there are."""
    with pytest.raises(UsageError, match=r"test labels must be 0 to 2.* got 7 at image 1 \(2 such labels\)"):
        classify.check_labels(np.array([0, 7, -1]), "abc", "test")


@pytest.mark.parametrize("labels", [np.array([0.0, 1.0]), np.array([[0, 1]])])
def test_labels_of_another_kind_are_refused(labels: NDArray[Any]) -> None:
    """Fractions and tables of labels are not one class an image."""
    with pytest.raises(UsageError, match="valid labels must be one whole number per image, got"):
        classify.check_labels(labels, "ab", "valid")


def test_metric_names() -> None:
    """Top-5 stands only where five guesses leave a class out."""
    assert classify.metric_names(5) == ("accuracy", "balanced_accuracy", "macro_f1", "ece", "nll")
    assert classify.metric_names(6)[1] == "top5"


def test_chance_is_the_commonest_class() -> None:
    """Always answering it is right that often."""
    assert classify.chance([10, 30, 10]) == 0.6


def test_adjusting_to_uniform_takes_off_the_log_frequency() -> None:
    """Logits that say only how frequent classes are say nothing afterwards, and probabilities follow Bayes' rule."""
    counts = [90, 9, 1]
    logits = torch.tensor([[0.9, 0.09, 0.01]]).log()
    torch.testing.assert_close(classify.adjust(logits, counts).softmax(1), torch.full((1, 3), 1 / 3))
    other = torch.tensor([[0.5, 0.3, 0.2]])
    expected = other / torch.tensor(counts)
    torch.testing.assert_close(classify.adjust(other.log(), counts).softmax(1), expected / expected.sum())


def test_adjusting_to_wanted_frequencies_and_back() -> None:
    """There and back is where it started but for a constant; equal priors change nothing."""
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    there = classify.adjust(logits, [5, 3, 2], [1, 1, 8])
    torch.testing.assert_close(classify.adjust(there, [1, 1, 8], [5, 3, 2]), logits)
    torch.testing.assert_close(classify.adjust(logits, [5, 3, 2], [50, 30, 20]), logits)


def test_adjusting_keeps_the_dtype() -> None:
    """Remembered logits are float16 and stay so."""
    assert classify.adjust(torch.zeros(2, 3, dtype=torch.float16), [1, 2, 3]).dtype == torch.float16


@pytest.mark.parametrize("counts", [[5.0, 0.0, 1.0], [5.0, float("nan"), 1.0]])
def test_a_class_without_frequency_is_refused(counts: list[float]) -> None:
    """log 0 has no value; the message names the class."""
    with pytest.raises(UsageError, match=r"frequency must be above 0, got .* for class 1\. Leave that class out"):
        classify.prior_shift(counts)


def test_priors_of_other_classes_are_refused() -> None:
    """Both priors, and the logits, are about the same classes."""
    with pytest.raises(UsageError, match="got 2 and 3 frequencies"):
        classify.prior_shift([1, 2], [1, 2, 3])
    with pytest.raises(UsageError, match="got 2 frequencies for 3 classes"):
        classify.adjust(torch.zeros(1, 3), [1, 2])

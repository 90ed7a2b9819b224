"""Several labels an image: which labels, phases and terms fit, and when a label is said to be there."""

from typing import Any

import numpy as np
import pytest
import torch

from edgekd.errors import UsageError
from edgekd.phases import TWO_PHASES, Phase, Subset, Temperature
from edgekd.tasks import classify, multilabel, several, task_of
from edgekd.terms import Contrast, Dist, Dkd, Feature, Kd, Label, Levels, Relation, Term, Tokens


def phase(*terms: Term, **changes: Any) -> Phase:
    return Phase(name="p", epochs=1, terms=terms or (Kd(), Label()), **changes)


def test_labels_say_whose_they_are() -> None:
    """Arrays and tensors, by their shape."""
    assert task_of(np.zeros(3)) is classify
    assert task_of(np.zeros((3, 2))) is multilabel
    assert several(torch.zeros(3, 2))
    assert not several(torch.zeros(3))


def test_terms_that_compare_labels_one_by_one_fit() -> None:
    """So do terms that look at no label, balanced weights and smoothing."""
    multilabel.check_phases(
        [phase(Kd(), Label(smoothing=0.1, class_balance=0.9), Feature(), Relation(), Tokens()), phase(subset=Subset(by="balanced"))], 2
    )


@pytest.mark.parametrize("term", [Dkd(), Dist(), Levels(), Contrast()])
def test_terms_of_one_label_are_refused(term: Term) -> None:
    """With those that fit."""
    with pytest.raises(UsageError, match=f"the terms that fit are label, kd, .* got '{type(term).__name__.lower()}' in phase 'p'. Use kd"):
        multilabel.check_phases([phase(Label(), term)], 3)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (phase(Kd(standardise=True)), r"take it off kd in phase 'p'"),
        (phase(Label(logit_adjustment=1.0)), r"got 1 in phase 'p'\. With several labels an image class_balance weighs"),
        (phase(Label(among="shown")), r"among is of classes of which one is right, got 'shown' in phase 'p'"),
        (phase(subset=Subset(by="hard")), r"chosen by random or balanced; got 'hard' in phase 'p', which asks which images the teacher has right"),
        (phase(subset=Subset(by="mixed")), r"got 'mixed'"),
        (
            phase(temperature=Temperature(shape="teacher-confidence")),
            r"linear, cosine, exponential or learned, got 'teacher-confidence' in phase 'p'",
        ),
    ],
)
def test_what_asks_for_the_one_right_class_is_refused(wrong: Phase, words: str) -> None:
    """Options, subsets and temperatures, each with what fits."""
    with pytest.raises(UsageError, match=words):
        multilabel.check_phases([phase(), wrong], 3)


def test_one_label_is_refused() -> None:
    """That is a yes or no: two classes."""
    with pytest.raises(UsageError, match=r"2 labels or more, got 1\. One yes or no is two classes"):
        multilabel.check_phases([phase()], 1)


def test_the_default_phases_are_fitted() -> None:
    """A mixed subset becomes a random one of the same size; others stay."""
    assert [multilabel.fitted(each).subset for each in TWO_PHASES] == [None, Subset(by="random", fraction=0.8)]
    balanced = phase(subset=Subset(by="balanced", fraction=0.3))
    assert multilabel.fitted(balanced) == balanced


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array([0, 1]), r"test labels must be whole numbers, a row an image and a column for each of 2 labels, got int64 of shape \(2,\)"),
        (np.array([[0, 1, 1]]), r"got int64 of shape \(1, 3\)"),
        (np.array([[0.0, 1.0]]), r"got float64"),
        (np.array([[0, 1], [0, 2]]), r"must be 1 .*, got 2 at image 1, label 'b' \(1 such values\)"),
        (np.array([[0, -1], [0, 0]]), r"test images must show some label to be scored, and none of 2 does"),
    ],
)
def test_labels_of_another_kind_are_refused(labels: "np.ndarray[Any, Any]", words: str) -> None:
    """Each with its place."""
    with pytest.raises(UsageError, match=words):
        multilabel.check_labels(labels, "ab", "test")


def test_decisions_by_hand() -> None:
    """A probability that reaches its threshold says yes; without thresholds a logit of 0 does."""
    logits = np.array([[0.0, -1.0, 5.0]], np.float32)
    assert multilabel.decided(logits, ()).tolist() == [[True, False, True]]
    assert multilabel.decided(logits, [0.6, 0.2, 1.0]).tolist() == [[False, True, False]]


def test_probabilities_of_extreme_logits() -> None:
    """Exact ends, without a warning."""
    assert multilabel.probabilities(np.array([-1e4, 0.0, 1e4], np.float16)).tolist() == [0.0, 0.5, 1.0]
    assert multilabel.probabilities(np.array(2.0)) == pytest.approx(1 / (1 + np.exp(-2)))

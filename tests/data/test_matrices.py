"""edgekd.data.matrices: labels of images that may have several, from arrays and from tables."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from edgekd.data.matrices import UNKNOWN, check_matrices, from_array, from_cells, from_columns, in_cell
from edgekd.errors import UsageError

NAMES = st.text("abcdefg ", min_size=1).map(str.strip).filter(bool)


@pytest.mark.parametrize(
    "y",
    [
        np.array([[True, False], [False, True]]),
        np.array([[1, 0], [0, 1]], np.uint8),
        np.array([[1.0, 0.0], [0.0, 1.0]], np.float32),
    ],
)
def test_arrays_of_any_kind(y: NDArray[Any]) -> None:
    """Bool, whole and floating-point numbers say the same."""
    found = from_array(y, "y")
    assert found.tolist() == [[1, 0], [0, 1]]
    assert found.dtype == np.int64


def test_what_is_not_known() -> None:
    """NaN and −1 both say so."""
    assert from_array(np.array([[np.nan, 1.0], [-1.0, 0.0]]), "y").tolist() == [[UNKNOWN, 1], [UNKNOWN, 0]]


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.array([0, 1]), r"labels are a matrix of 0 and 1, .* y_train is int64 \(2,\)\. Where each image has one label, leave"),
        (np.array([[0], [1]]), r"of 2 labels or more; y_train is int64 \(2, 1\)"),
        (np.array([["a", "b"]]), r"y_train is <U1 \(1, 2\)"),
        (np.array([[0, 1], [2, 3]]), r"y_train has 2 for image 1, label 0 \(2 such values\)\. Correct them"),
        (np.array([[0.5, 1.0]]), r"y_train has 0\.5 for image 0, label 0"),
        (np.array([[np.inf, 1.0]]), r"y_train has inf for image 0, label 0"),
    ],
)
def test_arrays_that_are_none(y: NDArray[Any], words: str) -> None:
    """Each with what it has and what it should be."""
    with pytest.raises(UsageError, match=words):
        from_array(y, "y_train")


def test_names_and_columns_belong_together() -> None:
    """Numbers where no names were given; another number of columns is refused."""
    train = np.zeros((3, 2), np.int64)
    assert check_matrices({"train": train}, None, "d") == ("0", "1")
    assert check_matrices({"train": train, "test": train[:1]}, ("a", "b"), "d") == ("a", "b")
    with pytest.raises(UsageError, match=r"d names 3 labels, so each split has as many columns; got train 2\."):
        check_matrices({"train": train}, ("a", "b", "c"), "d")
    with pytest.raises(UsageError, match=r"got train 2, test 3\."):
        check_matrices({"train": train, "test": np.zeros((1, 3), np.int64)}, None, "d")
    with pytest.raises(UsageError, match="d has no training images"):
        check_matrices({"train": train[:0]}, None, "d")


def test_cells() -> None:
    """Either separator, room around it, and both ways to say that nothing is shown."""
    assert from_cells(["a|b", " b ; c ", "", "No Finding", "c"], ["a", "b", "c"]) == [(1, 1, 0), (0, 1, 1), (0, 0, 0), (0, 0, 0), (0, 0, 1)]


@given(listed=st.lists(NAMES, unique=True, max_size=5), separator=st.sampled_from("|;"))
@settings(max_examples=50)
def test_cells_there_and_back(listed: list[str], separator: str) -> None:
    """What was put between separators comes out again."""
    assert in_cell(f" {separator} ".join(listed)) == listed


def test_columns() -> None:
    """As people and programs write yes, no and nothing."""
    assert from_columns(["1", "0", "", "-1", "nan", "TRUE", "0.0"], list("abcdefg"), "t.csv, line 2") == (1, 0, -1, -1, -1, 1, 0)
    with pytest.raises(UsageError, match=r"t\.csv, line 2: a label's column says 1 .* 'b' has 'maybe'"):
        from_columns(["1", "maybe"], ["a", "b"], "t.csv, line 2")

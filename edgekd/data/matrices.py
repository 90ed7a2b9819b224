"""Labels of images that may have several: a matrix, a row an image and a column a label.

In: an array of 0 and 1, or the cells of a table. Out: int64 (n, labels): 1 the image shows it, 0 it does not, −1 nobody knows. Which images are whose
is the readers' business.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.data.images import Integers
from edgekd.errors import UsageError

UNKNOWN = -1
SEPARATORS = "|;"
"""What stands between the labels in one cell of a table."""
NOTHING = frozenset({"", "no finding"})
"""A cell, in small letters, of an image that shows none of the labels."""

_MARKS = {**dict.fromkeys(("1", "1.0", "true", "yes"), 1), **dict.fromkeys(("0", "0.0", "false", "no"), 0)}
_MARKS |= dict.fromkeys(("", "-1", "-1.0", "nan"), UNKNOWN)
"""What a label's own column may say of an image, in small letters."""


def from_array(y: NDArray[Any], name: str) -> Integers:
    """A matrix of 0 and 1 (bool, whole or floating-point numbers; NaN or −1: not known) as int64; `name` says what it is, as in "y_train of x.npz".

    Raises:
        UsageError: another shape, fewer than 2 labels, or another value.
    """
    if y.ndim != 2 or y.shape[1] < 2 or y.dtype.kind not in "buif":
        raise UsageError(
            f'with task = "multilabel" labels are a matrix of 0 and 1, a row an image and a column a label, of 2 labels or more; {name} is {y.dtype} '
            f'{y.shape}. Where each image has one label, leave task = "classify".'
        )
    values = y.astype(np.float64)
    marks = np.where(np.isnan(values), UNKNOWN, values)
    wrong = np.argwhere(~np.isin(marks, (0, 1, UNKNOWN)))
    if len(wrong):
        row, column = wrong[0].tolist()
        raise UsageError(
            f"a label is 1 (shown), 0 (not shown), or NaN or −1 (not known); {name} has {values[row, column]:g} for image {row}, label {column} "
            f"({len(wrong)} such values). Correct them."
        )
    return marks.astype(np.int64)


def check_matrices(labels: Mapping[str, Integers], names: tuple[str, ...] | None, whose: str) -> tuple[str, ...]:
    """The labels' names (numbers where none were given), after checking that all splits have as many columns as there are names.

    Raises:
        UsageError: they have not, or there are no training images.
    """
    if len(labels["train"]) == 0:
        raise UsageError(f"{whose} has no training images.")
    widths = {split: matrix.shape[1] for split, matrix in labels.items()}
    names = names or tuple(str(number) for number in range(widths["train"]))
    if set(widths.values()) != {len(names)}:
        told = ", ".join(f"{split} {width}" for split, width in widths.items())
        raise UsageError(f"{whose} names {len(names)} labels, so each split has as many columns; got {told}.")
    return names


def from_cells(cells: Sequence[str], names: Sequence[str]) -> list[tuple[int, ...]]:
    """For each cell that lists labels, what is known of each name: nothing is unknown here."""
    return [tuple(int(name in listed) for name in names) for listed in map(set, map(in_cell, cells))]


def in_cell(cell: str) -> list[str]:
    """The labels that a cell lists; none where it says so, or is empty."""
    parts = cell.replace(SEPARATORS[1], SEPARATORS[0]).split(SEPARATORS[0])
    return [part for part in map(str.strip, parts) if part.lower() not in NOTHING]


def from_columns(fields: Sequence[str], names: Sequence[str], where: str) -> tuple[int, ...]:
    """What the columns of one image say, a label each: 1, 0, or nothing where it is not known; `where` says which image, as in "t.csv, line 3".

    Raises:
        UsageError: another text.
    """
    for field, name in zip(fields, names, strict=True):
        if field.lower() not in _MARKS:
            raise UsageError(f"{where}: a label's column says 1 (shown), 0 (not shown), or nothing or -1 (not known); {name!r} has {field!r}.")
    return tuple(_MARKS[field.lower()] for field in fields)

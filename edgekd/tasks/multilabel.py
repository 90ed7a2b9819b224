"""What an answer means where an image may have several labels, each told for itself: present where its probability, sigmoid(logit), is high enough.

Checks labels and phases, and makes phases that were written for one label an image fit. Labels are (n, labels): 1 shown, 0 not, −1 not known. Losses
are computed in `distill.independent`, metrics in `evaluate.severally`. Imports numpy only.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekd.errors import UsageError
from edgekd.phases import Phase, Subset, Temperature
from edgekd.terms import Contrast, Dist, Dkd, Kd, Label, Levels

THRESHOLD = 0.5
"""Of every label, where no validation images fitted another."""

_ONE_LABEL = (Dkd, Dist, Levels, Contrast)
"""Terms that compare classes of which one is right."""
_FITTING = "label, kd, feature, attention, relation, review, heads, values and tokens"


def fitted(phase: Phase) -> Phase:
    """A phase with what else can be chosen in place of a `mixed` subset, half of which is images that a teacher has right: all of it at random."""
    if phase.subset is None or phase.subset.by != "mixed":
        return phase
    return msgspec.structs.replace(phase, subset=Subset(by="random", fraction=phase.subset.fraction))


def check_phases(phases: Sequence[Phase], classes: int) -> None:
    """Refuse what asks which one class is right.

    Raises:
        UsageError: fewer than 2 labels, a term, an option of one, a subset or a temperature that does not fit.
    """
    if classes < 2:
        raise UsageError(f'with task = "multilabel" there are 2 labels or more, got {classes}. One yes or no is two classes of task = "classify".')
    for phase in phases:
        where = f"in phase {phase.name!r}"
        for term in phase.terms:
            kind = type(term).__name__.lower()
            if isinstance(term, _ONE_LABEL):
                raise UsageError(f"with several labels an image the terms that fit are {_FITTING}; got {kind!r} {where}. Use kd in its place.")
            if isinstance(term, Kd) and term.standardise:
                raise UsageError(f"standardise makes a label's logit depend on the others'; with several labels an image take it off kd {where}.")
            if isinstance(term, Label) and term.logit_adjustment:
                raise UsageError(
                    f"logit_adjustment is of classes of which one is right, got {term.logit_adjustment:g} {where}. With several labels an image "
                    "class_balance weighs what rare labels show."
                )
            if isinstance(term, Label) and term.among == "shown":
                raise UsageError(
                    f"among is of classes of which one is right, got 'shown' {where}. With several labels an image leave it out, and "
                    "mark what nobody looked for as not known (−1)."
                )
        if phase.subset is not None and phase.subset.by not in ("random", "balanced"):
            raise UsageError(
                f"with several labels an image a subset is chosen by random or balanced; got {phase.subset.by!r} {where}, which asks which images "
                "the teacher has right."
            )
        if isinstance(phase.temperature, Temperature) and phase.temperature.shape in ("teacher-confidence", "student-confidence"):
            raise UsageError(
                f"with several labels an image no one answer is the sure one; a temperature's shape is linear, cosine, exponential or learned, got "
                f"{phase.temperature.shape!r} {where}."
            )


def check_labels(labels: NDArray[Any], classes: Sequence[str], where: str) -> None:
    """Refuse labels that are no matrix; `where` says whose they are, as in "test".

    Raises:
        UsageError: labels that are not whole numbers, a row an image and a column a label, each 0, 1 or −1; or no image shows any.
    """
    if labels.ndim != 2 or labels.shape[1] != len(classes) or not np.issubdtype(labels.dtype, np.integer):
        raise UsageError(
            f"{where} labels must be whole numbers, a row an image and a column for each of {len(classes)} labels, got {labels.dtype} of shape "
            f"{labels.shape}. Name as many labels as there are columns."
        )
    wrong = np.argwhere((labels < -1) | (labels > 1))
    if len(wrong):
        row, column = wrong[0].tolist()
        raise UsageError(
            f"{where} labels must be 1 (shown), 0 (not shown) or −1 (not known), got {int(labels[row, column])} at image {row}, label "
            f"{classes[column]!r} ({len(wrong)} such values). Correct them."
        )
    if len(labels) and not (labels == 1).any():
        raise UsageError(f"{where} images must show some label to be scored, and none of {len(labels)} does. Take others.")


def decided(logits: NDArray[Any], thresholds: Sequence[float]) -> NDArray[np.bool_]:
    """Which labels (n, labels) are said to be there: those whose probability reaches its threshold; () stands for `THRESHOLD` of each."""
    return np.asarray(probabilities(logits) >= np.asarray(thresholds or THRESHOLD, np.float64))


def probabilities(logits: NDArray[Any]) -> NDArray[np.float64]:
    """sigmoid(logits), without overflow."""
    wide = logits.astype(np.float64)
    small = np.exp(-np.abs(wide))
    return np.asarray(np.where(wide >= 0, 1.0, small) / (1.0 + small))

"""What an answer means where every image has one label: which of the classes it shows.

Names the output, the losses that fit and the metrics, checks labels and terms, and moves logits from one set of class frequencies to another.
Losses are computed in `distill.losses`, metrics in `evaluate`. Imports numpy, and torch only where torch's tensors are adjusted.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import UsageError
from edgekd.phases import Phase
from edgekd.terms import FEATURE_TERMS

if TYPE_CHECKING:
    from torch import Tensor

INPUT = "images"
OUTPUT = "logits"
HARD_LOSS: Literal["label"] = "label"

SoftLoss: TypeAlias = Literal["kd", "dkd", "dist", "levels"]
Frequencies: TypeAlias = Sequence[float] | Sequence[int] | NDArray[Any]
"""Of each class, in their order: shares or counts."""


def soft_losses(classes: int) -> tuple[SoftLoss, ...]:
    """The soft losses that fit so many classes: `dkd` compares classes beside the label, so it needs 3."""
    return ("kd", "dkd", "dist", "levels") if classes >= 3 else ("kd", "dist", "levels")


def check_losses(names: Iterable[str], classes: int) -> None:
    """Refuse a loss that does not fit.

    Raises:
        UsageError: fewer than 2 classes, or a loss that so many classes do not allow.
    """
    if classes < 2:
        raise UsageError(f"classifying needs 2 classes or more, got {classes}. Add images of another class.")
    fitting = (HARD_LOSS, *soft_losses(classes))
    for name in names:
        if name not in fitting:
            raise UsageError(f"with {classes} classes the losses that fit are {', '.join(fitting)}, got {name!r}. Use one of them.")


def check_phases(phases: Sequence[Phase], classes: int) -> None:
    """Refuse losses on logits that do not fit so many classes; raises as `check_losses`. Terms that compare features fit any."""
    check_losses({type(term).__name__.lower() for phase in phases for term in phase.terms if not isinstance(term, FEATURE_TERMS)}, classes)


def check_labels(labels: NDArray[Any], classes: Sequence[str], where: str) -> None:
    """Refuse labels that name no class; `where` says whose they are, as in "test".

    Raises:
        UsageError: labels that are not whole numbers, one an image, from 0 to the last class.
    """
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise UsageError(
            f"{where} labels must be one whole number per image, got {labels.dtype} of shape {labels.shape}. Give the position of each image's class."
        )
    outside = (labels < 0) | (labels >= len(classes))
    if outside.any():
        first = int(np.argmax(outside))
        raise UsageError(
            f"{where} labels must be 0 to {len(classes) - 1}, one for each of {len(classes)} classes, got {int(labels[first])} at image {first} "
            f"({int(outside.sum())} such labels). Correct them or name the missing classes."
        )


def metric_names(classes: int) -> tuple[str, ...]:
    """What `evaluate` measures; top-5 says nothing where 5 guesses cover all classes."""
    top5 = ("top5",) if classes > 5 else ()
    return ("accuracy", *top5, "balanced_accuracy", "macro_f1", "ece", "nll")


def chance(counts: Sequence[int]) -> float:
    """Accuracy of always answering the commonest class, from the images of each class."""
    return max(counts) / sum(counts)


def prior_shift(frequencies: Frequencies, wanted: Frequencies | None = None) -> NDArray[np.float32]:
    """What must be added to logits learnt under `frequencies` to suit `wanted` ones (None: all alike); counts do as well as shares.

    It is log(wanted) − log(frequencies) of shares, by Bayes' rule (Saerens et al. 2002; Menon et al. 2021, arXiv:2007.07314), with mean 0 over the
    classes, since a constant changes no probability.

    Raises:
        UsageError: a frequency that is not above 0, or another number of wanted ones.
    """
    given = np.asarray(frequencies, np.float64)
    target = np.ones_like(given) if wanted is None else np.asarray(wanted, np.float64)
    if given.shape != target.shape:
        raise UsageError(f"two priors must be about the same classes, got {len(given)} and {len(target)} frequencies. Name each class once.")
    for values in (given, target):
        if not (values > 0).all() or not np.isfinite(values).all():
            place = int(np.argmin(np.where(np.isfinite(values), values, -1)))
            raise UsageError(
                f"a class's frequency must be above 0, got {values[place]:g} for class {place}. Leave that class out, or say how often it occurs."
            )
    shift = np.log(target) - np.log(given)
    return np.asarray(shift - shift.mean(), np.float32)


def adjust(logits: "Tensor", frequencies: Frequencies, wanted: Frequencies | None = None) -> "Tensor":
    """Logits (batch, classes) learnt under `frequencies`, moved to `wanted` ones (None: uniform, which takes off the log frequency).

    Same dtype and device as they came. Raises as `prior_shift`, and UsageError where the classes are of another number.
    """
    import torch

    shift = prior_shift(frequencies, wanted)
    if len(shift) != logits.shape[-1]:
        raise UsageError(
            f"a prior must be about the classes of the logits, got {len(shift)} frequencies for {logits.shape[-1]} classes. Name each class once."
        )
    return logits + torch.as_tensor(shift, dtype=logits.dtype, device=logits.device)

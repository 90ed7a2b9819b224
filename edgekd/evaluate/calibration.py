"""One temperature for a network that is done, so that its probabilities are as sure as it is right (Guo et al. 2017, arXiv:1706.04599).

In: logits and labels of validation images. Out: the T by which logits are divided, and what that does to calibration error and likelihood on test
images. It changes no answer, only how sure it is. All numpy; who folds T into a file is `export`.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekd.errors import EdgekdError, UsageError
from edgekd.evaluate import Labels, Logits, score
from edgekd.scores import Calibration, Score

COLDEST, HOTTEST = 0.05, 20.0
"""Where T ends at the latest."""
_HALVINGS = 40


def fitted(logits: Logits, labels: Labels) -> float:
    """The temperature at which logits (n, classes) make these labels likeliest, from `COLDEST` to `HOTTEST`.

    The negative log-likelihood is convex in 1/T, so that its slope changes sign once at the most: the interval of log T is halved until that is found
    to twelve digits. Where all n answers are right, T would fall for ever; their labels then count for 1 − 1/(n + 2), and the other classes for the
    rest (the rule of succession, as in Platt 1999), so that so many right answers are not taken for certainty.

    Raises:
        UsageError: no images, or labels that are not one a row.
        EdgekdError: logits that are not finite.
    """
    if labels.shape != (len(logits),) or not len(labels):
        raise UsageError(f"a temperature is fitted on labelled images, got {len(logits)} answers and labels of shape {labels.shape}. Hold some out.")
    wide = logits.astype(np.float64)
    if not np.isfinite(wide).all():
        raise EdgekdError("a temperature is fitted on finite logits, and some are NaN or infinity. Teach the network again.")
    wide -= wide[np.arange(len(labels)), labels][:, None]
    doubted = 0.0 if (wide > 0).any() else 1 / (len(labels) + 2)
    low, high = np.log(COLDEST), np.log(HOTTEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if _slope(wide, float(np.exp(-middle)), doubted) < 0 else (middle, high)
    return float(np.exp((low + high) / 2))


def _slope(ahead: NDArray[np.float64], sharpness: float, doubted: float) -> float:
    """How the mean negative log-likelihood changes with 1/T there: by the mean logit less that of the label, which `ahead` has taken off. `doubted`
    is the share of each label that the other classes have."""
    shares = ahead * sharpness
    shares = np.exp(shares - shares.max(axis=1, keepdims=True))
    expected = (shares * ahead).sum(axis=1) / shares.sum(axis=1)
    return float((expected - doubted * ahead.sum(axis=1) / (ahead.shape[1] - 1)).mean())


def calibration(held: Logits, held_labels: Labels, logits: Logits, labels: Labels, classes: Sequence[str]) -> Calibration:
    """The temperature that validation logits `held` ask for, and calibration error and NLL of test `logits` before and after.

    Raises:
        UsageError, EdgekdError: as `fitted` and `evaluate.score`.
    """
    temperature = fitted(held, held_labels)
    before, after = (_metrics(each, labels, classes) for each in (logits, logits / np.float32(temperature)))
    return Calibration(
        temperature=temperature,
        images=len(held_labels),
        ece=before.metrics["ece"],
        nll=before.metrics["nll"],
        scaled_ece=after.metrics["ece"],
        scaled_nll=after.metrics["nll"],
    )


def with_unscaled(scored: Score, logits: Logits, labels: Labels, classes: Sequence[str], temperature: float) -> Score:
    """The score of a file whose logits were divided by a temperature, with what they were before: `unscaled_ece` and `unscaled_nll`."""
    before = _metrics(logits * np.float32(temperature), labels, classes).metrics
    return msgspec.structs.replace(scored, metrics=scored.metrics | {f"unscaled_{name}": before[name] for name in ("ece", "nll")})


def _metrics(logits: Logits, labels: Labels, classes: Sequence[str]) -> Score:
    return score(logits, labels, artifact="the network", split="test", classes=classes)

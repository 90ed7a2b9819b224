"""How good answers are, as the one share that `max_drop` speaks of: what ships, and what int8 may cost, go by the same.

Sources: balanced accuracy, the mean recall of the classes that are shown: Brodersen et al., "The Balanced Accuracy and Its Posterior
Distribution", ICPR 2010; mean average precision: as in `severally`.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgekd.evaluate.severally import mean_average_precision
from edgekd.tasks import several

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


def quality(labels: Labels, *, balanced: bool = False) -> Callable[[Floats], float]:
    """Logits (n, classes) to a share from 0 to 1, for labels (n,), or (n, classes) where an image may have several.

    Of one label an image it is accuracy, or `balanced` accuracy; of several it is mean average precision.
    """
    if several(labels):
        return partial(_precision, labels)
    return partial(_balanced if balanced else _accuracy, labels)


def _precision(labels: Labels, logits: Floats) -> float:
    return mean_average_precision(logits, labels)


def _accuracy(labels: Labels, logits: Floats) -> float:
    return float((logits.argmax(axis=1) == labels).mean())


def _balanced(labels: Labels, logits: Floats) -> float:
    right = logits.argmax(axis=1) == labels
    shown = np.bincount(labels)
    return float((np.bincount(labels, weights=right)[shown > 0] / shown[shown > 0]).mean())

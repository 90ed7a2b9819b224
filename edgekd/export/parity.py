"""Whether a file answers as the step before it did, on real images, one by one and in batches.

In: a session of the file, prepared images, the logits of the step before. Out: how the two compare by batch size, or an error. Where in a file that
is off the fault lies is `drift`'s to find. How many images the file gets right is not asked here: that is `evaluate`'s, on all test images.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import EdgekdError, UsageError
from edgekd.export.feed import Feed
from edgekd.record import Parity

BATCHES = (1, 2, 7)
"""A batch of one may have been baked in, two is what was exported with, seven is neither."""
FEWEST = max(BATCHES)
"""Images that each batch size is tried on; the largest, and a fixed one, on all that there are."""

Logits = NDArray[np.float32]


def check(session: Any, feed: Feed, images: NDArray[np.float32], before: Logits, *, precision: str, name: str) -> list[Parity]:
    """Compare a file's logits with those of the step before.

    Args:
        images: prepared, float32 (n, c, h, w), at least 7.
        before: their logits in the step before, (n, classes).
        precision: fp32 and fp16 are judged by the largest difference, int8 by the mean difference and by the answers.
        name: the file's.

    Returns:
        How they compare, by batch size.

    Raises:
        EdgekdError: the difference is too large, or an output is not finite.
        UsageError: fewer than 7 images.
    """
    if len(images) < FEWEST:
        raise UsageError(f"a file is checked on {FEWEST} images or more, got {len(images)}. Give more validation images.")
    _refuse_nonfinite(before, "the step before", name, precision)
    spread = float(before.std()) or 1.0
    found = []
    for batch in BATCHES if feed.batch is None else (feed.batch,):
        some = len(images) if batch == FEWEST or feed.batch else FEWEST
        logits = _answers(session, feed, images[:some], batch, name)
        if logits.shape != before[:some].shape:
            raise EdgekdError(f"{name} answers {list(logits.shape)} to {some} images, {list(before[:some].shape)} was expected. {remedy(precision)}")
        _refuse_nonfinite(logits, f"batch {batch}", name, precision)
        found.append(compared(logits, before[:some], spread, batch))
        if fault := _JUDGES[precision](logits, before[:some], spread):
            raise EdgekdError(f"{name} does not answer as the step before: at batch {batch} {fault}. {remedy(precision)}")
    return found


def compared(logits: Logits, before: Logits, spread: float, batch: int) -> Parity:
    """How finite logits (n, classes) compare with those of the step before; `spread` is what differences are told in."""
    wide, first = logits.astype(np.float64), before.astype(np.float64)
    apart = np.abs(wide - first) / spread
    lengths = np.linalg.norm(wide, axis=1) * np.linalg.norm(first, axis=1)
    along = (wide * first).sum(axis=1)
    cosines = np.where(lengths > 0, along / np.where(lengths > 0, lengths, 1.0), (wide == first).all(axis=1))
    return Parity(
        batch=batch,
        images=len(logits),
        largest=float(apart.max()),
        mean=float(apart.mean()),
        cosine=float(cosines.min().clip(-1, 1)),
        agreement=float((wide.argmax(axis=1) == first.argmax(axis=1)).mean()),
    )


def _answers(session: Any, feed: Feed, images: NDArray[np.float32], batch: int, name: str) -> Logits:
    try:
        return feed.answer(session, images, batch)
    except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
        cause = str(error).strip().splitlines()[-1]
        raise EdgekdError(f"{name} does not run at batch {batch}: {cause}. Rewrite the network's forward so that it holds for any batch.") from error


def _refuse_nonfinite(logits: Logits, where: str, name: str, precision: str) -> None:
    bad = int((~np.isfinite(logits)).sum())
    if bad:
        raise EdgekdError(f"logits must be finite, and {bad} of {logits.size} of {name} ({where}) are not. {remedy(precision)}")


def _within(bound: float) -> Callable[[Logits, Logits, float], str]:
    def judge(logits: Logits, before: Logits, spread: float) -> str:
        worst = float(np.abs(logits - before).max()) / spread
        return "" if worst <= bound else f"logits differ by {worst:.2g} of their standard deviation, {bound:g} is allowed"

    return judge


def _alike(logits: Logits, before: Logits, spread: float) -> str:
    """Rounding to 8 bits moves every logit a little; a file that is wired wrongly answers something else altogether."""
    mean = float(np.abs(logits - before).mean()) / spread
    if mean > MEAN_INT8:
        return f"logits differ by {mean:.2g} of their standard deviation on average, {MEAN_INT8:g} is allowed"
    ranked = np.sort(before, axis=1)
    sure = ranked[:, -1] - ranked[:, -2] > spread if before.shape[1] > 1 else np.zeros(len(before), bool)
    flipped = int((logits.argmax(1) != before.argmax(1))[sure].sum())
    return "" if 2 * flipped <= sure.sum() else f"{flipped} of {int(sure.sum())} clear answers changed, half is allowed"


MEAN_INT8 = 0.5
"""Outputs that have nothing to do with each other differ by about 1.1 on average; good int8 by 0.02 to 0.1."""

_JUDGES: dict[str, Callable[[Logits, Logits, float], str]] = {
    "as-is": _within(1e-3),
    "fp32": _within(1e-3),
    "fp16": _within(2e-2),
    "int8-cpu": _alike,
    "int8-trt": _alike,
}


_WITHOUT = {
    "fp32": "Please report it with the recipe: an exported file must compute what the network does.",
    "fp16": 'Export without fp16: precisions = ["fp32", "int8"] under [export].',
    "int8-cpu": 'Export without int8: precisions = ["fp32", "fp16"] under [export].',
    "int8-trt": 'Export without int8: precisions = ["fp32", "fp16"] under [export].',
    "as-is": "Please report it with the recipe: a copied file must compute what it did.",
}


def remedy(precision: str) -> str:
    """What a person can do about a file that is not fit for use."""
    return _WITHOUT[precision]

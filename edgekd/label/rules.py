"""Which of a teacher's labels are kept, and why the others are not. Pure: arrays in, decisions out; no file, no network.

In order, each on what the one before left: the answer is finite; the teacher is sure of it (confidence); other views of the image get the same
answer (agreement); the image is none of those that were kept already (duplicates); its class has not enough yet (balance). The surest images go
first, so that of images that look alike, and of a class that has too many, those stay that the teacher is surest of; ties go by number.

Keeping sure answers only: D.-H. Lee, "Pseudo-Label", ICML workshop 2013; as many of each class: Q. Xie et al., "Self-training with Noisy Student
improves ImageNet classification", CVPR 2020. Agreement between views: K. Sohn et al., "FixMatch", NeurIPS 2020, which trains for it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekd import units
from edgekd.errors import UsageError
from edgekd.label.perceptual import MOST, Seen

Reason = Literal["unreadable", "not-finite", "unsure", "views-differ", "duplicate", "balance"]
REASONS: dict[Reason, str] = {
    "unreadable": "it cannot be read",
    "not-finite": "the answer is no number",
    "unsure": "below --confidence",
    "views-differ": "below --agreement",
    "duplicate": "looks like a kept one",
    "balance": "its class has enough",
}
"""Why an image is left out, in the order in which it is asked, and in words."""


@dataclass(frozen=True)
class Rules:
    """What a label must be to be kept.

    Args:
        confidence: least probability of the label at T = 1.
        agreement: least share of the image's other views that get the same label.
        views: how many other views are asked; 0: none, and agreement is not asked for.
        duplicates: two pictures look alike where at most so many of their hashes' 64 bits differ; None: not asked.
        per_class: most images of a class; "balance": as many as the rarest class has; None: all.

    Raises:
        UsageError: a number that makes no sense.
    """

    confidence: float = 0.8
    agreement: float = 0.75
    views: int = 4
    duplicates: int | None = 2
    per_class: int | Literal["balance"] | None = None

    def __post_init__(self) -> None:
        for flag, share in (("--confidence", self.confidence), ("--agreement", self.agreement)):
            if not 0 <= share <= 1:
                raise UsageError(f"{flag} is a share, from 0 % to 100 %; got {units.percent_text(share)}.")
        if not 0 <= self.views <= 64:
            raise UsageError(f"--views takes how many other views of each image are asked, from 0 (none) to 64; got {self.views}.")
        if self.duplicates is not None and not 0 <= self.duplicates <= MOST:
            raise UsageError(
                f"--duplicates takes how many of 64 bits may differ where two images look alike, 0 to {MOST}, or off; got {self.duplicates}."
            )
        if isinstance(self.per_class, int) and self.per_class < 1:
            raise UsageError(f"--per-class takes how many images of a class are kept at most, 1 or more, or balance; got {self.per_class}.")


@dataclass(frozen=True, eq=False)
class Answers:
    """What a teacher says of n images: `logits` float32 (n, classes) of each as it is, `votes` int32 (n, views) the class that each other view gets
    (-1: the answer was not finite), `hashes` uint64 (n,) of how it looks."""

    logits: NDArray[np.float32]
    votes: NDArray[np.int32]
    hashes: NDArray[np.uint64]


class Rejected(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An image that is left out; a line of rejected.jsonl. `like` names the kept image that it looks like, `bits` by how many bits they differ."""

    image: str
    reason: Reason
    label: str | None = None
    confidence: float | None = None
    agreement: float | None = None
    like: str | None = None
    bits: int | None = None


@dataclass(frozen=True, eq=False)
class Decision:
    """`kept` (k,): numbers of the images that stay, ascending. `labels` (n,), `confidence` (n,) of all n: -1 and NaN where the answer is not finite.
    `logits` float16 (n, classes): log-probabilities, which are logits too. `rejected`: the others, in their order."""

    kept: NDArray[np.int64]
    labels: NDArray[np.int64]
    confidence: NDArray[np.float64]
    logits: NDArray[np.float16]
    rejected: list[Rejected]


def decide(answers: Answers, rules: Rules, names: Sequence[str], classes: Sequence[str]) -> Decision:
    """Hold every answer to the rules; `names` (n,) are the images', `classes` the teacher's."""
    finite = np.asarray(np.isfinite(answers.logits).all(axis=1))
    logs = _log_probabilities(np.where(finite[:, None], answers.logits, 0))
    labels = np.where(finite, logs.argmax(axis=1), -1).astype(np.int64)
    confidence = np.where(finite, np.exp(logs.max(axis=1)), np.nan)
    agreement = (answers.votes == labels[:, None]).mean(axis=1) if answers.votes.shape[1] else None
    reasons: dict[int, Rejected] = {}

    def reject(number: int, reason: Reason, like: int | None = None, bits: int | None = None) -> None:
        known = bool(finite[number])
        reasons[number] = Rejected(
            image=names[number],
            reason=reason,
            label=classes[labels[number]] if known else None,
            confidence=round(float(confidence[number]), 4) if known else None,
            agreement=round(float(agreement[number]), 4) if known and agreement is not None else None,
            like=None if like is None else names[like],
            bits=bits,
        )

    for number in range(len(names)):
        if not finite[number]:
            reject(number, "not-finite")
        elif confidence[number] < rules.confidence:
            reject(number, "unsure")
        elif agreement is not None and agreement[number] < rules.agreement:
            reject(number, "views-differ")
    left = [int(number) for number in np.lexsort((np.arange(len(names)), -confidence)) if number not in reasons]
    if rules.duplicates is not None:
        alike = _alike(left, answers.hashes, rules.duplicates)
        for number, (like, bits) in alike.items():
            reject(number, "duplicate", like, bits)
        left = [number for number in left if number not in alike]
    for number in _too_many(left, labels, rules.per_class):
        reject(number, "balance")
    kept = np.array(sorted(number for number in left if number not in reasons), dtype=np.int64)
    half = logs.clip(np.finfo(np.float16).min, 0).astype(np.float16)
    return Decision(kept, labels, confidence, half, [reasons[number] for number in sorted(reasons)])


def _log_probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    logs: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs


def _alike(left: Sequence[int], hashes: NDArray[np.uint64], within: int) -> dict[int, tuple[int, int]]:
    """Of these images, in their order: those that look like one before them that stays, with that one and the differing bits."""
    seen, found = Seen(within), {}
    for number in left:
        bits = int(hashes[number])
        near = seen.near(bits)
        if near is None:
            seen.add(bits, number)
        else:
            found[number] = near
    return found


def _too_many(left: Sequence[int], labels: NDArray[np.int64], per_class: int | Literal["balance"] | None) -> list[int]:
    """Of these images, in their order: those beyond what their class may have."""
    if per_class is None or not left:
        return []
    most = min(Counter(labels[number] for number in left).values()) if per_class == "balance" else per_class
    had: Counter[int] = Counter()
    over = []
    for number in left:
        had[int(labels[number])] += 1
        if had[int(labels[number])] > most:
            over.append(number)
    return over

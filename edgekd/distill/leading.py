"""A teacher's answers over very many classes, kept as its largest logits and a few numbers for all others together.

In: logits (n, classes). Out: `Leading`, some hundred bytes an image however many classes there are, and the one loss that needs no more of them.
Of the others is known how much they weigh together at a few temperatures, and what they weigh between those is read off a curve through them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from edgekd.errors import UsageError
from edgekd.phases import Phase
from edgekd.terms import LOGIT_TERMS, Kd, Tokens

MANY = 1000
"""Classes above which answers are kept so."""
KEPT = 64
"""Logits of an image that are kept."""
HEATS = (4.0, 2.0, 1.0, 0.5)
"""Temperatures at which the sum of the others is kept."""


def answer_bytes(classes: int, *, few: bool) -> int:
    """What a remembered answer to one view of an image takes: its largest logits (`few`), or all as float16."""
    return LAYOUT.itemsize if few else 2 * classes


@dataclass(frozen=True)
class Leading:
    """The largest logits of n images, largest first, the classes that they are of, and the logarithm of the sum of the others' exponentials at
    each of `HEATS`. `of` counts all classes.
    """

    logits: Float[Tensor, "n kept"]
    classes: Int[Tensor, "n kept"]
    rest: Float[Tensor, "n heats"]
    of: int

    def at(self, positions: Int[Tensor, " k"]) -> "Leading":
        """Those of the images at these positions, float32."""
        return Leading(self.logits[positions].float(), self.classes[positions].long(), self.rest[positions], self.of)

    def log_shares(self, temperature: Float[Tensor, " n"]) -> Float[Tensor, "n shares"]:
        """Log probabilities of the kept classes and of all others together, softened."""
        return torch.cat([self.logits / temperature[:, None], self._others(temperature)[:, None]], dim=1).log_softmax(1)

    def _others(self, temperature: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """The logarithm of the others' sum of exponentials. By how much T times it is above that of as many zeros is linear in 1/T where logits are
        distributed normally, and drawn so from one of `HEATS` to the next."""
        count, heats = math.log(self.of - self.logits.shape[1]), torch.tensor(HEATS, device=temperature.device)
        cold, known = 1 / temperature, 1 / heats
        above = heats * (self.rest - count)
        right = torch.searchsorted(known, cold.to(known.dtype).contiguous()).clamp(1, len(HEATS) - 1)
        share = ((cold - known[right - 1]) / (known[right] - known[right - 1])).clamp(max=1)
        left, next_ = (above.gather(1, place[:, None])[:, 0] for place in (right - 1, right))
        return cold * torch.lerp(left, next_, share.to(left.dtype)) + count


Answers: TypeAlias = Tensor | Leading
"""Logits (n, classes), or what is kept of them."""


def whole(answers: Answers) -> Tensor:
    """Logits of all classes, where `check` has seen to it that they are kept."""
    assert isinstance(answers, Tensor), "logits of all classes were asked of a teacher whose largest ones are kept"
    return answers


def named(answers: Answers) -> Int[Tensor, " n"]:
    """The class that each answer names."""
    return answers.argmax(1) if isinstance(answers, Tensor) else answers.classes[:, 0].long()


def sureness(answers: Answers) -> Float[Tensor, " n"]:
    """The largest probability of each answer at T = 1."""
    if isinstance(answers, Tensor):
        return answers.float().softmax(1).amax(1)
    return answers.log_shares(torch.ones_like(answers.rest[:, 0]))[:, 0].exp()


def kd(student: Float[Tensor, "n classes"], teacher: Leading, temperature: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """Mean over samples of T²·KL(teacher ‖ student), softened, between the kept classes and one bucket that holds all others; T of each sample.

    By the chain rule of the divergence it is `losses.kd` less what is said of the others among each other: never more than that, and the same where
    one class alone is not kept. That is exact at the temperatures of `HEATS`, and nearly so between them.
    """
    target = teacher.log_shares(temperature)
    own = F.log_softmax(student.to(torch.promote_types(student.dtype, torch.float32)) / temperature[:, None], dim=1)
    others = own.scatter(1, teacher.classes, -math.inf).logsumexp(1, keepdim=True)
    ours = torch.cat([own.gather(1, teacher.classes), others], dim=1)
    return (temperature.square() * (target.exp() * (target - ours)).sum(1)).mean()


def check(phases: Sequence[Phase], classes: int, *, corrected: bool) -> None:
    """Refuse what asks for the logits of all classes.

    Raises:
        UsageError: a soft term other than plain `kd`, a subset that compares answers, or a prior that is to be taken off them.
    """
    remedy = "Set train.views = 0, so that the teacher is asked in every step"
    rule = f"of {classes} classes a teacher's {KEPT} largest logits are remembered, with sums for the others"
    for phase in phases:
        for term in () if phase.compares_insides else phase.terms:
            if isinstance(term, (*LOGIT_TERMS, Tokens)) and (not isinstance(term, Kd) or term.standardise):
                name = type(term).__name__.lower() + (" with standardise" if not isinstance(term, Tokens) and term.standardise else "")
                raise UsageError(f'{rule}, and {name} in phase {phase.name!r} asks for all. {remedy}, or take {{ loss = "kd" }}.')
        if phase.subset is not None and phase.subset.by in ("hard", "mixed"):
            raise UsageError(f'{rule}, and the subset {phase.subset.by!r} asks for all. {remedy}, or choose by = "confident" or "random".')
    if corrected:
        raise UsageError(f"{rule}, and a prior is taken off all. {remedy}.")


# In a file ------------------------------------------------------------------------------------------------------------

LAYOUT = np.dtype([("logits", np.float16, KEPT), ("classes", np.int32, KEPT), ("rest", np.float32, len(HEATS))])
"""An image's answer."""


def packed(logits: Float[Tensor, "n classes"]) -> NDArray[Any]:
    """Logits as rows of a file."""
    wide = logits.float()
    largest = wide.topk(KEPT, dim=1)
    rows = np.empty(len(wide), LAYOUT)
    rows["logits"], rows["classes"] = largest.values.half().cpu().numpy(), largest.indices.cpu().numpy()
    others = wide.scatter(1, largest.indices, -math.inf)
    rows["rest"] = torch.stack([(others / heat).logsumexp(1) for heat in HEATS], dim=1).cpu().numpy()
    return rows


def unpacked(rows: NDArray[Any], of: int, device: torch.device) -> Leading:
    """Rows of a file, on a device."""
    logits, classes, rest = (torch.from_numpy(np.ascontiguousarray(rows[name])).to(device) for name in ("logits", "classes", "rest"))
    return Leading(logits, classes, rest, of)

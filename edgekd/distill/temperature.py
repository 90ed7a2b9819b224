"""The temperature of each sample: by how far a phase is, by how sure teacher or student are, or learned.

Takes a recipe's temperature, the phase's progress in [0, 1] and what the shape follows; gives float32 (batch,) on the asked device, one value per
sample, so that losses need not know which kind of schedule it came from. What is running or learned is handed in and given back (`follow`, `learn`):
the training loop keeps it, and its checkpoint.

With a = `start`, b = `end`, p = progress:
    linear                a + (b − a)·p
    cosine                b + (a − b)·(1 + cos πp)/2
    exponential           a·(b/a)^p
    teacher-confidence    a + (b − a)·c, c the teacher's largest probability for the sample at T = 1
    student-confidence    a + (b − a)·min(1, s/SURE), s the running mean of how sure the student is at T = 1: 0 for guessing, 1 for certainty
    learned               a + (b − a)·σ(x), x a number that learns to raise the loss: its gradient is reversed, more strongly along a cosine

A temperature of each sample's own has a precedent in TextBrewer's flexible temperatures (Yang et al. 2020, arXiv:2002.12620). One that is learned
is the global form of CTKD (Li et al., "Curriculum Temperature for Knowledge Distillation", AAAI 2023, arXiv:2211.16231), with the reversal of
Ganin and Lempitsky (2015, arXiv:1409.7495).
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from edgekd.errors import UsageError
from edgekd.phases import Temperature

SURE = 0.7
"""How sure a student is, on average, where T has come to `end`: no student of a larger teacher gets to 1."""
MEMORY = 0.98
"""Of the running mean, a step."""
BEGIN = -math.log(9.0)
"""Where x begins: T is a tenth of the way from `start` to `end`, so that it can move to either side."""
RATE = 0.05
"""How far x moves at most in a step, at the learning rate's peak. CTKD: the student's own learning rate, 0.05."""
RAMP = 10 / 240
"""Share of a phase after which the reversal has its full strength. CTKD: 10 of 240 epochs."""

_OVER_PROGRESS: dict[str, Callable[[float, float, float], float]] = {
    "linear": lambda start, end, progress: start + (end - start) * progress,
    "cosine": lambda start, end, progress: end + (start - end) * (1 + math.cos(math.pi * progress)) / 2,
    "exponential": lambda start, end, progress: start * (end / start) ** progress,
}


def temperature(
    spec: float | Temperature,
    progress: float,
    *,
    teacher_probability: Float[Tensor, " batch"] | None = None,
    student_confidence: float | Float[Tensor, ""] | None = None,
    learned: Float[Tensor, ""] | None = None,
    batch: int,
    device: torch.device | str = "cpu",
) -> Float[Tensor, " batch"]:
    """T of each of `batch` samples, float32 on `device`.

    `teacher_probability` is the teacher's largest probability for each sample, `student_confidence` what `follow` gives, as a number or a tensor that
    stays on its device, `learned` the x of `learn`, which gradients go back to, reversed. Each is looked at only by the shape that follows it.

    Raises:
        UsageError: progress outside [0, 1], or what the shape follows was not given.
    """
    if not 0 <= progress <= 1:
        raise UsageError(f"a phase's progress must be in [0, 1], got {progress}. Give steps done over the phase's steps.")
    if not isinstance(spec, Temperature):
        return torch.full((batch,), float(spec), device=device)
    if spec.shape in _OVER_PROGRESS:
        return torch.full((batch,), _OVER_PROGRESS[spec.shape](spec.start, spec.end, progress), device=device)
    name, given = {
        "teacher-confidence": ("teacher_probability", teacher_probability),
        "student-confidence": ("student_confidence", student_confidence),
        "learned": ("learned", learned),
    }[spec.shape]
    if given is None:
        raise UsageError(f"the temperature shape {spec.shape!r} follows {name}, got None. Give it, or choose a shape over progress: cosine.")
    value = torch.as_tensor(given, dtype=torch.float32, device=device)
    if spec.shape == "student-confidence":
        value = (value / SURE).clamp(0, 1)
    elif spec.shape == "learned":
        value = reverse(value, strength(progress)).sigmoid()
    return (spec.start + (spec.end - spec.start) * value).expand(batch)


def follow(before: Float[Tensor, ""] | None, logits: Float[Tensor, "batch classes"]) -> Float[Tensor, ""]:
    """The running mean of how sure a student is after one more batch of its logits, on their device, without a gradient.

    A batch's own is the mean of the largest probability at T = 1, counted from 0 for 1/classes to 1 for certainty. It begins at 0 (`before` None):
    who has seen nothing knows nothing.
    """
    chance = 1 / logits.shape[1]
    now = (logits.detach().float().softmax(1).amax(1).mean() - chance) / (1 - chance)
    return torch.lerp(now, torch.zeros_like(now) if before is None else before.to(now.device), MEMORY)


def learn(x: Float[Tensor, ""], rate: float) -> Float[Tensor, ""]:
    """x after a step against the gradient that came back to it, which `temperature` has reversed; without a gradient of its own.

    `rate` is the learning rate as a share of its peak.
    """
    if x.grad is None:  # no term asked for T
        return x.detach()
    return (x - RATE * rate * x.grad).detach()


def strength(progress: float) -> float:
    """Of the reversal, in [0, 1]: up along a cosine over the first `RAMP` of a phase, then 1."""
    return (1 - math.cos(math.pi * min(1.0, progress / RAMP))) / 2


def reverse(value: Tensor, strength: float) -> Tensor:
    """The value itself. Its gradient is brought within [−1, 1], lest a heavy term throw T from end to end, then turned round and scaled."""
    reversed_: Tensor = _Reversed.apply(value, strength)
    return reversed_


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0].clamp(-1, 1), None

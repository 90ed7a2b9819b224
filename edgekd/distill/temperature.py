"""The temperature of each sample, as a function of how far a phase is and of how sure teacher or student are.

Takes a recipe's temperature and the phase's progress in [0, 1]; gives float32 (batch,) on the asked device, one value per sample, so that
losses need not know which kind of schedule it came from. It keeps no state: the student's running confidence is the training loop's.

With a = `start`, b = `end`, p = progress:
    linear                a + (b − a)·p
    cosine                b + (a − b)·(1 + cos πp)/2
    exponential           a·(b/a)^p
    teacher-confidence    a + (b − a)·c, c the teacher's largest probability for the sample at T = 1
    student-confidence    a + (b − a)·c, c the running mean of the student's largest probability at T = 1

A temperature of each sample's own has a precedent in TextBrewer's flexible temperatures (Yang et al. 2020, arXiv:2002.12620), one that moves
over training in CTKD, which learns it (Li et al., "Curriculum Temperature for Knowledge Distillation", AAAI 2023, arXiv:2211.16231).
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from edgekd.errors import UsageError
from edgekd.recipe import Temperature

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
    batch: int,
    device: torch.device | str = "cpu",
) -> Float[Tensor, " batch"]:
    """T of each of `batch` samples, float32 on `device`.

    `teacher_probability` is the teacher's largest probability for each sample, `student_confidence` the running mean of the student's: a number, or a
    tensor that stays on its device. Each is looked at only by the shape that is named after it.

    Raises:
        UsageError: progress outside [0, 1], or the confidence that the shape follows was not given.
    """
    if not 0 <= progress <= 1:
        raise UsageError(f"a phase's progress must be in [0, 1], got {progress}. Give steps done over the phase's steps.")
    if not isinstance(spec, Temperature):
        return torch.full((batch,), float(spec), device=device)
    if spec.shape in _OVER_PROGRESS:
        return torch.full((batch,), _OVER_PROGRESS[spec.shape](spec.start, spec.end, progress), device=device)
    confidence = teacher_probability if spec.shape == "teacher-confidence" else student_confidence
    if confidence is None:
        name = "teacher_probability" if spec.shape == "teacher-confidence" else "student_confidence"
        raise UsageError(f"the temperature shape {spec.shape!r} follows {name}, got None. Give it, or choose a shape over progress: cosine.")
    sure = torch.as_tensor(confidence, dtype=torch.float32, device=device)
    return (spec.start + (spec.end - spec.start) * sure).expand(batch)

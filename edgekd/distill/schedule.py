"""Steps, passes and learning rates of a training run, as pure functions of the recipe and the number of images.

A *step* is one batch, a *pass* is once over what the phase sees, an *epoch* as many steps as a pass over all training images takes: phases count in
epochs, so that a phase on half of the images has as many steps as one on all of them.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal

from edgekd.phases import Phase

WARM_UP = 0.2
"""Share of a one-cycle schedule that rises."""
FLOOR = 0.01
"""Where a one-cycle schedule begins and ends, as a share of the peak."""


def steps_per_pass(images: int, batch: int) -> int:
    """Full batches in a pass; a set smaller than a batch is one batch of its own size."""
    return max(1, images // batch)


def phase_steps(phases: Sequence[Phase], images: int, batch: int) -> list[int]:
    """Steps of each phase, at least one."""
    return [max(1, round(phase.epochs * steps_per_pass(images, batch))) for phase in phases]


def _one_cycle(progress: float) -> float:
    """Linear up, cosine down (after Smith and Topin 2018)."""
    if progress < WARM_UP:
        return FLOOR + (1 - FLOOR) * progress / WARM_UP
    return FLOOR + (1 - FLOOR) * _cosine((progress - WARM_UP) / (1 - WARM_UP))


def _cosine(progress: float) -> float:
    return (1 + math.cos(math.pi * progress)) / 2


def _constant(progress: float) -> float:
    return 1.0


SCHEDULES: dict[str, Callable[[float], float]] = {"one-cycle": _one_cycle, "cosine": _cosine, "constant": _constant}


def rate(schedule: Literal["one-cycle", "cosine", "constant"], step: int, steps: int) -> float:
    """The learning rate at `step` of `steps`, as a share of its peak in [0, 1]."""
    return SCHEDULES[schedule](step / max(1, steps))

"""Steps, passes and learning rates of a training run, as pure functions of the recipe, the number of images and the step.

A *step* is one batch, a *pass* is once over what the phase sees, an *epoch* as many steps as a pass over all training images takes: phases count in
epochs, so that a phase on half of the images has as many steps as one on all of them. Which images a step sees follows from its number and the seed:
no loader has a state of its own, and a run resumes at any step.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Int64
from torch import Tensor

from edgekd.data.batches import order
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


class Passes:
    """Passes over `count` images, `size` a step, or all where there are fewer; pass number `first` is the first."""

    def __init__(self, count: int, size: int, seed: int, *, first: int = 0) -> None:
        self.count, self.size, self.seed, self.first = count, min(size, count), seed, first
        self.steps = steps_per_pass(count, size)
        """In each pass; images that do not fill another batch are left out."""
        self._order, self._order_of = torch.empty(0, dtype=torch.int64), -1

    def at(self, step: int) -> tuple[Int64[Tensor, " size"], int]:
        """Positions of the images of a step, counted from 0, and the number of the pass that it belongs to."""
        number, slot = self.first + step // self.steps, step % self.steps
        if self._order_of != number:
            self._order, self._order_of = order(self.count, self.seed, number), number
        return self._order[slot * self.size : (slot + 1) * self.size], number

    def coming(self, step: int, ahead: int) -> list[Int64[Tensor, " size"]]:
        """The positions of the steps behind this one, at most `ahead` and only of the same pass."""
        return [self.at(later)[0] for later in range(step + 1, min(step + 1 + ahead, (step // self.steps + 1) * self.steps))]

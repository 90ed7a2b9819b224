"""Which images each step sees: a pure function of the step, so that no loader has a state of its own and a run resumes at any of them.

In: how many images there are, how many a step takes, the seed. Out: their positions, step by step, pass after pass in an order of the pass's own.
"""

import torch
from jaxtyping import Int64
from torch import Tensor

from edgekd.data.batches import order
from edgekd.distill.schedule import steps_per_pass


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

"""What a loop keeps between two lines of its log: sums on the device, read only when something is said.

In: each step's parts of the loss. Out: their means, and images per second; of a line of the log, what the curve keeps. Nothing here makes a GPU wait
before it is read.
"""

import dataclasses
import time
from collections.abc import Callable

from torch import Tensor

from edgekd.events import Trained
from edgekd.phases import Phase
from edgekd.record import CurvePoint


@dataclasses.dataclass(frozen=True)
class Step:
    """What a step leaves for the log. Numbers that would make the device wait are asked for only when something is logged."""

    phase: Phase
    names: tuple[str, ...]
    temperature: Tensor
    gradient_shares: Callable[[], dict[str, float]]
    factor: float


class Meter:
    """Sums of a loss's parts since the last log, kept on the device."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.since, self.steps, self.images = time.monotonic(), 0, 0
        self.parts: Tensor | None = None

    def add(self, parts: Tensor, images: int) -> None:
        self.parts = parts if self.parts is None else self.parts + parts
        self.steps, self.images = self.steps + 1, self.images + images

    def read(self) -> tuple[list[float], float]:
        """Mean parts per step, and images per second."""
        assert self.parts is not None
        means: list[float] = (self.parts / self.steps).tolist()
        return means, self.images / max(1e-9, time.monotonic() - self.since)


def point(line: Trained, first_temperature: float | None) -> CurvePoint:
    """What the curve keeps of a line of the log."""
    kept = ("epoch", "step", "phase", "loss", "temperature", "shares", "learning_rate", "valid_accuracy")
    return CurvePoint(**{name: getattr(line, name) for name in kept}, first_temperature=first_temperature)

"""Where a value stands on an axis, and which round values to write beside it. Numbers in, shares of the axis from 0 to 1 out; draws nothing."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 5.0, 10.0, 20.0)
_DECADES = (((1.0, 2.0, 5.0), 1), ((1.0, 3.0), 1), *(((1.0,), stride) for stride in range(1, 9)))
"""Numbers within a decade, and of how many decades one has them: from dense to sparse."""
MOST = 5
"""Labels that fit beside each other on a phone."""


@dataclass(frozen=True)
class Axis:
    """From `low` to `high`, evenly or in logarithms; `text` writes its values."""

    low: float
    high: float
    text: Callable[[float], str]
    log: bool = False

    def place(self, value: float) -> float:
        """Where a value stands, 0 to 1; what lies outside stands at the end."""
        low, high, at = (math.log(max(each, 1e-300)) if self.log else each for each in (self.low, self.high, value))
        return min(1.0, max(0.0, (at - low) / (high - low)))

    def ticks(self, most: int = MOST) -> list[float]:
        """Round values on the axis, `most` of them at the most, and two or more where that can be."""
        if self.log:
            for numbers, stride in _DECADES:
                found = self._decades(numbers, stride)
                if len(found) <= most:
                    break
            if len(found) >= 3 or (len(found) == 2 and self.high / self.low > 20):
                return found
        return self._even(most)

    def _decades(self, numbers: tuple[float, ...], stride: int) -> list[float]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1, stride)
        return [value for power in powers for number in numbers if self.low <= (value := float(f"{number}e{power}")) <= self.high]

    def _even(self, most: int) -> list[float]:
        power = 10.0 ** math.floor(math.log10((self.high - self.low) / most))
        for number in _STEPS:
            step = power * number
            first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
            if last - first < most:
                break
        return [round(count * step, 12) for count in range(first, last + 1)]


def around(values: Iterable[float], text: Callable[[float], str], *, least: float, ends: tuple[float, float] = (-math.inf, math.inf)) -> Axis:
    """An even axis with some room around the values: no shorter than `least`, and within `ends` where values cannot lie beyond."""
    known = list(values)
    middle, half = (min(known) + max(known)) / 2, max(max(known) - min(known), least) * 0.58
    return Axis(max(ends[0], middle - half), min(ends[1], middle + half), text)


def from_zero(values: Iterable[float], text: Callable[[float], str]) -> Axis:
    """An even axis that begins at 0, as lengths need it to be compared, and goes a little beyond the values."""
    high = max(values, default=0.0)
    return Axis(0.0, 1.04 * high if high > 0 else 1.0, text)


def scaled(values: Iterable[float], text: Callable[[float], str]) -> Axis:
    """An axis in logarithms around values above 0, never shorter than a factor of two."""
    known = [value for value in values if value > 0] or [1.0]
    low, high = min(known), max(known)
    more = max(1.0, 2.0 / (high / low)) ** 0.5
    return Axis(low / more / 1.15, high * more * 1.15, text, log=True)

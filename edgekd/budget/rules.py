"""What may be bounded: for each quantity its side, its unit, where it is read and what helps when it does not hold.

In: a limit. Out: its claims, one a bound. Knows no report's numbers (`figures` reads them) and judges nothing.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

from edgekd import units
from edgekd.budget import figures, growth
from edgekd.budget.figures import Seen, Unknown
from edgekd.errors import UsageError
from edgekd.limit import Limit

Side: TypeAlias = Literal["≤", "≥"]


@dataclass(frozen=True)
class Unit:
    """How a quantity is read, written, and its difference to a bound written; `digits` at first, more where they are needed.

    What lies outside `least` and `most` was not measured but damaged.
    """

    parse: Callable[[units.Quantity], float]
    text: units.Text
    digits: int = 3
    least: float = 0.0
    most: float = math.inf


@dataclass(frozen=True)
class Rule:
    """On which side of its bound a quantity must stay, where it is read, and what helps when it does not."""

    side: Side
    unit: Unit
    figure: figures.Figure
    advice: str


@dataclass(frozen=True)
class Claim:
    """One bound of one limit; `shown` is the bound in the user's words."""

    quantity: str
    rule: Rule
    bound: float
    shown: str
    allowed: tuple[str, ...] = ()
    """The operators that may occur."""


def claims(limit: Limit) -> Iterator[Claim]:
    """Every bound of a limit. What a growth is from stands in none of them: `verdict` has the baseline.

    Raises:
        UsageError: a bound that does not read, or a growth or a part of something that has none.
    """
    for quantity, rule in RULES.items():
        asked = getattr(limit, quantity)
        if asked is not None:
            yield _claim(quantity, rule, asked)
    if limit.operators:
        rule = Rule("≤", COUNT, partial(figures.operators, limit.operators), "Export without them")
        yield Claim("operators", rule, 0.0, ", ".join(limit.operators), tuple(limit.operators))
    for precision, asked in limit.layers.items():
        yield _claim(f"layers.{precision}", Rule("≤", COUNT, partial(figures.layers, precision), "Quantise more of it"), asked)
    for label, asked in limit.recall.items():
        yield _claim(f"recall.{label}", Rule("≥", SHARE, partial(figures.recall, label), _BETTER), asked)
    for table, quantity in [*(("relative", name) for name in limit.relative), *(("growth", name) for name in limit.growth)]:
        if quantity not in growth.GROWS:
            raise UsageError(f"{table} bounds {', '.join(growth.GROWS)}, got {quantity!r} in [[limit]].")
    for quantity, asked in limit.relative.items():
        yield _claim(f"relative.{quantity}", Rule("≤", PART, partial(growth.relative, quantity), _SMALLER), asked)
    for quantity, asked in limit.growth.items():
        yield _claim(f"growth.{quantity}", Rule("≤", RISE, growth.GROWS[quantity], "Find what grew"), asked)


def unit_of(quantity: str) -> Unit | None:
    """How a quantity of a verdict is written; None for one that nobody knows."""
    name, _, _ = quantity.partition(".")
    if name == "latency":
        return TIME
    if name in ("recall", "relative", "growth"):
        return {"recall": SHARE, "relative": PART, "growth": RISE}[name]
    return COUNT if name in ("operators", "layers") else RULES[name].unit if name in RULES else None


def sound(unit: Unit, seen: Seen) -> Seen:
    """What no measuring can give is no figure: a damaged report must not pass."""
    if isinstance(seen, Unknown):
        return seen
    value, low, high = seen
    if not math.isfinite(value) or not low <= value <= high:
        return Unknown(f"what was measured is not a number within its interval: {value:g} in {low:g} to {high:g}. Measure again.")
    if low < unit.least or high > unit.most:
        bounds = (
            f"at least {unit.text(unit.least, None)}" if math.isinf(unit.most) else f"{unit.text(unit.least, None)} to {unit.text(unit.most, None)}"
        )
        return Unknown(f"this quantity is {bounds}, the report says {unit.text(value, None)}: it is damaged. Make it anew.")
    return seen


def _claim(quantity: str, rule: Rule, asked: units.Quantity) -> Claim:
    try:
        bound = rule.unit.parse(asked)
    except UsageError as error:
        raise UsageError(f"limit {quantity}: {error}") from None
    return Claim(quantity, rule, bound, asked.strip() if isinstance(asked, str) else rule.unit.text(bound, None))


# The table of rules ---------------------------------------------------------------------------------------------------

BYTES = Unit(units.parse_bytes, units.bytes_text)
COUNT = Unit(units.parse_count, units.count_text)
TIME = Unit(units.parse_time_ms, units.ms_text)
ENERGY = Unit(units.parse_energy, units.energy_text)
FACTOR = Unit(units.parse_ratio, units.ratio_text)
SHARE = Unit(units.parse_fraction, units.percent_text, 1, most=1.0)
POINTS = Unit(partial(units.parse_fraction, one=False), units.points_text, 1, least=-1.0, most=1.0)
PART = Unit(partial(units.parse_fraction, most=math.inf), units.percent_text, 1)
RISE = Unit(partial(units.parse_fraction, most=math.inf, one=False), units.percent_text, 1, least=-1.0)

_SMALLER = "Take a smaller student or a lower precision"
_BETTER = "Train for longer, or take a larger student or a higher precision"

RULES: dict[str, Rule] = {
    "size": Rule("≤", BYTES, figures.size, _SMALLER),
    "params": Rule("≤", COUNT, figures.params, "Take a smaller student"),
    "macs": Rule("≤", COUNT, figures.macs, "Take a smaller student"),
    "opset": Rule("≤", COUNT, figures.opset, "Export with an older opset"),
    "latency_p50": Rule("≤", TIME, partial(figures.latency, 50), _SMALLER),
    "latency_p95": Rule("≤", TIME, partial(figures.latency, 95), _SMALLER),
    "memory": Rule("≤", BYTES, figures.memory, _SMALLER),
    "energy": Rule("≤", ENERGY, figures.energy, _SMALLER),
    "speedup": Rule("≥", FACTOR, figures.speedup, _SMALLER),
    **{name: Rule("≥", SHARE, partial(figures.metric, name), _BETTER) for name in ("accuracy", "balanced_accuracy", "macro_f1", "auc", "map")},
    "ece": Rule("≤", SHARE, partial(figures.metric, "ece"), "End at another temperature"),
    "accuracy_drop": Rule("≤", POINTS, figures.accuracy_drop, _BETTER),
    "agreement": Rule("≥", SHARE, partial(figures.paired, "agreement"), _BETTER),
    "flips": Rule("≤", SHARE, partial(figures.paired, "flips"), _BETTER),
}

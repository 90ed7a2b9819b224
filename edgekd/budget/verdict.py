"""Limits × figures → verdicts: whether a number keeps to its bound, by how much, and what to do about it.

Sizes, parameters and MACs are exact; times, factors and scores are judged by their intervals, and pass only when the whole interval is on
the right side. Reads no report itself (`figures` does) and draws nothing.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import msgspec

from edgekd import units
from edgekd.budget import choose, figures
from edgekd.budget.figures import Ask, Seen, Unknown
from edgekd.errors import UsageError
from edgekd.recipe import Limit
from edgekd.record import OWN_SPLIT, Report, Verdict
from edgekd.stats import Interval

Side: TypeAlias = Literal["≤", "≥"]
State: TypeAlias = Literal["pass", "over", "undecided", "missing"]


@dataclass(frozen=True)
class Unit:
    """How a quantity is read, written, and its difference to a bound written; `digits` at first, more where they are needed."""

    parse: Callable[[units.Quantity], float]
    text: units.Text
    digits: int = 3


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


PAIRED = ("accuracy_drop", "agreement", "flips")
"""What compares with the teacher on the test images: of little worth where the teacher has seen them."""


def judge(report: Report, limits: Sequence[Limit], baseline: Report | None = None) -> list[Verdict]:
    """One verdict for each (quantity, artifact) of each limit, in the limits' order.

    Raises:
        UsageError: a bound that does not read, or a growth of something that does not grow.
    """
    return [verdict for limit in limits for verdict in _judge_limit(report, limit, baseline)]


def exit_code(verdicts: Sequence[Verdict], *, strict: bool = False) -> int:
    """0: all hold, or noise leaves some open; 1: something is over; 2: something is missing, open under `strict`, or nothing was asked.

    Limits with `warn` are reported and fail nothing, but a gate needs one verdict at least.
    """
    states = {verdict.state for verdict in verdicts if not verdict.warn}
    if "over" in states:
        return 1
    return 2 if not verdicts or "missing" in states or (strict and "undecided" in states) else 0


def _judge_limit(report: Report, limit: Limit, baseline: Report | None) -> Iterator[Verdict]:
    on = choose.target(report, limit)
    found = choose.artifacts(report, limit.artifact, on)
    claims = list(_claims(limit, baseline, on))
    if not claims:
        yield _empty(limit)
    for claim in claims:
        if isinstance(found, str):
            yield _verdict(limit, claim, limit.artifact, on, Unknown(found))
            continue
        for artifact in found:
            seen = claim.rule.figure(Ask(report, artifact, on, limit.against))
            verdict = _verdict(limit, claim, artifact.name, on, seen)
            doubted = claim.quantity in PAIRED and report.data is not None and OWN_SPLIT in report.data.notes
            yield msgspec.structs.replace(verdict, text=f"{verdict.text} Doubt: {OWN_SPLIT}.") if doubted else verdict


def _claims(limit: Limit, baseline: Report | None, on: str | None) -> Iterator[Claim]:
    for quantity, rule in RULES.items():
        asked = getattr(limit, quantity)
        if asked is not None:
            yield _claim(quantity, rule, asked)
    for label, asked in limit.recall.items():
        yield _claim(f"recall.{label}", Rule("≥", SHARE, partial(figures.recall, label), _BETTER), asked)
    for quantity, asked in limit.growth.items():
        if quantity not in figures.GROWS:
            raise UsageError(f"growth bounds {', '.join(figures.GROWS)}, got {quantity!r} in [[limit]].")
        figure = partial(_growth, quantity, baseline, shipped=limit.artifact == "shipped")
        yield _claim(f"growth.{quantity}", Rule("≤", RISE, figure, "Find what grew"), asked)


def _claim(quantity: str, rule: Rule, asked: units.Quantity) -> Claim:
    try:
        bound = rule.unit.parse(asked)
    except UsageError as error:
        raise UsageError(f"limit {quantity}: {error}") from None
    return Claim(quantity, rule, bound, asked.strip() if isinstance(asked, str) else rule.unit.text(bound, None))


def _growth(quantity: str, baseline: Report | None, now: Ask, *, shipped: bool) -> Seen:
    """What ships is compared with what shipped, whatever its precision was; any other file with its namesake."""
    if baseline is None:
        return Unknown("there is no baseline to grow from. Give one with --baseline.")
    name = baseline.shipped.get(f"{now.target}/{now.artifact.network}", now.artifact.name) if shipped else now.artifact.name
    before = next((artifact for artifact in baseline.artifacts if artifact.name == name), None)
    if before is None:
        return Unknown(f"the baseline has no {name}; it has: {choose.names(baseline)}.")
    return figures.growth(quantity, now, Ask(baseline, before, now.target))


# From a number and its bound to words ---------------------------------------------------------------------------------


def _empty(limit: Limit) -> Verdict:
    text = 'this limit bounds nothing. Add a quantity to it, as in size = "4 MB", or take it out.'
    return Verdict(
        limit="nothing",
        artifact=limit.artifact,
        target=limit.target,
        state="missing",
        quantity="",
        measured=None,
        bound=None,
        text=text,
        warn=limit.warn,
    )


def _verdict(limit: Limit, claim: Claim, artifact: str, target: str | None, seen: Seen) -> Verdict:
    if not isinstance(seen, Unknown) and any(map(math.isnan, seen)):
        seen = Unknown("what was measured is not a number. Measure again.")
    state: State = seen.state if isinstance(seen, Unknown) else _state(claim.rule.side, seen, claim.bound)
    text = seen.why if isinstance(seen, Unknown) else _words(claim, state, seen)
    return Verdict(
        limit=f"{claim.quantity} {claim.rule.side} {claim.shown}",
        artifact=artifact,
        target=target,
        state=state,
        quantity=claim.quantity,
        measured=None if isinstance(seen, Unknown) else seen[0],
        bound=claim.bound,
        text=f"{text} Asked because: {limit.reason}" if limit.reason else text,
        warn=limit.warn,
    )


def _state(side: Side, seen: Interval, bound: float) -> State:
    """NaN compares false, and so never passes."""
    _, low, high = seen
    inside, outside = (high <= bound, low > bound) if side == "≤" else (low >= bound, high < bound)
    return "pass" if inside else "over" if outside else "undecided"


def _words(claim: Claim, state: State, seen: Interval) -> str:
    """By how much, and what to do about it."""
    value, low, high = seen
    unit, bound = claim.rule.unit, claim.bound
    measured = units.beside(value, bound, unit.text, unit.digits)
    if low != high:
        measured += f" ({units.span_text(*(units.beside(end, bound, unit.text, unit.digits) for end in (low, high)))})"
    if state == "undecided":
        more = "More test images would tell" if unit in (SHARE, POINTS) else "Measuring longer on a quieter machine would tell"
        return f"{measured}; the interval straddles {claim.shown}. {more}, or edit {claim.quantity} in [[limit]]."
    gap = _gap(claim, abs(value - bound))
    if state == "pass":
        return f"{measured}; {gap} to spare."
    beyond = "over" if claim.rule.side == "≤" else "short"
    return f"{measured}; {gap} {beyond}. {claim.rule.advice}, or edit {claim.quantity} in [[limit]]."


def _gap(claim: Claim, gap: float) -> str:
    """A difference to the bound; beside sizes, times and factors also as a share of it, where that is not absurd."""
    if claim.rule.unit in (SHARE, POINTS, RISE):
        return units.beside(gap, 0.0, units.points_text, 1)
    text = units.beside(gap, 0.0, claim.rule.unit.text)
    return f"{text} ({units.beside(gap / claim.bound, 0.0, units.percent_text, 1)})" if gap < 10 * claim.bound else text


# The table of rules ---------------------------------------------------------------------------------------------------

BYTES = Unit(units.parse_bytes, units.bytes_text)
COUNT = Unit(units.parse_count, units.count_text)
TIME = Unit(units.parse_time_ms, units.ms_text)
ENERGY = Unit(units.parse_energy, units.energy_text)
FACTOR = Unit(units.parse_ratio, units.ratio_text)
SHARE = Unit(units.parse_fraction, units.percent_text, 1)
POINTS = Unit(units.parse_fraction, units.points_text, 1)
RISE = Unit(partial(units.parse_fraction, most=math.inf), units.percent_text, 1)

_SMALLER = "Take a smaller student or a lower precision"
_BETTER = "Train for longer, or take a larger student or a higher precision"

RULES: dict[str, Rule] = {
    "size": Rule("≤", BYTES, figures.size, _SMALLER),
    "params": Rule("≤", COUNT, figures.params, "Take a smaller student"),
    "macs": Rule("≤", COUNT, figures.macs, "Take a smaller student"),
    "latency_p50": Rule("≤", TIME, partial(figures.latency, 50), _SMALLER),
    "latency_p95": Rule("≤", TIME, partial(figures.latency, 95), _SMALLER),
    "memory": Rule("≤", BYTES, figures.memory, _SMALLER),
    "energy": Rule("≤", ENERGY, figures.energy, _SMALLER),
    "speedup": Rule("≥", FACTOR, figures.speedup, _SMALLER),
    **{name: Rule("≥", SHARE, partial(figures.metric, name), _BETTER) for name in ("accuracy", "balanced_accuracy", "macro_f1", "auc")},
    "ece": Rule("≤", SHARE, partial(figures.metric, "ece"), "End at another temperature"),
    "accuracy_drop": Rule("≤", POINTS, figures.accuracy_drop, _BETTER),
    "agreement": Rule("≥", SHARE, partial(figures.paired, "agreement"), _BETTER),
    "flips": Rule("≤", SHARE, partial(figures.paired, "flips"), _BETTER),
}

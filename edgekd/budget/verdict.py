"""Limits × figures → verdicts: whether a number keeps to its bound, by how much, and what to do about it.

Sizes, parameters and MACs are exact; times, factors and scores are judged by their intervals, and pass only when the whole interval is on
the right side. Reads no report itself (`figures` does) and draws nothing.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import msgspec

from edgekd import units
from edgekd.budget import choose, figures, growth, layers
from edgekd.budget.figures import Ask, Seen, Unknown
from edgekd.budget.rules import PART, POINTS, RISE, SHARE, Claim, Side, claims, sound, unit_of
from edgekd.limit import Limit
from edgekd.record import OWN_SPLIT, Report, Verdict
from edgekd.stats import Interval

State: TypeAlias = Literal["pass", "over", "undecided", "missing"]


PAIRED = ("accuracy_drop", "agreement", "flips")
"""What compares with the teacher on the test images: of little worth where the teacher has seen them."""


def judge(report: Report, limits: Sequence[Limit], baseline: Report | None = None, *, why: bool = False, looks: int = 1) -> list[Verdict]:
    """One verdict for each (quantity, artifact) of each limit, in the limits' order; with `why` what does not hold names its layers.

    Args:
        looks: how often these times may be looked at while they grow; each look's intervals are then wide enough for all together.

    Raises:
        UsageError: a bound that does not read, or a growth of something that does not grow.
    """
    return [verdict for limit in limits for verdict in _judge_limit(report, limit, baseline, why, looks)]


def exit_code(verdicts: Sequence[Verdict], *, strict: bool = False) -> int:
    """0: all hold, or noise leaves some open; 1: something is over; 2: something is missing, open under `strict`, or nothing was asked.

    Limits with `warn` are reported and fail nothing, but where every verdict is missing, nothing was checked.
    """
    if all(verdict.state == "missing" for verdict in verdicts):
        return 2
    states = {verdict.state for verdict in verdicts if not verdict.warn}
    if "over" in states:
        return 1
    return 2 if "missing" in states or (strict and "undecided" in states) else 0


def _judge_limit(report: Report, limit: Limit, baseline: Report | None, why: bool, looks: int) -> Iterator[Verdict]:
    on = choose.target(report, limit)
    found = choose.artifacts(report, limit.artifact, on)
    asked = list(claims(limit))
    if not asked:
        yield _empty(limit)
    for claim in asked:
        if isinstance(found, str):
            yield _verdict(limit, claim, limit.artifact, on, Unknown(found))
            continue
        for artifact in found:
            now = Ask(report, artifact, on, limit.against, limit.host, looks)
            then = _before(baseline, now, shipped=limit.artifact == "shipped")
            if claim.quantity.startswith("growth."):
                seen = then if isinstance(then, Unknown) else growth.growth(growth.plain(claim.quantity), now, then)
            else:
                seen = claim.rule.figure(now)
            verdict = _verdict(limit, claim, artifact.name, on, seen)
            yield _told(verdict, claim, now, None if isinstance(then, Unknown) else then, why)


def _before(baseline: Report | None, now: Ask, *, shipped: bool) -> Ask | Unknown:
    """The same file in the baseline. What ships is compared with what shipped, whatever its precision was; any other file with its namesake."""
    if baseline is None:
        return Unknown("there is no baseline to grow from. Give one with --baseline.")
    name = baseline.shipped.get(f"{now.target}/{now.artifact.network}", now.artifact.name) if shipped else now.artifact.name
    before = next((artifact for artifact in baseline.artifacts if artifact.name == name), None)
    if before is None:
        return Unknown(f"the baseline has no {name}; it has: {choose.names(baseline)}.")
    return Ask(baseline, before, now.target, now.against, looks=now.looks)


def _told(verdict: Verdict, claim: Claim, now: Ask, then: Ask | None, why: bool) -> Verdict:
    """The verdict with what else is known: its doubt, the baseline's value, the layers behind it."""
    texts = [verdict.text]
    if claim.quantity in PAIRED and now.report.data is not None and OWN_SPLIT in now.report.data.notes:
        texts.append(f"Doubt: {OWN_SPLIT}.")
    if claim.quantity == "operators" and verdict.state == "over":
        others = figures.other_operators(claim.allowed, now) or {}
        texts.append(f"Not among them: {', '.join(f'{name} ({count})' for name, count in others.items())}.")
    if claim.quantity.startswith("relative.") and verdict.measured is not None:
        other = choose.against(now.report, now.artifact, now.against)
        texts.append(f"100 % is {other if isinstance(other, str) else other.name}.")
    told = layers.behind(claim.quantity, now.artifact, None if then is None else then.artifact) if why and verdict.state != "pass" else []
    return msgspec.structs.replace(verdict, text=" ".join(texts), before=None if then is None else _value_before(claim, now, then), why=told)


def _value_before(claim: Claim, now: Ask, then: Ask) -> float | None:
    """The baseline's value, where it may stand beside this one."""
    quantity = claim.quantity.removeprefix("growth.")
    foreign = quantity in growth.TIMED and (growth.other_host(now, then) or growth.other_way(quantity, now, then)) is not None
    seen = sound(unit_of(quantity) or claim.rule.unit, claim.rule.figure(then))
    return None if foreign or isinstance(seen, Unknown) else seen[0]


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
    seen = sound(claim.rule.unit, seen)
    state: State = seen.state if isinstance(seen, Unknown) else _state(claim.rule.side, seen, claim.bound)
    text = seen.why if isinstance(seen, Unknown) else _words(claim, state, seen)
    return Verdict(
        limit=f"operators only {claim.shown}" if claim.allowed else f"{claim.quantity} {claim.rule.side} {claim.shown}",
        artifact=artifact,
        target=target,
        state=state,
        quantity=claim.quantity,
        measured=None if isinstance(seen, Unknown) else seen[0],
        bound=claim.bound,
        text=f"{text} Asked because: {limit.reason}{'' if limit.reason[-1] in '.!?' else '.'}" if limit.reason and state != "pass" else text,
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
    if math.isinf(high):
        one = "one of the two was launched once" if claim.rule.unit in (RISE, PART) else "of one launch"
        measured += f" ({one}, which does not tell how launches differ)"
    elif low != high:
        measured += f" ({units.span_text(*(units.beside(end, bound, unit.text, unit.digits) for end in (low, high)))})"
    if state == "undecided":
        longer = "Measuring in more launches would tell" if math.isinf(high) else "Measuring longer on a quieter machine would tell"
        more = "More test images would tell" if unit in (SHARE, POINTS) else longer
        return f"{measured}; the interval straddles {claim.shown}. {more}, or change the limit on {claim.quantity}."
    gap = _gap(claim, abs(value - bound))
    if state == "pass":
        return f"{measured}; {gap} to spare."
    beyond = "over" if claim.rule.side == "≤" else "short"
    return f"{measured}; {gap} {beyond}. {claim.rule.advice}, or change the limit on {claim.quantity}."


def _gap(claim: Claim, gap: float) -> str:
    """A difference to the bound; beside sizes, times and factors also as a share of it, where that is not absurd."""
    if claim.rule.unit in (SHARE, POINTS, RISE, PART):
        return units.beside(gap, 0.0, units.points_text, 1)
    text = units.beside(gap, 0.0, claim.rule.unit.text)
    return f"{text} ({units.beside(gap / claim.bound, 0.0, units.percent_text, 1)})" if gap < 10 * claim.bound else text

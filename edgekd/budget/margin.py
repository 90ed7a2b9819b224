"""Bounds from what was measured: figure plus margin, rounded to the side where the figure still holds. Judges nothing and writes no file.

A margin widens upper bounds by its share and narrows lower ones by it; of a share such as accuracy it is the errors that may grow by it. Times
and scores start from the far end of their interval, so that what was measured once passes again.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from edgekd.budget import choose
from edgekd.budget.figures import Ask, Seen, Unknown
from edgekd.budget.rules import COUNT, FACTOR, RULES, SHARE, Claim, Rule, claims, sound
from edgekd.limit import Limit
from edgekd.record import Artifact, Report
from edgekd.stats import Interval

OF_FILE = ("size", "params", "macs")
OF_ANSWERS = ("speedup", "accuracy", "map")
OF_MACHINE = ("latency_p50", "memory")
"""Bounded on the host that measured, as no other can be held to its times."""

_FAR, _FAR_SHARE = 0.2, 0.05
"""How much further than its figure an interval may reach: a share of times and factors, points of scores. Beyond that its bound holds little back."""
_LARGEST = 1e100
"""What an interval reaches beyond that is no figure to leave room to."""


@dataclass(frozen=True)
class Tightening:
    """A bound that may be tighter: of which limit, by its place; `measured` is what it leaves room to."""

    place: int
    quantity: str
    before: str
    after: str
    measured: str


def suggested(report: Report, margin: float, *, alone: bool = True) -> list[Limit]:
    """A limit on each file that ships, or on each bare file: what it came to, with the margin. Where the report is not `alone` in its budget, each
    file is named, as whatever ships would be every report's."""
    return [limit for whose, artifact in _bounded(report, alone=alone) for limit in _suggested(report, whose, artifact, margin)]


def left_out(report: Report) -> Iterator[str]:
    """What was measured so roughly that no limit on it would hold anything back: a sentence each."""
    for whose, artifact in _bounded(report):
        for quantity, rule, seen in _known(_ask(report, whose, artifact), (*OF_FILE, *OF_ANSWERS, *OF_MACHINE)):
            if _is_hopeless(rule, seen):
                yield f"{quantity} of {artifact.name} gets no limit: {_wide(rule, seen)}, bounds nothing. {_more(rule)}, then add one."


def _more(rule: Rule) -> str:
    """What narrows an interval."""
    return "Score it on more images" if rule.unit is SHARE else "Measure longer, with nothing else running"


def _wide(rule: Rule, seen: Interval) -> str:
    """A value and how far it may be off."""
    value, far = (rule.unit.text(each, rule.unit.digits) for each in (seen[0], _far(rule, seen)))
    return f"{value}, which may be {far}" if math.isfinite(seen[2]) else f"{value}, of one launch alone"


def _far(rule: Rule, seen: Interval) -> float:
    """The end of an interval that a bound leaves room to."""
    return seen[2] if rule.side == "≤" else seen[1]


def _is_hopeless(rule: Rule, seen: Interval) -> bool:
    """Whether an interval reaches to twice or half of what was measured."""
    return _far(rule, seen) > 2 * seen[0] if rule.side == "≤" else _far(rule, seen) < seen[0] / 2


def vague(report: Report, limits: Sequence[Limit]) -> Iterator[str]:
    """What was measured so roughly that its bound leaves much more room than the margin: a sentence each."""
    for limit in limits:
        for claim in claims(limit):
            for seen in (each for each in _seen(report, limit, claim) if not isinstance(each, Unknown)):
                value, far = seen[0], _far(claim.rule, seen)
                if abs(far - value) > (_FAR_SHARE if claim.rule.unit is SHARE else _FAR * abs(value)):
                    wide = f"{_wide(claim.rule, seen)}. {_more(claim.rule)}, then tighten it."
                    yield f"{claim.quantity} = {claim.shown} leaves room for a wide interval: {wide}"


def tighter(reports: Sequence[Report], limits: Sequence[Limit], margin: float) -> Iterator[Tightening]:
    """Every bound that all that was measured keeps to with more than the margin to spare. None is ever loosened; growth stays as it is."""
    for place, limit in enumerate(limits):
        for claim in claims(limit):
            seen = [figure for report in reports for figure in _seen(report, limit, claim)]
            known = [each for each in seen if not isinstance(each, Unknown)]
            if known and len(known) == len(seen):
                yield from _tighter(place, claim, known, margin)


def unseen(reports: Sequence[Report], limits: Sequence[Limit]) -> Iterator[str]:
    """Every bound on files that none of the reports has, as of a target that is called otherwise now, and why: a sentence each."""
    for limit in limits:
        found = [choose.artifacts(report, limit.artifact, choose.target(report, limit)) for report in reports]
        if all(isinstance(each, str) for each in found):
            yield from (f"{claim.quantity} = {claim.shown} bounds no file: {found[0]}" for claim in claims(limit))


def _seen(report: Report, limit: Limit, claim: Claim) -> Iterator[Seen]:
    """What a report knows of what a limit bounds; nothing of a growth or of named operators."""
    on = choose.target(report, limit)
    found = choose.artifacts(report, limit.artifact, on)
    if not isinstance(found, str) and not claim.quantity.startswith("growth.") and not claim.allowed:
        for artifact in found:
            yield sound(claim.rule.unit, claim.rule.figure(Ask(report, artifact, on, limit.against, limit.host)))


def _tighter(place: int, claim: Claim, seen: Sequence[Interval], margin: float) -> Iterator[Tightening]:
    rule = claim.rule
    value = max(high for _, _, high in seen) if rule.side == "≤" else min(low for _, low, _ in seen)
    if not abs(value) < _LARGEST:
        return
    text = bound_text(rule, value, margin)
    after = rule.unit.parse(text)
    if (after < claim.bound) if rule.side == "≤" else (after > claim.bound):
        yield Tightening(place, claim.quantity, claim.shown, text, rule.unit.text(value, rule.unit.digits))


def bound_text(rule: Rule, value: float, margin: float) -> str:
    """The bound that leaves `margin` beyond `value`, to three digits (shares: to a tenth of a percent), rounded away from `value`."""
    upper = rule.side == "≤"
    if rule.unit is SHARE and not upper:
        wide = 1 - (1 - value) * (1 + margin)
    else:
        wide = value + abs(value) * margin * (1 if upper else -1)
    step = (
        0.001 if rule.unit.digits == 1 else 1.0 if rule.unit is COUNT and abs(wide) < 1000 else 10.0 ** (math.floor(math.log10(abs(wide) or 1)) - 2)
    )
    steps = math.ceil(wide / step) if upper else math.floor(wide / step)
    for further in range(3):
        text = rule.unit.text(max(rule.unit.least, min(rule.unit.most, (steps + further * (1 if upper else -1)) * step)), rule.unit.digits)
        if (rule.unit.parse(text) >= value) if upper else (rule.unit.parse(text) <= value):
            return text
    return rule.unit.text(value, None)


def _bounded(report: Report, *, alone: bool = True) -> list[tuple[dict[str, Any], Artifact]]:
    """The files that limits are suggested for, each with how a limit names it; "shipped" where one alone ships on a target."""
    bare = [artifact for artifact in report.artifacts if artifact.role == "file"]
    if bare and len(bare) == len(report.artifacts):
        return [({"artifact": artifact.path}, artifact) for artifact in bare]
    targets = [key.rpartition("/")[0] for key in report.shipped]
    found = []
    for target, name in zip(targets, report.shipped.values(), strict=True):
        whose = {"target": target, **({} if alone and targets.count(target) == 1 else {"artifact": name})}
        found.append((whose, report.artifact(name)))
    return found or [({"artifact": artifact.name}, artifact) for artifact in report.artifacts if artifact.role == "student"]


def _suggested(report: Report, whose: dict[str, Any], artifact: Artifact, margin: float) -> Iterator[Limit]:
    ask = _ask(report, whose, artifact)
    measurement = next((each for each in report.measurements if (each.artifact, each.target) == (artifact.name, ask.target)), None)
    host = report.hosts.get(measurement.host) if measurement is not None else None
    anywhere = msgspec.convert({**whose, **_bounds(ask, (*OF_FILE, *OF_ANSWERS), margin)}, Limit)
    yield anywhere
    there = _bounds(ask, OF_MACHINE, margin) if host is not None else {}
    if measurement is not None and host is not None and there:
        chip = host.cpu if "CPU" in measurement.provider else host.gpu or host.cpu
        yield msgspec.convert({**whose, "target": ask.target, "host": chip, **there}, Limit)


def _bounds(ask: Ask, quantities: Sequence[str], margin: float) -> dict[str, str]:
    found = {}
    for quantity, rule, seen in _known(ask, quantities):
        value = _far(rule, seen)
        if value and abs(value) < _LARGEST and not _is_hopeless(rule, seen):
            found[quantity] = bound_text(rule, value, margin)
    return found


def _ask(report: Report, whose: dict[str, Any], artifact: Artifact) -> Ask:
    return Ask(report, artifact, whose.get("target") or choose.target(report, Limit()))


def _known(ask: Ask, quantities: Sequence[str]) -> Iterator[tuple[str, Rule, Interval]]:
    """What was measured of some quantities; a factor over the teacher is a student's."""
    for quantity in quantities:
        rule = RULES[quantity]
        seen = sound(rule.unit, rule.figure(ask))
        if not isinstance(seen, Unknown) and not (rule.unit is FACTOR and ask.artifact.role != "student"):
            yield quantity, rule, seen

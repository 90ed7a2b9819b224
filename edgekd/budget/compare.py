"""What changed between two reports, file by file: sizes and counts, times on equal hosts, scores. Holds nothing to a limit.

In: a report and an earlier one. Out: a `Change` for each quantity that both know of a file that both have, and why a time may not be compared.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from edgekd import stats
from edgekd.budget import choose, figures, growth
from edgekd.budget.figures import Ask, Figure, Seen, Unknown
from edgekd.budget.rules import sound, unit_of
from edgekd.record import Artifact, Report

FILE = ("size", "params", "macs")
MACHINE = ("latency_p50", "latency_p95", "memory", "energy")
SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "auc", "map", "ece")


@dataclass(frozen=True)
class Change:
    """One quantity of one file. `rise` is a fraction of what it was; of a score the difference in points. `why`: there is none."""

    artifact: str
    target: str | None
    quantity: str
    then: float
    now: float
    rise: tuple[float, float, float] | None
    why: str = ""


def changes(now: Report, then: Report) -> list[Change]:
    """In the order of the later report's files."""
    earlier = {artifact.name: artifact for artifact in then.artifacts}
    return [change for artifact in now.artifacts if artifact.name in earlier for change in _file(now, artifact, then, earlier[artifact.name])]


def strangers(now: Report, then: Report) -> list[str]:
    """Files and targets that only one of the two has, and test images that are others, in words."""
    ours, theirs = ([*(each.name for each in report.artifacts), *(f"what ran on {on}" for on in choose.targets(report))] for report in (now, then))
    new, gone = [name for name in ours if name not in theirs], [name for name in theirs if name not in ours]
    found = [f"{said}: {', '.join(names)}" for said, names in (("new", new), ("only in the baseline", gone)) if names]
    both = [(score.images, before.images) for a in now.artifacts if (score := now.score(a.name)) and (before := then.score(a.name))]
    return [*found, *(["scores are of other test images than the baseline's"] if any(one != other for one, other in both) else [])]


def _file(now: Report, mine: Artifact, then: Report, theirs: Artifact) -> Iterator[Change]:
    first, second = Ask(now, mine), Ask(then, theirs)
    for quantity in FILE:
        yield from _change(quantity, growth.GROWS[quantity], first, second, growth.growth(quantity, first, second))
    for target in choose.targets(now):
        first, second = Ask(now, mine, target), Ask(then, theirs, target)
        for quantity in MACHINE:
            yield from _change(quantity, growth.GROWS[quantity], first, second, growth.growth(quantity, first, second))
    for quantity in SCORES:
        figure: Figure = partial(figures.metric, quantity)
        first, second = Ask(now, mine), Ask(then, theirs)
        yield from _change(quantity, figure, first, second, _points(quantity, figure, first, second))


def _change(quantity: str, figure: Figure, now: Ask, then: Ask, rise: Seen) -> Iterator[Change]:
    """Nothing where either side has no figure, or one that cannot be."""
    unit = unit_of(quantity)
    first, second = (seen if unit is None else sound(unit, seen) for seen in (figure(now), figure(then)))
    if not isinstance(first, Unknown) and not isinstance(second, Unknown):
        known = None if isinstance(rise, Unknown) else rise
        yield Change(now.artifact.name, now.target, quantity, second[0], first[0], known, rise.why if isinstance(rise, Unknown) else "")


def _points(quantity: str, figure: Figure, now: Ask, then: Ask) -> Seen:
    """The difference of two scores: on the same images paired, where accuracy is meant; else as of two samples."""
    first, second = figure(now), figure(then)
    if isinstance(first, Unknown) or isinstance(second, Unknown):
        return first if isinstance(first, Unknown) else second
    drop = figures.paired_drop(then, now) if quantity == "accuracy" else Unknown("")
    if isinstance(drop, Unknown):
        return stats.difference(first, second)
    return -drop[0], -drop[2], -drop[1]


def is_share(quantity: str) -> bool:
    """Whether its rise is in points."""
    unit = unit_of(quantity)
    return unit is not None and unit.most == 1.0

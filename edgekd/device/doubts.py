"""Reasons not to trust a timing, in words. In: its samples and how the machine was. No verdict is given here: a doubt stands beside a figure."""

from collections.abc import Iterator, Sequence

from edgekd import stats
from edgekd.measurements import State, Timing

LEAST_FREE = 256 * 1024 * 1024
"""Bytes of memory that are left: with fewer a machine begins to swap."""


def doubts(
    timing: Timing,
    *,
    clocks: Sequence[float] = (),
    gpu_clocks: Sequence[float] = (),
    states: Sequence[State] = (),
    others: Sequence[float] = (),
    cores: int = 1,
) -> list[str]:
    """Reasons not to trust a timing, in words, each with its figure.

    `clocks` are MHz at the end of each block, `gpu_clocks` those of a GPU that did the work, `others` the cores that other programs kept busy, by
    launch.
    """
    found = [
        _short(timing),
        _few(timing),
        _spread(timing),
        _drift(timing),
        _clocks(clocks, "clocks"),
        _clocks(gpu_clocks, "the GPU's clock"),
        "the processor was slowed for its heat" if any(state.throttled for state in states) else None,
        _busy(others, cores),
        _foreign(states),
        _full(states),
        *_changed(states),
        *dict.fromkeys(what for state in states for what in state.held),
    ]
    return [doubt for doubt in found if doubt is not None]


def _short(timing: Timing) -> str | None:
    middle = stats.median(timing.samples)
    return f"the median is {middle:.3f} ms: under 0.1 ms it measures the call more than the network" if middle < 0.1 else None


def _few(timing: Timing) -> str | None:
    n, needed = len(timing.samples), stats.samples_needed(90)
    return f"only {n} samples: a 90th percentile needs {needed}" if n < needed else None


def _spread(timing: Timing) -> str | None:
    """The middle half's width stands for the coefficient of variation: one hiccup in a thousand samples must not raise it."""
    ordered = sorted(timing.samples)
    width = (ordered[3 * len(ordered) // 4] - ordered[len(ordered) // 4]) / 1.349 / stats.median(ordered)
    return f"samples scatter by {100 * width:.0f} % of the median" if width > 0.1 else None


def _drift(timing: Timing) -> str | None:
    medians = [stats.median([ms for block in launch.rounds for ms in block]) for launch in timing.launches]
    apart = max(medians) / min(medians) - 1
    return f"the medians of {len(medians)} launches lie {100 * apart:.0f} % apart" if apart > 0.05 else None


def _clocks(clocks: Sequence[float], what: str) -> str | None:
    known = [mhz for mhz in clocks if mhz > 0]
    if not known or max(known) / min(known) < 1.05:
        return None
    return f"{what} changed between {min(known):.0f} and {max(known):.0f} MHz while it ran"


def _busy(others: Sequence[float], cores: int) -> str | None:
    most = max(others, default=0.0)
    return f"other programs kept {most:.1f} of {cores} cores busy" if most > max(0.2, 0.1 * cores) else None


def _foreign(states: Sequence[State]) -> str | None:
    most = max((state.foreign or 0 for state in states), default=0)
    return f"{most} other program{'s' if most > 1 else ''} computed on the GPU" if most else None


def _full(states: Sequence[State]) -> str | None:
    least = min((state.memory_free for state in states if state.memory_free is not None), default=LEAST_FREE)
    return f"the machine had {least / 1e6:.0f} MB of memory left" if least < LEAST_FREE else None


def _changed(states: Sequence[State]) -> Iterator[str]:
    """Settings that somebody changed meanwhile."""
    modes = list(dict.fromkeys(state.power_mode for state in states if state.power_mode is not None))
    if len(modes) > 1:
        yield f"the power mode changed from {modes[0]} to {modes[-1]} while it ran"
    if {state.clocks_locked for state in states} >= {True, False}:
        yield "its clocks were locked for a part of the time only"

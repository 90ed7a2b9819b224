"""How inferences are timed, a block of one model's or several models' in turn, on a clock that is handed in. Knows nothing of runtimes."""

import gc
import time
from contextlib import contextmanager
from typing import Callable, Iterator, List, Optional, Sequence

Clock = Callable[[], int]

_TRIED = 3
"""Inferences of each model that tell how often it is to run in a turn."""
_MOST_RUNS = 64
"""Of a model in a turn, however much faster than another it is."""


def block(
    run: Callable[[], object],
    *,
    warm_ms: float,
    min_ms: float,
    min_runs: int,
    max_ms: float,
    period_ms: Optional[float] = None,
    clock: Clock = time.perf_counter_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> List[float]:
    """Milliseconds of each inference of one block, at least one.

    First inferences are run and dropped until `warm_ms` have passed, one at the least. Then samples are kept until `min_ms` have passed and there
    are `min_runs` of them, but no new one is begun once `max_ms` have passed since the block's start. With `period_ms`, inferences start
    that far apart, as a camera's frames do; one that comes late starts at once.
    """
    samples: List[float] = []
    with _uncollected():
        start = clock()
        _timed(run, clock)
        while clock() - start < 1e6 * min(warm_ms, max_ms / 2):
            _timed(run, clock)
        begin = due = clock()
        while True:
            if period_ms is not None:
                due = _pace(due, period_ms, clock, sleep)
            samples.append(_timed(run, clock))
            now = clock()
            if now - start >= 1e6 * max_ms or (now - begin >= 1e6 * min_ms and len(samples) >= min_runs):
                return samples


def in_turn(
    runs: Sequence[Callable[[], object]],
    *,
    min_ms: float,
    min_turns: int,
    max_ms: float,
    period_ms: Optional[float] = None,
    between: Optional[Callable[[], object]] = None,
    clock: Clock = time.perf_counter_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> List[List[float]]:
    """Milliseconds of an inference of each model in every turn, one turn at least; the order is turned round from turn to turn.

    A few turns are dropped. In the others each model runs once without counting, for it finds the caches full of another's weights, then as often as
    takes about as long as the slowest model's one inference, and their mean counts: what else the machine does then falls on all alike. Turns are
    taken until `min_ms` have passed and there are `min_turns`, but none is begun once `max_ms` have passed. With `period_ms` all inferences start
    that far apart, each counts, and caches are as cold as a camera finds them. `between` is called before each model's turn.
    """
    samples: List[List[float]] = [[] for _ in runs]
    order = list(range(len(runs)))
    with _uncollected():
        start = clock()
        for run in runs:
            _timed(run, clock)
        counts = [1] * len(runs) if period_ms is not None else _evened(runs, max_ms / 4, clock)
        begin = due = clock()
        while True:
            for at in order:
                if between is not None:
                    between()
                if period_ms is None:
                    _timed(runs[at], clock)
                else:
                    due = _pace(due, period_ms, clock, sleep)
                samples[at].append(_timed(runs[at], clock, counts[at]))
            order.reverse()
            now = clock()
            if now - start >= 1e6 * max_ms or (now - begin >= 1e6 * min_ms and len(samples[0]) >= min_turns):
                return samples


def _evened(runs: Sequence[Callable[[], object]], max_ms: float, clock: Clock) -> List[int]:
    """How often each is to run to take about as long as the slowest does, by the shortest of a few inferences of each."""
    start = clock()
    shortest = [float("inf")] * len(runs)
    for _ in range(_TRIED):
        shortest = [min(known, _timed(run, clock)) for known, run in zip(shortest, runs)]
        if clock() - start >= 1e6 * max_ms:
            break
    slowest = max(shortest)
    return [min(_MOST_RUNS, int(slowest / own)) if own > 0 else 1 for own in shortest]


@contextmanager
def _uncollected() -> Iterator[None]:
    """No collection of garbage falls into an inference."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def settle(limit_s: float = 1.0) -> None:
    """Wait until this process's own threads have stopped spinning, so that whoever's turn is next has the cores."""
    deadline = time.perf_counter() + limit_s
    while time.perf_counter() < deadline:
        used = time.process_time()
        time.sleep(0.003)
        if time.process_time() - used < 0.0005:
            return


def _timed(run: Callable[[], object], clock: Clock, count: int = 1) -> float:
    """Milliseconds of an inference, the mean of so many."""
    start = clock()
    for _ in range(count):
        run()
    return (clock() - start) / 1e6 / count


def _pace(due: int, period_ms: float, clock: Clock, sleep: Callable[[float], None]) -> int:
    """Sleep until the next start is due; when that is past, now is."""
    due = max(due + int(1e6 * period_ms), clock())
    left = due - clock()
    if left > 0:
        sleep(left / 1e9)
    return due

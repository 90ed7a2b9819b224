"""device/agent/block.py: what is dropped, what is kept and when a block ends, on a clock of the test's own."""

import gc
from collections.abc import Iterator
from itertools import chain, repeat
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.device.agent import block as module
from edgekd.device.agent.block import block, in_turn, settle


class Clock:
    """Time that passes only while something runs or sleeps, in ms here and in ns where it is read."""

    def __init__(self, *durations: float, then: float = 1.0) -> None:
        self.now = 0.0
        self.starts: list[float] = []
        self._durations: Iterator[float] = chain(durations, repeat(then))

    def __call__(self) -> int:
        return round(1e6 * self.now)

    def run(self) -> None:
        self.starts.append(self.now)
        self.now += next(self._durations)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += 1e3 * seconds

    def block(self, *, warm_ms: float = 0, min_ms: float = 0, min_runs: int = 1, max_ms: float = 1e6, period_ms: float | None = None) -> list[float]:
        """A block timed on this clock."""
        return block(self.run, warm_ms=warm_ms, min_ms=min_ms, min_runs=min_runs, max_ms=max_ms, period_ms=period_ms, clock=self, sleep=self.sleep)


class Pair:
    """Two models on one clock, which takes 1 ms for the first of two inferences one after another and less for the second."""

    def __init__(self) -> None:
        self.clock, self.order = Clock(), ""

    def run(self, name: str, warm_ms: float) -> None:
        again = self.order.endswith(name)
        self.order += name
        self.clock.now += warm_ms if again else 1.0

    def turns(self, **wishes: float) -> list[list[float]]:
        """Turns of a, which takes 0.25 ms when warm, and b, which takes 0.5."""
        runs = [lambda: self.run("a", 0.25), lambda: self.run("b", 0.5)]
        asked: dict[str, Any] = {"min_ms": 0, "min_turns": 1, "max_ms": 1e6, **wishes}
        return in_turn(runs, clock=self.clock, sleep=self.clock.sleep, **asked)


def test_turns_go_round_both_ways_and_count_the_warm_inference() -> None:
    """After turns that are dropped, each runs twice and the second counts; who began ends the next turn."""
    pair = Pair()
    assert pair.turns(min_turns=3) == [[0.25] * 3, [0.5, 0.5, 0.5]]
    assert pair.order == 4 * "ab" + "aabb" + "bbaa" + "aabb"


@pytest.mark.parametrize(("slow", "runs"), [(4.0, 4), (3.9, 3), (1.9, 1), (900.0, 64)])
def test_a_turn_gives_each_the_same_time(slow: float, runs: int) -> None:
    """The faster runs as often as fits into the slower one's inference, 64 times at most, and their mean counts."""
    clock, order = Clock(), ""

    def run(name: str, took: float) -> None:
        nonlocal order
        order += name
        clock.now += took

    found = in_turn([lambda: run("a", 1.0), lambda: run("b", slow)], min_ms=0, min_turns=2, max_ms=1e6, clock=clock, sleep=clock.sleep)
    assert found == [pytest.approx([1.0, 1.0]), pytest.approx([slow, slow])]
    assert order == 4 * "ab" + "a" + runs * "a" + "bb" + "bb" + "a" + runs * "a"


def test_slow_models_are_not_tried_for_long() -> None:
    """What tells how often each is to run takes a quarter of the most time, and an inference of each."""
    clock = Clock(then=100.0)
    in_turn([clock.run, clock.run], min_ms=0, min_turns=1, max_ms=400, clock=clock, sleep=clock.sleep)
    assert len(clock.starts) == 2 + 2 + 4


def test_turns_last_their_time() -> None:
    """2.75 ms each, but the second, which begins with what the first ended with: three for 7 ms, and none begun after the most."""
    assert len(Pair().turns(min_ms=7)[0]) == 3
    assert len(Pair().turns(min_ms=7, max_ms=8)[0]) == 2
    assert len(Pair().turns(min_turns=9, max_ms=0)[1]) == 1


def test_a_cameras_turns_are_all_cold() -> None:
    """One inference a frame, each counted."""
    pair = Pair()
    assert pair.turns(min_turns=2, period_ms=40) == [[1.0, 1.0], [1.0, 0.5]]
    assert pair.order == "ab" + "ab" + "ba"
    assert pair.clock.now == pytest.approx(2 + 4 * 40 + 1)


def test_first_inferences_are_dropped() -> None:
    """One at the least, and more until the warm time has passed."""
    assert Clock(50).block(min_runs=2) == [1.0, 1.0]
    assert Clock(50, 8, 8, 8, 3).block(warm_ms=70, min_runs=2) == [3.0, 1.0]


def test_a_block_lasts_its_time() -> None:
    """Five of 1 ms for 5 ms, though two were enough."""
    assert Clock().block(min_ms=5, min_runs=2) == [1.0] * 5


def test_a_block_has_its_number() -> None:
    """Slow inferences go on beyond the time until there are enough."""
    assert Clock(then=10).block(min_ms=5, min_runs=4) == [10.0] * 4


def test_no_inference_begins_after_the_most_time() -> None:
    """Counted from the start, the dropped ones included; one that runs is let finish."""
    clock = Clock(then=10)
    assert clock.block(min_ms=1000, min_runs=100, max_ms=35) == [10.0] * 3
    assert clock.starts[-1] < 35


def test_warming_takes_half_of_the_most_time_at_most() -> None:
    """Where there is little, some is left for samples."""
    assert len(Clock().block(warm_ms=1000, min_ms=1000, max_ms=20)) == 10


def test_there_is_always_a_sample() -> None:
    """Even of a block that was given no time at all."""
    assert Clock(7, 5).block(max_ms=0) == [5.0]


@given(
    st.lists(st.integers(1, 40), max_size=30),
    st.tuples(st.integers(0, 50), st.integers(0, 100), st.integers(1, 30), st.integers(0, 200)),
    st.none() | st.integers(1, 30),
)
def test_samples_are_what_the_last_inferences_took(durations: list[int], limits: tuple[int, int, int, int], period: int | None) -> None:
    """Whatever the limits, at least one, nothing else between, and none begun once the most time has passed but the first."""
    warm_ms, min_ms, min_runs, max_ms = limits
    clock = Clock(*durations)
    samples = clock.block(warm_ms=warm_ms, min_ms=min_ms, min_runs=min_runs, max_ms=max_ms, period_ms=period)
    ran = [*map(float, durations), *repeat(1.0, len(clock.starts))][: len(clock.starts)]
    assert 1 <= len(samples) < len(ran)
    assert samples == pytest.approx(ran[-len(samples) :])
    assert all(start < max_ms + (period or 0) for start in clock.starts[-len(samples) + 1 :] if len(samples) > 1)
    if clock.now < max_ms:
        assert len(samples) >= min_runs


def test_inferences_start_a_period_apart() -> None:
    """As a camera's frames do; waiting is no part of a sample."""
    clock = Clock(then=5)
    assert clock.block(min_runs=4, period_ms=33) == [5.0] * 4
    assert clock.starts == pytest.approx([0, 38, 71, 104, 137])


def test_a_late_inference_starts_at_once() -> None:
    """And the next ones keep their distance from it: lost frames are not caught up with."""
    clock = Clock(5, 5, 100, 5, 5)
    clock.block(min_runs=4, period_ms=33)
    assert clock.starts == pytest.approx([0, 38, 71, 171, 204])


@pytest.mark.parametrize("enabled", [True, False])
def test_no_garbage_is_collected_meanwhile(enabled: bool) -> None:
    """The collector is off in a block, and afterwards as it was, after a failure too."""
    seen = []

    def run() -> None:
        seen.append(gc.isenabled())
        if len(seen) == 3:
            raise RuntimeError

    was = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(RuntimeError):
            block(run, warm_ms=0, min_ms=0, min_runs=5, max_ms=1000)
        assert seen == [False] * 3
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()


class Threads:
    """A process whose threads use the CPU for a while after the work, for `time`'s part in `settle`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, spinning_s: float) -> None:
        self.now, self.spinning_s = 0.0, spinning_s
        here = SimpleNamespace(perf_counter=lambda: self.now, process_time=lambda: min(self.now, self.spinning_s), sleep=self.sleep)
        monkeypatch.setattr(module, "time", here)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_the_next_waits_until_threads_stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that spin for 50 ms are waited for, and hardly longer."""
    threads = Threads(monkeypatch, spinning_s=0.05)
    settle()
    assert 0.05 <= threads.now < 0.06


def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that never stops is left alone after the limit."""
    threads = Threads(monkeypatch, spinning_s=1e9)
    settle(limit_s=0.2)
    assert 0.2 <= threads.now < 0.21

"""device/watch.py: states and other programs' share, from what agents would answer."""

import time
from typing import Any

import pytest

from edgekd.device.watch import Look, Watch, foreign


def told(busy_s: float | None = 0.0, cpu_s: float = 0.0, throttles: int | None = None) -> dict[str, Any]:
    """An answer to `state`."""
    return {"clock_mhz": [], "temperature_c": {}, "load": None, "throttles": throttles, "busy_s": busy_s, "cpu_s": cpu_s}


def look(at: float, busy_s: float | None, own_s: float, *names: str) -> Look:
    """A look at the agents of these artifacts."""
    return Look(at, busy_s, own_s, frozenset(names))


def test_states_from_before_to_after() -> None:
    """The first, the last, and what lies between; throttling is counted from the first."""
    watch = Watch()
    for count in (4, 4, 5, 5):
        watch.look({"a": told(throttles=count)})
    watch.end()
    assert [(state.when, state.throttled) for state in watch.states] == [("before", False), ("during", False), ("during", True), ("after", True)]


def test_nobody_to_ask() -> None:
    """Without an agent there is no state, and an end of nothing is nothing."""
    watch = Watch()
    assert watch.look({}).busy_s is None
    watch.end()
    assert watch.states == []


def test_own_time_is_that_of_all_agents_and_this_process() -> None:
    """What the machine spent is the last answer's, since it was asked last."""
    before = time.process_time()
    found = Watch().look({"a": told(busy_s=50, cpu_s=1000), "b": told(busy_s=60, cpu_s=2000)})
    assert before <= found.own_s - 3000 <= time.process_time() + 1e-6
    assert (found.busy_s, found.of) == (60.0, frozenset({"a", "b"}))


def test_what_others_kept_busy() -> None:
    """In 10 s all programs had 15 s of CPU time and the agents 5 s: one core was others'."""
    watch = Watch()
    watch.count_others(look(100, 30, 2, "a", "b"), look(110, 45, 7, "a", "b"))
    assert watch.others == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (look(100, None, 2, "a"), look(110, 45, 7, "a")),
        (look(100, 30, 2, "a"), look(110, None, 7, "a")),
        (look(100, 30, 2, "a", "b"), look(110, 45, 7, "a")),
    ],
)
def test_looks_that_do_not_compare(before: Look, after: Look) -> None:
    """A machine that does not tell, or an agent that was lost, gives no figure."""
    watch = Watch()
    watch.count_others(before, after)
    assert watch.others == []


@pytest.mark.parametrize(
    ("processes", "own", "count"),
    [
        (None, [1, 2], None),
        ([], [1, 2], 0),
        ([1, 2], [1, 2], 0),
        ([1, 2, 77], [1, 2], 1),
        ([1, 77, 78], [1, 2], 2),
        ([4001, 4002], [1, 2], 0),
        ([4001, 4002, 4003], [1, 2], 1),
    ],
    ids=["not told", "nobody", "agents", "one more", "an agent on the CPU", "a container", "a container and one more"],
)
def test_programs_on_a_gpu_that_are_not_ours(processes: list[int] | None, own: list[int], count: int | None) -> None:
    """Agents are known by their numbers, and where a container gives them others, by how many they are."""
    assert foreign(processes, {str(pid): {"pid": pid} for pid in own}) == count

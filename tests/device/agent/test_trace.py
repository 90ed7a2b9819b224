"""device/agent/trace.py: traces as the runtime writes them → each node's time in each run."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.device.agent.protocol import RefusedError
from edgekd.device.agent.trace import node_times


def kernel(name: str, ts: int, dur: int, op: str = "Conv", index: int = 0) -> dict[str, Any]:
    """The work of a node."""
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": ts, "dur": dur, "args": {"op_name": op, "node_index": str(index)}}


def run(ts: int, dur: int) -> dict[str, Any]:
    """A run around it."""
    return {"cat": "Session", "name": "model_run", "ts": ts, "dur": dur, "args": {}}


def test_each_node_has_a_time_in_each_run() -> None:
    """In the order of the last run; the runs that were asked to be dropped, and what is no kernel's work, are left out."""
    fence = {**kernel("a", 210, 50), "name": "a_fence_before"}
    events = [
        kernel("a", 10, 90), run(5, 100),
        kernel("b", 150, 4, "Relu", 1), kernel("a", 110, 30), run(105, 60),
        fence, kernel("a", 210, 31), kernel("b", 241, 0, "Relu", 1), run(205, 60),
    ]  # fmt: skip
    assert node_times(events, dropped=1) == [{"name": "a", "op": "Conv", "us": [30, 31]}, {"name": "b", "op": "Relu", "us": [4, 0]}]


def test_what_runs_inside_a_loop_is_the_loops() -> None:
    """Its body's nodes, whichever order they were written in, are counted once, in the loop."""
    events = [
        kernel("body", 12, 3, "MatMul", 1),
        kernel("body", 16, 3, "MatMul", 1),
        kernel("loop", 10, 10, "Loop"),
        kernel("end", 20, 2),
        run(5, 30),
    ]
    assert [(node["name"], node["us"]) for node in node_times(events)] == [("loop", [10]), ("end", [2])]


def test_nodes_of_one_name_are_told_apart() -> None:
    """By their numbers in the graph."""
    events = [kernel("a", 10, 3), kernel("a", 20, 4, index=1), run(5, 30)]
    assert [node["us"] for node in node_times(events)] == [[3], [4]]


@pytest.mark.parametrize("events", [[], [run(0, 5)], [kernel("a", 1, 2)], [kernel("a", 9, 2), run(0, 5)]])
def test_no_run_of_a_node(events: list[dict[str, Any]]) -> None:
    """There is nothing to tell."""
    with pytest.raises(RefusedError, match="holds no run of a node"):
        node_times(events)


@pytest.mark.parametrize(
    "events", [{"a": 1}, [1], [{}], [{"name": "model_run"}], [{"name": None, "cat": "Node"}], [{**kernel("a", 1, 2), "args": {}}, run(0, 5)]]
)
def test_what_is_no_trace(events: Any) -> None:
    """It is refused, with what was missed."""
    with pytest.raises(RefusedError, match="the runtime's profile does not read: "):
        node_times(events)


@given(st.lists(st.lists(st.integers(0, 1000), min_size=3, max_size=3), min_size=1, max_size=5), st.randoms())
def test_a_sum_of_runs(runs: list[list[int]], draw: Any) -> None:
    """Nodes one after another in runs one after another, written in any order, come back as they were."""
    events, now = [], 0
    for durations in runs:
        begin = now
        for index, duration in enumerate(durations):
            events.append(kernel(f"n{index}", now + 1, duration, index=index))
            now += duration + 2
        events.append(run(begin, now - begin))
        now += 5
    draw.shuffle(events)
    assert [node["us"] for node in node_times(events)] == [list(times) for times in zip(*runs, strict=True)]

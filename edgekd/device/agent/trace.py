"""What ONNX Runtime's profile says about time: its JSON trace → each node's time in each run. Knows no files and no sessions."""

from typing import Any, Dict, Iterable, List, Sequence

from .protocol import RefusedError

Event = Dict[str, Any]

_KERNEL = "_kernel_time"
"""Ends the name of an event that is the work of one node; older runtimes have other events of the same node around it."""


def node_times(events: Sequence[Event], dropped: int = 0) -> List[Dict[str, Any]]:
    """Each node's `name`, `op` and `us`, microseconds by run, in the order in which they ran last; the first `dropped` runs are left out.

    What runs inside another node, as the body of a Loop, is in that node's time and no node of its own.

    Raises:
        RefusedError: it is no such trace, or has no run beyond those.
    """
    try:
        spans = sorted((event["ts"], event["ts"] + event["dur"]) for event in events if event["name"] == "model_run")[dropped:]
        kernels = [event for event in events if event["cat"] == "Node" and event["name"].endswith(_KERNEL)]
        kernels.sort(key=lambda event: (event["ts"], -event["dur"]))
        runs = [_outermost(event for event in kernels if begin <= event["ts"] <= end) for begin, end in spans]
        nodes = {_which(event): _node(event, len(runs)) for run in reversed(runs) for event in run}
        for number, run in enumerate(runs):
            for event in run:
                nodes[_which(event)]["us"][number] += event["dur"]
    except (KeyError, TypeError, AttributeError) as error:
        raise RefusedError("the runtime's profile does not read: {!r}".format(error)) from None
    if not nodes:
        raise RefusedError("the runtime's profile holds no run of a node")
    return list(nodes.values())


def _outermost(events: Iterable[Event]) -> List[Event]:
    """Of events by their begin, those that lie in no other."""
    found: List[Event] = []
    for event in events:
        if not found or event["ts"] >= found[-1]["ts"] + found[-1]["dur"]:
            found.append(event)
    return found


def _which(event: Event) -> str:
    """A node by its number in the graph too: a file may call several alike."""
    return "{} {}".format(event["args"]["node_index"], event["name"])


def _node(event: Event, runs: int) -> Dict[str, Any]:
    return {"name": event["name"][: -len(_KERNEL)], "op": event["args"]["op_name"], "us": [0] * runs}

"""bench/duel.py: which launches are held, by whom each is begun, and what their samples come to; the agents are played."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from edgekd import stats
from edgekd.bench import Plan
from edgekd.bench.duel import FEWEST, METHOD, duel, quotients, ratio
from edgekd.bench.plan import Way
from edgekd.bench.where import resolve
from edgekd.device.host import Session
from edgekd.events import Event, Progress, silent

FILES = {"student": Path("s.onnx"), "teacher": Path("t.onnx")}
TAKES = {"s.onnx": 2.0, "t.onnx": 8.0}


class Played:
    """A session whose agents answer at once, and remember what they were asked; each launch takes `seconds` of the test's clock."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.asked: list[dict[str, Any]] = []
        self.open, self.clock, self.seconds = 0, 1000.0, seconds

    place = staticmethod(str)

    def now(self) -> float:
        return self.clock

    def start(self, of: str) -> "Played":
        assert of == "duel on cpu"
        return self

    def __enter__(self) -> "Played":
        self.open += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.open -= 1

    def ask(self, job: str, timeout_s: float, **wishes: Any) -> dict[str, Any]:
        assert (job, self.open) == ("duel", 1)
        self.asked.append({**wishes, "timeout_s": timeout_s})
        self.clock += self.seconds
        return {"samples": [[TAKES[path], TAKES[path] + len(self.asked)] for path in wishes["paths"]], "shared": True}

    def held(self, *, max_s: float = 100.0, way: Way | None = None, emit: Callable[[Event], None] = silent) -> Sequence[Any]:
        """The launches on a target of two threads."""
        (what, _) = resolve({"cpu": "local"})[0]
        what = msgspec.structs.replace(what, threads=2, batch=1)
        plan = Plan(duels=5, duel_ms=300)
        return duel(cast(Session, self), what, FILES, plan=plan, way=way or Way(), deadline=self.clock + max_s, emit=emit)


def test_each_launch_begins_with_another() -> None:
    """Samples go to the files by name, whoever was loaded first."""
    played = Played()
    launches = played.held()
    assert [wishes["paths"] for wishes in played.asked] == [["s.onnx", "t.onnx"], ["t.onnx", "s.onnx"]] * 2 + [["s.onnx", "t.onnx"]]
    assert launches[0] == {"student": [2.0, 3.0], "teacher": [8.0, 9.0]}
    assert launches[1] == {"student": [2.0, 4.0], "teacher": [8.0, 10.0]}
    assert {(wishes["threads"], wishes["min_ms"], wishes["frame_ms"]) for wishes in played.asked} == {(2, 300, None)}


def test_what_is_asked_follows_the_way() -> None:
    """A camera's pace and the sizes of open axes reach the agent."""
    played = Played()
    played.held(way=Way(fps=25, dims={"rows": 7}))
    assert (played.asked[0]["frame_ms"], played.asked[0]["dims"]) == (40, {"rows": 7})


@pytest.mark.parametrize(("seconds", "max_s", "held"), [(1.0, 100.0, 5), (1.0, 3.5, 3), (30.0, 1.0, FEWEST)])
def test_the_time_is_kept(seconds: float, max_s: float, held: int) -> None:
    """No launch that would end too late is begun, but for the first two; progress tells what is left."""
    played, told = Played(seconds), list[Event]()
    assert len(played.held(max_s=max_s, emit=told.append)) == held
    assert Progress(what="comparing on cpu", done=2, total=5, unit="launches", seconds_left=3 * seconds) in told
    assert all(wishes["timeout_s"] >= 60 for wishes in played.asked)


def test_a_launchs_ratio_is_of_turns() -> None:
    """The median over turns, in which both ran: what slows a turn slows both, and one odd turn counts as one."""
    launches = [{"a": [1.0, 3.0, 1.0, 50.0], "b": [4.0, 12.0, 4.0, 4.0]}, {"a": [1.0], "b": [2.0]}]
    assert quotients(launches, "a", "b") == [0.25, 0.5]
    assert quotients(launches, "b", "a") == [4.0, 2.0]


def test_a_ratio_keeps_its_launches() -> None:
    """And says how its interval came to be, at another confidence too."""
    found = ratio("a", "b", "cpu", [0.5, 0.6, 0.55])
    assert (found.value, found.low, found.high) == stats.mean_ratio([0.5, 0.6, 0.55])
    assert (found.launches, found.method, found.confidence, found.quantity) == ([0.5, 0.6, 0.55], METHOD, 0.95, "latency")
    surer = ratio("a", "b", "cpu", [0.5, 0.6, 0.55], confidence=0.99, method="another")
    assert surer.low < found.low < found.high < surer.high
    assert surer.method == "another"

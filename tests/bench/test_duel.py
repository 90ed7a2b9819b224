"""bench/duel.py: which launches are held, by whom each is begun, and what their samples come to; the agents are played."""

import math
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from edgekd import stats
from edgekd.bench import Plan
from edgekd.bench.duel import FEWEST, METHOD, Duel, quotients, ratio
from edgekd.bench.plan import Way
from edgekd.bench.where import resolve
from edgekd.device.session import Session
from edgekd.events import Event, Progress

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
        return {"samples": [[TAKES[path], TAKES[path] + len(self.asked)] for path in wishes["paths"]], "shared": True, "cpu_s": 0.5}

    def duel(self, *, max_s: float = 100.0, way: Way | None = None) -> Duel:
        """Five launches on a target of two threads."""
        (what, _) = resolve({"cpu": "local"})[0]
        what = msgspec.structs.replace(what, threads=2, batch=1)
        return Duel(cast(Session, self), what, plan=Plan(duels=5, duel_ms=300), way=way or Way(), max_s=max_s)


def test_each_launch_begins_with_another() -> None:
    """Samples go to the files by name, whoever was loaded first."""
    played = Played()
    duel = played.duel()
    duel.hold(FILES)
    launches = duel.launches
    assert [wishes["paths"] for wishes in played.asked] == [["s.onnx", "t.onnx"], ["t.onnx", "s.onnx"]] * 2 + [["s.onnx", "t.onnx"]]
    assert launches[0] == {"student": [2.0, 3.0], "teacher": [8.0, 9.0]}
    assert launches[1] == {"student": [2.0, 4.0], "teacher": [8.0, 10.0]}
    assert {(wishes["threads"], wishes["min_ms"], wishes["frame_ms"]) for wishes in played.asked} == {(2, 300, None)}


def test_what_is_asked_follows_the_way() -> None:
    """A camera's pace and the sizes of open axes reach the agent."""
    played = Played()
    played.duel(way=Way(fps=25, dims={"rows": 7})).hold(FILES)
    assert (played.asked[0]["frame_ms"], played.asked[0]["dims"]) == (40, {"rows": 7})


@pytest.mark.parametrize(("seconds", "max_s", "held"), [(1.0, 100.0, 5), (1.0, 3.5, 3), (30.0, 1.0, FEWEST)])
def test_the_time_is_kept(seconds: float, max_s: float, held: int) -> None:
    """No launch that would end too late is begun, but for the first two; progress tells what is left."""
    played, told = Played(seconds), list[Event]()
    duel = played.duel(max_s=max_s)
    duel.hold(FILES, emit=told.append)
    assert len(duel.launches) == held
    assert Progress(what="comparing on cpu", done=2, total=5, unit="launches", seconds_left=3 * seconds) in told
    assert all(wishes["timeout_s"] >= 60 for wishes in played.asked)


def test_a_share_at_a_time() -> None:
    """So many launches, or so much of the time, as are due; what others did in between costs nothing, and CPU time is added up."""
    played = Played(1.0)
    duel, held = played.duel(max_s=4.0), []
    for share in (0.05, 0.2, 0.5, 0.5, 0.75, 1.0):
        played.clock += 100
        duel.hold(FILES, share)
        held.append(len(duel.launches))
    assert held == [0, 1, 2, 2, 3, 4]
    assert (duel.spent_s, duel.cpu_s) == (4.0, 2.0)


def test_a_file_that_failed_in_between() -> None:
    """Launches before it left stay the others' own; its ratios are of those that held it."""
    duel = Played().duel()
    duel.hold({**FILES, "third": Path("s.onnx")}, 0.4)
    duel.hold(FILES)
    assert [len(launch) for launch in duel.launches] == [3, 3, 2, 2, 2]
    assert len(quotients(duel.launches, "third", "teacher")) == 2
    assert len(quotients(duel.launches, "student", "teacher")) == 5


def test_a_launchs_ratio_is_of_turns() -> None:
    """The median over turns, in which both ran: what slows a turn slows both, and one odd turn counts as one."""
    launches = [{"a": [1.0, 3.0, 1.0, 50.0], "b": [4.0, 12.0, 4.0, 4.0]}, {"a": [1.0], "b": [2.0]}]
    assert quotients(launches, "a", "b") == [0.25, 0.5]
    assert quotients(launches, "b", "a") == [4.0, 2.0]


def test_a_ratio_keeps_its_launches() -> None:
    """And says how its interval came to be, at another confidence too."""
    found = ratio("a", "b", "cpu", [0.5, 0.6, 0.55])
    assert (found.launches, found.method, found.confidence, found.quantity) == ([0.5, 0.6, 0.55], METHOD, 0.95, "latency")
    surer = ratio("a", "b", "cpu", [0.5, 0.6, 0.55], confidence=0.99, method="another")
    assert surer.low < found.low < found.high < surer.high
    assert surer.method == "another"


def test_what_launches_share_widens_the_interval() -> None:
    """Launches that agree to the last digit leave a percent of the logarithm's size, 1.96 times; equal files none; the inverse is as wide."""
    found = ratio("a", "b", "cpu", [8.0] * 5)
    assert (found.value, found.low, found.high) == pytest.approx((8.0, 8.0 ** (1 - 0.0196), 8.0**1.0196), rel=1e-4)
    inverse = ratio("b", "a", "cpu", [1 / 8] * 5)
    assert (inverse.low, inverse.high) == pytest.approx((1 / found.high, 1 / found.low))
    assert (ratio("a", "b", "cpu", [1.0] * 5).low, ratio("a", "b", "cpu", [1.0] * 5).high) == (1.0, 1.0)
    equal = ratio("a", "b", "cpu", [0.9, 1.1, 1.0, 1.0])
    assert (equal.low, equal.high) == pytest.approx(stats.mean_ratio([0.9, 1.1, 1.0, 1.0])[1:], rel=1e-3)
    alone = ratio("a", "b", "cpu", [8.0])
    assert (alone.low, alone.high) == (0.0, math.inf)

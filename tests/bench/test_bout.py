"""bench/bout.py: rounds in turn, and what others do in between, without any agent; whole bouts are `test_rounds`'s."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from edgekd.bench.bout import Bout
from edgekd.bench.contender import Contender
from edgekd.bench.plan import Plan, Way
from edgekd.bench.questions import Questions
from edgekd.bench.where import resolve
from edgekd.device.session import Session
from edgekd.events import silent
from tests.device.nets import artifact


class Idle(Contender):
    """A contender whose agent tells of a machine at rest."""

    def ask(self, job: str, timeout_s: float, **wishes: Any) -> dict[str, Any]:
        assert job == "state"
        return {"cpu_s": 0.0, "busy_s": 0.0, "pid": 1, "clock_mhz": [], "temperature_c": {}, "throttles": None, "load": 0.0}


def test_what_others_do_in_between_comes_on_top(tmp_path: Path) -> None:
    """They are told how far it is; their seconds are given back, and their CPU time counts as ours."""
    clock, shares = [100.0], []

    def between(share: float) -> float:
        clock[0] += 3.0
        shares.append(share)
        return 1.5

    session = cast(Session, SimpleNamespace(here=False, now=lambda: clock[0]))
    contender = Idle(*artifact(tmp_path / "f.onnx"))
    plan = Plan(launches=2, rounds=3, block_ms=4, block_runs=3, warm_ms=1, flow_ms=150)
    asked = Questions(session, resolve({"cpu": "local"})[0][0], plan, Way(), 60.0)
    measured = Bout(asked, [contender], silent, between)
    before = measured._look().own_s
    assert (measured._pause(1), measured._end) == (3.0, 163.0)
    assert measured._look().own_s - before == 1.5
    assert shares == [1 / 7]

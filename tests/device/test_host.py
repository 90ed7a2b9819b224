"""device/host.py: sessions that leave nothing, and what an agent tells as records."""

import tempfile
from pathlib import Path
from typing import Any

import pytest

from edgekd.device.host import connect, read_host, state_record
from edgekd.device.session import Session
from edgekd.measurements import Host, State
from tests.device.processes import gone


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made in this test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_host_as_a_record(session: Session) -> None:
    """What the agent told, with the Python and the runtime that it has."""
    with session.start() as agent:
        host = read_host(agent)
    assert isinstance(host, Host)
    assert host.cores >= 1
    assert set(host.runtimes) == {"python", "onnxruntime"}


def test_a_session_leaves_nothing(temporary: Path) -> None:
    """Neither its agents nor its folder, though what was done in it failed."""
    pid = 0

    def fail() -> None:
        nonlocal pid
        with connect("local") as session:
            pid = session.start().pid
            assert [folder.name[:7] for folder in temporary.iterdir()] == ["edgekd-"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert gone(pid)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("now", "then", "throttled"),
    [(5, 5, False), (6, 5, True), (5, None, None), (None, 5, None)],
    ids=["same", "more", "unknown before", "unknown now"],
)
def test_a_state_as_a_record(now: int | None, then: int | None, throttled: bool | None) -> None:
    """It throttled where its count rose; unknown where either is."""
    told = {"clock_mhz": [1.0], "temperature_c": {"cpu": 40.0}, "load": 0.5, "throttles": now, "busy_s": 1.0, "cpu_s": 1.0}
    state = state_record(told, "during", {"throttles": then})
    assert state == State(when="during", clock_mhz=[1.0], temperature_c={"cpu": 40.0}, load=0.5, throttled=throttled)


def test_what_held_a_chip_back() -> None:
    """What counts rose since an earlier answer, and what does so now, each said once; a count that the earlier answer lacks has not risen."""
    plain: dict[str, Any] = {"clock_mhz": [], "temperature_c": {}, "load": None, "throttles": None}
    told = {**plain, "counts": {"heat": 5, "power": 7, "new": 3}, "held": ["heat", "now"], "gpu_mhz": 600.0, "power_mode": "15W (0)", "raw": "RAM"}
    state = state_record(told, "after", {**plain, "counts": {"heat": 4, "power": 7}})
    assert state == State(when="after", held=["heat", "now"], gpu_mhz=600.0, power_mode="15W (0)", raw="RAM")
    assert state_record(told, "before").held == ["heat", "now"]

"""bench/hosts.py: several hosts at once, one that fails, one account of how far they are, and an end of all."""

import contextlib
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edgekd.bench import Plan, bench, rounds
from edgekd.bench.hosts import at_once
from edgekd.device.host import Connect
from edgekd.device.session import Session
from edgekd.errors import DeviceError
from edgekd.events import Emit, Event, Note, Progress
from tests.device.nets import aim, artifact, heavy
from tests.device.processes import PATIENCE_S
from tests.device.sshd import Sshd, served

TINY = Plan(launches=1, rounds=2, block_ms=4, block_runs=3, warm_ms=1, flow_ms=120, duels=2, duel_ms=20)
HOSTS = ["orin", "pi"]


@contextlib.contextmanager
def line(host: str, python: Sequence[str]) -> Iterator[Session]:
    """A session that only knows whether it was stopped."""
    over = threading.Event()
    yield cast(Session, SimpleNamespace(host=host, stop=over.set, over=over))


def test_they_are_at_work_together() -> None:
    """Each waits until the other has begun; what they come to is in the order that they were named in."""
    together = threading.Barrier(2, timeout=PATIENCE_S)

    def work(host: str, connect: Connect, emit: Emit) -> str:
        together.wait()
        return f"{host} by {threading.current_thread().name[:4]}"

    assert at_once(HOSTS, work, line, lambda event: None) == ({"orin": "orin by host", "pi": "pi by host"}, {})


def test_this_machine_has_its_turn_alone() -> None:
    """Before the others, so that driving them disturbs nothing."""
    begun: list[str] = []

    def work(host: str, connect: Connect, emit: Emit) -> list[str]:
        begun.append(host)
        return list(begun)

    found, _ = at_once(["pi", "local", "orin"], work, line, lambda event: None)
    assert found["local"] == ["local"]
    assert list(found) == ["pi", "local", "orin"]


def test_one_that_fails_costs_the_others_nothing() -> None:
    """It is told with its name when it happens; where there is one host alone its error is raised."""
    told: list[Event] = []

    def work(host: str, connect: Connect, emit: Emit) -> str:
        if host == "orin":
            raise DeviceError("the line broke")
        return host

    assert at_once(HOSTS, work, line, told.append) == ({"pi": "pi"}, {"orin": "the line broke"})
    assert told == [Note(text="orin is given up: the line broke", level="warning")]
    with pytest.raises(DeviceError, match="the line broke"):
        at_once(["orin"], work, line, told.append)


def test_one_account_of_all() -> None:
    """Parts of all hosts counted together, the time of whoever takes longest; what is no progress passes."""
    told: list[Event] = []
    turn = threading.Event()

    def work(host: str, connect: Connect, emit: Emit) -> None:
        if host == "pi":
            turn.wait(PATIENCE_S)
        emit(Progress(what=f"measuring on {host}", done=3, total=4, unit="blocks", seconds_left={"orin": 9.0, "pi": 2.0}[host]))
        if host == "orin":
            emit(Note(text="warm"))
            turn.set()

    at_once(HOSTS, work, line, told.append)
    first, second = (event for event in told if isinstance(event, Progress))
    assert (first.what, first.done, first.total, first.unit) == ("measuring on orin, pi", 3, 4, "parts")
    assert (second.done, second.total, second.seconds_left) == (6, 8, 9.0)
    assert Note(text="warm") in told


def test_an_interrupt_stops_all() -> None:
    """Every open session, and those that open later; whoever is at work there ends, and the interrupt goes on."""
    ended: list[str] = []
    open_: dict[str, Any] = {}
    ready = threading.Barrier(2, timeout=PATIENCE_S)

    def work(host: str, connect: Connect, emit: Emit) -> None:
        with connect(host, ()) as session:
            open_[host] = session
            ready.wait()
            if host == "pi":
                raise KeyboardInterrupt  # as the main thread has it from its wait
            assert cast(Any, session).over.wait(PATIENCE_S)
            with connect("late", ()) as late:
                assert cast(Any, late).over.is_set()
            ended.append(host)

    with pytest.raises(KeyboardInterrupt):
        at_once(["pi", "orin"], work, line, lambda event: None)
    assert ended == ["orin"]
    assert open_["pi"].over.is_set()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A machine that `ssh` reaches under two names."""
    with served(tmp_path_factory.mktemp("sshd")) as machine, pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKD_SSH", machine.client)
        yield machine


def test_two_names_of_a_real_machine_and_one_of_none(machine: Sshd, tmp_path: Path) -> None:
    """Measured at once over two lines, two targets of one name one after another; the third is told, and all else stands."""
    with (machine.folder / "client").open("a") as client:
        client.write("Host nowhere\n  HostName 127.0.0.1\n  Port 1\n")
    targets: dict[str, str] = {}
    for name, host in (("one", "device"), ("two", "second"), ("three", "second"), ("four", "nowhere")):
        (tmp_path / name).mkdir()
        file = Path(aim(tmp_path / name))
        targets[str(file.rename(tmp_path / f"{name}.toml"))] = host
    told: list[Event] = []
    files = [artifact(heavy(tmp_path / "a.onnx"))]
    found = bench(files, targets, plan=TINY, max_s=60, python=[sys.executable], emit=told.append)
    assert found.failures == {}
    assert [(each.target, each.host) for each in found.measurements] == [("one", "device"), ("two", "second"), ("three", "second")]
    assert set(found.hosts) == {"device", "second"}
    assert list(found.lost) == ["nowhere"]
    assert "nowhere cannot be reached" in found.lost["nowhere"]
    progress = [event for event in told if isinstance(event, Progress)]
    assert {event.what for event in progress} == {"measuring on device, second, nowhere"}
    assert [event.done for event in progress] == sorted(event.done for event in progress)


def test_where_all_are_lost(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """There is no result, and every host has its reason."""

    def closed(host: str, python: Sequence[str]) -> Any:
        raise DeviceError(f"{host} is off")

    monkeypatch.setattr(rounds, "connect", closed)
    targets: Mapping[str, str] = {"cpu": "orin", aim(tmp_path): "pi"}
    with pytest.raises(DeviceError, match=r"nothing could be measured\. orin: orin is off; pi: pi is off"):
        bench([artifact(heavy(tmp_path / "a.onnx"))], targets, plan=TINY)

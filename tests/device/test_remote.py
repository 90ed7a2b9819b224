"""device/remote.py and remoteagent.py: a session over a real ssh line: files, answers, times, and lines that break."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgekd.bench import Plan, bench
from edgekd.device import remote, remoteagent
from edgekd.device.host import connect
from edgekd.device.predict import open_predict
from edgekd.device.remoteagent import RemoteAgent
from edgekd.device.session import Session, pack
from edgekd.errors import DeviceError
from edgekd.preprocess import Preprocess
from tests.device.nets import aim, artifact, classifier, heavy
from tests.device.processes import gone, python38
from tests.device.sshd import Sshd, running, served

PYTHON = [sys.executable]
RGB = Preprocess(size=(6, 4), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A machine that `ssh device` reaches."""
    with served(tmp_path_factory.mktemp("sshd")) as machine, pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKD_SSH", machine.client)
        patch.setattr(remoteagent, "AGAIN_S", (0.1, 0.2, 0.3))
        yield machine


@pytest.fixture
def device(machine: Sshd) -> Iterator[Session]:
    """A session with it."""
    if machine.process is None:
        machine.start()
    with connect("device", PYTHON) as session:
        yield session


def test_facts_are_the_machines_own(device: Session) -> None:
    """What the agent tells over there is what one tells here, since it is one machine."""
    with device.start() as there, connect("local") as here, here.start() as agent:
        assert there.ask("facts") == agent.ask("facts")
    assert not device.here


def test_a_file_goes_once(machine: Sshd, device: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its hash, into the cache, the same for the next session; checked there."""
    file = tmp_path / "one.onnx"
    file.write_bytes(os.urandom(3_000_000))
    path = Path(device.place(file))
    assert path.parent == machine.cache / "files"
    assert path.name == f"{hashlib.sha256(file.read_bytes()).hexdigest()}.onnx"
    assert path.read_bytes() == file.read_bytes()
    brought: list[object] = []
    monkeypatch.setattr(remote.RemoteSession, "_bring", lambda *facts: brought.append(facts))
    with connect("device", PYTHON) as later:
        assert later.place(file) == device.place(file) == str(path)
    assert brought == []


def test_a_file_that_was_half_there_goes_on(machine: Sshd, device: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the rest travels; a half that was another's is found by the hash, taken away, and said."""
    file = tmp_path / "two.onnx"
    file.write_bytes(os.urandom(2_500_000))
    name = f"{hashlib.sha256(file.read_bytes()).hexdigest()}.onnx.part"
    (machine.cache / "files").mkdir(parents=True, exist_ok=True)
    (machine.cache / "files" / name).write_bytes(file.read_bytes()[:1_000_000])
    sent: list[int] = []
    bring = remote.RemoteSession._bring

    def counted(self: remote.RemoteSession, data: bytes, path: str, have: int) -> None:
        sent.append(len(data) - have)
        bring(self, data, path, have)

    monkeypatch.setattr(remote.RemoteSession, "_bring", counted)
    assert Path(device.place(file)).read_bytes() == file.read_bytes()
    assert sent == [1_500_000]
    other = tmp_path / "three.onnx"
    other.write_bytes(os.urandom(5000))
    (machine.cache / "files" / f"{hashlib.sha256(other.read_bytes()).hexdigest()}.onnx.part").write_bytes(b"x" * 1000)
    with pytest.raises(DeviceError, match="the file came damaged: its hash there is"):
        device.place(other)
    assert Path(device.place(other)).read_bytes() == other.read_bytes()


def test_what_it_answers_is_what_is_answered_here(machine: Sshd, device: Session, tmp_path: Path) -> None:
    """The same logits of the same pictures; its rooms are gone afterwards."""
    file = classifier(tmp_path / "net.onnx", ("n", 3, 6, 4))
    images = np.random.default_rng(0).integers(0, 256, (9, 6, 4, 3)).astype(np.uint8)
    with connect("local") as here, open_predict(here, file, RGB) as ours, open_predict(device, file, RGB) as theirs:
        np.testing.assert_allclose(theirs({"images": images})["logits"], ours({"images": images})["logits"], atol=1e-5)
    assert list((machine.cache / "rooms").iterdir()) == []


def test_times_over_there(machine: Sshd, tmp_path: Path) -> None:
    """A whole bench with a ratio, under the host's own name."""
    files = [heavy(tmp_path / "a.onnx"), heavy(tmp_path / "b.onnx", layers=8)]
    plan = Plan(launches=1, rounds=2, block_ms=4, block_runs=3, warm_ms=1, flow_ms=120, duels=2, duel_ms=20)
    of = [artifact(file) for file in files]
    found = bench(of, {aim(tmp_path): "device"}, pairs=[(of[1][0].name, of[0][0].name)], plan=plan, max_s=60.0, layers=True, python=PYTHON)
    assert [each.host for each in found.measurements] == ["device", "device"]
    assert set(found.hosts) == {"device"}
    assert found.ratios[0].value > 1
    assert all(each.layer_times for each in found.measurements)
    assert found.failures == {}


def test_a_line_that_is_cut_is_taken_up(machine: Sshd, device: Session, tmp_path: Path) -> None:
    """The file that was open is open again, and what was asked is answered; how often it was lost is known."""
    path = device.place(heavy(tmp_path / "a.onnx"))
    with device.start() as agent:
        assert isinstance(agent, RemoteAgent)
        agent.ask("open", path=path, provider="CPUExecutionProvider")
        machine.cut()
        assert len(agent.ask("time", min_ms=1, min_runs=3, max_ms=1000)["samples"]) >= 3
        assert agent.lost == 1
        agent.send("time", min_ms=300, min_runs=3, max_ms=1000)
        time.sleep(0.1)
        machine.cut()
        assert sum(agent.receive()["samples"]) > 250
        assert agent.lost == 2


def test_a_line_that_stays_lost(machine: Sshd) -> None:
    """After some tries it is given up, in words."""
    if machine.process is None:
        machine.start()
    try:
        with connect("device", PYTHON) as session, session.start() as agent:
            agent.ask("facts")
            machine.stop()
            with pytest.raises(DeviceError, match=r"device was lost 4 times while .*; giving up\. Run it again\."):
                agent.ask("facts")
    finally:
        machine.start()


def test_nothing_is_left_running(device: Session) -> None:
    """Neither when an agent is closed in the middle of its work nor when its line is cut for good."""
    agent = device.start()
    agent.ask("facts")
    nonce = agent._nonce
    there = [pid for pid in running(nonce) if b"ssh" not in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]]
    assert there
    agent.close()
    assert all(map(gone, there))


def test_ctrl_c_ends_it_there_too(machine: Sshd, tmp_path: Path) -> None:
    """A program that is interrupted while the device is at work leaves nothing on it."""
    code = (
        # Whoever runs the tests in the background has them ignore Ctrl-C, and their children with them.
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from edgekd.device.host import connect\n"
        "with connect('device', [sys.executable]) as s, s.start() as a:\n"
        "    a.ask('start'); print(a._nonce, flush=True)\n"
        "    import time; time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        nonce = process.stdout.readline().strip()
        there = running(nonce)
        assert there
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert all(map(gone, there))


def test_the_oldest_python_over_there(machine: Sshd) -> None:
    """The agent comes and tells its facts under Python 3.8."""
    with connect("device", [python38()]) as session, session.start() as agent:
        assert agent.ask("facts")["python"].startswith("3.8.")


def test_a_python_that_is_too_old() -> None:
    """It says so itself before anything else of the agent is read."""
    code = "import sys; sys.version_info = (3, 6, 9); sys.version = '3.6.9 (old)'; exec(compile(sys.stdin.read(), 'boot', 'exec'))"
    done = subprocess.run([sys.executable, "-c", code], input=remoteagent._BOOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (1, "edgekd's agent needs Python 3.8 or newer, and this is 3.6.9")


def test_no_runtime_over_there(machine: Sshd) -> None:
    """The line that installs it there is named."""
    with connect("device", [sys.executable, "-I", "-S"]) as session, session.start() as agent:
        with pytest.raises(DeviceError, match=r"device needs numpy, and .* there has none\. Install it: ssh device .* -m pip install numpy"):
            agent.ask("start")


def test_a_container_that_does_not_see_what_was_brought(device: Session, tmp_path: Path) -> None:
    """Where each agent has a file system of its own, that is said, with what to do."""
    path = device.place(heavy(tmp_path / "a.onnx"))
    Path(path).unlink()
    with device.start() as agent, pytest.raises(DeviceError, match=r"brought to device, and the process .* does not see it.* -v edgekd:"):
        agent.ask("open", path=path, provider="CPUExecutionProvider")


def test_a_session_that_is_stopped(device: Session) -> None:
    """By another thread than the one at work: it finds its agent dead at once, starts no other, and tries no lost line again."""
    agent = device.start()
    agent.ask("facts")
    timer = threading.Timer(0.3, device.stop)
    timer.start()
    began = time.monotonic()
    with pytest.raises(DeviceError):
        agent.ask("rest", 60.0, seconds=50)
    assert time.monotonic() - began < 40
    with pytest.raises(DeviceError, match="the agent was stopped while"):
        agent.ask("facts")
    with pytest.raises(DeviceError, match="the session with device was stopped"):
        device.start()
    timer.join()


def test_a_command_that_is_no_python(machine: Sshd) -> None:
    """What it said is passed on; where there is no such command, that is what is to be changed."""
    with pytest.raises(
        DeviceError, match=r"device does not start /nope/python3: .*(not found|No such file).*Name another Python there with --python"
    ):
        with connect("device", ["/nope/python3"]):
            pass
    with pytest.raises(DeviceError, match=r"ended while at work on `prune`: exit code \d+"):
        with connect("device", ["sh", "-c", "exit 9", "sh"]):
            pass


def test_a_disk_that_is_full_over_there(device: Session, tmp_path: Path) -> None:
    """Refused before a byte travels, with what is free."""
    with device.start() as agent, pytest.raises(DeviceError, match=r"the disk there is too full: .* MB free, and the file takes 1000000000000 MB"):
        agent.ask("have", sha256="0" * 64, size=10**18)


def test_somebody_must_be_there(monkeypatch: pytest.MonkeyPatch, machine: Sshd) -> None:
    """An agent that nobody speaks to ends itself, and one that is spoken to does not."""
    monkeypatch.setattr(remoteagent, "SILENCE_S", 1.5)
    monkeypatch.setattr(remoteagent, "BEAT_S", 0.3)
    with connect("device", PYTHON) as session, session.start() as agent:
        agent.ask("facts")
        time.sleep(3)
        assert agent.ask("facts")["cores"] >= 1
        assert isinstance(agent, RemoteAgent)
        assert agent.lost == 0
        monkeypatch.setattr(RemoteAgent, "_say", lambda self, line: None)
        there = running(agent._nonce)
        assert all(map(gone, there))


def test_what_is_fetched_is_what_was_written(device: Session, tmp_path: Path) -> None:
    """A file of several pieces comes back whole."""
    file = tmp_path / "big.npy"
    np.save(file, np.arange(700_000, dtype=np.float32))
    room = device.room()
    path = device.place(file, room)
    assert device.fetch(path).read_bytes() == file.read_bytes()
    device.leave(room)
    assert not Path(room).exists()


def test_the_agent_travels_whole() -> None:
    """Few enough bytes that the client's pipe takes them before the line stands."""
    assert len(pack()) < remoteagent.PIPE // 2

"""A host as a session: the agent packed into one file, started there, handed jobs, ended with the session.

In: the name of a host. Out: a `Session` that starts agents, each a process of its own. Only this machine, "local", is known yet. What a job
measures or answers is its caller's business; nothing is measured here.
"""

import contextlib
import io
import json
import os
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import zipapp
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, Literal

import msgspec

from edgekd.device.agent import protocol
from edgekd.errors import DeviceError, MissingExtra, UsageError
from edgekd.record import Host, State

HELLO_S = 60.0
"""How long an agent may take to say hello, in seconds: a cold Python from a slow card takes ten."""
ANSWER_S = 120.0
"""How long any answer may take where the caller gives no time of its own, in seconds."""


def check_host(host: str) -> None:
    """Refuse a host that no session can be opened with.

    Raises:
        UsageError: anything but "local".
    """
    if host != "local":
        raise UsageError(f"ssh hosts are not supported yet, got {host!r}. Use the host 'local', this machine.")


def pack() -> bytes:
    """The agent as one file that Python runs, `agent.pyz`."""
    packed = io.BytesIO()
    zipapp.create_archive(Path(__file__).parent, packed, main="agent:main", filter=_is_agent)
    return packed.getvalue()


def _is_agent(path: PurePath) -> bool:
    return path.parts[0] == "agent" and path.suffix == ".py"


@contextlib.contextmanager
def connect(host: str) -> Iterator["Session"]:
    """A session with a host; its agents and its folder are gone when it ends, however it ends.

    Raises:
        UsageError: a host that is not supported.
    """
    check_host(host)
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        session = Session(host, Path(folder))
        try:
            yield session
        finally:
            session.close()


class Session:
    """An open line to one host, with a folder of its own over there."""

    def __init__(self, host: str, folder: Path) -> None:
        self.host = host
        self.folder = folder
        self._agents: list[Agent] = []
        (folder / "agent.pyz").write_bytes(pack())

    def start(self, python: str = sys.executable) -> "Agent":
        """Start an agent. It does not wait for the hello: that is read before the first answer, so that several can start at once."""
        nonce = secrets.token_hex(8)
        agent = Agent([python, str(self.folder / "agent.pyz"), nonce], nonce)
        self._agents.append(agent)
        return agent

    def place(self, file: Path) -> str:
        """A file's path over there; here both ends see the same files."""
        return str(file.resolve())

    def fetch(self, path: str) -> Path:
        """What lies at a path over there, as a file here."""
        return Path(path)

    def close(self) -> None:
        """End every agent."""
        for agent in self._agents:
            agent.close()
        self._agents.clear()


class Agent:
    """One agent process: jobs are answered in order.

    Whatever ends or silences it is a DeviceError that says what it was doing; after one it is dead.
    """

    def __init__(self, command: list[str], nonce: str) -> None:
        environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
        # A session of its own: Ctrl-C goes to edgekd alone, which ends its agents in order.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, start_new_session=True
        )
        self._nonce = nonce
        self._greeted = self._closed = False
        self._sent = self._answered = 0
        self._doing: deque[str] = deque()
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._last_words: deque[bytes] = deque(maxlen=5)
        self._threads = [threading.Thread(target=read, daemon=True) for read in (self._hear, self._overhear)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "Agent":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def send(self, job: str, **wishes: Any) -> None:
        """Hand over a job; its answer is read by `receive`.

        Raises:
            DeviceError: the agent is dead.
        """
        self._sent += 1
        self._doing.append(job)
        line = json.dumps({"id": self._sent, "job": job, **wishes}).encode() + b"\n"
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except (OSError, ValueError):  # a broken pipe, or one that `close` closed
            raise self._ended() from None

    def receive(self, timeout_s: float = ANSWER_S) -> dict[str, Any]:
        """The next answer in order.

        Raises:
            DeviceError: the job failed, the agent died or said nothing for `timeout_s` seconds (it is then killed), or it is not our agent.
            MissingExtra: the runtime is not installed.
        """
        if not self._greeted:
            self._greet(self._line(HELLO_S))
        answer = self._line(timeout_s)
        self._answered += 1
        job = self._doing.popleft()
        if answer.get("id") != self._answered:
            self.close()
            raise DeviceError(f"the agent must answer its jobs in order: expected answer {self._answered}, got {answer.get('id')!r}. Run it again.")
        if "error" in answer:
            raise _failed(job, answer)
        return answer

    def ask(self, job: str, timeout_s: float = ANSWER_S, **wishes: Any) -> dict[str, Any]:
        """Hand over a job and wait for its answer; raises as `receive`."""
        self.send(job, **wishes)
        return self.receive(timeout_s)

    def close(self) -> None:
        """End the agent and what it started: its stdin ends, and what is left after a second is killed."""
        if self._closed:  # its number may be another process's by now
            return
        self._closed = True
        assert self._process.stdin is not None
        # Its own stdin may be full of jobs that it will never read.
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        self.kill()  # the whole group: one that crashed left its children behind
        self._process.wait()
        for thread in self._threads:
            thread.join(1.0)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None and not any(thread.is_alive() for thread in self._threads):
                stream.close()

    def kill(self) -> None:
        """End the agent's whole process group at once."""
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)

    def _hear(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def _overhear(self) -> None:
        assert self._process.stderr is not None
        self._last_words.extend(line.strip() for line in self._process.stderr if line.strip())

    def _line(self, timeout_s: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            self.kill()
            raise DeviceError(f"the agent must answer within {timeout_s:.0f} s, it said nothing while {self._work()}; it was killed.") from None
        if not line:
            self._lines.put(line)  # for whoever asks next: a dead agent is not waited for
            raise self._ended()
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            self.close()
            raise DeviceError(f"an agent speaks JSON lines, got {line[:80]!r}. Something else writes to its output.")
        return message

    def _greet(self, hello: Mapping[str, Any]) -> None:
        said = (hello.get("hello"), hello.get("protocol"), hello.get("nonce"))
        if said != ("edgekd", protocol.VERSION, self._nonce):
            self.close()
            raise DeviceError(
                f"the agent's first line must be its hello with protocol {protocol.VERSION} and the nonce {self._nonce}, "
                f"got {json.dumps(hello)[:120]}. Another program or another edgekd answered; run it again."
            )
        self._greeted = True

    def _work(self) -> str:
        return f"at work on `{self._doing[0]}`" if self._doing else "idle"

    def _ended(self) -> DeviceError:
        """Why the agent is no more, in words."""
        try:
            code = self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        for thread in self._threads:
            thread.join(1.0)
        words = b" ".join(self._last_words).decode(errors="replace")[-300:]
        return DeviceError(f"the agent ended while {self._work()}: {_cause(code)}{f'. Its last words: {words}' if words else ''}")


def _cause(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in {int(s) for s in signal.Signals} else f"signal {-code}"
    hint = {
        "SIGKILL": " (out of memory is the usual cause; close other programs or take a smaller file)",
        "SIGSEGV": " (the runtime crashed; another version of it may not)",
        "SIGILL": " (this build of the runtime uses instructions that the processor lacks)",
    }
    return name + hint.get(name, "")


def _failed(job: str, answer: Mapping[str, Any]) -> DeviceError | MissingExtra:
    """What an agent's error means to the user."""
    text, kind = str(answer["error"]), answer.get("kind")
    if kind == "missing" and text.split(".")[0] in ("numpy", "onnxruntime"):
        return MissingExtra(text, "measure")
    if kind == "memory":
        return DeviceError(f"the device ran out of memory in `{job}`: {text}. Take a smaller batch or file.")
    if kind == "refused":
        return DeviceError(text)
    return DeviceError(f"`{job}` failed in the runtime: {text}")


# Records --------------------------------------------------------------------------------------------------------------


def read_host(agent: Agent) -> Host:
    """Which machine an agent is on, with the runtimes it has; raises as `Agent.ask`."""
    told = agent.ask("facts")
    told.pop("id")
    python = told.pop("python")
    return msgspec.convert({**told, "runtimes": {"python": python, **agent.ask("start")["runtimes"]}}, Host)


def state_record(told: Mapping[str, Any], when: Literal["before", "during", "after"], since: Mapping[str, Any] | None = None) -> State:
    """A `state` answer as a record; it throttled where its count rose above that of `since`, an earlier answer."""
    counts = (since or {}).get("throttles"), told["throttles"]
    throttled = counts[1] > counts[0] if counts[0] is not None and counts[1] is not None else None
    return State(when=when, clock_mhz=told["clock_mhz"], temperature_c=told["temperature_c"], load=told["load"], throttled=throttled)

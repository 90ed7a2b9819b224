"""A host as a session: agents started there, files brought there and fetched from there, all gone when it ends.

In: the name of a host, "local" for this machine or whatever `ssh` understands. Out: a `Session`. What a job measures or answers is its caller's
business; nothing is measured here. How another machine is reached is `ssh`'s.
"""

import contextlib
import io
import secrets
import sys
import tempfile
import time
import zipapp
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path, PurePath
from typing import Any, Literal, TypeAlias

import msgspec

from edgekd.device.process import Agent
from edgekd.errors import DeviceError, UsageError
from edgekd.measurements import Host, State

ANSWERING = "answers of "
"""What begins the names of agents that are asked for answers, and not for times (`Session.start`)."""


def check_host(host: str) -> None:
    """Refuse what can be no host, before anything is asked of it.

    Raises:
        UsageError: a name that `ssh` would not take for one.
    """
    if not host or host.startswith("-") or any(letter.isspace() or not letter.isprintable() for letter in host):
        raise UsageError(f"a host is 'local' or what `ssh` takes, as user@orin or a name in ~/.ssh/config; got {host!r}.")


@cache
def pack() -> bytes:
    """The agent as one file that Python runs, `agent.pyz`; each agent on another machine is sent it."""
    packed = io.BytesIO()
    zipapp.create_archive(Path(__file__).parent, packed, main="agent:main", filter=_is_agent, compressed=True)
    return packed.getvalue()


def _is_agent(path: PurePath) -> bool:
    return path.parts[0] == "agent" and path.suffix == ".py"


@contextlib.contextmanager
def connect(host: str, python: Sequence[str] = ()) -> Iterator["Session"]:
    """A session with a host; its agents and its folders are gone when it ends, however it ends.

    Args:
        python: the command that starts Python on another machine; (): the first there that has ONNX Runtime. Here it is always this one.

    Raises:
        UsageError: no host's name. MissingError: there is no ssh here. DeviceError: the host is not to be reached, or has no Python.
    """
    check_host(host)
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        session = _session(host, Path(folder), python)
        try:
            yield session
        finally:
            session.close()


def _session(host: str, folder: Path, python: Sequence[str]) -> "Session":
    if host == "local":
        return Session(host, folder)
    from edgekd.device.remote import RemoteSession

    return RemoteSession(host, folder, python)


class Session:
    """An open line to one host, here this machine, with a folder of its own on either side."""

    def __init__(self, host: str, folder: Path) -> None:
        self.host = host
        self.folder = folder
        self._agents: list[Agent] = []
        self._stopped = False
        self._begin()

    def _begin(self) -> None:
        (self.folder / "agent.pyz").write_bytes(pack())

    def start(self, of: str = "") -> Agent:
        """Start an agent. It does not wait for the hello: that is read before the first answer, so that several can start at once.

        `of` says whose it is, to sessions that keep what is asked or answer from what was kept.

        Raises:
            DeviceError: the session was stopped.
        """
        if self._stopped:
            raise DeviceError(f"the session with {self.host} was stopped.")
        agent = self._agent(secrets.token_hex(8))
        self._agents.append(agent)
        return agent

    def _agent(self, nonce: str) -> Agent:
        return Agent([sys.executable, str(self.folder / "agent.pyz"), nonce], nonce)

    def place(self, file: Path, room: str | None = None) -> str:
        """A file's path over there, where it is brought if it does not lie there: to be kept, or into a room. Here both ends see the same files."""
        return str(file.resolve())

    def room(self) -> str:
        """A new folder over there, for files that come and go."""
        return tempfile.mkdtemp(prefix="room-", dir=self.folder)

    def fetch(self, path: str) -> Path:
        """What lies at a path in a room over there, as a file here."""
        return Path(path)

    def leave(self, room: str) -> None:
        """Take a room away."""
        for file in Path(room).iterdir():
            file.unlink()
        Path(room).rmdir()

    def now(self) -> float:
        """The clock that the time allowed is kept by, in seconds; a session in which nothing runs lets it pass by what is asked."""
        return time.monotonic()

    @property
    def here(self) -> bool:
        """Whether the host is this machine, whose CPU time is this process's too."""
        return self.host == "local"

    def stop(self) -> None:
        """End every agent at once, from another thread than the one that is at work with them; that one then closes the session."""
        self._stopped = True
        for agent in list(self._agents):
            agent.stop()

    def close(self) -> None:
        """End every agent."""
        for agent in self._agents:
            agent.close()
        self._agents.clear()


Connect: TypeAlias = Callable[[str, Sequence[str]], contextlib.AbstractContextManager[Session]]
"""As `connect`: a host and the command that starts Python there → a session."""


# Records --------------------------------------------------------------------------------------------------------------


def read_host(agent: Agent, runtime: str = "onnxruntime") -> Host:
    """Which machine an agent is on, with the version of a runtime that it must have; raises as `Agent.ask`."""
    told = agent.ask("facts")
    told.pop("id")
    versions = {name: told[name] for name in ("python", "l4t", "jetpack", "cuda", "tensorrt") if told.get(name)}
    known = {name: value for name, value in told.items() if name in Host.__struct_fields__}
    return msgspec.convert({**known, "runtimes": {**versions, **agent.ask("start", runtime=runtime)["runtimes"]}}, Host)


def state_record(told: Mapping[str, Any], when: Literal["before", "during", "after"], since: Mapping[str, Any] | None = None) -> State:
    """A `state` answer as a record; it throttled, or was held back, where a count rose above that of `since`, an earlier answer."""
    first = since or {}
    counts = first.get("throttles"), told["throttles"]
    throttled = counts[1] > counts[0] if counts[0] is not None and counts[1] is not None else None
    before: Mapping[str, int] = first.get("counts", {})
    risen = [what for what, count in told.get("counts", {}).items() if count > before.get(what, count)]
    plain = ("gpu_mhz", "memory_mhz", "memory_free", "gpu_memory_free", "power_mode", "clocks_locked", "raw")
    return State(
        when=when,
        clock_mhz=told["clock_mhz"],
        temperature_c=told["temperature_c"],
        load=told["load"],
        throttled=throttled,
        held=list(dict.fromkeys([*risen, *told.get("held", [])])),
        **{name: told.get(name) for name in plain},
    )

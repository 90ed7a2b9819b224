"""A host as a session: agents started there, files brought there and fetched from there, all gone when it ends.

In: the name of a host, "local" for this machine or whatever `ssh` understands. Out: a `Session`. What a job measures or answers is its caller's
business; nothing is measured here. How another machine is reached is `ssh`'s.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from edgekd.device.process import Agent
from edgekd.device.remote import RemoteSession
from edgekd.device.session import Session
from edgekd.errors import UsageError
from edgekd.measurements import Host, State


def check_host(host: str) -> None:
    """Refuse what can be no host, before anything is asked of it.

    Raises:
        UsageError: a name that `ssh` would not take for one.
    """
    if not host or host.startswith("-") or any(letter.isspace() or not letter.isprintable() for letter in host):
        raise UsageError(f"a host is 'local' or what `ssh` takes, as user@orin or a name in ~/.ssh/config; got {host!r}.")


@contextlib.contextmanager
def connect(host: str, python: Sequence[str] = ()) -> Iterator[Session]:
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


def _session(host: str, folder: Path, python: Sequence[str]) -> Session:
    if host == "local":
        return Session(host, folder)
    return RemoteSession(host, folder, python)


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

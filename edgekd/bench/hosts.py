"""Work on several hosts at once: a thread and a session for each, one account of how far it is, and an end of all when it is stopped.

In: the hosts, what is to be done on one of them, how one is reached. Out: what it came to by host, and by host why it came to nothing. This machine
has its turn first and by itself, since whoever drives the others would disturb it. What is done there is `rounds`'.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec

from edgekd.device.host import Connect
from edgekd.device.session import Session
from edgekd.errors import EdgekdError
from edgekd.events import Emit, Event, Note, Progress

T = TypeVar("T")


def at_once(hosts: Sequence[str], work: Callable[[str, Connect, Emit], T], line: Connect, emit: Emit) -> tuple[dict[str, T], dict[str, str]]:
    """What the work on each host comes to, and by host why it came to nothing; of one host alone its error is raised.

    An interrupt ends every agent on every host before it goes on.
    """
    if len(hosts) == 1:
        return {hosts[0]: work(hosts[0], line, emit)}, {}
    crowd = _Crowd(hosts, line, emit)
    found: dict[str, T] = {}
    lost: dict[str, str] = {}

    def attempt(host: str) -> None:
        try:
            found[host] = work(host, crowd.line, crowd.ear(host))
        except EdgekdError as error:
            lost[host] = str(error)
            crowd.ear(host)(Note(text=f"{host} is given up: {error}", level="warning"))

    if "local" in hosts:
        attempt("local")
    others = [host for host in hosts if host != "local"]
    with ThreadPoolExecutor(len(others), thread_name_prefix="host") as pool:
        waiting = [pool.submit(attempt, host) for host in others]
        try:
            for each in waiting:
                each.result()
        except BaseException:
            crowd.stop()
            raise
    return {host: found[host] for host in hosts if host in found}, lost


class _Crowd:
    """The sessions that are open, and what is told of them, put together."""

    def __init__(self, hosts: Sequence[str], line: Connect, emit: Emit) -> None:
        self._what = f"measuring on {', '.join(hosts)}"
        self._line, self._emit = line, emit
        self._lock = threading.Lock()
        self._sessions: list[Session] = []
        self._stopped = False
        self._parts: dict[tuple[str, str], Progress] = {}
        self._left: dict[str, float] = {}

    @contextlib.contextmanager
    def line(self, host: str, python: Sequence[str]) -> Iterator[Session]:
        """A session that can be stopped with the others."""
        with self._line(host, python) as session:
            with self._lock:
                self._sessions.append(session)
                if self._stopped:
                    session.stop()
            yield session

    def stop(self) -> None:
        """Stop all sessions, those too that are still being opened."""
        with self._lock:
            self._stopped = True
            for session in self._sessions:
                session.stop()

    def ear(self, host: str) -> Emit:
        """What takes one host's events."""

        def take(event: Event) -> None:
            with self._lock:
                if not self._stopped:  # what ends then ends by our own hand
                    self._emit(self._together(host, event) if isinstance(event, Progress) else event)

        return take

    def _together(self, host: str, event: Progress) -> Progress:
        """How far all hosts are: their parts counted together, the time of the slowest."""
        self._parts[host, event.what] = event
        self._left[host] = event.seconds_left or 0.0
        done, total = (sum(getattr(part, name) for part in self._parts.values()) for name in ("done", "total"))
        return msgspec.structs.replace(event, what=self._what, done=done, total=total, unit="parts", seconds_left=max(self._left.values()))

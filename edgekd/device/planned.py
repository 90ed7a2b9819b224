"""A session in which nothing runs: what is asked of a host is written down, for a device that no line reaches.

In: a folder, and whoever measures or asks for answers. Out: the files that are used, by their hash, the agent, and `plan.json`, which
`agent/offline.py` carries out and `recorded` reads back. What is answered meanwhile is made up, so that whoever asks goes on to the end, and is worth
nothing; only where images are to be answered does this machine open the file too, to know what goes in and what comes out. Time passes by what is
asked. Which jobs there are is not known here.
"""

import contextlib
import itertools
import json
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from edgekd import __version__
from edgekd.device.agent.folder import ANSWERS, EVERY_CORE, FILES, PLAN, VERSION, seal
from edgekd.device.host import connect
from edgekd.device.process import ANSWER_S, Agent
from edgekd.device.session import ANSWERING, Session, refuse_external
from edgekd.errors import DeviceError, UsageError
from edgekd.files import atomic_path, sha256_file, write_atomic

_OWN = {"agent.pyz", FILES, PLAN}
"""What such a folder holds before it was carried out."""
_SPARE, _PROFILE = 0.98, 0.3
"""Of the longest time that a job may take, what passes: then what just fits does fit, however it is added up. A profile is mostly done sooner."""


def passing_s(job: str, wishes: Mapping[str, Any]) -> float:
    """Seconds that a job is reckoned to take, as far as it was told how long it may."""
    share = _PROFILE if job == "profile" else _SPARE
    return float(wishes.get("seconds", 0.0)) + share * float(wishes.get("max_ms", wishes.get("min_ms", 0.0))) / 1e3


@contextlib.contextmanager
def planning(host: str, folder: Path) -> Iterator["Planned"]:
    """A session that plans for a device of this name, into a folder that is new or holds an older plan.

    Raises:
        UsageError: the folder holds other things, or answers.
    """
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} must be a folder, and is a file. Name a new one.")
    if ANSWERS in there:
        raise UsageError(f"{folder} holds answers of a device: read them with --collect, or name a new folder for --offline.")
    if there - _OWN:
        raise UsageError(f"{folder} must be new or empty, and holds {', '.join(sorted(there - _OWN)[:3])}. Name a new folder for --offline.")
    folder.mkdir(parents=True, exist_ok=True)
    with connect("local") as here:
        session = Planned(host, folder, here)
        try:
            yield session
        finally:
            session.close()


class Planned(Session):
    """What is asked of one host, in parts: a part ends where no agent is left, so that a device can go on behind it."""

    def __init__(self, host: str, folder: Path, shadow: Session) -> None:
        super().__init__(host, folder)
        self.shadow = shadow
        self.parts: list[list[dict[str, Any]]] = []
        self.numbers = itertools.count()
        self._files: set[str] = set()
        self._open: set[int] = set()
        self._passed = 0.0

    def write(self, asked: Mapping[str, Any]) -> None:
        """Write the plan, with what those who made it will want to know when answers come back; files of an older plan go."""
        body = {
            "offline": VERSION,
            "edgekd": __version__,
            "host": self.host,
            "asked": asked,
            "files": sorted(self._files),
            "parts": self.parts,
        }
        for file in (self.folder / FILES).iterdir():
            if f"{FILES}/{file.name}" not in self._files:
                file.unlink()
        write_atomic(self.folder / PLAN, json.dumps({**body, "seal": seal(body)}))

    def start(self, of: str = "") -> Agent:
        """An agent that writes down what it is asked."""
        agent = _Planner(self, of)
        self._agents.append(agent)
        return agent

    def note(self, agent: int, of: str, job: str, wishes: Mapping[str, Any]) -> dict[str, Any]:
        """Write down what is asked; how long its answer may take is added when that is known."""
        if not self._open:
            self.parts.append([])
        self._open.add(agent)
        step = {"agent": agent, "of": of, "job": job, "wishes": wishes, "timeout_s": ANSWER_S}
        self.parts[-1].append(step)
        return step

    def end(self, agent: int, of: str) -> None:
        """Write down that an agent is no more."""
        if agent in self._open:
            self.note(agent, of, "close", {})
            self._open.remove(agent)

    def spend(self, seconds: float) -> None:
        """Let time pass."""
        self._passed += seconds

    def now(self) -> float:
        """The time that passed by what was asked."""
        return self._passed

    def place(self, file: Path, room: str | None = None) -> str:
        """Copy a file into the folder, under its hash; raises as `refuse_external`."""
        name = f"{FILES}/{sha256_file(file)}{file.suffix}"
        if not (self.folder / name).is_file():
            refuse_external(file)
            with atomic_path(self.folder / name) as part:
                shutil.copyfile(file, part)
        self._files.add(name)
        return name

    def room(self) -> str:
        """The name of a new folder over there."""
        return f"rooms/{next(self.numbers)}"

    def leave(self, room: str) -> None:
        """Nothing: what was written over there comes back."""

    @property
    def here(self) -> bool:
        """Never this machine."""
        return False


class _Planner(Agent):
    """In an agent's place: writes down what it is asked."""

    def __init__(self, session: Planned, of: str) -> None:
        self._session, self._of = session, of
        self._number = next(session.numbers)
        self._steps: deque[dict[str, Any]] = deque()
        self._real: Agent | None = None
        super().__init__([], "")

    def _begin(self) -> None:
        """Nothing runs."""

    @property
    def pid(self) -> int:
        """Its number in the plan."""
        return self._number

    def send(self, job: str, **wishes: Any) -> None:
        """Write a job down."""
        self._doing.append((job, wishes))
        self._steps.append(self._session.note(self._number, self._of, job, wishes))

    def receive(self, timeout_s: float = ANSWER_S, told: Callable[[Mapping[str, Any]], None] = lambda facts: None) -> dict[str, Any]:
        """An answer that is made up, but to `predict` and the `open` before it.

        Raises:
            DeviceError: a job that can only be asked over a line.
        """
        job, wishes = self._doing.popleft()
        self._steps.popleft()["timeout_s"] = timeout_s
        self._session.spend(passing_s(job, wishes))
        if self._of.startswith(ANSWERING):
            return self._shadowed(job, wishes)
        if job not in _MADE_UP:
            raise DeviceError(f"`{job}` can only be asked over a line, and is nothing for a folder that is carried to a device.")
        return _Answer(_MADE_UP[job](wishes))

    def _shadowed(self, job: str, wishes: Mapping[str, Any]) -> dict[str, Any]:
        """What this machine answers."""
        folder, shadow = self._session.folder, self._session.shadow
        if self._real is None:
            self._real = shadow.start()
        if job == "open":
            return self._real.ask(job, path=str(folder.resolve() / wishes["path"]), provider="CPUExecutionProvider")
        inputs = {name: str(folder.resolve() / path) for name, path in wishes["inputs"].items()}
        return self._real.ask(job, **{**wishes, "inputs": inputs, "folder": shadow.room()})

    def close(self) -> None:
        """Write down that it is no more."""
        self._session.end(self._number, self._of)
        if self._real is not None:
            self._real.close()

    def kill(self) -> None:
        """Nothing runs."""


class _Answer(dict[str, Any]):
    """An answer that has whatever is looked for."""

    def __missing__(self, key: str) -> None:
        return None


_MADE_UP: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "facts": lambda wishes: {"id": 0, "cpu": "", "architecture": "", "cores": 1, "memory": 0},
    "start": lambda wishes: {"runtimes": {}, "resident": 0},
    "state": lambda wishes: {"clock_mhz": [], "temperature_c": {}, "cpu_s": 0.0, "pid": 0},
    "open": lambda wishes: {
        "load_ms": 1.0,
        "provider": wishes["provider"],
        "threads": wishes["threads"] or EVERY_CORE,
        "batch": None,
        "partly": False,
    },
    "rest": lambda wishes: {"joules": 1.0, "seconds": 1.0},
    "time": lambda wishes: {"samples": [1.0], "batch": 1, "first_ms": 1.0, "clock_mhz": [], "joules": 1.0, "seconds": 1.0},
    "duel": lambda wishes: {"samples": [[1.0] for _ in wishes["paths"]] * (2 if "rival" in wishes else 1), "cpu_s": 0.0},
    "flow": lambda wishes: {"images_per_s": 1.0, "batch": 1, "streams": 1},
    "profile": lambda wishes: {"nodes": []},
    "engine": lambda wishes: {"batches": wishes["batches"], "seconds": 1.0},
    "parts": lambda wishes: {"to_gpu": [1.0], "compute": [1.0], "from_gpu": [1.0]},
}

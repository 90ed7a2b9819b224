"""A session whose answers were given on another day: those that a device without a line wrote into a folder.

In: the folder, with its plan and all its answers. Out: a `Session` that whoever made the plan asks once more, in the same way, and gets the
device's answers, failures and crashes included. What comes of them is the asker's, as over a line. Nothing runs here.
"""

import contextlib
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekd import __version__
from edgekd.device.agent.folder import ANSWERS, FILES, check_files, failed, read_answers, read_plan
from edgekd.device.agent.protocol import RefusedError
from edgekd.device.planned import passing_s
from edgekd.device.process import Agent
from edgekd.device.session import Session
from edgekd.errors import DeviceError, UsageError
from edgekd.files import sha256_file

Kept = tuple[dict[str, Any], dict[str, Any] | None]
"""A step of the plan, and its answer; None where it had become pointless."""


@contextlib.contextmanager
def recorded(folder: Path) -> Iterator["Recorded"]:
    """A session with the answers in a folder.

    Raises:
        UsageError: it is no such folder, not done, another version's, or something in it was changed.
    """
    with tempfile.TemporaryDirectory(prefix="edgekd-") as scratch:
        yield Recorded(folder, Path(scratch))


class Recorded(Session):
    """The answers of one device."""

    def __init__(self, place: Path, scratch: Path) -> None:
        self._place = place
        try:
            self._plan = read_plan(place)
            if self._plan["edgekd"] != __version__:
                raise RefusedError(
                    f"{place} was written by edgekd {self._plan['edgekd']}, and this is {__version__}. Read it by the version that wrote it."
                )
            check_files(place, self._plan)
            answers = read_answers(place, self._plan)
        except RefusedError as error:
            raise UsageError(str(error)) from None
        parts: list[list[dict[str, Any]]] = self._plan["parts"]
        if len(answers) < len(parts):
            done = f"{len(answers)} of its {len(parts)} parts are done" if answers else f"it holds no {ANSWERS}"
            raise UsageError(f"{place} was not carried out to its end: {done}. On the device: python3 agent.pyz {place.name or '.'}")
        self._kept: dict[int, deque[Kept]] = {}
        self._of: dict[str, deque[int]] = {}
        self._written: dict[str, str] = {}
        for number, steps in enumerate(parts):
            for step, answer in zip(steps, answers[number], strict=True):
                if step["agent"] not in self._kept:
                    self._of.setdefault(step["of"], deque()).append(step["agent"])
                self._kept.setdefault(step["agent"], deque()).append((step, answer))
                self._written.update((answer or {}).get("sha256", {}))
        self._passed = 0.0
        super().__init__(self._plan["host"], scratch)

    def _begin(self) -> None:
        """Nothing runs."""

    @property
    def asked(self) -> Any:
        """What those who made the plan wanted to know again."""
        return self._plan["asked"]

    def start(self, of: str = "") -> Agent:
        """The next agent that was of that name over there.

        Raises:
            DeviceError: there was no further one.
        """
        if not self._of.get(of):
            raise DeviceError(f"{self._place} has no answers of {of or 'the machine'}; it was made otherwise. Write it again.")
        return _Answerer(self, self._kept[self._of[of].popleft()])

    def spend(self, seconds: float) -> None:
        """Let time pass as it did in planning."""
        self._passed += seconds

    def now(self) -> float:
        """The time that passed by what was asked."""
        return self._passed

    def place(self, file: Path, room: str | None = None) -> str:
        """The name that a file has over there.

        Raises:
            UsageError: it was not brought there.
        """
        name = f"{FILES}/{sha256_file(file)}{file.suffix}"
        if name not in self._plan["files"]:
            what = "the images" if file.suffix == ".npy" else file
            raise UsageError(f"{self._place} was written for other files: {what} changed since. Write it again with --offline.")
        return name

    def room(self) -> str:
        """No folder is needed."""
        return ""

    def leave(self, room: str) -> None:
        """No folder was made."""

    def fetch(self, path: str) -> Path:
        """What the device wrote.

        Raises:
            UsageError: it is not there, or not as it was written.
        """
        file = self._place / path
        if self._place.resolve() not in file.resolve().parents or not file.is_file() or sha256_file(file) != self._written.get(path):
            raise UsageError(f"{file} is not what the device wrote there. Bring the whole folder back as it was.")
        return file

    @property
    def here(self) -> bool:
        """Never this machine."""
        return False


class _Answerer(Agent):
    """In an agent's place: gives the answers that were given."""

    def __init__(self, session: Recorded, kept: deque[Kept]) -> None:
        self._session, self._kept = session, kept
        self._dead: DeviceError | None = None
        super().__init__([], "")

    def _begin(self) -> None:
        self._greeted = True
        self._sent = self._answered = 0

    @property
    def pid(self) -> int:
        """The process is long gone."""
        return 0

    def _hand(self, job: str, wishes: Mapping[str, Any]) -> None:
        if self._dead is not None:
            raise self._dead

    def _line(self, timeout_s: float) -> dict[str, Any]:
        job, wishes = self._doing[0]
        self._session.spend(passing_s(job, wishes))
        answer = self._found(job, wishes)
        if "silent" in answer:
            self._dead = self._silent(answer["silent"])
        elif "ended" in answer:
            self._dead = self._gone(answer["ended"], answer["words"])
        if self._dead is not None:
            raise self._dead
        return {**answer, "id": self._answered + 1}

    def _found(self, job: str, wishes: Mapping[str, Any]) -> dict[str, Any]:
        """The next answer to such a job; jobs that were planned and are not asked for now are passed over."""
        while self._kept:
            step, answer = self._kept.popleft()
            if step["job"] != job or answer is None:
                continue
            if step["wishes"].get("inputs") != wishes.get("inputs"):
                raise UsageError("the images come in another order than when the folder was written. Write it again with --offline.")
            return answer if "paths" not in wishes or failed(answer) else _chosen(answer, wishes["paths"])
        self._dead = DeviceError(f"the device was not asked for `{job}` there, as something had failed before.")
        raise self._dead

    def _missing(self, package: str) -> DeviceError:
        return DeviceError(f"the Python that ran the plan has no {package}. Install it there, and run the plan again.")

    def close(self) -> None:
        """Nothing runs."""

    def kill(self) -> None:
        """Nothing runs."""


def _chosen(answer: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """An answer about several files as one about some of them: what failed over there had no part, and what failed since is left out.

    Raises:
        DeviceError: it says nothing of one.
    """
    there = list(zip(answer["paths"], answer["samples"], strict=True))
    samples = []
    for wanted in paths:
        at = next((at for at, (path, _) in enumerate(there) if path == wanted), None)
        if at is None:
            raise DeviceError("the files were not compared on the device, as one of them had failed there before.")
        samples.append(there.pop(at)[1])  # of two files that are one and the same, each its own
    return {**answer, "samples": samples}

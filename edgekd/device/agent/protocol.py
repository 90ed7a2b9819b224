"""Jobs in, answers out: JSON lines over two descriptors of the agent's own.

In: `{"id": 1, "job": "time", ...wishes}`. Out: `{"id": 1, ...answer}`, or `{"id": 1, "error": "text", "kind": "..."}`; before the answer of a job
that takes long, lines `{"id": 1, "progress": {...}}`.
File descriptor 1 itself is pointed at stderr, because native libraries print. What a job does is not known here.
"""

import json
import os
import queue
import signal
import sys
import threading
import time
from typing import Any, BinaryIO, Callable, Dict, List, NoReturn

VERSION = 1
"""Of the protocol: host and agent must agree. 1: the first (2026-11)."""

Answer = Dict[str, Any]
Job = Callable[..., Answer]
Tell = Callable[..., None]
"""Hears how far a job has got, as facts by name."""


class RefusedError(Exception):
    """A job that cannot be done as it was asked; the text says why."""


class Telling:
    """A job that tells of its progress: it takes `tell` beside its wishes."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self, **wishes: Any) -> Answer:
        """As a job that nobody listens to."""
        return self.job(**wishes)


def serve(jobs: Dict[str, Job], nonce: str, silence_s: float = 0.0) -> NoReturn:
    """Say hello, then do each job in turn; ends the process, and every process it started, when stdin ends.

    `silence_s` above 0 also ends it when no line came for so long, empty ones counted: a line that was cut without a word ends no stdin.
    """
    if hasattr(os, "setsid") and os.getpid() != os.getpgrp():
        os.setsid()
    wishes, answers = _own_streams()
    todo: "queue.Queue[bytes]" = queue.Queue()
    _say(answers, {"hello": "edgekd", "protocol": VERSION, "nonce": nonce, "pid": os.getpid(), "python": sys.version.split()[0]})
    # Read beside the work, so that a job in the middle of native code does not outlive whoever asked for it.
    heard = [time.monotonic()]
    threading.Thread(target=_read, args=(wishes, todo, heard), daemon=True).start()
    if silence_s > 0:
        threading.Thread(target=_wait_for_silence, args=(heard, silence_s), daemon=True).start()
    while True:
        _say(answers, answer(jobs, todo.get(), lambda message: _say(answers, message)))


def answer(jobs: Dict[str, Job], line: bytes, say: Callable[[Answer], None] = lambda message: None) -> Answer:
    """The answer to one line: whatever goes wrong in a job is told, with its kind, and is not the agent's end. Progress is said on the way."""
    ident = None
    try:
        wishes = json.loads(line.decode("utf-8"))
        ident, name = wishes.pop("id"), wishes.pop("job")
        if name not in jobs:
            raise RefusedError("this agent knows no job {!r}; it knows {}".format(name, ", ".join(sorted(jobs))))
        job = jobs[name]
        if isinstance(job, Telling):
            wishes["tell"] = lambda **facts: say({"id": ident, "progress": facts})
        return dict(job(**wishes), id=ident)
    except Exception as error:
        return {"id": ident, "error": _text(error), "kind": kind(error)}


def kind(error: Exception) -> str:
    """What sort of failure it was: refused, missing (a package), memory, or runtime."""
    if isinstance(error, RefusedError):
        return "refused"
    if isinstance(error, ImportError):
        return "missing"
    text = str(error).lower()
    out = isinstance(error, MemoryError) or "bad_alloc" in text or "failed to allocate" in text or "out of memory" in text
    return "memory" if out else "runtime"


def _text(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return error.name
    return " ".join(str(error).split())[:500] or type(error).__name__


def _own_streams() -> "tuple[BinaryIO, BinaryIO]":
    """Duplicates of stdin and stdout that no child inherits; 0 becomes empty and 1 becomes stderr."""
    wishes, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return wishes, answers


def _say(answers: BinaryIO, message: Answer) -> None:
    try:
        text = json.dumps(message, allow_nan=False)
    except (TypeError, ValueError) as error:
        text = json.dumps({"id": message.get("id"), "error": "the answer is no JSON: {}".format(error), "kind": "runtime"})
    try:
        answers.write(text.encode("utf-8") + b"\n")
        answers.flush()
    except BrokenPipeError:
        _end()


def _read(wishes: BinaryIO, todo: "queue.Queue[bytes]", heard: List[float]) -> None:
    for line in wishes:
        heard[0] = time.monotonic()
        if line.strip():
            todo.put(line)
    _end()


def _wait_for_silence(heard: List[float], silence_s: float) -> None:
    while time.monotonic() - heard[0] < silence_s:
        time.sleep(silence_s / 4)
    _end()


def _end() -> NoReturn:
    """End this process and all that it started, at once: a native call in progress would not let Python end in order."""
    if hasattr(os, "killpg") and os.getpid() == os.getpgrp():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)

"""An agent as a process that is asked over pipes: jobs in, answers out, and in words whatever ends or silences it.

In: the command that starts it, and the nonce that its hello must repeat. Out: an `Agent`. Where it runs is its command's business (`host`, `ssh`).
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import IO, Any

from edgekd.device.agent import protocol
from edgekd.errors import DeviceError, MissingExtra

HELLO_S = 60.0
"""How long an agent may take to say hello, in seconds: a cold Python from a slow card takes ten."""
PACKAGES = {
    **{"numpy": "measure", "onnxruntime": "measure", "openvino": "openvino"},
    **{"tensorrt": "tensorrt", "tensorrt_rtx": "rtx", "tensorrt_rtx_bindings": "rtx"},
}
"""What agents import, and the extra that brings it."""
ANSWER_S = 120.0
"""How long any answer may take where the caller gives no time of its own, in seconds."""


class Agent:
    """One agent process: jobs are answered in order.

    Whatever ends or silences it is a DeviceError that says what it was doing; after one it is dead.
    """

    def __init__(self, command: list[str], nonce: str) -> None:
        self._command, self._nonce = command, nonce
        self._closed = self._stopped = False
        self._doing: deque[tuple[str, dict[str, Any]]] = deque()
        self._begin()

    def _begin(self) -> None:
        """Start the process, of which nothing was asked yet."""
        environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
        # A session of its own: Ctrl-C goes to edgekd alone, which ends its agents in order.
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, start_new_session=True
        )
        self._greeted = False
        self._sent = self._answered = 0
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._last_words: deque[bytes] = deque(maxlen=5)
        self._threads = [threading.Thread(target=read, args=(self._process,), daemon=True) for read in (self._hear, self._overhear)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "Agent":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def lost(self) -> int:
        """How often the line to it was lost and taken up again; pipes of this machine are not lost."""
        return 0

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def send(self, job: str, **wishes: Any) -> None:
        """Hand over a job; its answer is read by `receive`.

        Raises:
            DeviceError: the agent is dead, or was stopped.
        """
        if self._stopped:
            raise self._no_more()
        self._doing.append((job, wishes))
        self._hand(job, wishes)

    def _hand(self, job: str, wishes: Mapping[str, Any]) -> None:
        self._sent += 1
        self._say(json.dumps({"id": self._sent, "job": job, **wishes}).encode() + b"\n")

    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _say(self, line: bytes) -> None:
        try:
            self._stdin().write(line)
            self._stdin().flush()
        except (OSError, ValueError):  # a broken pipe, or one that `close` closed
            raise self._ended() from None

    def receive(self, timeout_s: float = ANSWER_S, told: Callable[[Mapping[str, Any]], None] = lambda facts: None) -> dict[str, Any]:
        """The next answer in order; `told` hears of progress on the way, each of which the time begins anew with.

        Raises:
            DeviceError: the job failed, the agent died or said nothing for `timeout_s` seconds (it is then killed), or it is not our agent.
            MissingExtra: the runtime is not installed.
        """
        if not self._greeted:
            self._greet(self._line(HELLO_S))
        answer = self._line(timeout_s)
        while "progress" in answer:
            told(answer["progress"])
            answer = self._line(timeout_s)
        self._answered += 1
        job, _ = self._doing.popleft()
        if answer.get("id") != self._answered:
            self.close()
            raise DeviceError(f"the agent must answer its jobs in order: expected answer {self._answered}, got {answer.get('id')!r}. Run it again.")
        if "error" in answer:
            raise self._failed(job, answer)
        return answer

    def forget(self) -> None:
        """Read the answers that were not read yet, and drop them: they are none to what is asked next."""
        for _ in range(len(self._doing)):
            with contextlib.suppress(DeviceError):
                self.receive()

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
        self._end()

    def _end(self) -> None:
        """End the process, take leave of its pipes."""
        self.kill()  # the whole group: one that crashed left its children behind
        self._process.wait()
        for thread in self._threads:
            thread.join(1.0)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None and not any(thread.is_alive() for thread in self._threads):
                with contextlib.suppress(OSError):  # what was never read by the other end
                    stream.close()

    def stop(self) -> None:
        """End the agent at once, from another thread than the one that asks it, which finds it dead."""
        self._stopped = True
        self.kill()

    def kill(self) -> None:
        """End the agent's whole process group at once."""
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)

    def _hear(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        lines = self._lines
        for line in process.stdout:
            lines.put(line)
        lines.put(b"")

    def _overhear(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stderr is not None
        words = self._last_words
        words.extend(line.strip() for line in process.stderr if line.strip())

    def _line(self, timeout_s: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            self.kill()
            raise self._silent(timeout_s) from None
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
        return f"at work on `{self._doing[0][0]}`" if self._doing else "idle"

    def _ended(self) -> DeviceError:
        """Why the agent is no more, in words."""
        try:
            code = self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        for thread in self._threads:
            thread.join(1.0)
        return self._gone(code, b" ".join(self._last_words).decode(errors="replace")[-300:])

    def _no_more(self) -> DeviceError:
        return DeviceError(f"the agent was stopped while {self._work()}.")

    def _silent(self, timeout_s: float) -> DeviceError:
        return DeviceError(f"the agent must answer within {timeout_s:.0f} s, it said nothing while {self._work()}; it was killed.")

    def _gone(self, code: int, words: str) -> DeviceError:
        """What an exit code and last words mean."""
        return DeviceError(f"the agent ended while {self._work()}: {cause(code)}{f'. Its last words: {words}' if words else ''}")

    def _failed(self, job: str, answer: Mapping[str, Any]) -> DeviceError | MissingExtra:
        """What an agent's error means to the user."""
        text, kind = str(answer["error"]), answer.get("kind")
        if kind == "missing" and text.split(".")[0] in PACKAGES:
            return self._missing(text)
        if kind == "memory":
            return DeviceError(f"the device ran out of memory in `{job}`: {text}. Take a smaller batch or file.")
        if kind == "refused":
            return DeviceError(text)
        return DeviceError(f"`{job}` failed in the runtime: {text}")

    def _missing(self, package: str) -> DeviceError | MissingExtra:
        """What to do where the runtime is not installed."""
        return MissingExtra(package, PACKAGES[package.split(".")[0]])


def cause(code: int) -> str:
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

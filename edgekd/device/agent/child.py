"""An agent as a child process, asked job by job; its death and its silence are answers too."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, Dict

from .protocol import Answer

WORDS = 300
"""Bytes of a dead agent's last words."""


class Child:
    """An agent as a child process in the folder. It ends itself when its stdin ends, and so never outlives this process."""

    def __init__(self, program: str, folder: Path) -> None:
        self._words = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, program, "child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words, cwd=str(folder)
        )
        self._lines: "queue.Queue[bytes]" = queue.Queue()
        self._asked = 0
        threading.Thread(target=self._hear, daemon=True).start()

    def ask(self, job: str, wishes: Dict[str, Any], timeout_s: float) -> Answer:
        """The answer to a job; of an agent that died, `ended` with its exit code and `words`, of one that said nothing for so long, `silent`."""
        assert self._process.stdin is not None
        self._asked += 1
        try:
            self._process.stdin.write(json.dumps(dict(wishes, id=self._asked, job=job)).encode("utf-8") + b"\n")
            self._process.stdin.flush()
        except OSError:
            return self._ended()
        while True:
            try:
                line = self._lines.get(timeout=timeout_s)
            except queue.Empty:
                self._kill()
                return {"silent": timeout_s}
            if not line:
                self._lines.put(line)
                return self._ended()
            answer: Answer = json.loads(line.decode("utf-8"))
            if "hello" not in answer and "progress" not in answer:
                return answer

    def close(self) -> None:
        """End it, and what it started."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except OSError:
            pass  # what it never read
        try:
            self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self._kill()
            self._process.wait()
        self._words.close()

    def _kill(self) -> None:
        """End it at once with what it started, which is a group of its own as soon as it serves."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (OSError, AttributeError):
            self._process.kill()

    def _hear(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(b"")

    def _ended(self) -> Answer:
        try:
            code = self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._kill()
            code = self._process.wait()
        self._words.seek(0)
        return {"ended": code, "words": " ".join(self._words.read().decode("utf-8", "replace").split())[-WORDS:]}

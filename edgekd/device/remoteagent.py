"""An agent at the end of an ssh line: it comes through its own stdin and lies nowhere over there but for a moment. A line that is lost is opened
again, and what was asked is asked again.
"""

import base64
import contextlib
import hashlib
import shlex
import sys
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgekd.device.process import ANSWER_S, Agent
from edgekd.device.session import pack
from edgekd.device.ssh import LOST, Line, LostLineError, refused
from edgekd.errors import DeviceError, MissingExtra

AGAIN_S = (1.0, 4.0, 10.0)
"""How long to wait before a lost line is opened again, each time it is lost."""
BEAT_S, SILENCE_S = 10.0, 60.0
"""How often something is said to an agent, and how long one stays that nobody speaks to, in seconds."""
_NO_COMMAND = (126, 127)
"""A shell's exit codes where a command cannot be started, or is not there."""
PIPE = 1 << 18
"""Bytes that wait for the line to stand, so that several agents are started at once: more than the agent has."""

_BOOT = """
import os,sys
if sys.version_info<(3,8):
    sys.exit("edgekd's agent needs Python 3.8 or newer, and this is %s"%sys.version.split()[0])
import hashlib,shutil,tempfile
size,digest,packed=int(sys.argv[1]),sys.argv[2],b""
while len(packed)<size:
    piece=os.read(0,size-len(packed))
    if not piece:
        sys.exit("the line broke before the agent had come")
    packed+=piece
if hashlib.sha256(packed).hexdigest()!=digest:
    sys.exit("the agent came damaged")
try:
    folder=tempfile.mkdtemp(prefix="edgekd-")
    with open(os.path.join(folder,"agent.pyz"),"wb") as file:
        file.write(packed)
except OSError as error:
    sys.exit("the agent cannot be put into the temporary folder: %s"%error)
sys.path.insert(0,os.path.join(folder,"agent.pyz"))
try:
    import agent
finally:
    shutil.rmtree(folder,ignore_errors=True)
sys.argv[1:]=sys.argv[3:]
agent.main()
"""
"""What Python over there is given: it reads the agent from its stdin, and leaves the rest of stdin to it. Old Pythons must be able to read it."""


class RemoteAgent(Agent):
    """An agent at the end of a line. A line that is lost is opened again, the file opened again, and what was asked is asked again."""

    def __init__(self, line: Line, python: Sequence[str], nonce: str) -> None:
        self._ssh, self._python = line, python
        self._packed = pack()
        self._again = 0
        self._stands: dict[str, dict[str, Any]] = {}
        """The last `start`, `open` and `set` that were answered: what a new agent must be brought to."""
        self._speaking = threading.Lock()
        boot = base64.b64encode(zlib.compress(_BOOT.encode())).decode()
        code = f'import base64,zlib;exec(zlib.decompress(base64.b64decode("{boot}")).decode())'
        facts = (str(len(self._packed)), hashlib.sha256(self._packed).hexdigest(), nonce, str(SILENCE_S))
        super().__init__(line.command(*python, "-c", code, *facts), nonce)
        threading.Thread(target=self._beat, daemon=True).start()

    @property
    def lost(self) -> int:
        """How often the line was lost."""
        return self._again

    def send(self, job: str, **wishes: Any) -> None:
        """Hand over a job; raises as `Agent.send`."""
        try:
            super().send(job, **wishes)
        except LostLineError:
            self._take_up()

    def receive(self, timeout_s: float = ANSWER_S, told: Callable[[Mapping[str, Any]], None] = lambda facts: None) -> dict[str, Any]:
        """The next answer in order; raises as `Agent.receive`, and LostLineError where the line stays lost."""
        while True:
            asked = self._doing[0] if self._doing else None
            try:
                answer = super().receive(timeout_s, told)
            except LostLineError:
                self._take_up()
                continue
            if asked is not None and asked[0] in ("start", "open", "set"):
                self._stands[asked[0]] = asked[1]
            return answer

    def _begin(self) -> None:
        super()._begin()
        if sys.platform == "linux":
            import fcntl

            with contextlib.suppress(OSError):  # where a user may have no more, the agent is waited for
                fcntl.fcntl(self._stdin(), fcntl.F_SETPIPE_SZ, PIPE)
        with contextlib.suppress(LostLineError):  # found again, with its reason, when the hello is read
            self._say(self._packed)

    def _say(self, line: bytes) -> None:
        with self._speaking:
            super()._say(line)

    def _beat(self) -> None:
        """Say an empty line now and then, which an agent takes for a sign that somebody is there."""
        while not self._closed:
            time.sleep(BEAT_S)
            with contextlib.suppress(DeviceError, OSError, AttributeError):
                if self._greeted and not self._closed:
                    self._say(b"\n")

    def _take_up(self) -> None:
        """Open the line again, bring the agent to where it stood, and ask again what was not answered."""
        doing = list(self._doing)
        while True:
            if self._again >= len(AGAIN_S):
                raise LostLineError(f"{self._ssh.host} was lost {self._again + 1} times while {self._work()}; giving up. Run it again.")
            time.sleep(AGAIN_S[self._again])
            if self._stopped:
                raise self._no_more()
            self._again += 1
            self._end()
            self._doing.clear()
            try:
                self._ssh.open()
                self._begin()
                for job, wishes in self._stands.items():
                    Agent.send(self, job, **wishes)
                    Agent.receive(self)
                for job, wishes in doing:
                    Agent.send(self, job, **wishes)
            except LostLineError:
                self._doing.clear()
                self._doing.extend(doing)
                continue
            return

    def _gone(self, code: int, words: str) -> DeviceError:
        if code == LOST:
            return refused(self._ssh.host, words)
        if "Python 3.8 or newer" in words or "temporary folder" in words:
            return DeviceError(f"{self._ssh.host}: {words}. Name another Python there with --python.")
        if code in _NO_COMMAND:
            python = shlex.join(self._python)
            return DeviceError(f"{self._ssh.host} does not start {python}: {words or f'exit code {code}'}. Name another Python there with --python.")
        return super()._gone(code, words)

    def _failed(self, job: str, answer: Mapping[str, Any]) -> DeviceError | MissingExtra:
        if str(answer["error"]).startswith("there is no file"):
            return DeviceError(
                f"a file was brought to {self._ssh.host}, and the process that is to open it does not see it. Where --python starts containers, give "
                "them one folder: docker run -i --rm -v edgekd:/root/.cache/edgekd ..."
            )
        return super()._failed(job, answer)

    def _missing(self, package: str) -> DeviceError | MissingExtra:
        python, host = shlex.join(self._python), self._ssh.host
        runtime = "openvino" if package.startswith("openvino") else "onnxruntime"
        return DeviceError(
            f"{host} needs {package}, and {python} there has none. Install it: ssh {host} {python} -m pip install numpy {runtime}; "
            "or name a Python that has it with --python."
        )

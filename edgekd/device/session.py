"""An open line to a host: agents started there, files brought there and fetched from there.

Here the host is this machine and both ends see the same files; remote.py has the same for another one, by ssh. What a job measures or answers is its
caller's business.
"""

import io
import secrets
import sys
import tempfile
import time
import zipapp
from functools import cache
from pathlib import Path, PurePath

from edgekd.device.agent import onnxfile
from edgekd.device.agent.protocol import RefusedError
from edgekd.device.process import Agent
from edgekd.errors import DeviceError

ANSWERING = "answers of "
"""What begins the names of agents that are asked for answers, and not for times (`Session.start`)."""


def refuse_external(file: Path) -> None:
    """Refuse to bring a model elsewhere whose weights would stay here.

    Raises:
        DeviceError: it is one.
    """
    try:
        beside = onnxfile.external(str(file)) if file.suffix == ".onnx" else []
    except RefusedError:  # what it is, is over there to be said
        return
    if beside:
        raise DeviceError(
            f"{file.name} keeps weights in files beside it, and one file at a time goes to another machine. Save it as one file first: "
            "onnx.save_model(onnx.load(FILE), ONE_FILE)."
        )


@cache
def pack() -> bytes:
    """The agent as one file that Python runs, `agent.pyz`; each agent on another machine is sent it."""
    packed = io.BytesIO()
    zipapp.create_archive(Path(__file__).parent, packed, main="agent:main", filter=_is_agent, compressed=True)
    return packed.getvalue()


def _is_agent(path: PurePath) -> bool:
    return path.parts[0] == "agent" and path.suffix == ".py"


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
        return str(file.absolute())  # and not where a link leads: external data lies beside the link

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

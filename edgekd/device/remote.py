"""A session with another machine over ssh: agents over there, files brought once by their hash, answers fetched.

In: a host. Out: a `RemoteSession`, whose agents `remoteagent` starts.
"""

import base64
import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekd.device.process import Agent
from edgekd.device.remoteagent import RemoteAgent
from edgekd.device.session import Session, refuse_external
from edgekd.device.ssh import Line
from edgekd.errors import DeviceError

PIECE = 1 << 20
"""Bytes of a file that travel in one job."""
AHEAD = 4
"""Pieces that are on their way before the first is answered."""
KEEP_DAYS, KEEP_BYTES = 30.0, 5_000_000_000
"""What stays in a device's cache of files: what was asked for in so many days, and so many bytes of it."""

_FIND = (
    'for p in python3 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8 "$HOME"/*/bin/python3 "$HOME"/.*/bin/python3 '
    "/opt/*/bin/python3; "
    'do q=$(command -v "$p" 2>/dev/null) || continue; '
    '"$q" -c "import sys;from importlib.util import find_spec as f;'
    'sys.exit(sys.version_info<(3,8) or not(f(\\"numpy\\") and f(\\"onnxruntime\\")))" >/dev/null 2>&1 && { echo "$q"; exit 0; }; '
    "done; command -v python3"
)
"""Prints the first Python that has what is needed, else the first of all."""


class RemoteSession(Session):
    """A session with another machine: agents over ssh, files brought by their hash, answers fetched from rooms."""

    def __init__(self, host: str, folder: Path, python: Sequence[str] = ()) -> None:
        self._python = list(python)
        super().__init__(host, folder)

    def _begin(self) -> None:
        self._ssh = Line(self.host)
        self._rooms: list[str] = []
        self._brought: dict[tuple[str, int, float], str] = {}
        try:
            self._ssh.open()
            if not self._python:
                found = self._ssh.run("sh", "-c", _FIND)
                if not found:
                    raise DeviceError(
                        f"{self.host} has no python3. Install Python 3.8 or newer with numpy and onnxruntime there, or name it with --python."
                    )
                self._python = [found]
            self._courier = self._agent("courier")
            self._courier.ask("prune", days=KEEP_DAYS, most=KEEP_BYTES)
        except BaseException:
            self._ssh.close()
            raise

    def _agent(self, nonce: str) -> Agent:
        return RemoteAgent(self._ssh, self._python, nonce)

    def place(self, file: Path, room: str | None = None) -> str:
        """Bring a file, if it is not there, and check it there; into the cache, or into a room.

        Raises:
            DeviceError: the disk over there is too full, or the file came damaged.
        """
        facts = file.stat()
        known = (str(file.resolve()), facts.st_size, facts.st_mtime)
        if room is None and known in self._brought:
            return self._brought[known]
        data = file.read_bytes()
        refuse_external(file)
        digest = hashlib.sha256(data).hexdigest()
        told = self._courier.ask("have", sha256=digest, size=len(data), suffix=file.suffix, room=room)
        path = str(told["path"])
        if not told["sealed"]:
            self._bring(data, path, told["have"])
            self._courier.ask("seal", path=path, sha256=digest)
        if room is None:
            self._brought[known] = path
        return path

    def _bring(self, data: bytes, path: str, have: int) -> None:
        """The rest of a file, some pieces on their way at a time."""
        waiting = 0
        try:
            for offset in [*range(have, len(data), PIECE)] or [0]:
                if self._stopped:
                    raise DeviceError(f"the session with {self.host} was stopped.")
                self._courier.send("put", path=path, offset=offset, data=base64.b64encode(data[offset : offset + PIECE]).decode("ascii"))
                waiting += 1
                if waiting > AHEAD:
                    self._courier.receive()
                    waiting -= 1
            for _ in range(waiting):
                self._courier.receive()
        except DeviceError:
            self._courier.forget()
            raise

    def room(self) -> str:
        """A new folder over there, for files that come and go."""
        self._rooms.append(str(self._courier.ask("room")["path"]))
        return self._rooms[-1]

    def fetch(self, path: str) -> Path:
        """What lies at a path in a room over there, as a file in this session's folder."""
        file = self.folder / f"{hashlib.sha256(path.encode()).hexdigest()[:16]}{Path(path).suffix}"
        with file.open("wb") as out:
            while True:
                told: Mapping[str, Any] = self._courier.ask("get", path=path, offset=out.tell(), size=PIECE)
                out.write(base64.b64decode(told["data"]))
                if out.tell() >= told["size"]:
                    return file

    def leave(self, room: str) -> None:
        """Take a room away."""
        self._rooms.remove(room)
        self._courier.ask("leave", path=room)

    def close(self) -> None:
        """End every agent, take the rooms away, and end the line; what cannot be taken away is pruned by a later session."""
        super().close()
        with contextlib.suppress(DeviceError):
            for room in self._rooms:
                self._courier.ask("leave", 10.0, path=room)
        self._courier.close()
        self._ssh.close()

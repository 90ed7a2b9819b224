"""A real sshd on this machine for tests, and the client's configuration that reaches it as the host `device`, and as `second`."""

import getpass
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.device.processes import PATIENCE_S
from tests.needs import need_tool


@dataclass
class Sshd:
    """A served machine: its folder, its port, the process that listens."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def client(self) -> str:
        """What EDGEKD_SSH must be to reach it."""
        return f"ssh -F {self.folder / 'client'}"

    @property
    def cache(self) -> Path:
        """Where files lie over there."""
        return self.folder / "cache"

    def start(self) -> None:
        """Listen, and wait until the door is open."""
        command = [need_tool("sshd"), "-D", "-e", "-f", str(self.folder / "server")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.02)
        raise AssertionError("sshd does not listen")

    def cut(self) -> None:
        """Cut every connection that stands; new ones are welcome."""
        assert self.process is not None
        for pid in descendants(self.process.pid):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """Stop listening, and cut every connection."""
        if self.process is not None:
            self.cut()
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def served(folder: Path) -> Iterator[Sshd]:
    """A machine over ssh as this user, with keys of its own; the Python of the tests comes first on its path."""
    keygen = need_tool("ssh-keygen")
    for name in ("host_key", "id"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where a root's sshd shuts itself in before a login
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    (folder / "authorized").write_bytes((folder / "id.pub").read_bytes())
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host_key.pub').read_text()}")
    (folder / "server").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host_key'}\nAuthorizedKeysFile {folder / 'authorized'}\nPidFile none\n"
        f"UsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
        # A home of its own, so that no shell's start-up file there changes the path.
        f"SetEnv EDGEKD_CACHE={folder / 'cache'} PATH={path} HOME={folder}\n"
    )
    (folder / "client").write_text(
        f"Host device second\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n  IdentityFile {folder / 'id'}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {folder / 'known'}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n"
    )
    machine = Sshd(folder, port)
    try:
        machine.start()
        yield machine
    finally:
        machine.stop()


def descendants(pid: int) -> list[int]:
    """The processes that one started, and those that they started."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found, last = [], [pid]
    while last:
        last = [child for child, parent in parents.items() if parent in last]
        found += last
    return found


def running(sign: str) -> list[int]:
    """Processes that have this text in their command line, this one left out."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if sign.encode() in line.read_bytes() and int(line.parent.name) != os.getpid():
                found.append(int(line.parent.name))
    return found

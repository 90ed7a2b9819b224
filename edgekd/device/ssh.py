"""How another machine is reached: the system's OpenSSH client with the user's own configuration, keys and host-key checks.

In: what `ssh` takes as a destination. Out: a `Line`, whose commands share one connection where the client can share one, and in words why a host is
not to be reached. No password is asked for. What is done over there is `remote`'s.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile

from edgekd.errors import DeviceError, MissingError

OPTIONS = (
    *("-T", "-oBatchMode=yes", "-oConnectTimeout=15", "-oServerAliveInterval=5", "-oServerAliveCountMax=3", "-oLogLevel=ERROR"),
    *("-oClearAllForwardings=yes", "-oForwardAgent=no", "-oForwardX11=no", "-oRemoteCommand=none"),
)
"""Nothing is asked of a person, a dead line is noticed within 15 s, and nothing of the user's configuration but the way to the host is used."""
LOST = 255
"""ssh's exit code where the line, and not the command, failed."""


class LostLineError(DeviceError):
    """The line to a host was lost; what was asked may be asked again."""


class Line:
    """How one host is reached: the client, its options, and the shared connection while it stands."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._client = shlex.split(os.environ.get("EDGEKD_SSH", "")) or ["ssh"]
        if shutil.which(self._client[0]) is None:
            raise MissingError(f"{host} is reached by OpenSSH's client, and there is no {self._client[0]!r} here. Install openssh-client.")
        # Short, since a socket's path may have 104 bytes; of this user alone, since whoever reaches the socket reaches the host.
        self._folder = None if sys.platform == "win32" else tempfile.mkdtemp(prefix="ek-")

    def command(self, *remote: str) -> list[str]:
        """What runs a command over there, its words quoted for whatever shell a login has."""
        return [*self._client, *OPTIONS, *self._shared("no"), self.host, " ".join(map(shlex.quote, remote))]

    def _shared(self, master: str) -> list[str]:
        if self._folder is None:
            return []
        folder = self._folder.replace("%", "%%")  # ssh reads it as a line of its configuration
        return [f"-oControlMaster={master}", f'-oControlPath="{folder}/s"']

    def open(self) -> None:
        """Open the shared connection, where the client can share one.

        Raises:
            DeviceError: the host is not to be reached; its words say why, with what to do.
        """
        if self._folder is None:
            return
        command = [*self._client, *OPTIONS, *self._shared("yes"), "-oControlPersist=120", "-fN", self.host]
        with tempfile.TemporaryFile() as words:  # a file, since the connection that stays behind keeps its stderr open
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=words, check=False)
            words.seek(0)
            if done.returncode:
                raise refused(self.host, words.read().decode(errors="replace"))

    def run(self, *remote: str) -> str:
        """What a command over there prints; raises as `open`, and where it fails."""
        done = subprocess.run(self.command(*remote), stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode == LOST:
            raise refused(self.host, done.stderr)
        if done.returncode:
            raise DeviceError(f"{self.host} must give commands a POSIX shell; `{remote[0]}` ended with code {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip()

    def close(self) -> None:
        """End the shared connection."""
        if self._folder is not None:
            ended = [*self._client, *OPTIONS, *self._shared("no"), "-Oexit", self.host]
            subprocess.run(ended, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            shutil.rmtree(self._folder, ignore_errors=True)


def refused(host: str, words: str) -> DeviceError:
    """Why a host is not to be reached, by ssh's own words, and what to do."""
    said = " ".join(words.split())[-300:] or "ssh said nothing"
    remedies = {
        "REMOTE HOST IDENTIFICATION HAS CHANGED": "Find out why its key changed; if that is right, take the old one away: ssh-keygen -R HOST.",
        "Host key verification failed": f"Connect once by hand and check its key: ssh {host}",
        "Permission denied": f"No password is asked for here. Put your key there: ssh-copy-id {host}",
        "Could not resolve": "Check the name, or add it to ~/.ssh/config.",
        "Connection refused": "Start sshd there, or name its port in ~/.ssh/config.",
        "timed out": "Check that it is on, and on this network.",
        "No route to host": "Check that it is on, and on this network.",
    }
    remedy = next((text for sign, text in remedies.items() if sign in words), f"Try it by hand: ssh {host}")
    return LostLineError(f"{host} cannot be reached: {said}. {remedy}")

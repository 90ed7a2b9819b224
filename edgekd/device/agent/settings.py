"""Settings of a Jetson that are changed when somebody asks for it: its power mode, and clocks that jetson_clocks locks. Applied, verified, put back.

In: a mode, and whether clocks are to be locked. Out: what stood before and what stands now. Whatever ends the agent puts it all back: a guardian, a
shell of its own session, waits for the agent's end of a pipe to close, then undoes what was done. Nothing is changed without being asked, and where
a change needs a right that is not there, it is refused before anything is touched.
"""

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Optional

from . import jetson
from .jetson import PowerMode
from .machine import ROOT
from .protocol import Answer, Job, RefusedError
from .store import default_cache

TOOL_S = 60.0
"""How long a tool may take; one that asks whether to boot is ended."""
WAIT_S = 90.0
"""How long is waited for another guardian: that of a line that was lost needs a minute to notice."""
_GUARD = """trap '' HUP INT TERM
cat >/dev/null
failed=0
{undo}
[ $failed -ne 0 ] || rm -rf {folder}
exit $failed
"""


class Settings:
    """What this agent has changed, at most once; `root` is the folder that /sys and /etc stand in."""

    def __init__(self, root: Path = ROOT, cache: Optional[Path] = None) -> None:
        self._root, self._cache = root, cache
        self._guardian: Optional["subprocess.Popen[bytes]"] = None
        self._before: Optional[PowerMode] = None
        self._locked: Optional[bool] = None
        self._wanted: Dict[str, object] = {}
        self._stored: Optional[str] = None
        """The file of the clocks that stood, where they are changed."""

    def jobs(self) -> Dict[str, Job]:
        """Every job by its name."""
        return {"set": self.set, "settings": self.settings, "restore": self.restore}

    def settings(self) -> Answer:
        """What stands now, and whether it is what was set."""
        mode = jetson.asked_power_mode()
        told = {"power_mode": None if mode is None else str(mode), "clocks_locked": jetson.clocks_locked(self._root)}
        wanted = {name: value for name, value in self._wanted.items() if value is not None}
        return dict(told, held=all(told[name] == value for name, value in wanted.items()))

    def set(self, power_mode: Optional[str] = None, lock_clocks: bool = False) -> Answer:
        """Change what is asked for, and see that it stands; what stands then, and what stood `before`.

        Raises:
            RefusedError: this is no machine that has such a setting, the mode is not known, the right is not there, another session has changed
                something, or a change did not take; everything is as it was then.
        """
        if self._guardian is not None:
            raise RefusedError("settings were changed already in this session")
        tools = (["nvpmodel"] if power_mode is not None else []) + (["jetson_clocks"] if lock_clocks else [])
        for tool in tools:
            if shutil.which(tool) is None:
                raise RefusedError("{} is not there: power modes and locked clocks are settings of Jetson boards. Leave the wish out.".format(tool))
        mode = None if power_mode is None else self._mode(power_mode)
        lock = self._lock()
        try:  # only now does nobody else change what stands
            self._before = jetson.asked_power_mode()
            if mode is not None and self._before is None:
                raise RefusedError("nvpmodel does not tell the power mode that stands now, which would have to be put back. Set the mode yourself.")
            before = self.settings()
            self._locked = before["clocks_locked"]
            folder = tempfile.mkdtemp(prefix="edgekd-settings-")
            self._guard(folder, mode, lock_clocks, lock)
        finally:
            os.close(lock)
        try:
            self._change(folder, mode, lock_clocks)
        except BaseException:
            self._undo()
            raise
        told = self.settings()
        return dict(told, before={"power_mode": before["power_mode"], "clocks_locked": before["clocks_locked"]})

    def restore(self) -> Answer:
        """Put back what was changed; what stands then.

        Raises:
            RefusedError: it could not be put back, with the lines that do it.
        """
        if self._guardian is None:
            return self.settings()
        failed = self._undo()
        told = self.settings()
        moved = self._before is not None and told["power_mode"] != str(self._before)
        if failed or moved or told["clocks_locked"] != self._locked:
            kept = self._stored is not None and os.path.exists(self._stored)
            clocks = ", then sudo jetson_clocks --restore {}".format(shlex.quote(str(self._stored))) if kept else ""
            raise RefusedError(
                "the settings could not all be put back: the power mode was {} and is {}. On the device: sudo nvpmodel -m {}{}; or boot it, "
                "which frees its clocks.".format(self._before, told["power_mode"], "MODE" if self._before is None else self._before.number, clocks)
            )
        return told

    # How ---------------------------------------------------------------------------------------------------------------

    def _mode(self, wanted: str) -> PowerMode:
        """The mode by its name or number."""
        known = jetson.power_modes(self._root)
        for mode in known:
            if wanted in (mode.name, str(mode.number)) or wanted.upper() == mode.name.upper():
                return mode
        if not known and wanted.isdigit():
            return PowerMode(wanted, int(wanted))
        listed = ", ".join(map(str, known)) or "none that /etc/nvpmodel.conf tells"
        raise RefusedError("this machine has no power mode {!r}; it has {}".format(wanted, listed))

    def _guard(self, folder: str, mode: Optional[PowerMode], lock_clocks: bool, lock: int) -> None:
        """Start what puts everything back. It holds the lock for as long as it lives."""
        stored = [os.path.join(folder, name) for name in ("before", "locked")]
        self._stored = stored[0] if lock_clocks else None
        clocks = ["[ ! -f {0} ] || {1} || failed=1".format(file, _shell("jetson_clocks", "--restore", file)) for file in stored]
        back = "" if mode is None or self._before is None else _shell("nvpmodel", "-m", str(self._before.number)) + " || failed=1"
        undo = [clocks[1], back, clocks[0]] if lock_clocks else [back]
        script = _GUARD.format(undo="\n".join(filter(None, undo)), folder=shlex.quote(folder))
        # A session of its own: whatever ends the agent's group leaves it alone.
        self._guardian = subprocess.Popen(
            ["sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(lock,),
        )

    def _lock(self) -> int:
        """A lock that one session at a time has on this machine's settings.

        Raises:
            RefusedError: another has it, and keeps it.
        """
        import fcntl

        place = (self._cache or default_cache()) / "settings.lock"
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(str(place), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise RefusedError("{} cannot be written: {}. Name another folder there in EDGEKD_CACHE.".format(place, error.strerror)) from None
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return handle
            except OSError:
                if time.monotonic() > deadline:
                    os.close(handle)
                    raise RefusedError("another session of edgekd has changed this machine's settings. Wait until it has ended.") from None
                time.sleep(0.2)

    def _change(self, folder: str, mode: Optional[PowerMode], lock_clocks: bool) -> None:
        if lock_clocks:
            _run("jetson_clocks", "--store", os.path.join(folder, "before"))
        if mode is not None:
            _run("nvpmodel", "-m", str(mode.number))
            now = jetson.asked_power_mode()
            if now is None or now.number != mode.number:
                raise RefusedError(
                    "the power mode was to be {} and is {}: some boards must boot for it. On the device: sudo nvpmodel -m {}, then measure "
                    "without --power-mode.".format(mode, now, mode.number)
                )
            self._wanted["power_mode"] = str(now)
        if lock_clocks:
            _run("jetson_clocks", "--store", os.path.join(folder, "locked"))
            _run("jetson_clocks")
            if jetson.clocks_locked(self._root) is not True:
                raise RefusedError("jetson_clocks was run, and the clocks are not locked (least and largest differ, or are not told).")
            self._wanted["clocks_locked"] = True

    def _undo(self) -> bool:
        """Let the guardian do its work, and wait for it; whether a part of it failed."""
        guardian, self._guardian, self._wanted = self._guardian, None, {}
        assert guardian is not None
        assert guardian.stdin is not None
        guardian.stdin.close()
        return guardian.wait(4 * TOOL_S) != 0


def _as_root() -> List[str]:
    """What goes before a command that needs root."""
    return [] if os.geteuid() == 0 else ["sudo", "-n"]


def _shell(*command: str) -> str:
    """A tool as root, for a shell. By sudo just as `_run` has it, which may be allowed these tools alone, and whose processes no one else can end."""
    limit = ["timeout", str(int(TOOL_S))] if not _as_root() and shutil.which("timeout") else []
    words = [*_as_root(), *limit, *command]
    return " ".join(map(shlex.quote, words)) + " </dev/null"


def _run(*command: str) -> None:
    """Run a tool as root.

    Raises:
        RefusedError: the right is not there, with what gives it; or the tool failed, in its own words.
    """
    if _as_root() and shutil.which("sudo") is None:
        raise RefusedError("{} needs root, and there is no sudo there. Log in as root, or leave the wish out.".format(command[0]))
    try:
        done = subprocess.run([*_as_root(), *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TOOL_S)
    except subprocess.TimeoutExpired:
        raise RefusedError(
            "{} did not end within {:.0f} s; some boards ask whether to boot for a mode. Set it yourself.".format(shlex.join(command), TOOL_S)
        ) from None
    words = " ".join(done.stdout.decode(errors="replace").split())[-200:]
    if done.returncode and _as_root() and "sudo" in words:
        raise RefusedError(
            "{0} needs root, and sudo asks for a password. Log in as root, or allow it on the device: "
            'echo "$USER ALL=(root) NOPASSWD: $(command -v nvpmodel), $(command -v jetson_clocks)" | sudo tee /etc/sudoers.d/edgekd'.format(
                command[0]
            )
        )
    if done.returncode:
        raise RefusedError("{} failed: {}".format(shlex.join(command), words or "exit code {}".format(done.returncode)))

"""device/agent/settings.py: settings that are asked for are applied, verified and put back, or refused with everything as it was."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekd.device.agent import settings
from edgekd.device.agent.protocol import RefusedError
from edgekd.device.agent.settings import Settings
from tests.device.agent.boards import Board
from tests.device.processes import PATIENCE_S
from tests.needs import ROOT

SUDO = '#!/bin/sh\n[ "$1" = -n ] || exit 8\nshift\nexec "$@"\n'
"""Allows everything, as long as nobody is to be asked."""
ONLY_THESE = """#!/bin/sh
[ "$1" = -n ] || exit 8
shift
case "$1" in nvpmodel|jetson_clocks) exec "$@";; esac
echo 'sudo: a password is required' >&2; exit 1
"""
"""Allows what the line in a refusal allows."""


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    """A board whose root this process is."""
    found = Board(tmp_path)
    monkeypatch.setenv("PATH", found.path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return found


def eventually(what: Callable[[], bool]) -> bool:
    """Whether something comes to be, however busy the machine is."""
    deadline = time.monotonic() + PATIENCE_S
    while not what() and time.monotonic() < deadline:
        time.sleep(0.02)
    return what()


def test_a_mode_is_set_and_put_back(board: Board) -> None:
    """By its name; what stood before is told, and what stands is verified."""
    desk = Settings(board.root, board.cache)
    told = desk.set(power_mode="maxn_super")
    assert told == {"power_mode": "MAXN_SUPER (2)", "clocks_locked": False, "held": True, "before": {"power_mode": "15W (0)", "clocks_locked": False}}
    assert board.mode == "2"
    assert desk.restore()["power_mode"] == "15W (0)"
    assert board.mode == "0"
    assert board.log == ["nvpmodel -m 2", "nvpmodel -m 0"]
    assert desk.restore()["power_mode"] == "15W (0)"  # again: nothing is left to do


def test_clocks_are_locked_and_freed(board: Board) -> None:
    """In the mode that was asked for, and both as they were in the end."""
    desk = Settings(board.root, board.cache)
    told = desk.set(power_mode="2", lock_clocks=True)
    assert (told["power_mode"], told["clocks_locked"], board.least) == ("MAXN_SUPER (2)", True, "1510400")
    assert desk.restore() == {"power_mode": "15W (0)", "clocks_locked": False, "held": True}
    assert (board.mode, board.least) == ("0", "729600")
    assert [line.split()[:2] for line in board.log] == [
        ["jetson_clocks", "--store"],
        ["nvpmodel", "-m"],
        ["jetson_clocks", "--store"],
        ["jetson_clocks"],
        ["jetson_clocks", "--restore"],
        ["nvpmodel", "-m"],
        ["jetson_clocks", "--restore"],
    ]


def test_a_setting_that_moves_meanwhile_is_seen(board: Board) -> None:
    """Whoever asks hears that it does not stand any more."""
    desk = Settings(board.root, board.cache)
    desk.set(power_mode="2")
    assert desk.settings()["held"] is True
    (board.folder / "mode").write_text("0\n")
    assert desk.settings()["held"] is False
    desk.restore()


@pytest.mark.parametrize(
    ("flag", "wish", "message"),
    [
        ("needs-boot", {"power_mode": "2"}, "some boards must boot for it"),
        ("broken", {"power_mode": "2"}, "nvpmodel -m 2 failed: NVPM ERROR: it broke"),
        ("stiff", {"power_mode": "2", "lock_clocks": True}, "the clocks are not locked"),
        ("", {"power_mode": "50W"}, r"no power mode '50W'; it has 15W \(0\), MAXN_SUPER \(2\)"),
    ],
)
def test_what_does_not_take_leaves_nothing_behind(board: Board, flag: str, wish: dict[str, Any], message: str) -> None:
    """A refusal, and the mode and clocks of before."""
    if flag:
        (board.folder / flag).touch()
    desk = Settings(board.root, board.cache)
    with pytest.raises(RefusedError, match=message):
        desk.set(**wish)
    if flag:
        (board.folder / flag).unlink()
    assert (board.mode, board.least) == ("0", "729600")
    again = Settings(board.root, board.cache)  # nobody holds the lock
    assert again.set(power_mode="0")["held"] is True
    again.restore()


def test_another_machine_has_no_such_settings(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said before anything is tried."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    wishes: list[dict[str, Any]] = [{"power_mode": "2"}, {"lock_clocks": True}]
    for wish in wishes:
        with pytest.raises(RefusedError, match="settings of Jetson boards"):
            Settings(board.root, board.cache).set(**wish)
    assert board.log == []


def test_a_sudo_that_allows_these_tools_alone_puts_back_too(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the line that a refusal gives allows them."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    board.script("sudo", ONLY_THESE)
    desk = Settings(board.root, board.cache)
    assert desk.set(power_mode="2", lock_clocks=True)["held"] is True
    assert desk.restore()["power_mode"] == "15W (0)"
    assert (board.mode, board.least) == ("0", "729600")


def test_clocks_that_could_not_be_put_back_are_kept(board: Board) -> None:
    """The refusal has the lines that do it, and the file that they name is there."""
    desk = Settings(board.root, board.cache)
    desk.set(power_mode="2", lock_clocks=True)
    (board.folder / "broken").touch()
    with pytest.raises(
        RefusedError, match=r"was 15W \(0\) and is MAXN_SUPER \(2\).*nvpmodel -m 0, then sudo jetson_clocks --restore \S+;"
    ) as refused:
        desk.restore()
    kept = Path(str(refused.value).split("--restore ")[1].split(";")[0])
    assert kept.read_text() == "729600\n"
    shutil.rmtree(kept.parent)


@pytest.mark.parametrize(
    ("sudo", "message"),
    [
        ("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n", "sudo asks for a password.*/etc/sudoers.d/edgekd"),
        (None, "there is no sudo there"),
        (SUDO, None),
    ],
    ids=["a password", "no sudo", "allowed"],
)
def test_rights(board: Board, monkeypatch: pytest.MonkeyPatch, sudo: str | None, message: str | None) -> None:
    """Without being root: by sudo that asks for nothing, or refused with what gives the right."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    if sudo is None:
        real = shutil.which
        monkeypatch.setattr(shutil, "which", lambda name: None if name == "sudo" else real(name))
    else:
        board.script("sudo", sudo)
    desk = Settings(board.root, board.cache)
    if message is None:
        assert desk.set(power_mode="2", lock_clocks=True)["held"] is True
        desk.restore()
    else:
        with pytest.raises(RefusedError, match=message):
            desk.set(power_mode="2")
    assert (board.mode, board.least) == ("0", "729600")


def test_one_session_at_a_time(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one waits until the first has put everything back, and else is refused."""
    first, second = Settings(board.root, board.cache), Settings(board.root, board.cache)
    first.set(power_mode="2")
    monkeypatch.setattr(settings, "WAIT_S", 0.3)
    with pytest.raises(RefusedError, match="another session of edgekd"):
        second.set(power_mode="0")
    with pytest.raises(RefusedError, match="already"):
        first.set(power_mode="0")
    first.restore()
    assert second.set(power_mode="2")["before"]["power_mode"] == "15W (0)"
    second.restore()


def test_what_cannot_be_put_back_is_said(board: Board) -> None:
    """With the line that does it."""
    desk = Settings(board.root, board.cache)
    desk.set(power_mode="2")
    (board.folder / "broken").touch()
    with pytest.raises(RefusedError, match=r"was 15W \(0\) and is MAXN_SUPER \(2\)\. On the device: sudo nvpmodel -m 0"):
        desk.restore()


KILLED = """
import sys, time
from pathlib import Path
from edgekd.device.agent.settings import Settings
Settings(Path(sys.argv[1]), Path(sys.argv[2])).set(power_mode="2", lock_clocks=True)
print("set", flush=True)
time.sleep(300)
"""


def test_an_agent_that_is_killed_puts_everything_back(board: Board) -> None:
    """The guardian outlives its whole process group."""
    board.script("sudo", SUDO)
    command = [sys.executable, "-c", KILLED, str(board.root), str(board.cache)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, start_new_session=True) as agent:
        try:
            assert agent.stdout is not None
            assert agent.stdout.readline() == b"set\n"
            assert (board.mode, board.least) == ("2", "1510400")
        finally:
            os.killpg(agent.pid, signal.SIGKILL)
    assert eventually(lambda: (board.mode, board.least) == ("0", "729600"))

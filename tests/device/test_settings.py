"""device/settings.py: a host's settings while something is measured, with a real agent and tools that stand in for a Jetson's."""

import os
import sys
from pathlib import Path

import pytest

from edgekd.bench import bench
from edgekd.device.host import connect
from edgekd.device.settings import UNCHANGED, Settings, applied
from edgekd.errors import DeviceError, UsageError
from edgekd.events import Event, Note, silent
from tests.device.agent.boards import Board
from tests.device.agent.test_settings import SUDO, eventually
from tests.device.nets import artifact, classifier
from tests.device.sshd import served

# The agent's own root is this machine's, where no nvpmodel.conf names modes: they go by their number.
WISH = Settings(power_mode="2")


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    """Tools that the local agent finds, as root or by a sudo that allows them."""
    found = Board(tmp_path)
    found.script("sudo", SUDO)
    monkeypatch.setenv("PATH", f"{found.folder}:{os.environ['PATH']}")
    monkeypatch.setenv("EDGEKD_CACHE", str(found.cache))
    return found


def test_settings_stand_while_the_block_runs(board: Board) -> None:
    """Said when they are applied and when they are put back, without a doubt."""
    told: list[Event] = []
    with connect("local") as session:
        with applied(session, WISH, told.append) as doubts:
            assert board.mode == "2"
        assert board.mode == "0"
    notes = [event.text for event in told if isinstance(event, Note)]
    assert notes[0].startswith("local: power mode MAXN_SUPER (2)")
    assert "before, power mode 15W (0)" in notes[0]
    assert notes[1].startswith("local: put back, power mode 15W (0)")
    assert doubts == []


def test_nothing_is_asked_without_a_wish(board: Board) -> None:
    """Not even how things stand."""
    with connect("local") as session, applied(session, UNCHANGED, silent):
        pass
    assert not (board.folder / "log").exists()


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_settings_are_put_back_after_a_failure(board: Board, kind: type[BaseException]) -> None:
    """And after Ctrl-C; the failure goes on."""

    def interrupted() -> None:
        with connect("local") as session, applied(session, WISH, silent):
            assert board.mode == "2"
            raise kind

    with pytest.raises(kind):
        interrupted()
    assert board.mode == "0"


def test_settings_are_put_back_by_an_agent_that_is_left(board: Board) -> None:
    """A line that breaks ends the agent's stdin: nobody is there to ask."""

    def left() -> None:
        with connect("local") as session, applied(session, WISH, silent):
            session._agents[0].kill()

    with pytest.raises(DeviceError, match="the agent ended"):
        left()
    assert eventually(lambda: board.mode == "0")


def test_settings_over_there_are_put_back_when_the_line_breaks(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that holds the line is killed: over there stdin ends, and the guardian is all that is left."""
    folder = tmp_path / "sshd"
    folder.mkdir()
    with served(folder) as machine:
        monkeypatch.setenv("EDGEKD_SSH", machine.client)

        def cut() -> None:
            python = ["env", f"PATH={board.path}", f"EDGEKD_CACHE={board.cache}", sys.executable]
            with connect("device", python) as session, applied(session, WISH, silent):
                assert board.mode == "2"
                session._agents[0].kill()

        with pytest.raises(DeviceError):
            cut()
        assert eventually(lambda: board.mode == "0")


def test_a_setting_that_did_not_stay_is_a_doubt(board: Board) -> None:
    """Somebody else turned it meanwhile."""
    with connect("local") as session, applied(session, WISH, silent) as doubts:
        (board.folder / "mode").write_text("0\n")
    assert doubts == ["its settings did not stay as they were asked for until the end"]


def test_a_bench_refuses_what_no_host_can_do(tmp_path: Path) -> None:
    """No host, and one that is no Jetson, before anything is measured."""
    file = artifact(classifier(tmp_path / "a.onnx"))
    with pytest.raises(UsageError, match="no target has one"):
        bench([file], {"cpu": ""}, settings=WISH)
    with pytest.raises(DeviceError, match="settings of Jetson boards"):
        bench([file], {"cpu": "local"}, settings=WISH, max_s=5)

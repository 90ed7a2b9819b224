"""device/session.py: a session with this machine."""

from pathlib import Path

import pytest

from edgekd.device.session import Session


def test_a_session_starts_agents_side_by_side(session: Session) -> None:
    """Each a process of its own, that tells about this machine."""
    with session.start() as first, session.start() as second:
        assert first.pid != second.pid
        assert first.ask("facts") == second.ask("facts")


def test_files_are_where_they_are(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On this machine a file's place is its own path, whatever folder the agent was started in."""
    monkeypatch.chdir(tmp_path)
    assert session.place(Path("f.onnx")) == str(tmp_path.resolve() / "f.onnx")
    assert session.fetch(str(tmp_path / "f.npy")) == tmp_path / "f.npy"

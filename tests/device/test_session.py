"""device/session.py: a session with this machine."""

from pathlib import Path

import onnx
import pytest
from onnx import helper

from edgekd.device.session import Session, refuse_external
from edgekd.errors import DeviceError
from tests.graphs import model, value, weight


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


def test_a_model_whose_weights_lie_beside_it_stays_here(tmp_path: Path) -> None:
    """Elsewhere they would be missing; one that holds them may go, and so may any other file."""
    made = model([helper.make_node("MatMul", ["x", "w"], ["y"])], [value("x", 1, 40)], [value("y", 1, 30)], [weight("w", 40, 30)])
    onnx.save(made, tmp_path / "one.onnx")
    made.metadata_props.add(key="location", value="the lab")
    onnx.save(made, tmp_path / "told.onnx")
    onnx.save(made, tmp_path / "two.onnx", save_as_external_data=True, location="two.bin", size_threshold=0)
    (tmp_path / "broken.onnx").write_bytes(b"location")
    for name in ("one.onnx", "two.bin", "told.onnx", "broken.onnx"):
        refuse_external(tmp_path / name)
    with pytest.raises(DeviceError, match=r"two\.onnx keeps weights in files beside it"):
        refuse_external(tmp_path / "two.onnx")


def test_a_link_is_opened_where_it_lies(session: Session, tmp_path: Path) -> None:
    """And not where it leads: what a model keeps beside it lies beside the link."""
    (tmp_path / "blob").write_bytes(b"x")
    (tmp_path / "m.onnx").symlink_to("blob")
    assert session.place(tmp_path / "m.onnx") == str(tmp_path / "m.onnx")

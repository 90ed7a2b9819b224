"""device/agent/enginecache.py: an engine is built once for what it is made of, and opened only while its table vouches for it."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto

from edgekd.device.agent import enginecache, trt, trtexec
from edgekd.device.agent.protocol import RefusedError
from tests.device.agent.gpu import Gpu, imported
from tests.device.agent.gpu import trtexec as made_up
from tests.device.nets import passing


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Rows of 3 numbers."""
    return str(passing(tmp_path / "f.onnx", {"x": (TensorProto.FLOAT, ["n", 3])}))


def built(file: str, folder: Path, **other: Any) -> dict[str, Any]:
    """An engine of it in a folder of engines."""
    return enginecache.engine(file, "tensorrt", **{"batches": (1, 1, 8), "folder": str(folder / "engines"), **other})


def test_an_engine_is_built_once(fake: Gpu, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its table says what it is made of; asked for again, it stands."""
    imported(monkeypatch)
    steps: list[Any] = []
    first = built(file, tmp_path, tell=lambda **facts: steps.append(facts))
    assert (first["library"], first["version"], first["by"], first["gpu"]) == ("tensorrt", "10.3.0", "python", "Fake GPU 8 (8.7)")
    assert (first["batches"], first["profile"], first["cached"]) == ([1, 1, 8], {"x": [[1, 3], [1, 3], [8, 3]]}, False)
    assert steps[-1] == {"what": "Building Engine", "done": 3, "total": 3}
    second = built(file, tmp_path)
    assert second == {**first, "cached": True}
    kept = enginecache.standing(file, "tensorrt", (1, 1, 8), folder=str(tmp_path / "engines"))
    assert str(kept.path) == first["path"]
    assert kept.path.stat().st_size == first["size"]
    assert not list((tmp_path / "engines").glob("*.part"))


def test_another_of_anything_is_another_engine(fake: Gpu, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another file, version, batch, workspace or builder."""
    imported(monkeypatch)
    other = str(passing(tmp_path / "g.onnx", {"x": (TensorProto.FLOAT, ["n", 4])}))
    found = [built(file, tmp_path), built(other, tmp_path), built(file, tmp_path, batches=(1, 2, 8)), built(file, tmp_path, workspace=2**20)]
    imported(monkeypatch, "11.1.0")
    found.append(built(file, tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)
    monkeypatch.setattr(trtexec, "found", lambda: str(made_up(tmp_path)))
    found.append(built(file, tmp_path))
    assert len({each["path"] for each in found}) == 6
    assert [each["by"] for each in found[-2:]] == ["python", "trtexec"]


@pytest.mark.parametrize("damage", ["engine", "table", "no table", "another's table"])
def test_what_is_not_vouched_for_is_not_opened(fake: Gpu, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    """An engine that was changed, or whose table was: it is built anew."""
    imported(monkeypatch)
    first = built(file, tmp_path)
    engine, table = Path(first["path"]), Path(first["path"] + ".json")
    if damage == "engine":
        engine.write_bytes(engine.read_bytes()[:-1] + b"x")
    elif damage == "table":
        table.write_text("{")
    elif damage == "no table":
        table.unlink()
    else:
        table.write_text(json.dumps({**json.loads(table.read_text()), "onnx": "0" * 64}))
    with pytest.raises(RefusedError, match=r"no engine of .*f\.onnx stands here; the job `engine` comes first"):
        enginecache.standing(file, "tensorrt", (1, 1, 8), folder=str(tmp_path / "engines"))
    assert built(file, tmp_path) == {**first, "cached": False, "seconds": pytest.approx(0, abs=60)}
    assert enginecache.standing(file, "tensorrt", (1, 1, 8), folder=str(tmp_path / "engines")).table["sha256"] == first["sha256"]


def test_by_trtexec_where_python_has_no_tensorrt(fake: Gpu, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the seconds that it tells, and shapes only for inputs whose batch is open."""
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)
    monkeypatch.setattr(trtexec, "found", lambda: str(made_up(tmp_path)))
    told: list[Any] = []
    table = built(file, tmp_path, tell=lambda **facts: told.append(facts))
    assert (table["by"], table["version"], table["seconds"]) == ("trtexec", "10.3.0", 12.5)
    assert told[0]["what"] == "trtexec"
    given = json.loads(Path(table["path"]).read_text())
    assert (given["minShapes"], given["maxShapes"]) == ("x:1x3", "x:8x3")
    open_too = str(passing(tmp_path / "g.onnx", {"x": (TensorProto.FLOAT, ["n", "h"])}))
    with pytest.raises(RefusedError, match="only the batch of x may be open"):
        built(open_too, tmp_path)


def test_neither_bindings_nor_a_tool(fake: Gpu, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines that help, on a Jetson and elsewhere."""
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)
    monkeypatch.setitem(__import__("sys").modules, "tensorrt_rtx", None)
    monkeypatch.setattr(trtexec, "found", lambda: None)
    with pytest.raises(RefusedError, match=r"there is no tensorrt for Python here .* and no trtexec\. On a Jetson: sudo apt install .*pip install"):
        built(file, tmp_path)
    with pytest.raises(RefusedError, match=r"there is no tensorrt_rtx for Python here .*\. Install it: pip install 'edgekd\[rtx\]'"):
        enginecache.engine(file, "tensorrt_rtx", (1, 1, 1), folder=str(tmp_path))


def test_a_builder_that_is_stopped(fake: Gpu, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its monitor, as soon as its time is up; nothing of it stays."""
    module = imported(monkeypatch)
    monkeypatch.setattr(enginecache, "BUILD_S", 0.0)
    with pytest.raises(RefusedError, match="the engine must be built within 0 s and was not; its builder was stopped"):
        built(file, tmp_path)
    assert module.STEPS == ["step 0"]
    assert list((tmp_path / "engines").iterdir()) == []


def test_timings_are_kept_from_build_to_build(fake: Gpu, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By library and version."""
    imported(monkeypatch)
    for workspace in (2**20, 2**21):
        built(file, tmp_path, workspace=workspace)
    assert (tmp_path / "engines" / "tensorrt-10.3.0.timings").read_bytes() == b"timed timed "


def test_what_nobody_asks_for_goes(fake: Gpu, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a month, when another is built; what was asked for meanwhile stays."""
    imported(monkeypatch)
    old, used = built(file, tmp_path), built(file, tmp_path, workspace=2**20)
    for path in (old["path"], used["path"]):
        os.utime(path, (time.time() - 40 * 86400,) * 2)
    built(file, tmp_path, workspace=2**20)
    built(file, tmp_path, workspace=2**21)
    assert not Path(old["path"]).exists()
    assert Path(used["path"]).exists()


def test_a_failed_build_leaves_nothing(fake: Gpu, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No half an engine under a good name."""
    imported(monkeypatch)

    def torn(path: str, out: str, *rest: object) -> dict[str, Any]:
        Path(out).write_bytes(b"half")
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(trt, "build", torn)
    with pytest.raises(RuntimeError, match="the disk is full"):
        built(file, tmp_path)
    assert list((tmp_path / "engines").iterdir()) == []

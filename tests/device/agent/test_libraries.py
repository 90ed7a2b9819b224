"""device/agent/libraries.py: where TensorRT 10, TensorRT 11 and TensorRT for RTX differ: the last for real, the others by their documented names."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from edgekd.device.agent import libraries
from edgekd.device.agent.protocol import RefusedError
from tests.device.agent.gpu import imported
from tests.needs import need_package


def test_an_old_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    """JetPack 5 has 8.5: an error that names JetPack 6."""
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", SimpleNamespace(__version__="8.5.2.2"))
    with pytest.raises(RefusedError, match=r"TensorRT 10 or newer, and this is 8\.5\.2\.2: JetPack 5 has it\. Upgrade the board to JetPack 6"):
        libraries.imported("tensorrt")
    with pytest.raises(RefusedError, match="engines are built by tensorrt or tensorrt_rtx, got 'os'"):
        libraries.imported("os")


@pytest.mark.parametrize(("version", "flags"), [("10.3.0", 2), ("10.16.2", 2), ("11.1.0", 0)])
def test_strongly_typed_networks(monkeypatch: pytest.MonkeyPatch, version: str, flags: int) -> None:
    """By a flag in 10; in 11 there are no others."""
    assert libraries.typed(imported(monkeypatch, version)) == flags


def test_the_library_for_rtx_cards() -> None:
    """It takes a strongly typed network by whatever flags it has, knows chips by name, and has all that running an engine calls."""
    need_package("tensorrt_rtx")
    trt = libraries.imported("tensorrt_rtx")
    log = libraries.log(trt)
    builder = trt.Builder(log)
    network = builder.create_network(libraries.typed(trt))
    config = builder.create_builder_config()
    assert libraries.set_chips(trt, config, ["8.6", "12.0"]) == ["8.6", "12.0"]
    with pytest.raises(RefusedError, match=r"TensorRT-RTX [\d.]+ knows no chip 8\.7; it knows .*SM89"):
        libraries.set_chips(trt, config, ["8.7"])
    assert libraries.set_timings(config, "tensorrt_rtx", "unused") is None
    for kind, names in {
        trt.Runtime: ["deserialize_cuda_engine"],
        trt.ICudaEngine: [
            *("num_io_tensors", "get_tensor_name", "get_tensor_mode", "get_tensor_dtype", "get_tensor_shape", "get_tensor_profile_shape"),
            "create_execution_context",
        ],
        trt.IExecutionContext: ["set_input_shape", "get_tensor_shape", "set_tensor_address", "execute_async_v3"],
    }.items():
        assert [name for name in names if not hasattr(kind, name)] == []
    assert trt.TensorIOMode.INPUT != trt.TensorIOMode.OUTPUT
    assert str(trt.DataType.FLOAT).rpartition(".")[2] == "FLOAT"
    del network


def test_chips_are_for_cards_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """tensorrt proper builds for the GPU at hand."""
    trt = imported(monkeypatch)
    config = trt.Builder(libraries.log(trt)).create_builder_config()
    with pytest.raises(RefusedError, match="tensorrt builds for the GPU at hand and for no other"):
        libraries.set_chips(trt, config, ["8.9"])
    assert libraries.set_chips(trt, config, []) == []


def test_timings_are_read_where_they_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was timed before goes into the next build."""
    trt = imported(monkeypatch)
    config = trt.Builder(libraries.log(trt)).create_builder_config()
    (tmp_path / "t").write_bytes(b"before ")
    cache = libraries.set_timings(config, "tensorrt", str(tmp_path / "t"))
    assert cache is not None
    assert cache.serialize() == b"before timed "
    assert libraries.set_timings(config, "tensorrt", None) is None

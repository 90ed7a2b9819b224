"""device/agent/libraries.py: where TensorRT 10, TensorRT 11 and TensorRT for RTX differ: the last for real, the others by their documented names."""

from pathlib import Path
from types import ModuleType, SimpleNamespace

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
    assert lacking(trt) == []
    assert str(trt.DataType.FLOAT).rpartition(".")[2] == "FLOAT"
    del network


CALLED = {
    "Runtime": ["deserialize_cuda_engine"],
    "Builder": ["create_network", "create_builder_config", "create_optimization_profile", "build_serialized_network"],
    "IBuilderConfig": ["set_memory_pool_limit", "add_optimization_profile", "progress_monitor", "profiling_verbosity"],
    "OnnxParser": ["parse", "num_errors", "get_error"],
    "ICudaEngine": [
        *("num_io_tensors", "get_tensor_name", "get_tensor_mode", "get_tensor_dtype", "get_tensor_shape", "get_tensor_profile_shape"),
        *("create_execution_context", "create_engine_inspector"),
    ],
    "EngineInspector": ["get_engine_information"],
    "LayerInformationFormat": ["JSON"],
    "IExecutionContext": ["set_input_shape", "get_tensor_shape", "set_tensor_address", "execute_async_v3"],
    "TensorIOMode": ["INPUT", "OUTPUT"],
    "MemoryPoolType": ["WORKSPACE"],
    "ProfilingVerbosity": ["DETAILED"],
}
"""What building and running an engine calls, by class."""


def lacking(library: ModuleType) -> list[str]:
    """What of it a library does not have."""
    return [f"{kind}.{name}" for kind, names in CALLED.items() for name in names if not hasattr(getattr(library, kind, None), name)]


@pytest.mark.trt
def test_tensorrt_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has all that is called, and a cache of timings; the made-up library of the other tests has no class or name that the real one lacks."""
    need_package("tensorrt")
    trt = libraries.imported("tensorrt")
    assert lacking(trt) == []
    assert hasattr(trt.IBuilderConfig, "create_timing_cache")
    made_up = imported(monkeypatch, trt.__version__)
    kinds = {name: kind for name, kind in vars(made_up).items() if isinstance(kind, type) and kind.__module__ == "tensorrt" and name[0] != "_"}
    names = [(kind, name) for kind, members in kinds.items() for name in vars(members) if name[0] != "_"]
    untrue = [f"{kind}.{name}" for kind, name in names if not hasattr(getattr(trt, kind, None), name)]
    assert untrue == []


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

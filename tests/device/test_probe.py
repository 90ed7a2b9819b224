"""device/probe.py: facts of a machine → a target that reads back, on this machine and on those that only facts are known of."""

from pathlib import Path
from typing import Any

import pytest

from edgekd import target
from edgekd.device import probe
from edgekd.device.session import Session

CPU: dict[str, Any] = {
    "cpu": 'Example "Four" 4000',
    "cores": 4,
    "memory": 16_000_000_000,
    "instructions": ["avx2"],
    "gpu": None,
    "gpu_memory": None,
    "compute_capability": None,
    "tensorrt": None,
}
CARD = {**CPU, "gpu": "NVIDIA Example 4000", "gpu_memory": 24_000_000_000, "compute_capability": "8.9"}
ORIN = {**CPU, "cpu": "NVIDIA Orin Example, Cortex-A78AE", "l4t": "36.4.3", "tensorrt": "10.3.0", "power_mode": "MAXN_SUPER (2)", "gpu": "Orin"}
COPIED = {"bytes_per_s": 12_345_678_901.0, "size": 512_000_000, "threads": 4}


def back(tmp_path: Path, found: target.Target) -> target.Target:
    """As it reads from its file."""
    file = tmp_path / f"{found.name}.toml"
    file.write_text(probe.text(found))
    return target.load(str(file))


def test_a_processor(tmp_path: Path) -> None:
    """By ONNX Runtime, fp32 first where INT8 has no instructions of its own; its bandwidth is measured and says so."""
    found = back(tmp_path, probe.described("box", CPU, ["CPUExecutionProvider"], COPIED))
    assert (found.runtime, found.provider, found.precisions[0], found.int8) == ("onnxruntime", "CPUExecutionProvider", "fp32", "int8-cpu")
    assert (found.chip.bandwidth, found.chip.memory, found.chip.peak_fp16) == (12.3e9, 16_000_000_000, None)
    assert found.chip.source.startswith("measured: 512 MB copied by 4 threads")
    assert (found.fits, found.tested) == (['Example "Four" 4000'], False)
    assert probe.described("box", {**CPU, "instructions": ["avx512_vnni"]}, [], COPIED).precisions[0] == "int8-cpu"


def test_a_card(tmp_path: Path) -> None:
    """By ONNX Runtime where its build can, by TensorRT where that is there; no bandwidth, which the CPU's copy does not show."""
    by_ort = back(tmp_path, probe.described("card", CARD, ["CUDAExecutionProvider", "CPUExecutionProvider"], None))
    assert (by_ort.provider, by_ort.compute_capability, by_ort.chip.memory, by_ort.chip.bandwidth) == ("CUDAExecutionProvider", "8.9", 24e9, None)
    assert back(tmp_path, probe.described("card", {**CARD, "tensorrt": "10.3.0"}, [], None)).runtime == "tensorrt"
    assert probe.described("card", CARD, ["CPUExecutionProvider"], COPIED).provider == "CPUExecutionProvider"


def test_a_jetson(tmp_path: Path) -> None:
    """By TensorRT, in the mode that stands, with the memory that CPU and GPU share."""
    found = back(tmp_path, probe.described("orin", ORIN, ["CPUExecutionProvider"], None))
    assert (found.runtime, found.provider, found.power_mode, found.chip.memory) == ("tensorrt", "TensorRT", "MAXN_SUPER", 16_000_000_000)
    assert found.fits == ["NVIDIA Orin Example, Cortex-A78AE"]


def test_this_machine(session: Session, tmp_path: Path) -> None:
    """Probed through an agent; its memory is faster than a network and slower than light."""
    found = back(tmp_path, probe.probe(session, "here"))
    assert found.provider == "CPUExecutionProvider" or found.compute_capability is not None
    if found.chip.bandwidth is not None:
        assert 1e8 < found.chip.bandwidth < 1e13


@pytest.mark.parametrize("name", ['a"b', "Größe ✓", "back\\slash", "new\nline"])
def test_hostile_names_stay_names(tmp_path: Path, name: str) -> None:
    """Whatever a machine calls its processor, the file reads back."""
    assert back(tmp_path, probe.described("box", {**CPU, "cpu": name}, [], None)).fits == [name]

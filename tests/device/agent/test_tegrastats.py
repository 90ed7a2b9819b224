"""device/agent/tegrastats.py: lines of releases 35, 36, 38 and 39 (synthetic, see synthetic/README.md), and whatever else may stand there."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.device.agent import tegrastats
from edgekd.device.agent.tegrastats import Tegra, parse

LINES = {file.stem.removeprefix("tegrastats-"): file.read_text().strip() for file in Path(__file__).parent.glob("synthetic/*.txt")}


def seen(name: str) -> Tegra:
    """The figures of one of the lines."""
    found = parse(LINES[name])
    assert found is not None
    return found


def test_release_35_as_root() -> None:
    """Clocks without brackets, two clusters of their own, sensors and cores that are off, rails that nothing hangs on."""
    found = seen("r35-agx-orin-root")
    assert (found.ram_used_mb, found.ram_total_mb) == (4120, 30536)
    assert (found.cpu_load[:4], found.cpu_mhz[:4]) == ([0.12, 0.0, None, None], [1113, 1113, None, None])
    assert (found.memory_load, found.memory_mhz, found.gpu_load, found.gpu_mhz) == (0.06, 3199, 0.38, [611])
    assert found.temperature_c == {"cpu": 44.5, "tboard": 33, "soc2": 41.125, "tdiode": 33.25, "soc0": 42, "gpu": 40.75, "tj": 44.5, "soc1": 41.5}
    assert found.milliwatts == {"VDD_GPU_SOC": 3204, "VDD_CPU_CV": 802, "VIN_SYS_5V0": 4236, "VDDQ_VDD2_1V8AO": 403}


def test_release_35_as_a_user() -> None:
    """Neither clocks nor powers."""
    found = seen("r35-agx-orin-user")
    assert (found.cpu_mhz, found.memory_mhz, found.gpu_load, found.gpu_mhz, found.milliwatts) == ([None] * 4, None, 0.38, [], {})


def test_release_36() -> None:
    """One cluster in brackets, sensors in lower case."""
    found = seen("r36-orin-nano-root")
    assert (found.gpu_load, found.gpu_mhz, found.memory_mhz, found.temperature_c["gpu"]) == (0.87, [1020], 2133, 55.9)
    assert found.milliwatts == {"VDD_IN": 14120, "VDD_CPU_GPU_CV": 6120, "VDD_SOC": 3110}


def test_release_38_and_39() -> None:
    """No load on Thor; temperatures and powers in two and three numbers, of which the first is of now; no swap."""
    thor, orin = seen("r38-thor-root"), seen("r39-agx-orin-root")
    assert (thor.gpu_load, thor.gpu_mhz, thor.milliwatts["VIN"], thor.temperature_c["tj"]) == (None, [1575, 1574, 1573], 19400, 42.0)
    assert (orin.gpu_load, orin.gpu_mhz, orin.milliwatts["VDD_CPU_CV"], orin.temperature_c["tj"]) == (0.12, [1300, 1298], 1200, 53.1)


def test_powers_without_their_unit() -> None:
    """As boards before Orin print them; neither memory nor swap is a rail."""
    found = parse("RAM 100/200MB (lfb 1x1MB) SWAP 1/2MB CPU [1%@3] GR3D_FREQ 5%@114 VDD_IN 5297/5301 GPU 77/80 VIC_FREQ 115 APE 150")
    assert found is not None
    assert found.milliwatts == {"VDD_IN": 5297, "GPU": 77}


@given(st.text(max_size=200), st.sampled_from(sorted(LINES)), st.integers(0, 400), st.integers(0, 400))
def test_anything_else_is_no_error(text: str, name: str, begin: int, end: int) -> None:
    """Any text, and a line with a hole or something in its middle: figures or None."""
    line = LINES[name]
    for given_line in (text, line[:begin] + text + line[end:]):
        found = parse(given_line)
        assert found is None or all(-256 < value for value in found.temperature_c.values())


def test_the_tool_is_asked_for_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And ended; None where there is no such tool, where it prints nothing, and where it hangs."""
    tool = tmp_path / "tegrastats"
    tool.write_text(f"#!/bin/sh\n[ \"$1\" = --interval ] && while echo '{LINES['r36-orin-nano-root']}'; do sleep 1; done\n")
    tool.chmod(0o755)
    assert tegrastats.line_now(str(tool)) == LINES["r36-orin-nano-root"]
    tool.write_text("#!/bin/sh\nexit 1\n")
    assert tegrastats.line_now(str(tool)) is None
    monkeypatch.setattr(tegrastats, "LINE_S", 0.1)
    tool.write_text("#!/bin/sh\nexec sleep 30\n")
    assert tegrastats.line_now(str(tool)) is None
    monkeypatch.setenv("PATH", "/nowhere")
    assert tegrastats.line_now() is None

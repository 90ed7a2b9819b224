"""device/agent/jetson.py: a Jetson's own words, and silence on any other machine."""

from pathlib import Path

import pytest

from edgekd.device.agent import jetson, tegrastats
from edgekd.device.agent.jetson import PowerMode
from tests.device.agent.test_machine import put
from tests.device.agent.test_tegrastats import LINES

R36 = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025\n# KERNEL_VARIANT: oot\n"
R39 = "# R39 (release), REVISION: 2.0, GCID: 45755727, BOARD: generic, EABI: aarch64, DATE: Mon Jun  1 09:28:48 PM UTC 2026\n"


def board(root: Path, compatible: str = "nvidia,p3767-0005\0nvidia,tegra234\0") -> Path:
    """A root folder with a device tree."""
    put(root, "sys/firmware/devicetree/base/compatible", compatible)
    return root


@pytest.mark.parametrize(
    ("text", "l4t", "pack"),
    [
        (R36, "36.4.3", "6.2"),
        (R39, "39.2.0", "7.2"),
        (R36.replace("4.3", "4.0"), "36.4.0", "6.1"),
        (R36.replace("R36", "R35").replace("4.3", "4.1"), "35.4.1", "5.1.2"),
        (R36.replace("R36", "R41"), "41.4.3", None),
        ("", None, None),
        ("something else", None, None),
    ],
)
def test_a_release(tmp_path: Path, text: str, l4t: str | None, pack: str | None) -> None:
    """L4T from its own file, JetPack by the archive's list; a release that is not listed has no name."""
    put(board(tmp_path), "etc/nv_tegra_release", text)
    facts = jetson.facts(tmp_path)
    assert (facts["l4t"], facts["jetpack"]) == (l4t, pack)


def test_a_release_that_only_begins_alike() -> None:
    """35.10 is no 35.1."""
    assert (jetson.jetpack("35.1.0"), jetson.jetpack("35.10")) == ("5.0.2", None)


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("NV Power Mode: MODE_30W\n2\n", PowerMode("MODE_30W", 2)),
        ("NVPM WARN: fan mode is not set!\nNV Power Mode: MAXN_SUPER\n2\n", PowerMode("MAXN_SUPER", 2)),
        ("NV Power Mode: 5W\n1\nNVPM ERROR: Error opening /sys/kernel/nvpmodel_emc_cap/emc_iso_cap: 13\n", PowerMode("5W", 1)),
        ("NV Power Mode: 15W\r\n0\r\n", PowerMode("15W", 0)),
        ("NVPM ERROR: failed to read\n", None),
        ("NV Power Mode: 15W", None),
        ("", None),
    ],
)
def test_a_power_mode(text: str, mode: PowerMode | None) -> None:
    """The line that names it and the number under it, whatever warnings stand around (synthetic, after what boards were seen to print)."""
    assert jetson.power_mode(text) == mode


def test_any_other_machine_tells_nothing(tmp_path: Path) -> None:
    """Neither one without a device tree nor another maker's board."""
    assert jetson.facts(tmp_path) == {}
    assert jetson.facts(board(tmp_path, "raspberrypi,5-model-b\0brcm,bcm2712\0")) == {}


def test_the_tool_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name and number; None where it fails or is not there."""
    tool = tmp_path / "nvpmodel"
    tool.write_text("#!/bin/sh\n[ \"$1\" = -q ] && printf 'NV Power Mode: 15W\\n0\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert str(jetson.asked_power_mode()) == "15W (0)"
    assert jetson.facts(board(tmp_path))["power_mode"] == "15W (0)"
    tool.write_text("#!/bin/sh\nexit 1\n")
    assert jetson.asked_power_mode() is None
    monkeypatch.setenv("PATH", "/nowhere")
    assert jetson.asked_power_mode() is None


CONF = """# Written for tests.
< PARAM TYPE=FILE NAME=CPU_ONLINE >
CORE_0 /sys/devices/system/cpu/cpu0/online
< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
# < POWER_MODEL ID=9 NAME=NONE >
< POWER_MODEL ID=2 NAME=MAXN_SUPER >
< PM_CONFIG DEFAULT=0 >
"""


def clocks(root: Path, least: int, most: int = 1510400) -> Path:
    """Two clusters of processors and a GPU that may run between these clocks."""
    for policy in ("policy0", "policy4"):
        put(root, f"sys/devices/system/cpu/cpufreq/{policy}/scaling_min_freq", f"{least}\n")
        put(root, f"sys/devices/system/cpu/cpufreq/{policy}/scaling_max_freq", f"{most}\n")
    put(root, "sys/class/devfreq/17000000.gpu/min_freq", f"{least}000\n")
    put(root, "sys/class/devfreq/17000000.gpu/max_freq", f"{most}000\n")
    put(root, "sys/class/devfreq/17000000.gpu/cur_freq", "624750000\n")
    return root


def test_modes_of_a_board(tmp_path: Path) -> None:
    """Those that are defined and not those in remarks; the one that stands is written down."""
    put(tmp_path, "etc/nvpmodel.conf", CONF)
    assert jetson.power_modes(tmp_path) == [PowerMode("15W", 0), PowerMode("MAXN_SUPER", 2)]
    assert jetson.noted_power_mode(tmp_path) is None
    put(tmp_path, "var/lib/nvpmodel/status", "pmode:0002\n")
    assert str(jetson.noted_power_mode(tmp_path)) == "MAXN_SUPER (2)"
    put(tmp_path, "var/lib/nvpmodel/status", "pmode:0007\n")
    assert jetson.noted_power_mode(tmp_path) is None
    assert jetson.power_modes(tmp_path / "nowhere") == []


def test_locked_clocks(tmp_path: Path) -> None:
    """One clock and no other is allowed, to each cluster and the GPU; a machine that does not tell is not locked for that."""
    assert jetson.clocks_locked(tmp_path) is None
    assert jetson.clocks_locked(clocks(tmp_path, 729600)) is False
    assert jetson.clocks_locked(clocks(tmp_path, 1510400)) is True
    put(tmp_path, "sys/class/devfreq/17000000.gpu/min_freq", "306000000\n")
    assert jetson.clocks_locked(tmp_path) is False


def test_how_a_board_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mode, locks, the GPU's clock, over-currents by alarm; and, where it is asked for, the monitor's own line."""
    root = board(clocks(tmp_path, 729600))
    put(root, "etc/nvpmodel.conf", CONF)
    put(root, "var/lib/nvpmodel/status", "pmode:0000\n")
    put(root, "sys/class/hwmon/hwmon1/oc1_event_cnt", "0\n")
    put(root, "sys/class/hwmon/hwmon1/oc3_event_cnt", "17\n")
    monkeypatch.setattr(tegrastats, "line_now", lambda: LINES["r36-orin-nano-root"])
    plain = {
        "power_mode": "15W (0)",
        "clocks_locked": False,
        "counts": {"the board was slowed by over-current (oc1)": 0, "the board was slowed by over-current (oc3)": 17},
        "gpu_mhz": 624.75,
    }
    assert jetson.state(root) == plain
    assert jetson.state(root, raw=True) == {**plain, "raw": LINES["r36-orin-nano-root"], "memory_mhz": 2133}
    (root / "sys/class/devfreq/17000000.gpu/cur_freq").unlink()
    assert jetson.state(root, raw=True)["gpu_mhz"] == 1020
    assert jetson.state(tmp_path / "elsewhere", raw=True) == {}

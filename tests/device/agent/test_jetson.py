"""device/agent/jetson.py: a Jetson's own words, and silence on any other machine."""

from pathlib import Path

import pytest

from edgekd.device.agent import jetson
from edgekd.device.agent.jetson import PowerMode
from tests.device.agent.test_machine import put

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

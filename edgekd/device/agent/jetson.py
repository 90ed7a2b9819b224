"""What a Jetson tells about itself: its release, its board, its power mode, and how it runs just now. Any other machine tells nothing of it.

Every function takes `root`, the folder that /proc, /sys and /etc stand in, or the text of a tool. Formats as NVIDIA's L4T documentation describes
them, and as boards of releases 35, 36 and 39 were seen to print them.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from . import tegrastats
from .machine import ROOT, number, read

JETPACKS = {
    **{"35.1": "5.0.2", "35.2": "5.1", "35.3": "5.1.1", "35.4": "5.1.2", "35.5": "5.1.3", "35.6": "5.1.4"},
    **{"36.2": "6.0 DP", "36.3": "6.0", "36.4.0": "6.1", "36.4.3": "6.2", "36.4.4": "6.2.1", "38.2": "7.0", "39.2": "7.2"},
}
"""JetPack by the release of its Linux (L4T), as NVIDIA's archive lists them; the longest match holds."""
TOOL_S = 10.0
"""How long a tool may take."""


class PowerMode(NamedTuple):
    """A mode of nvpmodel: numbers mean something else on each board, so that both are told."""

    name: str
    number: int

    def __str__(self) -> str:
        return "{} ({})".format(self.name, self.number)


def is_jetson(root: Path = ROOT) -> bool:
    """By the chip that the device tree names: boards' names differ too much."""
    for place in ("proc/device-tree/compatible", "sys/firmware/devicetree/base/compatible"):
        if "tegra" in (read(root / place) or ""):
            return True
    return False


def release(text: str) -> Optional[str]:
    """L4T's release, as in 36.4.3, from the first line of /etc/nv_tegra_release."""
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", text)
    return "{}.{}".format(found.group(1), found.group(2)) if found else None


def jetpack(l4t: str) -> Optional[str]:
    """JetPack of a release of L4T; None for one that is not known here."""
    fitting = [known for known in JETPACKS if l4t == known or l4t.startswith(known + ".")]
    return JETPACKS[max(fitting, key=len)] if fitting else None


def power_mode(text: str) -> Optional[PowerMode]:
    """The mode in what `nvpmodel -q` prints: a line that names it, its number on the next; warnings may stand around them."""
    lines = [line.strip() for line in text.splitlines()]
    for at, line in enumerate(lines):
        found = re.match(r"NV Power Mode: *(\S+)", line)
        if found and at + 1 < len(lines) and lines[at + 1].isdigit():
            return PowerMode(found.group(1), int(lines[at + 1]))
    return None


def asked_power_mode() -> Optional[PowerMode]:
    """The mode that nvpmodel tells now; None where there is no such tool, or it tells none."""
    tool = shutil.which("nvpmodel")
    if tool is None:
        return None
    try:
        done = subprocess.run([tool, "-q"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=TOOL_S)
    except (OSError, subprocess.SubprocessError):
        return None
    return power_mode(done.stdout.decode(errors="replace"))


def power_modes(root: Path = ROOT) -> List[PowerMode]:
    """The modes that this board has, as its nvpmodel.conf defines them; none where it does not read."""
    found = re.findall(r"^\s*<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+?)\s*>", read(root / "etc/nvpmodel.conf") or "", re.MULTILINE)
    return [PowerMode(name, int(ident)) for ident, name in found]


def noted_power_mode(root: Path = ROOT) -> Optional[PowerMode]:
    """The mode that nvpmodel wrote down last, which costs no process to ask."""
    found = re.search(r"pmode:0*(\d+)", read(root / "var/lib/nvpmodel/status") or "")
    names = {mode.number: mode for mode in power_modes(root)}
    return None if found is None else names.get(int(found.group(1)))


def facts(root: Path = ROOT) -> Dict[str, Any]:
    """Release, JetPack, power mode, and whether jetson_clocks is on; nothing of a machine that is no Jetson."""
    if not is_jetson(root):
        return {}
    l4t = release(read(root / "etc/nv_tegra_release") or "")
    mode = asked_power_mode() or noted_power_mode(root)
    return {
        "l4t": l4t,
        "jetpack": None if l4t is None else jetpack(l4t),
        "power_mode": None if mode is None else str(mode),
        "clocks_locked": clocks_locked(root),
    }


# State ----------------------------------------------------------------------------------------------------------------


def state(root: Path = ROOT, *, raw: bool = False) -> Dict[str, Any]:
    """How it runs just now; nothing of a machine that is no Jetson.

    Power mode, whether clocks are locked, MHz of the GPU, and how often over-current slowed it. `raw` also asks tegrastats, which takes a tenth of a
    second: its line as it is, and the memory's clock in it.
    """
    if not is_jetson(root):
        return {}
    mode = noted_power_mode(root)
    told: Dict[str, Any] = {
        "power_mode": None if mode is None else str(mode),
        "clocks_locked": clocks_locked(root),
        "counts": {"the board was slowed by over-current ({})".format(name): count for name, count in over_currents(root).items()},
    }
    clock = gpu_mhz(root)
    line = tegrastats.line_now() if raw else None
    seen = tegrastats.parse(line) if line else None
    if seen is not None:
        told.update(raw=line, memory_mhz=seen.memory_mhz)
        clock = max(seen.gpu_mhz) if clock is None and seen.gpu_mhz else clock
    if clock is not None:
        told["gpu_mhz"] = clock
    return told


def gpu_folder(root: Path = ROOT) -> Optional[Path]:
    """Where the kernel scales the GPU's clock: named by its address and kind, on Thor by its cluster."""
    for place in sorted((root / "sys/class/devfreq").glob("*")):
        if place.name.endswith((".gpu", ".ga10b", ".gv11b")) or place.name.startswith("gpu-gpc"):
            return place
    return None


def gpu_mhz(root: Path = ROOT) -> Optional[float]:
    """The GPU's clock now."""
    place = gpu_folder(root)
    hertz = None if place is None else number(place / "cur_freq")
    return None if hertz is None else hertz / 1e6


def clocks_locked(root: Path = ROOT) -> Optional[bool]:
    """Whether least and largest clock are one for each processor and the GPU, as jetson_clocks leaves them; None where they are not told."""
    places = [(place, "scaling_min_freq", "scaling_max_freq") for place in (root / "sys/devices/system/cpu/cpufreq").glob("policy*")]
    gpu = gpu_folder(root)
    places += [] if gpu is None else [(gpu, "min_freq", "max_freq")]
    ends = [(number(place / least), number(place / most)) for place, least, most in places]
    known = [(least, most) for least, most in ends if least is not None and most is not None]
    return all(least == most for least, most in known) if known else None


def over_currents(root: Path = ROOT) -> Dict[str, int]:
    """How often each over-current alarm slowed the board since it started, by the alarm's name."""
    found = {file.name[: -len("_event_cnt")]: number(file) for file in sorted((root / "sys/class/hwmon").glob("hwmon*/oc*_event_cnt"))}
    return {name: int(count) for name, count in found.items() if count is not None}

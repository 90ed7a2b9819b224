"""What a Jetson tells about itself: its release, its board, its power mode. On any other machine all of it is None.

Every function takes `root`, the folder that /proc, /sys and /etc stand in, or the text of a tool. Formats as NVIDIA's L4T documentation describes
them, and as boards of releases 35, 36 and 39 were seen to print them.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict, NamedTuple, Optional

from .machine import ROOT, read

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


def facts(root: Path = ROOT) -> Dict[str, Optional[str]]:
    """Release, JetPack and power mode; nothing of a machine that is no Jetson."""
    if not is_jetson(root):
        return {}
    l4t = release(read(root / "etc/nv_tegra_release") or "")
    mode = asked_power_mode()
    return {"l4t": l4t, "jetpack": None if l4t is None else jetpack(l4t), "power_mode": None if mode is None else str(mode)}

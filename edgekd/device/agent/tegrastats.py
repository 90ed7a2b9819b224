"""A line of tegrastats, the Jetsons' own monitor → its figures. Lines differ by board and release: what is not there is None or left out.

As releases 35, 36 and 38/39 print them: the date, SWAP and the powers may be missing (without root they mostly are), names come in either case, the
GPU's part in five shapes, a rail's power in one number or up to three. The raw line is kept by whoever asked.
"""

import re
import shutil
import subprocess
import threading
from typing import Dict, List, NamedTuple, Optional

OFF_C = -256.0
"""What a sensor tells that is off."""
LINE_S = 3.0
"""How long the tool may take to print a line."""


class Tegra(NamedTuple):
    """Figures of one line: megabytes, shares in [0, 1], MHz, °C by sensor (lower case), milliwatts by rail at that moment."""

    ram_used_mb: Optional[int]
    ram_total_mb: Optional[int]
    cpu_load: List[Optional[float]]
    """By core; None for one that is off."""
    cpu_mhz: List[Optional[int]]
    memory_load: Optional[float]
    memory_mhz: Optional[int]
    gpu_load: Optional[float]
    gpu_mhz: List[int]
    """By cluster; empty where it is not told."""
    temperature_c: Dict[str, float]
    milliwatts: Dict[str, int]


def parse(line: str) -> Optional[Tegra]:
    """The figures of a line; None where it is none of tegrastats'."""
    ram = re.search(r"\bRAM (\d+)/(\d+)MB", line)
    if ram is None:
        return None
    cores = [_core(core) for core in _inside(r"\bCPU \[([^\]]*)\]", line).split(",") if core.strip()]
    memory = re.search(r"\bEMC_FREQ (?:(\d+)%)?(?:@(\d+))?", line)
    gpu = re.search(r"\bGR3D_FREQ (?:(\d+)%)?(?:@\[?([\d,]*)\]?)?", line)
    clocks = gpu.group(2) if gpu else None
    return Tegra(
        ram_used_mb=int(ram.group(1)),
        ram_total_mb=int(ram.group(2)),
        cpu_load=[load for load, _ in cores],
        cpu_mhz=[mhz for _, mhz in cores],
        memory_load=_share(memory.group(1) if memory else None),
        memory_mhz=int(memory.group(2)) if memory and memory.group(2) else None,
        gpu_load=_share(gpu.group(1) if gpu else None),
        gpu_mhz=[int(mhz) for mhz in (clocks or "").split(",") if mhz],
        temperature_c=_temperatures(line),
        milliwatts=_powers(line),
    )


def line_now(tool: Optional[str] = None) -> Optional[str]:
    """A line of the tool on this machine; None where there is no such tool, or it prints none in time."""
    tool = tool or shutil.which("tegrastats")
    if tool is None:
        return None
    try:
        process = subprocess.Popen([tool, "--interval", "100"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        return None
    # It prints until it is killed: one that prints nothing is killed too, which ends the line that is waited for.
    watch = threading.Timer(LINE_S, process.kill)
    watch.start()
    assert process.stdout is not None
    try:
        return process.stdout.readline().decode(errors="replace").strip() or None
    finally:
        watch.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


def _inside(pattern: str, line: str) -> str:
    found = re.search(pattern, line)
    return found.group(1) if found else ""


def _core(text: str) -> "tuple[Optional[float], Optional[int]]":
    """Of `15%@729` or `off`."""
    found = re.match(r"\s*(\d+)%(?:@(\d+))?", text)
    if found is None:
        return None, None
    return _share(found.group(1)), int(found.group(2)) if found.group(2) else None


def _share(percent: Optional[str]) -> Optional[float]:
    return None if percent is None else int(percent) / 100


def _temperatures(line: str) -> Dict[str, float]:
    """Of `cpu@53.968C` and `tj@52.9C/52.9C`: the first number is of now."""
    found = {name.lower(): float(value) for name, value in re.findall(r"\b(\w+)@(-?\d+(?:\.\d+)?)C\b", line)}
    return {name: value for name, value in found.items() if value > OFF_C}


def _powers(line: str) -> Dict[str, int]:
    """Of `VDD_IN 12479mW/12479mW`, older `VDD_IN 5297/5297`: the first number is of now, further ones are means. Nothing hangs on NC."""
    found = re.findall(r"\b([A-Z][A-Z0-9_]*) (\d+)(?:mW(?:/\d+mW)*|(?:/\d+)+)(?=\s|$)", line)
    return {rail: int(now) for rail, now in found if rail != "NC"}

"""What machine this is and how it is just now, read from /proc and /sys; what they do not show is None or left out, never guessed.

Every function takes `root`, the folder that /proc and /sys stand in, so that recorded trees can be read.
"""

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from . import nvml

ROOT = Path("/")

FLAGS = (
    *("avx2", "f16c", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx_vnni_int8", "avx512_fp16", "avx512_bf16", "amx_tile", "amx_int8"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve"),
)
"""The instructions that decide how fast INT8 and FP16 run, as Linux names them (x86 above, Arm below)."""

ARM_PARTS = {
    **{"0xd03": "Cortex-A53", "0xd04": "Cortex-A35", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57", "0xd08": "Cortex-A72", "0xd09": "Cortex-A73"},
    **{"0xd0a": "Cortex-A75", "0xd0b": "Cortex-A76", "0xd41": "Cortex-A78", "0xd42": "Cortex-A78AE", "0xd44": "Cortex-X1", "0xd46": "Cortex-A510"},
    **{"0xd0c": "Neoverse-N1", "0xd40": "Neoverse-V1", "0xd49": "Neoverse-N2", "0xd4f": "Neoverse-V2", "0xd83": "Neoverse-V3AE"},
}
"""Arm's own part numbers (implementer 0x41), as its technical reference manuals give them in MIDR_EL1."""


def read(path: Path) -> Optional[str]:
    """A small file's text without blanks around it; None where it is not there or not ours to read."""
    try:
        return path.read_text(errors="replace").strip("\0 \n\t")
    except OSError:
        return None


def number(path: Path) -> Optional[float]:
    """A file that holds one number."""
    try:
        return float(read(path) or "")
    except ValueError:
        return None


def facts(root: Path = ROOT) -> Dict[str, Any]:
    """Identity: what must be equal before times of two machines may be compared. Memory in bytes, cores that this process may use."""
    fields = cpuinfo(root)
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    card = nvml.facts()
    gpu, driver = (card["gpu"], card["driver"]) if card["gpu"] else nvidia()
    return {
        "cpu": cpu_name(root, fields),
        "architecture": platform.machine(),
        "cores": cores(root),
        "memory": memory(root),
        "instructions": [flag for flag in FLAGS if flag in flags],
        **card,
        "gpu": gpu,
        "driver": driver,
        "system": system(root),
        "governor": read(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "python": platform.python_version(),
    }


def state(root: Path = ROOT) -> Dict[str, Any]:
    """How the machine is now: MHz by core, °C by sensor, load over one minute, how often it throttled, seconds of CPU time spent by all, free bytes.
    Where there is an NVIDIA card, also what it tells (`nvml.Card.state`)."""
    card = nvml.state()
    warmth = card.pop("gpu_c", None)
    return {
        "clock_mhz": clocks(root),
        "temperature_c": dict(temperatures(root), **({} if warmth is None else {"GPU": warmth})),
        "load": load(root),
        "throttles": throttles(root),
        "busy_s": busy(root),
        "memory_free": kib(root / "proc/meminfo", "MemAvailable"),
        **card,
    }


# Identity -------------------------------------------------------------------------------------------------------------


def cpuinfo(root: Path = ROOT) -> Dict[str, str]:
    """The first processor's fields in /proc/cpuinfo."""
    first = (read(root / "proc/cpuinfo") or "").split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def cpu_name(root: Path, fields: Dict[str, str]) -> str:
    """The processor's model; an Arm's is its board and its core."""
    if fields.get("model name"):
        return fields["model name"]
    part = fields.get("CPU part", "")
    core = ARM_PARTS.get(part) if fields.get("CPU implementer") == "0x41" else None
    board = read(root / "sys/firmware/devicetree/base/model")
    known = [name for name in (board, core or (part and "Arm part " + part)) if name]
    return ", ".join(known) or platform.processor() or platform.machine()


def allowed() -> List[int]:
    """The processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def cores(root: Path = ROOT) -> int:
    """Physical cores that this process may use: hyper-threads count once, a container's quota counts."""
    topology = root / "sys/devices/system/cpu"
    seen = set()
    for cpu in allowed():
        place = topology / "cpu{}".format(cpu) / "topology"
        # Core numbers begin anew in each cluster of an Arm; who shares a core is told alike everywhere.
        seen.add(read(place / "core_cpus_list") or read(place / "thread_siblings_list") or cpu)
    quota, period = _quota(root / "sys/fs/cgroup")
    if quota.isdigit() and period.isdigit() and int(period) > 0:
        return max(1, min(len(seen), -(-int(quota) // int(period))))
    return len(seen)


def _quota(groups: Path) -> Tuple[str, str]:
    """Microseconds of processors in a period of microseconds, as control groups state them, of version 2 or else 1; no digits where they do not."""
    told = read(groups / "cpu.max")
    if told is not None:
        quota, _, period = told.partition(" ")
        return quota, period
    return read(groups / "cpu/cpu.cfs_quota_us") or "", read(groups / "cpu/cpu.cfs_period_us") or ""


def memory(root: Path = ROOT) -> int:
    """Bytes of memory, a container's limit counted; 0 where unknown."""
    total = kib(root / "proc/meminfo", "MemTotal") or 0
    groups = root / "sys/fs/cgroup"
    limit = read(groups / "memory.max") or read(groups / "memory/memory.limit_in_bytes") or "max"
    return min(total, int(limit)) if limit.isdigit() and total else total


def system(root: Path = ROOT) -> str:
    """The operating system's name and release."""
    for line in (read(root / "etc/os-release") or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip("\"'")
    return "{} {}".format(platform.system(), platform.release())


def nvidia() -> "tuple[Optional[str], Optional[str]]":
    """The first NVIDIA card's name and its driver's version, as nvidia-smi tells them."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None, None
    command = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20, check=True).stdout.decode()
    except (OSError, subprocess.SubprocessError):
        return None, None
    name, _, driver = text.partition("\n")[0].partition(",")
    return name.strip() or None, driver.strip() or None


# State ----------------------------------------------------------------------------------------------------------------


def clocks(root: Path = ROOT) -> List[float]:
    """MHz of each processor that this process may use; empty where neither cpufreq nor /proc/cpuinfo tells."""
    told = [number(root / "sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq".format(cpu)) for cpu in allowed()]
    found = [khz / 1000 for khz in told if khz is not None]
    if found:
        return found
    lines = (read(root / "proc/cpuinfo") or "").splitlines()
    return [round(float(line.partition(":")[2]), 1) for line in lines if line.startswith("cpu MHz")]


def temperatures(root: Path = ROOT) -> Dict[str, float]:
    """°C by sensor. A sensor that is off says -256 and is left out."""
    found = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        millis = number(zone / "temp")
        if millis is not None and -50_000 < millis < 200_000:
            found[read(zone / "type") or zone.name] = millis / 1000
    return found


def load(root: Path = ROOT) -> Optional[float]:
    """Runnable processes over one minute."""
    first = (read(root / "proc/loadavg") or "").split(" ")[0]
    return float(first) if first else None


def throttles(root: Path = ROOT) -> Optional[int]:
    """How often any core was slowed for its heat since the machine started; None where the machine does not tell."""
    counts = [number(file) for file in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/*_throttle_count")]
    known = [count for count in counts if count is not None]
    return int(sum(known)) if known else None


def busy(root: Path = ROOT) -> Optional[float]:
    """Seconds of CPU time that all processes together have spent since the start, one second a core a second at most."""
    fields = (read(root / "proc/stat") or "").split("\n")[0].split()
    if len(fields) < 8 or not hasattr(os, "sysconf"):
        return None
    user, nice, kernel, _idle, _iowait, irq, softirq = (int(field) for field in fields[1:8])
    return (user + nice + kernel + irq + softirq) / os.sysconf("SC_CLK_TCK")


# This process ---------------------------------------------------------------------------------------------------------


def peak_memory(root: Path = ROOT) -> Optional[int]:
    """This process's largest resident memory so far, in bytes. Not getrusage's: that of a child starts at its parent's."""
    return kib(root / "proc/self/status", "VmHWM")


def forget_peak(root: Path = ROOT) -> None:
    """Let the largest resident memory start again from what is resident now, where the kernel allows it."""
    try:
        (root / "proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # then the peak of the import stands, and the difference is a little small


def kib(path: Path, field: str) -> Optional[int]:
    """A field such as `MemTotal:  123 kB`, in bytes."""
    for line in (read(path) or "").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return None

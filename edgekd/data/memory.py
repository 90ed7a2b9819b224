"""How much memory is free: on this machine, in its container, on a GPU. Nothing is allocated here."""

import os
import sys
from pathlib import Path

import torch

RESIDENT_SHARE = 0.25
"""Images stay in memory when they fit in this share of what is free: the rest is for networks, activations and other people's work."""


def free_bytes(device: torch.device | str = "cpu") -> int:
    """Bytes that a new allocation could have on a device."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(_machine_free(), _container_free())


def fits(nbytes: int, device: torch.device | str = "cpu") -> bool:
    """Whether so many bytes may stay on a device."""
    return nbytes <= RESIDENT_SHARE * free_bytes(device)


def _machine_free() -> int:
    """What the kernel says is available, caches that it would give up included."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 4 * 2**30


def _container_free() -> int:
    """What is left of a limit on this process's container, of control groups of version 2 or else 1."""
    folder = Path("/sys/fs/cgroup")
    for names in (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")):
        try:
            limit, used = ((folder / name).read_text(encoding="ascii").strip() for name in names)
        except OSError:
            continue
        return sys.maxsize if limit == "max" else max(0, int(limit) - int(used))
    return sys.maxsize  # no such limit here

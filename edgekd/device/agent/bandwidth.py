"""How fast this machine copies memory: bytes a second, read and written, by as many threads as it has cores."""

import threading
import time
from typing import Any, List

from .machine import ROOT, cores, kib
from .protocol import Answer

MOST = 256 * 1024 * 1024
"""Bytes that are copied at once at the most: more than caches hold, but for the largest servers'."""
TIMES = 4


def bandwidth() -> Answer:
    """The best of some copies; half of what is moved is read, half is written."""
    import numpy

    free = kib(ROOT / "proc/meminfo", "MemAvailable") or 8 * MOST
    size = max(1 << 20, min(MOST, free // 8)) // 8
    source, target = numpy.ones(size), numpy.zeros(size)
    threads = cores()
    bounds = [size * part // threads for part in range(threads + 1)]
    best = min(_copied(source, target, bounds) for _ in range(TIMES))
    return {"bytes_per_s": 2 * 8 * size / best, "size": 8 * size, "threads": threads}


def _copied(source: Any, target: Any, bounds: List[int]) -> float:
    """Seconds of one copy, each thread its own part."""
    import numpy

    parts = [threading.Thread(target=numpy.copyto, args=(target[begin:end], source[begin:end])) for begin, end in zip(bounds, bounds[1:])]
    begun = time.perf_counter()
    for part in parts:
        part.start()
    for part in parts:
        part.join()
    return time.perf_counter() - begun

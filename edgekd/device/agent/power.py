"""Energy that the machine counts or shows while something runs: processor packages (RAPL), a Jetson's rails (INA sensors), a GPU (NVML).

In: a `Meter` begun and ended around the work. Out: joules, which rail they were of, or the reason why there are none. Readings of different rails are
different things; a reading is never guessed.
"""

import threading
import time
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from . import nvml
from .machine import ROOT, number, read

SENSORS = ("ina3221", "ina3221x", "ina219", "ina226", "ina238", "ina2xx")
"""Names that the kernels of Jetsons give their power sensors."""
WHOLE = ("VDD_IN", "VIN")
"""Rails that all others hang on, where a board has such a one: then the others are parts of it."""
EVERY_S = 0.02
"""How often a sensor without a counter is read. It averages over some milliseconds itself."""


class Reading(NamedTuple):
    """Joules of a rail in so many seconds; None and the reason where nothing counts them."""

    joules: Optional[float]
    seconds: float
    rail: Optional[str]
    reason: Optional[str]


class Meter:
    """Counts from its making to `end`. `gpu`: the work is done by the first NVIDIA card, and so its energy is what counts."""

    def __init__(self, root: Path = ROOT, gpu: bool = False) -> None:
        self._root, self._begin = root, time.perf_counter()
        self._rails: Dict[str, Callable[[], Optional[float]]] = {}
        self._counter, self.rail, self.reason = _gpu_counter() if gpu else (None, None, None)
        self._counts: Dict[str, int] = {}
        if not gpu:
            self._rails = rails(root)
            if self._rails:
                self.rail = " + ".join(self._rails)
                self._sampler = Sampler(list(self._rails.values()))
            else:
                self._counts, reason = rapl(root)
                self.rail, self.reason = ("processor packages (RAPL)", None) if self._counts else (None, reason)
        self._first = self._counter() if self._counter is not None else None

    def end(self) -> Reading:
        """What was counted."""
        seconds = time.perf_counter() - self._begin
        found: Optional[float] = None
        if self._rails:
            found = self._sampler.end()
            if found is None:
                return Reading(None, seconds, None, "the power sensors of {} stopped answering".format(self.rail))
        elif self._counter is not None and self._first is not None:
            last = self._counter()
            found = None if last is None else last - self._first
        elif self._counts:
            found = joules(self._counts, rapl(self._root)[0], self._root)
        return Reading(found, seconds, self.rail if found is not None else None, self.reason)


# Jetson's rails -------------------------------------------------------------------------------------------------------


def rails(root: Path = ROOT) -> Dict[str, Callable[[], Optional[float]]]:
    """Watts of each rail now, by its label: the one that feeds the whole board where there is one, else all that are labelled."""
    found: Dict[str, Callable[[], Optional[float]]] = {}
    for place in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if (read(place / "name") or "").lower() not in SENSORS:
            continue
        for file in sorted(place.glob("in*_label")):
            label, channel = read(file) or "", file.name[2 : -len("_label")]
            # A channel that only sums up others, or that nothing hangs on, is no rail.
            if label and label.upper() != "NC" and not label.lower().startswith("sum of"):
                found[label] = _watts(place, channel)
        if (place / "power1_input").is_file() and not list(place.glob("in*_label")):
            found[read(place / "power1_label") or read(place / "label") or place.name] = _micro(place / "power1_input")
    whole = [label for label in WHOLE if label in found]
    return {whole[0]: found[whole[0]]} if whole else found


def _watts(place: Path, channel: str) -> Callable[[], Optional[float]]:
    def now() -> Optional[float]:
        millivolts, milliamperes = number(place / "in{}_input".format(channel)), number(place / "curr{}_input".format(channel))
        return None if millivolts is None or milliamperes is None else millivolts * milliamperes / 1e6

    return now


def _micro(file: Path) -> Callable[[], Optional[float]]:
    def now() -> Optional[float]:
        value = number(file)
        return None if value is None else value / 1e6

    return now


class Sampler:
    """Reads power over and over beside the work, and adds it up by trapezoids."""

    def __init__(self, rails: List[Callable[[], Optional[float]]], every_s: float = EVERY_S) -> None:
        self._now, self._every_s = rails, every_s
        self._joules, self._broken = 0.0, False
        self._last: Optional[Tuple[float, float]] = None
        self._over = threading.Event()
        self._step()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> Optional[float]:
        """Joules until now; None where a sensor fell silent."""
        self._over.set()
        self._thread.join()
        self._step()
        return None if self._broken else self._joules

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            self._step()

    def _step(self) -> None:
        watts = [now() for now in self._now]
        at = time.perf_counter()
        known = [watt for watt in watts if watt is not None]
        if len(known) < len(watts):
            self._broken = True
            return
        if self._last is not None:
            then, before = self._last
            self._joules += (at - then) * (before + sum(known)) / 2
        self._last = (at, sum(known))


# Processor packages ---------------------------------------------------------------------------------------------------


def rapl(root: Path = ROOT) -> "tuple[Dict[str, int], str]":
    """Microjoules counted by each processor package, and the reason where none is readable."""
    zones = sorted((root / "sys/class/powercap").glob("intel-rapl:[0-9]*"))
    packages = [zone for zone in zones if (read(zone / "name") or "").startswith("package")]
    if not packages:
        return {}, "this machine shows no energy counter (RAPL)"
    counts = {str(read(zone / "name")): number(zone / "energy_uj") for zone in packages}
    if any(count is None for count in counts.values()):
        return {}, "the energy counters (RAPL) are readable by root only here"
    return {name: int(count) for name, count in counts.items() if count is not None}, ""


def joules(before: Dict[str, int], after: Dict[str, int], root: Path = ROOT) -> float:
    """Energy between two readings of `rapl`; a counter that began again at 0 is allowed for."""
    spans = {read(zone / "name"): number(zone / "max_energy_range_uj") for zone in (root / "sys/class/powercap").glob("intel-rapl:[0-9]*")}
    total = 0
    for name, first in before.items():
        step = after[name] - first
        total += step if step >= 0 else step + int(spans.get(name) or 0)
    return total / 1e6


# NVIDIA cards ---------------------------------------------------------------------------------------------------------


def _gpu_counter(library: str = nvml.LIBRARY) -> "tuple[Optional[Callable[[], Optional[float]]], Optional[str], Optional[str]]":
    """Joules that the first card has counted since its driver came up; its name as the rail, or why there is none. Never run on hardware yet."""
    card, reason = nvml.opened(library)
    if card is None:
        return None, None, reason
    if card.joules() is None:
        return None, None, "this card counts no energy (NVML)"
    return card.joules, "GPU board (NVML)", None

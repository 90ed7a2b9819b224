"""What NVIDIA's management library (NVML) tells of the card that CUDA takes first, through ctypes: what it is, how it runs, what holds it back,
who computes on it.

In: the library's name. Out: a `Card`, or the reason why there is none. What the library does not tell is None or left out. Never run on hardware yet.
"""

import ctypes
from functools import lru_cache
from typing import Any, Dict, List, Optional, Tuple

from .cuda import LIBRARY as CUDA
from .trtlog import version_text

LIBRARY = "libnvidia-ml.so.1"
HELD = {
    0x04: "the GPU was held back by its power limit",
    0x08: "the GPU was slowed by its hardware, for heat or power",
    0x10: "the GPU kept pace with a slower one",
    0x20: "the GPU was slowed for its heat",
    0x40: "the GPU was slowed for its heat",
    0x80: "the GPU was slowed by its power supply",
}
"""What holds clocks down, by the bit that says so; idling and clocks that somebody chose are no such thing."""
VIOLATIONS = {0: HELD[0x04], 1: HELD[0x20], 3: "the GPU was held back by its board's limit", 5: "the GPU was held back for its reliability"}
"""Policies whose time of holding clocks down the card counts."""
_GRAPHICS, _MEMORY = 0, 2
"""Which clock is asked for."""
_TOO_FEW = 7
"""What a call returns whose list was too short."""


class _Bytes(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class _Violation(ctypes.Structure):
    _fields_ = [("reference", ctypes.c_ulonglong), ("nanoseconds", ctypes.c_ulonglong)]


class _FirstProcess(ctypes.Structure):
    _fields_ = [("pid", ctypes.c_uint), ("memory", ctypes.c_ulonglong)]


class _Process(ctypes.Structure):
    _fields_ = [*_FirstProcess._fields_, ("instance", ctypes.c_uint), ("compute_instance", ctypes.c_uint)]


class Card:
    """A card; each question is a call of the library, which takes microseconds."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle

    def facts(self) -> Dict[str, Any]:
        """What it is: name, driver, the CUDA that the driver speaks, compute capability, bytes of its memory."""
        name, driver = ctypes.create_string_buffer(96), ctypes.create_string_buffer(96)
        cuda, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        named = self._told("nvmlDeviceGetName", self._handle, name, 96)
        capable = self._told("nvmlDeviceGetCudaComputeCapability", self._handle, ctypes.byref(major), ctypes.byref(minor))
        memory = self._memory()
        return {
            "gpu": name.value.decode(errors="replace") or None if named else None,
            "driver": driver.value.decode(errors="replace") or None if self._told("nvmlSystemGetDriverVersion", driver, 96) else None,
            "cuda": cuda_version(cuda.value) if self._told("nvmlSystemGetCudaDriverVersion_v2", ctypes.byref(cuda)) else None,
            "compute_capability": "{}.{}".format(major.value, minor.value) if capable else None,
            "gpu_memory": None if memory is None else int(memory.total),
        }

    def state(self) -> Dict[str, Any]:
        """How it is now: MHz of it and of its memory, °C, share of the time that it was busy, free bytes, what holds it back now and how long
        anything has (ns, by what), and the processes that compute on it."""
        memory = self._memory()
        return {
            "gpu_mhz": self._number("nvmlDeviceGetClockInfo", _GRAPHICS),
            "memory_mhz": self._number("nvmlDeviceGetClockInfo", _MEMORY),
            "gpu_c": self._number("nvmlDeviceGetTemperature", 0),
            "gpu_memory_free": None if memory is None else int(memory.free),
            "held": self._held(),
            "counts": self._violations(),
            "gpu_processes": self._processes(),
        }

    def mhz(self) -> Optional[float]:
        """Its clock now."""
        return self._number("nvmlDeviceGetClockInfo", _GRAPHICS)

    def joules(self) -> Optional[float]:
        """What it has taken since its driver came up."""
        told = ctypes.c_ulonglong()
        return told.value / 1000 if self._told("nvmlDeviceGetTotalEnergyConsumption", self._handle, ctypes.byref(told)) else None

    def _memory(self) -> Optional[_Bytes]:
        told = _Bytes()
        return told if self._told("nvmlDeviceGetMemoryInfo", self._handle, ctypes.byref(told)) else None

    def _held(self) -> List[str]:
        """What holds it back at this moment, each said once; newer drivers have the question under another name."""
        bits = ctypes.c_ulonglong()
        for name in ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"):
            if self._told(name, self._handle, ctypes.byref(bits)):
                return list(dict.fromkeys(words for bit, words in HELD.items() if bits.value & bit))
        return []

    def _violations(self) -> Dict[str, int]:
        """Nanoseconds for which each policy has held it back; those that it does not count are left out."""
        found = {}
        for policy, words in VIOLATIONS.items():
            told = _Violation()
            if self._told("nvmlDeviceGetViolationStatus", self._handle, ctypes.c_int(policy), ctypes.byref(told)):
                found[words] = int(told.nanoseconds)
        return found

    def _processes(self) -> Optional[List[int]]:
        """Numbers of the processes that compute on it; None where it does not tell."""
        for name, kind in (("_v3", _Process), ("_v2", _Process), ("", _FirstProcess)):
            call = getattr(self._nvml, "nvmlDeviceGetComputeRunningProcesses" + name, None)
            if call is None:
                continue
            room = 64
            for _ in range(3):  # processes may come in between
                count, told = ctypes.c_uint(room), (kind * room)()
                code = call(self._handle, ctypes.byref(count), told)
                if code == 0:
                    return [int(told[at].pid) for at in range(count.value)]
                if code != _TOO_FEW:
                    break
                room = count.value + 16
        return None

    def _number(self, name: str, which: int) -> Optional[float]:
        told = ctypes.c_uint()
        return float(told.value) if self._told(name, self._handle, ctypes.c_int(which), ctypes.byref(told)) else None

    def _told(self, name: str, *arguments: Any) -> bool:
        """Whether the library has this function and it did what it should."""
        call = getattr(self._nvml, name, None)
        return call is not None and call(*arguments) == 0


@lru_cache(maxsize=None)
def opened(library: str = LIBRARY, cuda: str = CUDA) -> Tuple[Optional[Card], Optional[str]]:
    """The card that CUDA takes first, or why there is none."""
    try:
        nvml: Any = ctypes.CDLL(library)
    except OSError:
        return None, "there is no NVIDIA management library (NVML) here"
    if nvml.nvmlInit_v2():
        return None, "NVML tells of no card here"
    count, handle = ctypes.c_uint(), ctypes.c_void_p()
    several = nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) == 0 and count.value > 1
    # NVML numbers cards by their slots and tells of all. CUDA takes the fastest first, and those that CUDA_VISIBLE_DEVICES leaves.
    slot = first_slot(cuda) if several else None
    if slot is not None and nvml.nvmlDeviceGetHandleByPciBusId_v2(slot, ctypes.byref(handle)) == 0:
        return Card(nvml, handle), None
    if nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(handle)):
        return None, "NVML tells of no card here"
    return Card(nvml, handle), None


def first_slot(library: str = CUDA) -> Optional[bytes]:
    """Where the card that CUDA takes first is plugged in, as in 00000000:01:00.0; None where CUDA finds none."""
    try:
        cuda: Any = ctypes.CDLL(library)
    except OSError:
        return None
    device, slot = ctypes.c_int(), ctypes.create_string_buffer(32)
    if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), 0) or cuda.cuDeviceGetPCIBusId(slot, len(slot), device):
        return None
    return slot.value


def facts() -> Dict[str, Any]:
    """What that card is; each None where there is no card or it does not tell. A Jetson tells its CUDA without NVML."""
    card, _ = opened()
    nothing = {"gpu": None, "driver": None, "cuda": None, "compute_capability": None, "gpu_memory": None}
    told = dict(nothing, **card.facts()) if card is not None else nothing
    return dict(told, cuda=told["cuda"] or _driver_cuda(), tensorrt=_tensorrt())


def state() -> Dict[str, Any]:
    """How that card is now; nothing where there is none."""
    card, _ = opened()
    return {} if card is None else card.state()


def mhz() -> Optional[float]:
    """Its clock now; None where there is none."""
    card, _ = opened()
    return None if card is None else card.mhz()


def cuda_version(number: int) -> str:
    """As in 12.4, of 12040."""
    return "{}.{}".format(number // 1000, number % 1000 // 10)


@lru_cache(maxsize=None)
def _driver_cuda(library: str = CUDA) -> Optional[str]:
    number = _library_number(library, "cuDriverGetVersion")
    return None if not number else cuda_version(number)


@lru_cache(maxsize=None)
def _tensorrt(libraries: Tuple[str, ...] = ("libnvinfer.so.11", "libnvinfer.so.10", "libnvinfer.so.8")) -> Optional[str]:
    """The version of the system's TensorRT, the newest that loads."""
    for name in libraries:
        number = _library_number(name, "getInferLibVersion")
        if number:
            return version_text(number)
    return None


def _library_number(library: str, function: str) -> Optional[int]:
    """A version as a library tells it: written where it is pointed to, or returned."""
    try:
        call = getattr(ctypes.CDLL(library), function)
    except (OSError, AttributeError):
        return None
    if function == "getInferLibVersion":
        return int(call())
    told = ctypes.c_int()
    return None if call(ctypes.byref(told)) else int(told.value)

"""Where `tensorrt` 10, `tensorrt` 11 and `tensorrt_rtx` differ, and what of them is the same for building and running.

| | tensorrt 10 | tensorrt 11 | tensorrt_rtx |
|---|---|---|---|
| strongly typed networks | by a flag | always; the flag does nothing or is gone | as 11 |
| builds for | the GPU at hand | the GPU at hand | chips by name, without a GPU |
| cache of timings | kept | kept | does nothing and asks for a GPU |
| kernels | in the engine | in the engine | made at the first inference |
"""

from pathlib import Path
from typing import Any, List, Optional, Sequence

from .protocol import RefusedError

LIBRARIES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
"""Python's name of the library of each runtime."""
OLDEST = 10
"""The first version of tensorrt that knows strongly typed networks well enough."""


def imported(name: str) -> Any:
    """The library by Python's name.

    Raises:
        ImportError: it is not installed, or lacks its own shared libraries.
        RefusedError: it is older than TensorRT 10.
    """
    if name not in LIBRARIES.values():
        raise RefusedError("engines are built by {}, got {!r}".format(" or ".join(LIBRARIES.values()), name))
    library = __import__(name)
    if name == "tensorrt":
        check_version(library.__version__)
    return library


def check_version(version: str) -> None:
    """Refuse a tensorrt that is too old."""
    if int(version.split(".")[0]) < OLDEST:
        raise RefusedError(
            "engines are built by TensorRT 10 or newer, and this is {}: JetPack 5 has it. Upgrade the board to JetPack 6, "
            "or run the ONNX file by ONNX Runtime.".format(version)
        )


def typed(trt: Any) -> int:
    """The flags of a strongly typed network; none where there is no other kind any more."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def set_chips(trt: Any, config: Any, chips: Sequence[str]) -> List[str]:
    """Have the engine made for these chips; what it is made for."""
    if not chips:
        return []
    if not hasattr(config, "num_compute_capabilities"):
        raise RefusedError("tensorrt builds for the GPU at hand and for no other; leave the chips out, or build by tensorrt_rtx")
    config.num_compute_capabilities = len(chips)
    for at, chip in enumerate(chips):
        known = getattr(trt.ComputeCapability, "SM" + chip.replace(".", ""), None)
        if known is None or not config.set_compute_capability(known, at):
            names = sorted(name for name in dir(trt.ComputeCapability) if name.startswith("SM"))
            raise RefusedError("TensorRT-RTX {} knows no chip {}; it knows {}".format(trt.__version__, chip, ", ".join(names)))
    return list(chips)


def set_timings(config: Any, library: str, file: Optional[str]) -> Optional[Any]:
    """The cache of timings that is read from `file`, where the library keeps one."""
    if file is None or library != "tensorrt":
        return None
    cache = config.create_timing_cache(Path(file).read_bytes() if Path(file).is_file() else b"")
    config.set_timing_cache(cache, True)
    return cache


def log(trt: Any) -> Any:
    """A logger that keeps warnings and errors in `words`."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.words: List[str] = []

        def log(self, severity: Any, text: str) -> None:
            if severity <= trt.ILogger.Severity.WARNING:
                self.words.append(" ".join(text.split()))

    return Log()

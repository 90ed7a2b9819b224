"""A machine with a GPU, made up: a driver compiled from fakecuda.c, Python's `tensorrt` as faketrt.py has it, and `trtexec` as a script."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.needs import need_tool

HERE = Path(__file__).parent


class Gpu:
    """What the made-up driver tells of itself."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, str(folder / "libcuda.so.1")
        self._fake = ctypes.CDLL(self.path)
        self._fake.fake_calls.restype = ctypes.c_char_p
        self._fake.fake_alive.restype = ctypes.c_long

    @property
    def calls(self) -> list[str]:
        """Every call since the last `reset`, in order."""
        return str(self._fake.fake_calls().decode()).split()

    @property
    def alive(self) -> int:
        """How much was taken and not given back."""
        return int(self._fake.fake_alive())

    @property
    def flags(self) -> int:
        """How the context waits."""
        return int(self._fake.fake_flags())

    def reset(self) -> None:
        """Forget all."""
        self._fake.fake_reset()

    def devices(self, count: int) -> None:
        """Have so many GPUs."""
        self._fake.fake_devices(count)

    def fail(self, call: str, code: int, after: int = 0) -> None:
        """Have a call fail, once, after so many that do not."""
        self._fake.fake_fail(call.encode(), code, after)


def compiled(folder: Path) -> Path:
    """The made-up driver, as `libcuda.so.1` in a folder."""
    compiler = need_tool("gcc", "cc")
    library = folder / "libcuda.so.1"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-o", str(library), str(HERE / "fakecuda.c")], check=True)
    return library


def imported(monkeypatch: pytest.MonkeyPatch, version: str = "10.3.0") -> ModuleType:
    """`tensorrt`, made up, in this process."""
    monkeypatch.setenv("FAKE_TRT_VERSION", version)
    module = ModuleType("tensorrt")
    module.__file__ = str(HERE / "faketrt.py")
    exec(compile((HERE / "faketrt.py").read_text(encoding="utf-8"), module.__file__, "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    return module


def offered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let agents that are started find the driver in `folder`, and `tensorrt` beside it."""
    (folder / "tensorrt.py").write_text((HERE / "faketrt.py").read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("LD_LIBRARY_PATH", os.pathsep.join([str(folder), os.environ.get("LD_LIBRARY_PATH", "")]))


def trtexec(folder: Path, version: str = "v100300") -> Path:
    """A `trtexec` that writes what the real one's sources say it writes."""
    tool = folder / "trtexec"
    tool.write_text(_TRTEXEC.replace("PYTHON", sys.executable).replace("VERSION", version), encoding="utf-8")
    tool.chmod(0o755)
    return tool


def gpu(folder: Path) -> Gpu:
    """The made-up driver in this process."""
    compiled(folder)
    return Gpu(folder)


_TRTEXEC = """#!PYTHON
import json, sys
given = dict(word.lstrip("-").partition("=")[::2] for word in sys.argv[1:])
print("&&&& RUNNING TensorRT.trtexec [TensorRT VERSION] # " + " ".join(sys.argv))
if "help" in given:
    sys.exit(0)
if "onnx" in given:
    if "stronglyTyped" not in given and int("VERSION"[1:]) < 110000:
        print("[11/26/2026-13:00:00] [E] not strongly typed")
        print("&&&& FAILED TensorRT.trtexec [TensorRT VERSION] # trtexec")
        sys.exit(1)
    open(given["saveEngine"], "w").write(json.dumps(given))
    json.dump({"Layers": ["double y + add"], "Bindings": []}, open(given["exportLayerInfo"], "w"))
    print("[11/26/2026-13:00:01] [I] Engine built in 12.5 sec.")
if "loadEngine" in given:
    built = json.load(open(given["loadEngine"]))
    more = [0.001 * at for at in range(max(1, int(given["iterations"])))]
    rows = [{"h2dMs": 0.1, "computeMs": 1.0 + ms, "d2hMs": 0.05, "latencyMs": 1.15 + ms} for ms in more]
    json.dump(rows, open(given["exportTimes"], "w"))
    print("[11/26/2026-13:00:02] [I] Engine deserialized in 0.25 sec.")
    print("[11/26/2026-13:00:03] [I] Throughput: 800.5 qps")
print("&&&& PASSED TensorRT.trtexec [TensorRT VERSION] # trtexec")
"""

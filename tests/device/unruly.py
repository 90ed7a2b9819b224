"""An agent whose jobs misbehave, served by the real protocol: `python unruly.py NONCE`."""

import ctypes
import os
import subprocess
import sys
import time
from typing import Any

from edgekd.device.agent.protocol import RefusedError, serve


def echo(**wishes: Any) -> dict[str, Any]:
    """Answer what was asked."""
    return wishes


def say(text: str) -> dict[str, Any]:
    """Print as Python does, as native code does, and as a child does."""
    print(f"{text} by Python", flush=True)
    libc = ctypes.CDLL(None)
    libc.puts(f"{text} by C".encode())
    libc.fflush(None)
    subprocess.run(["sh", "-c", f"echo {text} by a child"], check=True)
    return {}


def listen() -> dict[str, Any]:
    """What a library that reads stdin would get."""
    return {"heard": os.read(0, 100).decode()}


def sleep(seconds: float) -> dict[str, Any]:
    """Say nothing for a while."""
    time.sleep(seconds)
    return {}


def child() -> dict[str, Any]:
    """Start a process that stays."""
    return {"child": subprocess.Popen(["sleep", "300"]).pid}


def crash(number: int) -> dict[str, Any]:
    """Be ended by a signal."""
    os.kill(os.getpid(), number)
    time.sleep(60)
    return {}


def leave(code: int) -> dict[str, Any]:
    """End with last words."""
    os.write(2, b"farewell\n")
    os._exit(code)


def fail(kind: str) -> dict[str, Any]:
    """Fail in one of the ways that are told apart."""
    if kind == "refused":
        raise RefusedError("not like this")
    if kind == "missing":
        raise ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime")
    if kind == "memory":
        raise MemoryError("512 GiB asked for")
    raise RuntimeError("a node\nwas odd")


def spoil() -> dict[str, Any]:
    """Answer what JSON has no word for."""
    return {"value": float("nan")}


if __name__ == "__main__":
    jobs = (echo, say, listen, sleep, child, crash, leave, fail, spoil)
    serve({job.__name__: job for job in jobs}, sys.argv[1])

"""What a device is tried on, part by part: what it tells of itself, its runtimes, engines, energy counters, whether times follow the work.

In: a session, and a tiny network in several files. Out: a `Check` each. What is not there, and what a runtime refuses, is an answer like any other.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np

from edgekd import stats
from edgekd.device import tiny
from edgekd.device.agent.tegrastats import parse
from edgekd.device.process import Agent
from edgekd.device.session import Session
from edgekd.errors import DeviceError, MissingExtra

AGREES = {"fp32": 5e-3, "fp16": 3e-2}
"""How far answers may lie from those that numpy computes, which are around 1: GPUs round float32 to ten bits or so where nobody forbids it."""
ENGINES = {"tensorrt": "TensorRT", "tensorrt-rtx": "TensorRT-RTX"}
"""Runtimes that build engines, and what runs these."""
_BUILD_S = 600.0
_BATCHES = (1, 1, 8)
PRECISIONS: tuple[tiny.Precision, ...] = ("fp32", "fp16")
Found: TypeAlias = tuple[str, dict[str, Any]]
"""What a check found, in words and in figures."""
Files: TypeAlias = Mapping[str, Path]
"""The network by its precision, and a `deep` one."""
Pieces: TypeAlias = "Callable[[Session, Files, Mapping[str, Any]], Iterable[Try]]"
"""What a part consists of on a device of these facts."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What one part of the device came to: it works, it is not there, it says no, or it fails."""

    name: str
    state: Literal["works", "absent", "refused", "fails"]
    text: str
    figures: dict[str, Any] = {}


class AbsentError(Exception):
    """What is to be tried is not there."""


class Try(msgspec.Struct, frozen=True):
    """A part that is to be tried."""

    name: str
    work: Callable[[], Found]

    def run(self) -> Check:
        """What it came to; whatever it raises is an answer."""
        try:
            text, figures = self.work()
        except (AbsentError, MissingExtra) as error:
            return Check(name=self.name, state="absent", text=str(error))
        except DeviceError as error:
            broke = re.search(r"failed in the runtime|the agent (ended|must)|ran out of memory|disagrees", str(error)) is not None
            return Check(name=self.name, state="fails" if broke else "refused", text=str(error))
        except (KeyError, ValueError, OSError) as error:  # an answer that is none of ours
            return Check(name=self.name, state="fails", text=repr(error))
        return Check(name=self.name, state="works", text=text, figures=figures)


def _state(session: Session, files: Files) -> Found:
    """What the machine tells of how it is; a Jetson's own monitor is read too."""
    with session.start() as agent:
        told = agent.ask("state", raw=True)
    figures = {
        key: value for key, value in told.items() if key not in ("id", "pid", "cpu_s", "busy_s", "gpu_processes") and value not in (None, [], {})
    }
    seen = parse(told["raw"]) if told.get("raw") else None
    if seen is not None:
        figures["tegrastats"] = seen._asdict()
    parts = [f"{len(told['clock_mhz'])} clocks, {len(told['temperature_c'])} temperatures"]
    parts += [] if told.get("gpu_mhz") is None else [f"GPU at {told['gpu_mhz']:.0f} MHz"]
    parts += [f"{len(told['counts'])} reasons to slow down are counted"] if told.get("counts") else []
    parts += [] if told.get("raw") is None else ["tegrastats is read" if seen is not None else "a line of tegrastats does not read"]
    return ", ".join(parts), figures


def _settings(session: Session, files: Files, facts: Mapping[str, Any]) -> Iterator[Try]:
    """A Jetson's settings, as they are: nothing is changed."""

    def told() -> Found:
        with session.start() as agent:
            found = agent.ask("settings")
        if found["power_mode"] is None:
            raise AbsentError("nvpmodel tells no power mode")
        locked = {True: "clocks locked", False: "clocks not locked", None: "whether clocks are locked is not told"}[found["clocks_locked"]]
        return f"power mode {found['power_mode']}, {locked}", {key: found[key] for key in ("power_mode", "clocks_locked")}

    if facts.get("l4t"):
        yield Try("settings", told)


def _onnxruntime(session: Session, files: Files, facts: Mapping[str, Any]) -> Iterator[Try]:
    """Each provider of the ONNX Runtime that is there; the one that sends images to a service is left alone."""

    def with_provider(provider: str, precision: str) -> Callable[[], Found]:
        return lambda: _ran(session, files[precision], precision, {"provider": provider, "threads": 1})

    with session.start() as agent:
        try:
            providers = agent.ask("start")["providers"]
        except (DeviceError, MissingExtra) as error:
            yield Try("onnxruntime", partial(_absent, str(error)))
            return
    for provider in providers:
        if provider != "AzureExecutionProvider":
            short = provider.removesuffix("ExecutionProvider")
            yield from (Try(f"ONNX Runtime {short} {precision}", with_provider(provider, precision)) for precision in PRECISIONS)


def _absent(reason: str) -> Found:
    raise AbsentError(reason)


def _openvino(session: Session, files: Files) -> Found:
    with session.start() as agent:
        try:
            agent.ask("start", runtime="openvino")
        except (DeviceError, MissingExtra) as error:
            raise AbsentError(str(error)) from None
    # It computes in bfloat16 where the processor does, which answers of an fp32 file must be allowed.
    return _ran(session, files["fp32"], "fp16", {"runtime": "openvino", "provider": "CPU", "threads": 1})


def _engines(runtime: str, session: Session, files: Files, facts: Mapping[str, Any]) -> Iterator[Try]:
    """Engines by a library, where it is there, in each precision: built there, and run."""

    def built(precision: str, version: str) -> Found:
        with session.start() as agent:
            place, library = session.place(files[precision]), runtime.replace("-", "_")
            told = agent.ask("engine", _BUILD_S, path=place, library=library, batches=_BATCHES)
        figures: dict[str, Any] = {key: told[key] for key in ("size", "seconds", "version", "layers", "warnings") if key in told}
        how: dict[str, Any] = {"runtime": runtime, "provider": ENGINES[runtime], "batches": _BATCHES}
        text, ran = _ran(session, files[precision], precision, how, parts=True)
        return f"version {version}; {text}", {**figures, **ran}

    with session.start() as agent:
        try:
            version = str(agent.ask("start", runtime=runtime)["runtimes"][runtime])
        except (DeviceError, MissingExtra) as error:
            yield Try(runtime, partial(_absent, str(error)))
            return
    yield from (Try(f"{runtime} {precision}", partial(built, precision, version)) for precision in PRECISIONS)


def _ran(session: Session, file: Path, precision: str, how: Mapping[str, Any], *, parts: bool = False) -> Found:
    """Open the file, compare its answers with numpy's, time it."""
    with session.start() as agent:
        agent.ask("start", runtime=how.get("runtime", "onnxruntime"))
        opened = agent.ask("open", _BUILD_S, path=session.place(file), **how)
        far = _apart(session, agent)
        block = agent.ask("time", min_ms=300, min_runs=20, max_ms=5000)
        figures = {"load_ms": opened["load_ms"], "first_ms": block["first_ms"], "samples_ms": block["samples"], "apart": far}
        figures["median_ms"] = stats.median(block["samples"])
        if far > AGREES[precision]:
            raise DeviceError(f"its answer disagrees with the one computed here by {far:.2g}, where {AGREES[precision]:.2g} are allowed")
        if how["provider"] not in ("CPUExecutionProvider", "CPU"):
            figures["rest"] = {key: value for key, value in agent.ask("rest", seconds=1).items() if key != "id"}
        if parts:
            try:
                figures["parts"] = {key: value for key, value in agent.ask("parts").items() if key != "id"}
            except DeviceError as error:
                figures["parts"] = str(error)
    return f"{figures['median_ms']:.3f} ms (median of {len(block['samples'])}), answers agree to {far:.1g}", figures


def _apart(session: Session, agent: Agent) -> float:
    """The largest distance of what an open file answers to what numpy does."""
    batch = tiny.images(4)
    sent = session.folder / f"tiny-{agent.pid}.npy"
    np.save(sent, batch, allow_pickle=False)
    room = session.room()
    try:
        told = agent.ask("predict", inputs={"images": session.place(sent, room)}, output="logits", folder=room, batch=4)
        logits = np.load(session.fetch(told["outputs"]["logits"]), allow_pickle=False)
    finally:
        session.leave(room)
    return float(np.abs(logits - tiny.answers(batch)).max())


def _energy(session: Session, files: Files) -> Found:
    """What counts energy here, over two seconds of rest."""
    with session.start() as agent:
        told = agent.ask("rest", seconds=0)
        if told["energy_reason"] is not None:
            raise AbsentError(told["energy_reason"])
        told = agent.ask("rest", seconds=2)
    if told["joules"] is None:
        raise DeviceError(told["energy_reason"] or "its counter told nothing")
    watts = told["joules"] / told["seconds"]
    return f"{watts:.2f} W at rest, by {told['rail']}", {"watts": watts, "rail": told["rail"]}


def _work(session: Session, files: Files) -> Found:
    """A network of twice as many layers takes longer by what its arithmetic says, in turn in one process."""
    with session.start() as agent:
        told = agent.ask(
            "duel",
            paths=[session.place(files["fp32"]), session.place(files["deep"])],
            provider="CPUExecutionProvider",
            threads=1,
            min_ms=400,
            min_turns=20,
            max_ms=6000,
        )
    ratio = stats.median([long / short for short, long in zip(*told["samples"], strict=True)])
    if not 1.3 < ratio < 4:
        raise DeviceError(f"its clock disagrees with the work: six layers take {ratio:.2f} times as long as three, where 1.3 to 4 are to be expected")
    return f"six layers take {ratio:.2f} times as long as three", {"ratio": ratio}


def _pace(session: Session, files: Files) -> Found:
    """Inferences that are to begin 20 ms apart do so."""
    with session.start() as agent:
        agent.ask("open", path=session.place(files["fp32"]), provider="CPUExecutionProvider", threads=1)
        block = agent.ask("time", min_ms=600, min_runs=10, max_ms=6000, frame_ms=20)
    every = 1e3 * block["seconds"] / (len(block["samples"]) + 1)
    if not 17 < every < 30:
        raise DeviceError(f"its clock disagrees with the pace: inferences began {every:.1f} ms apart, where 20 ms were asked for")
    return f"50 a second asked for, one each {every:.1f} ms", {"every_ms": every, "median_ms": stats.median(block["samples"])}


def _single(name: str, work: Callable[[Session, Files], Found]) -> Pieces:
    """A part of one piece."""
    return lambda session, files, facts: [Try(name, lambda: work(session, files))]


PARTS: dict[str, Pieces] = {
    "state": _single("state", _state),
    "settings": _settings,
    "onnxruntime": _onnxruntime,
    "openvino": _single("openvino", _openvino),
    **{runtime: partial(_engines, runtime) for runtime in ENGINES},
    "energy": _single("energy", _energy),
    "work": _single("times follow work", _work),
    "pace": _single("camera's pace", _pace),
}
"""What can be tried, by the names that `only` takes."""

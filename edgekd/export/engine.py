"""TensorRT engines of an ONNX file: built by an agent, beside a table of what went into each, and not built again while that stands.

In: a file whose precision is its own, and targets that run TensorRT. Out: `Engine` records and files `STEM-TARGET.engine`, each with
`STEM-TARGET.engine.json`. Engines for RTX cards need no GPU; the others are built for the GPU that is there. Opening an engine runs native code:
only one whose table and hash agree is ever handed on.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgekd import __version__
from edgekd.device.agent import feed
from edgekd.device.agent.libraries import LIBRARIES
from edgekd.device.host import connect
from edgekd.device.session import Session
from edgekd.errors import UsageError
from edgekd.events import Emit, Progress, Wrote, silent
from edgekd.externaldata import model_sha256, said
from edgekd.files import atomic_path, sha256_file, write_atomic
from edgekd.target import Target

STILL = (
    *("constant", "quantize", "dequantize", "cast", "reformat"),
    *("shuffle", "identity", "shape", "concatenation", "slice", "gather"),
)
"""Kinds of layers that compute nothing: they hold numbers, convert them, or put them elsewhere."""
BUILD_S = 1800.0
"""How long a builder may say nothing, in seconds."""


class EngineLayer(msgspec.Struct, frozen=True):
    """A layer, and the type that it computes in."""

    name: str
    kind: str
    precision: str


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine is made of; the table beside it. Sizes in bytes, `profile` the least, usual and largest shape of each input."""

    schema: int = 1
    file: str
    onnx: str
    """sha256 of the file that it was built from."""
    sha256: str
    target: str
    library: str
    version: str
    by: str = "python"
    """Who built it: the library's Python bindings, or `trtexec`."""
    chips: list[str] = []
    gpu: str | None = None
    """The GPU that it was built on and for; None: for `chips`."""
    batches: tuple[int, int, int] = (1, 1, 1)
    workspace: int | None = None
    profile: dict[str, list[list[int]]] = {}
    size: int
    seconds: float
    layers: list[EngineLayer] = []
    """Of the network that was parsed; empty of one that trtexec built."""
    kernels: list[EngineLayer] = []
    """Of the engine, several of the network's fused into one; empty where it was not opened, as those for RTX cards, whose kernels are made there."""
    warnings: list[str] = []
    edgekd: str = __version__

    @property
    def precisions(self) -> dict[str, int]:
        """How many layers compute in each type: of the engine where it was opened and tells, else of the network. `STILL` ones do not count."""
        own = [layer for layer in self.kernels if layer.precision]
        return dict(Counter(layer.precision for layer in own or self.layers if layer.precision and layer.kind not in STILL))


def engines(
    file: Path, targets: Sequence[Target], folder: Path, *, batches: tuple[int, int, int] | None = None, host: str = "local", emit: Emit = silent
) -> list[Engine]:
    """An engine of the file for each target, in `folder`.

    Args:
        batches: the least, usual and largest batch that they take; None: the file's own, 1 where it is open.
        host: where they are built.

    Raises:
        UsageError: a target of another runtime, one that does not say its chip, or other batches than a file's own.
        MissingError: the library is not installed. DeviceError: it does not take the file, or fails.
    """
    for what in targets:
        if what.runtime not in LIBRARIES:
            raise UsageError(
                f"engines are built for targets that run TensorRT, {what.name} runs {what.runtime}. Name one of those, as --on rtx-4090."
            )
        if what.runtime == "tensorrt-rtx" and what.compute_capability is None:
            raise UsageError(
                f'an engine for an RTX card is built for its chip, and {what.name} names none. Add compute_capability = "8.9", or what it has.'
            )
    taken = _batches(file, batches)
    folder.mkdir(parents=True, exist_ok=True)
    with connect(host) as session:
        return [_engine(session, file, what, folder, taken, emit) for what in targets]


def _batches(file: Path, asked: tuple[int, int, int] | None) -> tuple[int, int, int]:
    """The batches that an engine of the file takes; raises UsageError where others are asked for than it has."""
    found = said(file)
    fixed = feed.Model("", found.inputs, found.outputs, found.metadata).batch
    if fixed is None:
        return asked or (1, 1, 1)
    if asked is not None and set(asked) != {fixed}:
        raise UsageError(
            f"{file.name} takes {fixed} at a time and nothing else, got batches of {', '.join(map(str, asked))}. Leave --batches out, "
            'or export it with batch = "dynamic" under [export].'
        )
    return fixed, fixed, fixed


def _engine(session: Session, file: Path, what: Target, folder: Path, batches: tuple[int, int, int], emit: Emit) -> Engine:
    """The engine that stands in the folder, or a new one."""
    library, out = LIBRARIES[what.runtime], folder / f"{file.stem}-{re.sub(r'[^A-Za-z0-9._-]', '-', what.name)}.engine"
    chips = [what.compute_capability] if what.runtime == "tensorrt-rtx" and what.compute_capability else []
    with session.start() as agent:
        there = agent.ask("builder", library=library)
        made_of = {"onnx": model_sha256(file), "library": library, "chips": chips, "batches": batches, "workspace": what.workspace}
        stands = _standing(out, {**made_of, **{name: there[name] for name in ("by", "version", "gpu")}})
        if stands is not None:
            return stands

        def told(facts: Mapping[str, Any]) -> None:
            emit(Progress(what=f"building {out.name}: {facts['what']}", done=facts["done"], total=facts["total"], unit="steps"))

        room = session.room()
        try:
            place = f"{room}/{out.name}"
            agent.send("build", path=session.place(file), out=place, library=library, batches=batches, chips=chips, workspace=what.workspace)
            answer = agent.receive(BUILD_S, told)
            answer.pop("id")
            with atomic_path(out) as unfinished:
                unfinished.write_bytes(session.fetch(place).read_bytes())
        finally:
            session.leave(room)
    engine = msgspec.convert(
        {**answer, "file": out.name, "target": what.name, "batches": batches, "workspace": what.workspace, "gpu": there["gpu"]}, Engine
    )
    write_atomic(_table(out), msgspec.json.format(msgspec.json.encode(engine), indent=1) + b"\n")
    emit(Wrote(path=str(out), what=f"{file.stem} for {what.name}"))
    return engine


def read_engine(file: Path) -> Engine | None:
    """What the table beside an engine says; None where there is none, or where the engine is not the one that it speaks of."""
    try:
        engine = msgspec.json.decode(_table(file).read_bytes(), type=Engine)
    except (OSError, msgspec.MsgspecError):
        return None
    return engine if file.is_file() and file.stat().st_size == engine.size and sha256_file(file) == engine.sha256 else None


def _standing(file: Path, wanted: Mapping[str, Any]) -> Engine | None:
    """The engine there, if it was made of just this."""
    engine = read_engine(file)
    return engine if engine is not None and all(getattr(engine, name) == value for name, value in wanted.items()) else None


def _table(file: Path) -> Path:
    return file.with_name(file.name + ".json")

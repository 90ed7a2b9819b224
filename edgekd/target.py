"""A device as data: targets/*.toml → Target. What runs a file there, and what the chip could do at best."""

import difflib
import re
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from edgekd.errors import MissingError, UsageError
from edgekd.explain import explain
from edgekd.toml import decode

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Rate: TypeAlias = Annotated[float, msgspec.Meta(gt=0)]


class Chip(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the maker states: bytes of memory, bytes/s of bandwidth, operations/s at each precision; None where not known or not fixed."""

    memory: Count | None = None
    bandwidth: Rate | None = None
    peak_fp32: Rate | None = None
    peak_fp16: Rate | None = None
    peak_int8: Rate | None = None
    source: str = ""


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How files run on a kind of device.

    Of files that tie, the one whose precision stands first in `precisions` ships; `int8` names the flavour that this runtime wants.
    """

    name: str
    description: str
    runtime: Literal["onnxruntime", "openvino", "tensorrt", "tensorrt-rtx"]
    provider: str
    precisions: list[Literal["fp32", "fp16", "int8-cpu", "int8-trt"]]
    int8: Literal["int8-cpu", "int8-trt"]
    batch: Count = 1
    threads: Annotated[int, msgspec.Meta(ge=0)] = 0
    """0: all cores."""
    cuda_graph: bool = True
    """Launch an engine's inferences as a CUDA graph, where it can be one."""
    spin_wait: bool = True
    """Wait for the GPU by spinning, which is told sooner and keeps a core busy."""
    workspace: Count | None = None
    """Bytes of GPU memory that an engine's builder may use; None: as much as there is."""
    power_mode: str | None = None
    compute_capability: str | None = None
    """As NVIDIA numbers its chips, as in "8.9"; None for others."""
    fits: list[str] = []
    """What the names of machines contain that it fits: of their CPU, board or GPU."""
    tested: bool = False
    """Whether edgekd has run on the real device."""
    chip: Chip = Chip()

    @property
    def on_cpu(self) -> bool:
        """Whether the processor itself does the work."""
        return self.provider in ("CPUExecutionProvider", "CPU")

    @property
    def by_engine(self) -> bool:
        """Whether a file runs as an engine, which is built on the device."""
        return self.runtime in ("tensorrt", "tensorrt-rtx")


def folder() -> Path:
    """Where the targets that ship with edgekd stand: beside the package in a checkout, inside it in a wheel.

    Raises:
        MissingError: neither is there; the installation is damaged.
    """
    package = Path(str(resources.files("edgekd")))
    for place in (package / "targets", package.parent / "targets"):
        if place.is_dir() and any(place.glob("*.toml")):
            return place
    raise MissingError(f"the targets that ship with edgekd are not beside {package}. Reinstall edgekd.")


def names() -> list[str]:
    """The targets that ship with edgekd, in alphabetical order."""
    return sorted(file.stem for file in folder().glob("*.toml"))


def fitting(machine: str) -> list[Target]:
    """The targets that ship with edgekd and fit a machine by the names of its CPU, board and GPU, that with the longest word in common first."""
    known = [load(name) for name in names()]
    found = [(max((len(word) for word in each.fits if named(word, machine)), default=0), each) for each in known]
    return [each for length, each in sorted(found, key=lambda pair: -pair[0]) if length]


def named(word: str, machine: str) -> bool:
    """Whether a machine's name has the word whole: an L40S is no L4, and of RTX cards neither a Ti nor a laptop's chip is the plain one."""
    others = r"(?!\s(?:Ti|SUPER|Laptop|D|Max-Q)\b)" if "RTX" in word.upper() else ""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w){others}", machine, re.IGNORECASE) is not None


def load(spec: str, base: Path = Path()) -> Target:
    """A target by name, or from `FILE.toml`, whose path is relative to `base`.

    Raises:
        MissingError: no such name (the nearest is given) or file.
        UsageError: the file does not read as a target.
    """
    own = spec.endswith(".toml")
    file = base / spec if own else folder() / f"{spec}.toml"
    if own and not file.is_file():
        raise MissingError(
            f"a target that ends in .toml is a file, and there is none at {file}. "
            "A path in a recipe or a budget is relative to that file's folder, a typed one to where edgekd was started."
        )
    if not file.is_file():
        near = difflib.get_close_matches(spec, names(), n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise MissingError(f"no target is called {spec!r}.{hint} `edgekd targets` lists them; FILE.toml describes your own.")
    table = decode(file.read_bytes(), str(file))
    dla = next((key for key in table if "dla" in key.lower()), None)
    if dla is not None:
        raise UsageError(f"{file} asks for a DLA by {dla!r}, and edgekd builds for GPUs alone. Take it away: engines then run on the GPU.")
    try:
        return msgspec.convert({"name": file.stem, **table}, Target)
    except msgspec.ValidationError as error:
        raise UsageError(f"{file} does not read as a target: {explain(error, Target, table)}") from None

"""Engines that were built on this machine, each beside a table of what went into it, and opened only while both agree.

In: an ONNX file, a library, the batches that the engine must take. Out: the engine's path and its table. The key is the file's hash, the library with
its version, who built it (its Python bindings, or `trtexec`), the GPU and the options: whatever of them changes, another engine is built. Opening an
engine runs native code, so one whose hash is not its table's is built anew, never opened.
"""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

from . import cuda, libraries, onnxfile, trt, trtexec
from .protocol import Answer, RefusedError, Tell
from .store import default_cache, sha256_of

KEEP_DAYS = 30.0
"""How long an engine stays that nobody asked for, in days."""
BUILD_S = 3600.0
"""How long a builder may take, in seconds: large networks take half an hour on a small board."""


class Builder(NamedTuple):
    """Who builds and runs engines here: Python's bindings, or the tool at a path."""

    library: str
    version: str
    tool: Optional[str]

    @property
    def by(self) -> str:
        """In a word."""
        return "trtexec" if self.tool else "python"


class Kept(NamedTuple):
    """An engine's file and its table."""

    path: Path
    table: Answer


def builder(library: str) -> Builder:
    """Who builds here: bindings where they are, else trtexec.

    Raises:
        RefusedError: neither is there, or it is too old.
    """
    try:
        return _here(library)
    except ImportError as error:
        remedy = {
            "tensorrt": "On a Jetson: sudo apt install nvidia-tensorrt python3-libnvinfer; elsewhere: pip install 'edgekd[tensorrt]'",
            "tensorrt_rtx": "Install it: pip install 'edgekd[rtx]'",
        }[library]
        also = " and no trtexec" if library == "tensorrt" else ""
        raise RefusedError("there is no {} for Python here ({}){}. {}".format(library, error, also, remedy)) from None


def _here(library: str) -> Builder:
    """As `builder`; raises ImportError where neither is there."""
    try:
        return Builder(library, str(libraries.imported(library).__version__), None)
    except ImportError:
        tool = trtexec.found() if library == "tensorrt" else None
        if tool is None:
            raise
        return Builder(library, trtexec.version(tool), tool)


def told(library: str) -> Answer:
    """Who builds here, with which version, and for which GPU: `tensorrt` for the one that is there, `tensorrt_rtx` for any.

    Raises:
        ImportError: neither bindings nor trtexec are there.
        RefusedError: as `builder`, or there is no GPU and the library needs one. CudaError: as `cuda.Driver`.
    """
    who = _here(library)
    return {"by": who.by, "version": who.version, "gpu": None if library == "tensorrt_rtx" else _called(cuda.Driver())}


def _called(gpu: cuda.Driver) -> str:
    """As in "Orin (8.7)"."""
    return "{} ({})".format(gpu.name, gpu.capability)


def started(library: str) -> Answer:
    """Which library is here, as `onnxrt.imported` tells of its own."""
    import_numpy()
    runtime = next(name for name, known in libraries.LIBRARIES.items() if known == library)
    return {"runtimes": {runtime: builder(library).version}, "providers": []}


def import_numpy() -> None:
    """Arrays are numpy's; trtexec alone does without."""
    try:
        import numpy  # noqa: F401
    except ImportError:
        if trtexec.found() is None:
            raise


def engine(
    path: str, library: str, batches: Sequence[int], workspace: Optional[int] = None, folder: Optional[str] = None, tell: Tell = lambda **facts: None
) -> Answer:
    """The table of the engine that stands here, or of a new one; `path` is the engine's, `cached` whether it stood.

    Args:
        batches: the least, the usual and the largest batch, where the file leaves it open.
        workspace: bytes of GPU memory that the builder may use; None: as much as there is.

    Raises:
        RefusedError: as `builder`, there is no GPU, or the library does not take the file. RuntimeError: the builder failed.
    """
    place = Path(folder) if folder else default_cache() / "engines"
    who = builder(library)
    wanted = _wanted(path, who, batches, workspace)
    kept = _standing(place, wanted)
    if kept is not None:
        return dict(kept.table, path=str(kept.path), cached=True)
    place.mkdir(parents=True, exist_ok=True)
    out = _file(place, wanted)
    unfinished = out.with_name("{}.{}.part".format(out.name, os.getpid()))
    try:
        chips = [wanted["chip"]] if library == "tensorrt_rtx" else []
        made = _built(who, path, unfinished, batches, chips, workspace, place, tell)
        facts: Answer = {name: made[name] for name in ("seconds", "profile", "layers", "kernels", "warnings") if name in made}
        table = dict(facts, **wanted, sha256=sha256_of(unfinished), size=unfinished.stat().st_size)
        os.replace(str(unfinished), str(out))
    finally:
        if unfinished.exists():
            unfinished.unlink()
    beside = _table(out).with_name("{}.{}.part".format(_table(out).name, os.getpid()))
    beside.write_text(json.dumps(table, indent=1), encoding="utf-8")
    os.replace(str(beside), str(_table(out)))
    _prune(place, out)
    return dict(table, path=str(out), cached=False)


def standing(path: str, library: str, batches: Sequence[int], workspace: Optional[int] = None, folder: Optional[str] = None) -> Kept:
    """The engine of a file that stands here; raises RefusedError where none does that its table vouches for."""
    kept = _standing(Path(folder) if folder else default_cache() / "engines", _wanted(path, builder(library), batches, workspace))
    if kept is None:
        raise RefusedError("no engine of {} stands here; the job `engine` comes first".format(path))
    return kept


def _wanted(path: str, who: Builder, batches: Sequence[int], workspace: Optional[int]) -> Answer:
    """What an engine must have been made of."""
    gpu = cuda.Driver()
    return {
        "onnx": onnxfile.digest(path),
        "library": who.library,
        "version": who.version,
        "by": who.by,
        "gpu": _called(gpu),
        "chip": gpu.capability,
        "batches": list(batches),
        "workspace": workspace,
    }


def _standing(place: Path, wanted: Answer) -> Optional[Kept]:
    file = _file(place, wanted)
    try:
        table = json.loads(_table(file).read_text(encoding="utf-8"))
        vouched = (
            isinstance(table, dict) and all(table.get(name) == value for name, value in wanted.items()) and table.get("sha256") == sha256_of(file)
        )
    except (OSError, ValueError):
        return None
    if not vouched:
        return None
    for each in (file, _table(file)):
        os.utime(str(each), None)  # pruning takes what was not asked for longest
    return Kept(file, table)


def _built(
    who: Builder, path: str, out: Path, batches: Sequence[int], chips: Sequence[str], workspace: Optional[int], place: Path, tell: Tell
) -> Answer:
    """Have an engine built, by whoever does it here; what it tells of it. What was timed is kept in `place`, which is there."""
    least, usual, largest = batches
    timings = str(place / "{}-{}.timings".format(who.library, who.version))
    if who.tool is None:
        return trt.build(path, str(out), who.library, (least, usual, largest), chips, workspace, timings, BUILD_S, tell)
    begin = time.perf_counter()
    made = _by_tool(who.tool, who.version, path, out, batches, workspace, timings, tell)
    return dict(made, seconds=time.perf_counter() - begin if made["seconds"] is None else made["seconds"])


def build(
    path: str,
    out: str,
    library: str,
    batches: Tuple[int, int, int] = (1, 1, 1),
    chips: Sequence[str] = (),
    workspace: Optional[int] = None,
    tell: Tell = lambda **facts: None,
) -> Answer:
    """An engine that is taken along, in the file `out`; what it is made of. By Python's bindings as `trt.build`, else by trtexec.

    Raises:
        ImportError: neither is there. Otherwise as `trt.build`.
    """
    who, place = _here(library), default_cache() / "engines"
    if library == "tensorrt":  # the only one that keeps what it has timed
        place.mkdir(parents=True, exist_ok=True)
    made = _built(who, path, Path(out), batches, chips, workspace, place, tell)
    if who.tool is None:
        return dict(made, by=who.by)
    hashes = {"onnx": onnxfile.digest(path), "sha256": sha256_of(Path(out)), "size": os.path.getsize(out)}
    return dict(made, **hashes, library=library, version=who.version, by=who.by, chips=[], layers=[])


def _by_tool(
    tool: str, version: str, path: str, out: Path, batches: Sequence[int], workspace: Optional[int], timings: Optional[str], tell: Tell
) -> Answer:
    """By trtexec; what it tells of it, and the shapes of each input, least, usual and largest, as `profile`."""
    said = onnxfile.read(path)
    for put in said.inputs:
        if not all(isinstance(size, int) for size in put["shape"][1:]):
            raise RefusedError("only the batch of {} may be open, and its shape is {}. Export it with fixed sizes.".format(put["name"], put["shape"]))
    opened = [put for put in said.inputs if put["shape"] and not isinstance(put["shape"][0], int)]
    shapes = [{put["name"]: [batch, *put["shape"][1:]] for put in opened} for batch in batches]

    def beat() -> None:
        tell(what="trtexec", done=0, total=1)

    beat()
    limits: Dict[str, Any] = {"workspace": workspace, "timings": timings, "limit_s": BUILD_S}
    made = trtexec.build(tool, version, path, str(out), shapes, beat=beat, **limits)
    profile = {put["name"]: [shape.get(put["name"], put["shape"]) for shape in shapes] for put in said.inputs}
    return dict(made, profile=profile)


def _prune(place: Path, new: Path) -> None:
    """Take away what nobody asked for in so many days, and what a builder that was ended left behind."""
    for file in place.iterdir():
        if file not in (new, _table(new)) and time.time() - file.stat().st_mtime > 86400 * KEEP_DAYS:
            file.unlink()


def _file(place: Path, wanted: Answer) -> Path:
    return place / (hashlib.sha256(json.dumps(wanted, sort_keys=True).encode("utf-8")).hexdigest()[:32] + ".engine")


def _table(file: Path) -> Path:
    return file.with_name(file.name + ".json")

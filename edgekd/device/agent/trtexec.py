"""NVIDIA's `trtexec`, for a device that has TensorRT and no Python bindings of it: its command lines, and how it is run.

`build_command` and `time_command` are pure: a version and what is wanted in, words of a command out. TensorRT 11 turned defaults of 10 round (copies
off, graphs and spinning on) and took options away, so everything is said in full. What trtexec cannot do (answer images, keep a camera's pace) is
refused. Never run on hardware by this project.
"""

import math
import os
import shutil
import subprocess
import tempfile
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from . import feed, kernels, libraries
from .onnxfile import Said
from .protocol import Answer, RefusedError
from .trtlog import PARTS, parse_log, parse_times, version_of

PLACES = ("/usr/src/tensorrt/bin/trtexec", "/usr/local/tensorrt/bin/trtexec")
"""Where it lies when it is not on the PATH: JetPack's, and NVIDIA's archives' usual place."""
START_S = 300.0
"""How long it may take beyond what it times: an engine is loaded from a slow card."""
LAYERS = ".layers"
"""What a file of an engine's layers is called after its engine."""
BEAT_S = 10.0
"""How often it is said that it is still at work."""
Shapes = Mapping[str, Sequence[int]]
Run = Callable[[List[str], float], str]
_BINDINGS = "Install TensorRT's Python bindings there: sudo apt install python3-libnvinfer"
UNMETERED = "trtexec loads its engine within what would be counted. " + _BINDINGS
"""Why no energy is told of what it runs."""


def found() -> Optional[str]:
    """Where trtexec is."""
    return shutil.which("trtexec") or next((place for place in PLACES if os.access(place, os.X_OK)), None)


# Command lines --------------------------------------------------------------------------------------------------------


def build_command(
    tool: str, major: int, onnx: str, engine: str, shapes: Sequence[Shapes] = (), workspace: Optional[int] = None, timings: Optional[str] = None
) -> List[str]:
    """Builds an engine, writes its layers beside it and runs nothing. `shapes`: those of inputs whose batch is open, least, usual and largest;
    `workspace` in bytes."""
    words = [tool, "--onnx=" + onnx, "--saveEngine=" + engine, "--skipInference"]
    words += ["--profilingVerbosity=detailed", "--exportLayerInfo=" + engine + LAYERS]
    if major < 11:
        words.append("--stronglyTyped")  # 11 knows nothing else
    for which, each in zip(("min", "opt", "max"), shapes):
        if each:
            words.append("--{}Shapes={}".format(which, _spec(each)))
    if workspace is not None:
        words.append("--memPoolSize=workspace:{}M".format(max(1, workspace // 2**20)))
    if timings is not None:
        words.append("--timingCacheFile=" + timings)
    return words


def time_command(
    tool: str,
    major: int,
    engine: str,
    times: str,
    *,
    shapes: Shapes,
    warm_ms: float,
    min_ms: float,
    min_runs: int,
    graph: bool,
    spin: bool,
    streams: int = 1,
) -> List[str]:
    """Runs an engine, copies counted, and exports each inference's times to a file."""
    words = [tool, "--loadEngine=" + engine, "--exportTimes=" + times]
    words += ["--warmUp={}".format(math.ceil(warm_ms)), "--duration={}".format(math.ceil(min_ms / 1e3)), "--iterations={}".format(min_runs)]
    if shapes:
        words.append("--shapes=" + _spec(shapes))
    if streams > 1:
        words.append("--infStreams={}".format(streams))
    if major < 11:
        words += [word for wanted, word in ((graph, "--useCudaGraph"), (spin, "--useSpinWait")) if wanted]
    else:
        words.append("--includeDataTransfers")
        words += [word for wanted, word in ((graph, "--noCudaGraph"), (spin, "--noSpinWait")) if not wanted]
    return words


def _spec(shapes: Shapes) -> str:
    return ",".join("{}:{}".format(name, "x".join(map(str, sizes))) for name, sizes in shapes.items())


# Running it -----------------------------------------------------------------------------------------------------------


def run(command: List[str], limit_s: float, beat: Callable[[], None] = lambda: None) -> str:
    """What a command printed; it is a child of this process's group, and ends with it. `beat` is called every few seconds meanwhile.

    Raises:
        RefusedError: it failed, or took longer; its own words.
    """
    with tempfile.TemporaryFile() as words:  # not a pipe, which would be full before anybody reads it
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=words, stderr=subprocess.STDOUT)
        except OSError as error:
            raise RefusedError("trtexec does not start: {}".format(error)) from None
        try:
            code = _ended(process, limit_s, beat)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        words.seek(0)
        log = words.read().decode("utf-8", "replace")
    said = parse_log(log)
    if code or said["passed"] is False:
        told = "; ".join(said["errors"][-3:]) or " ".join(log.split())[-300:] or "it said nothing"
        raise RefusedError("trtexec failed with code {}: {}".format(code, told[:400]))
    return log


def _ended(process: "subprocess.Popen[bytes]", limit_s: float, beat: Callable[[], None]) -> int:
    deadline = time.monotonic() + limit_s
    while True:
        try:
            return process.wait(max(0.0, min(BEAT_S, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            if time.monotonic() >= deadline:
                raise RefusedError("trtexec must end within {:.0f} s and did not; it was ended".format(limit_s)) from None
            beat()


def version(tool: str) -> str:
    """Which TensorRT a trtexec belongs to.

    Raises:
        RefusedError: it does not say, or is older than TensorRT 10.
    """
    try:
        done = subprocess.run([tool, "--help"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RefusedError("trtexec does not start: {}".format(error)) from None
    told = version_of(done.stdout.decode("utf-8", "replace"))  # whatever its exit code: some answer help with a failure
    if told is None:
        raise RefusedError("{} does not say which TensorRT it belongs to: no line holds [TensorRT v...]".format(tool))
    libraries.check_version(told)
    return told


def build(
    tool: str,
    told: str,
    onnx: str,
    out: str,
    shapes: Sequence[Shapes],
    *,
    workspace: Optional[int],
    timings: Optional[str],
    limit_s: float,
    beat: Callable[[], None],
) -> Answer:
    """Build an engine into the file `out`; seconds that it took, its layers, and warnings. `told`: the tool's version."""
    try:
        said = parse_log(run(build_command(tool, int(told.split(".")[0]), onnx, out, shapes, workspace, timings), limit_s, beat))
        if not os.path.isfile(out):
            raise RefusedError("trtexec passed and wrote no engine: {}".format("; ".join(said["warnings"][-3:])[:400]))
        warnings: List[str] = said["warnings"][:20]
        try:
            with open(out + LAYERS, encoding="utf-8", errors="replace") as file:
                found = kernels.read(file.read())
        except (OSError, RefusedError) as error:
            found, warnings = [], [*warnings, "trtexec does not tell the engine's layers: {}".format(error)]
    finally:
        if os.path.exists(out + LAYERS):
            os.unlink(out + LAYERS)
    return {"seconds": said.get("build_s"), "kernels": found, "warnings": warnings}


class Model(feed.Model):
    """An engine that trtexec runs, in a process of its own each time it is asked."""

    def __init__(self, tool: str, told: str, engine: str, said: Said, *, graph: bool, spin: bool, batch: int = 1, run: Run = run) -> None:
        """Loads the engine once, for how long that and the first inference of so many images take; `said`: of the file that it was built from."""
        super().__init__("trtexec", said.inputs, said.outputs, said.metadata)
        self.graph, self.spin, self.graph_reason = graph, spin, None
        self._tool, self._major, self._engine, self._run = tool, int(told.split(".")[0]), engine, run
        once = self._asked(batch, {}, warm_ms=0, min_ms=0, min_runs=1, limit_s=START_S)
        self.load_ms = None if once["said"].get("load_s") is None else 1e3 * once["said"]["load_s"]
        self._first: Optional[float] = once["samples"][0]

    def first(self) -> Optional[float]:
        """The first inference's time; None once it was told."""
        told, self._first = self._first, None
        return told

    def run(self, feeds: Dict[str, Any]) -> List[Any]:
        """Refused: trtexec makes its inputs up, and what it answers is nobody's."""
        raise RefusedError("trtexec answers no images. " + _BINDINGS)

    def runner(self, feeds: Dict[str, Any]) -> Callable[[], object]:
        """Refused: each process of it loads the engine anew."""
        raise RefusedError("trtexec does not take turns with others. " + _BINDINGS)

    def timed(
        self,
        batch: int,
        dims: Dict[str, int],
        *,
        warm_ms: float,
        min_ms: float,
        min_runs: int,
        max_ms: float,
        period_ms: Optional[float] = None,
    ) -> Dict[str, List[float]]:
        """Milliseconds of each inference of one block, copies in them, as `parse_times`; refused at a camera's pace."""
        if period_ms is not None:
            raise RefusedError("trtexec keeps no camera's pace. " + _BINDINGS)
        told = self._asked(batch, dims, warm_ms=warm_ms, min_ms=min_ms, min_runs=min_runs, limit_s=max_ms / 1e3 + START_S)
        return {name: told[name] for name in ("samples", *PARTS)}

    def flow(self, batch: int, dims: Dict[str, int], *, min_ms: float, streams: int) -> float:
        """Images a second, so many batches in flight."""
        told = self._asked(batch, dims, warm_ms=200, min_ms=min_ms, min_runs=1, streams=streams, limit_s=min_ms / 1e3 + START_S)
        throughput = told["said"].get("throughput")
        if not throughput:
            raise RefusedError("trtexec's log holds no line of its throughput")
        return float(throughput) * self.images(batch, dims)

    def _asked(self, batch: int, dims: Dict[str, int], *, limit_s: float, **wishes: Any) -> Dict[str, Any]:
        shapes = {put["name"]: feed.shape(put, batch, dims) for put in self.inputs if not all(isinstance(size, int) for size in put["shape"])}
        with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
            times = os.path.join(folder, "times.json")
            command = time_command(self._tool, self._major, self._engine, times, shapes=shapes, graph=self.graph, spin=self.spin, **wishes)
            log = self._run(command, limit_s)
            try:
                with open(times, encoding="utf-8", errors="replace") as file:
                    return dict(parse_times(file.read()), said=parse_log(log))
            except OSError as error:
                raise RefusedError("trtexec passed and exported no times: {}".format(error)) from None

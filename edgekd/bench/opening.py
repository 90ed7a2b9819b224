"""What an agent is told so that it opens a file as a target says, and the engines that some targets want built on the device first.

In: a target and the way in which files run. Out: wishes for the jobs `open` and `duel`; tables of engines, which are records once they have run.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekd import stats
from edgekd.bench.plan import Way
from edgekd.device.agent.libraries import LIBRARIES
from edgekd.device.session import Session
from edgekd.events import Emit, Progress
from edgekd.measurements import EngineRun
from edgekd.target import Target

FLOW_BATCH = 8
"""Images a batch for throughput; 1, 8 and 32 were tried on CPUs, and 8 was the best or near it."""
BUILD_S = 1800.0
"""How long a builder may say nothing, in seconds."""


def wishes(what: Target, way: Way, *, shape: bool = True) -> dict[str, Any]:
    """By what a file is opened, and for which `shape` where a runtime prefers to know that beforehand."""
    found: dict[str, Any] = {"provider": what.provider}
    if what.runtime != "onnxruntime":
        found["runtime"] = what.runtime
        if shape:
            found |= {"batch": what.batch, "dims": dict(way.dims)}
    if what.by_engine:
        found |= {"batches": batches(what, way), "graph": what.cuda_graph, "spin": what.spin_wait, "workspace": what.workspace}
    return found


def batches(what: Target, way: Way) -> tuple[int, int, int]:
    """The least, usual and largest batch that an engine must take: what latency and throughput are measured at."""
    return 1, what.batch, max(what.batch, *(way.batches or (FLOW_BATCH,)))


def build(session: Session, what: Target, file: Path, way: Way, emit: Emit) -> Mapping[str, Any]:
    """Have a file's engine built on the device, unless it stands there; its table.

    Raises:
        DeviceError: there is no TensorRT or no GPU there, it does not take the file, or fails. MissingExtra: as `Agent.ask`.
    """

    def told(facts: Mapping[str, Any]) -> None:
        emit(Progress(what=f"building {file.name} for {what.name}: {facts['what']}", done=facts["done"], total=facts["total"], unit="steps"))

    with session.start() as agent:
        agent.send("engine", path=session.place(file), library=LIBRARIES[what.runtime], batches=batches(what, way), workspace=what.workspace)
        return agent.receive(BUILD_S, told)


def engine_run(table: Mapping[str, Any], parts: Mapping[str, Any]) -> EngineRun:
    """An engine's table and an agent's answer to `parts` as a record."""
    ms: Mapping[str, Sequence[float]] = {part: parts[part] for part in ("to_gpu", "compute", "from_gpu")}
    return EngineRun(
        **{name: table[name] for name in ("library", "version", "by", "gpu", "sha256", "size", "cached")},
        batches=list(table["batches"]),
        build_s=float(table["seconds"]),
        cuda_graph=bool(parts["graph"]),
        graph_reason=parts["graph_reason"],
        spin_wait=bool(parts["spin"]),
        to_gpu_ms=list(ms["to_gpu"]),
        compute_ms=list(ms["compute"]),
        from_gpu_ms=list(ms["from_gpu"]),
    )


def engine_doubts(engine: EngineRun) -> Iterator[str]:
    """What of an engine's run is worth a doubt, in words."""
    if engine.graph_reason is not None:
        yield f"it is launched without a CUDA graph, though one was wanted: {engine.graph_reason}"
    to_gpu, compute, from_gpu = (stats.median(ms) if ms else 0.0 for ms in (engine.to_gpu_ms, engine.compute_ms, engine.from_gpu_ms))
    if to_gpu + from_gpu > compute > 0:
        yield f"copies to and from the GPU take {to_gpu + from_gpu:.3f} ms, its work {compute:.3f} ms"

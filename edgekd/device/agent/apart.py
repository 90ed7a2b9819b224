"""Jobs on files that they open for themselves, whatever is open on the desk: files against each other, and one file layer by layer."""

import json
import os
import tempfile
import time
from typing import Any, Dict, List, Optional

from . import machine, onnxrt, openvinort, runtimes
from .block import in_turn, settle
from .protocol import Answer, RefusedError
from .runtimes import How
from .trace import node_times

PROFILED = 30
"""Runs of a profile: as many as it takes for medians that hold."""


def duel(
    paths: List[str],
    provider: str,
    min_ms: float,
    min_turns: int,
    max_ms: float,
    threads: int = 0,
    batch: int = 1,
    dims: Optional[Dict[str, int]] = None,
    frame_ms: Optional[float] = None,
    runtime: str = "onnxruntime",
    rival: Optional[Dict[str, Any]] = None,
    **how: Any,
) -> Answer:
    """Files against each other: their samples in ms an image, as many of each, taken in turn, and the agent's CPU time, which does nothing else.

    All lie in this process and share its threads, so that where it lies in memory, on which cores its threads came to be and what else the
    machine does are the same for all and leave their ratios. `rival` is another `runtime` with its `provider` and further fields of `How`, which
    runs all files too, behind the others; two runtimes share no threads, so before each one's turn it is waited until none spins.
    """
    threads = threads or machine.cores()
    sides = [dict(how, runtime=runtime, provider=provider), *([] if rival is None else [rival])]
    shared = runtime == "onnxruntime" and onnxrt.share_threads(threads)
    models = []
    for side in sides:
        known = dict(side, threads=threads, batch=batch, dims=dims or {}, shared=shared and side["runtime"] == "onnxruntime")
        models += [runtimes.opened(known["runtime"], path, How(**{key: known[key] for key in known if key != "runtime"})) for path in paths]
    runs = [model.runner(model.feeds(batch, dims or {})) for model in models]
    images = [model.images(batch, dims or {}) for model in models]
    period_ms = None if frame_ms is None else frame_ms * max(images)
    between = None if rival is None else settle
    samples = in_turn(runs, min_ms=min_ms, min_turns=min_turns, max_ms=max_ms, period_ms=period_ms, between=between)
    each = [[ms / count for ms in own] for own, count in zip(samples, images)]
    return {"samples": each, "shared": shared, "cpu_s": time.process_time()}


def profile(
    path: str,
    provider: str,
    folder: str,
    threads: int = 0,
    max_ms: float = 2000.0,
    batch: int = 1,
    dims: Optional[Dict[str, int]] = None,
    runtime: str = "onnxruntime",
) -> Answer:
    """Each node's microseconds in some runs of a session of its own, which keeps a profile; the open file is not touched.

    At most `PROFILED` runs after some that are dropped, and none is begun once `max_ms` have passed, but for the first two. What the
    runtime writes goes into `folder` and is taken away again.
    """
    if runtime == "openvino":
        compiled = openvinort.Model(path, provider, threads or machine.cores(), batch=batch, dims=dims, profile=True)
        return {"nodes": compiled.node_times(compiled.feeds(batch, dims or {}), PROFILED, max_ms / 1e3)}
    if runtime != "onnxruntime":
        raise RefusedError("the layers of an engine are not timed here; trtexec --dumpProfile does it")
    with tempfile.TemporaryDirectory(dir=folder) as place:
        model = onnxrt.Model(path, provider, threads or machine.cores(), short_spin=True, profile=os.path.join(place, "profile"))
        begin = time.perf_counter()
        runs = 0
        try:
            feeds = model.feeds(batch, dims or {})
            while runs < 2 or (runs < PROFILED + PROFILED // 10 and time.perf_counter() - begin < max_ms / 1e3):
                model.run(feeds)
                runs += 1
        finally:
            kept = model.profiled()
        try:
            with open(kept, encoding="utf-8", errors="replace") as file:
                events = json.load(file)
        except (OSError, ValueError) as error:
            raise RefusedError("the runtime's profile does not read: {}".format(error)) from None
    return {"nodes": node_times(events, dropped=max(1, runs - PROFILED))}

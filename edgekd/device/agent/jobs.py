"""What an agent can be asked. Each job is a function of its wishes; the one thing kept between jobs is the file that is open.

`facts` · `state` · `start` (import the runtime) · `open` · `predict` · `time` (a block one after another) · `duel` (several files in turn) · `flow`
(as many images as can be) · `profile` (each node by itself) · `build` (an engine). Tensors come and go as .npy files, without pickles.
"""

import json
import os
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Optional

from . import jetson, machine, onnxrt, trt
from .block import block, in_turn, settle
from .power import Meter
from .protocol import Answer, Job, RefusedError, Telling
from .trace import node_times

PROFILED = 30
"""Runs of a profile: as many as it takes for medians that hold."""


class Desk:
    """The agent's desk: at most one open file, with the inputs that it is timed on."""

    def __init__(self) -> None:
        self._model: Optional[onnxrt.Model] = None
        self._feeds: Optional[Dict[str, Any]] = None

    def jobs(self) -> Dict[str, Job]:
        """Every job by its name."""
        return {
            "facts": self.facts,
            "state": self.state,
            "rest": self.rest,
            "start": self.start,
            "open": self.open,
            "predict": self.predict,
            "time": self.time,
            "duel": self.duel,
            "flow": self.flow,
            "profile": self.profile,
            "builder": trt.builder,
            "build": Telling(trt.build),
        }

    def facts(self) -> Answer:
        """Which machine this is, a Jetson's release and power mode with it."""
        return dict(machine.facts(), **jetson.facts())

    def rest(self, seconds: float) -> Answer:
        """What the machine takes while nothing is asked of it."""
        meter = Meter(gpu=self._on_gpu())
        time.sleep(seconds)
        return self._told(meter)

    def state(self) -> Answer:
        """How the machine is, and the CPU seconds that this agent has had of it."""
        return dict(machine.state(), cpu_s=time.process_time())

    def start(self) -> Answer:
        """Import the runtime, so that its cost is not the first file's; bytes resident from here on are the file's."""
        answer = onnxrt.imported()
        machine.forget_peak()
        return dict(answer, resident=machine.peak_memory())

    def open(self, path: str, provider: str, threads: int = 0, short_spin: bool = True) -> Answer:
        """Load a file; `threads` 0 takes one a core. Times in ms."""
        if not os.path.isfile(path):
            raise RefusedError("there is no file {}".format(path))
        onnxrt.imported()
        threads = threads or machine.cores()
        begin = time.perf_counter()
        self._model = model = onnxrt.Model(path, provider, threads, short_spin=short_spin)
        taken = 1e3 * (time.perf_counter() - begin)
        self._feeds = None
        settle()
        return {
            "load_ms": taken,
            "provider": model.provider,
            "threads": threads,
            "inputs": model.inputs,
            "outputs": model.outputs,
            "metadata": model.metadata,
            "batch": model.batch,
        }

    def predict(self, inputs: Dict[str, str], folder: str, batch: int) -> Answer:
        """Answer the arrays in the files `inputs` by input name, `batch` at a time; files by output name, written into `folder`.

        A file whose batch is fixed gets full batches: the last is filled up with its own first rows, whose answers are dropped.
        """
        import numpy

        model = self._opened()
        arrays = {name: numpy.load(file, allow_pickle=False) for name, file in inputs.items()}
        n = len(next(iter(arrays.values())))
        pieces: List[List[Any]] = []
        for start in range(0, n, batch):
            piece = {name: array[start : start + batch] for name, array in arrays.items()}
            short = 0 if model.batch is None else batch - len(next(iter(piece.values())))
            if short:
                piece = {name: numpy.concatenate([array, numpy.repeat(array[:1], short, axis=0)]) for name, array in piece.items()}
            pieces.append([array[: batch - short] for array in model.run(piece)])
        files = {}
        for at, put in enumerate(model.outputs):
            files[put["name"]] = str(Path(folder) / "out-{}.npy".format(at))
            numpy.save(files[put["name"]], numpy.concatenate([piece[at] for piece in pieces]), allow_pickle=False)
        return {"outputs": files}

    def time(
        self,
        min_ms: float,
        min_runs: int,
        max_ms: float,
        warm_ms: float = 20.0,
        batch: int = 1,
        dims: Optional[Dict[str, int]] = None,
        frame_ms: Optional[float] = None,
        metered: bool = False,
    ) -> Answer:
        """One block: its samples in ms, and how many images each of them took.

        The first block after `open` also gives the first inference's time, as `first_ms`. `frame_ms` is the time from one of a camera's images to
        the next: an inference of several starts once that many have come. `metered` adds what energy it took; sensors that are read beside the
        work cost it time.
        """
        model = self._opened()
        images = model.images(batch, dims or {})
        first = None
        if self._feeds is None:
            self._feeds = model.feeds(batch, dims or {})
            begin = time.perf_counter()
            model.run(self._feeds)
            first = 1e3 * (time.perf_counter() - begin)
        feeds = self._feeds
        meter = Meter(gpu=self._on_gpu()) if metered else None

        def run() -> None:
            model.run(feeds)

        begin = time.perf_counter()
        period_ms = None if frame_ms is None else frame_ms * images
        samples = block(run, warm_ms=warm_ms, min_ms=min_ms, min_runs=min_runs, max_ms=max_ms, period_ms=period_ms)
        energy = {"seconds": time.perf_counter() - begin} if meter is None else self._told(meter)
        clocks = machine.clocks()
        settle()
        return {
            "samples": samples,
            "batch": images,
            "first_ms": first,
            "clock_mhz": clocks,
            "peak": machine.peak_memory(),
            **energy,
        }

    def duel(
        self,
        paths: List[str],
        provider: str,
        min_ms: float,
        min_turns: int,
        max_ms: float,
        threads: int = 0,
        batch: int = 1,
        dims: Optional[Dict[str, int]] = None,
        frame_ms: Optional[float] = None,
    ) -> Answer:
        """Files against each other: their samples in ms, as many of each, taken in turn. It wants an agent that does nothing else.

        All lie in this process and share its threads, so that where it lies in memory, on which cores its threads came to be and what else the
        machine does are the same for all and leave their ratios.
        """
        threads = threads or machine.cores()
        shared = onnxrt.share_threads(threads)
        models = [onnxrt.Model(path, provider, threads, short_spin=True, shared=shared) for path in paths]
        runs = [partial(model.run, model.feeds(batch, dims or {})) for model in models]
        period_ms = None if frame_ms is None else frame_ms * max(model.images(batch, dims or {}) for model in models)
        return {"samples": in_turn(runs, min_ms=min_ms, min_turns=min_turns, max_ms=max_ms, period_ms=period_ms), "shared": shared}

    def flow(self, batch: int, min_ms: float, streams: int = 1, dims: Optional[Dict[str, int]] = None) -> Answer:
        """Images a second over `min_ms` or more, `batch` at a time, `streams` batches in flight."""
        model = self._opened()
        feeds, images = model.feeds(batch, dims or {}), model.images(batch, dims or {})
        model.run(feeds)
        begin = time.perf_counter()
        end = begin + min_ms / 1e3
        counts = [0] * streams
        failures: List[Exception] = []

        def stream(at: int) -> None:
            try:
                while time.perf_counter() < end:
                    model.run(feeds)
                    counts[at] += images
            except Exception as error:  # of a thread of its own: handed to the job below
                failures.append(error)

        threads = [threading.Thread(target=stream, args=(at,)) for at in range(streams)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = time.perf_counter() - begin
        if failures:
            raise failures[0]
        settle()
        return {"images_per_s": sum(counts) / taken, "batch": images, "streams": streams}

    def profile(
        self, path: str, provider: str, folder: str, threads: int = 0, max_ms: float = 2000.0, batch: int = 1, dims: Optional[Dict[str, int]] = None
    ) -> Answer:
        """Each node's microseconds in some runs of a session of its own, which keeps a profile; the open file is not touched.

        At most `PROFILED` runs after some that are dropped, and none is begun once `max_ms` have passed, but for the first two. What the
        runtime writes goes into `folder` and is taken away again.
        """
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

    def _on_gpu(self) -> bool:
        return self._model is not None and self._model.provider != "CPUExecutionProvider" and not jetson.is_jetson()

    @staticmethod
    def _told(meter: Meter) -> Answer:
        joules, seconds, rail, reason = meter.end()
        return {"joules": joules, "seconds": seconds, "rail": rail, "energy_reason": reason}

    def _opened(self) -> onnxrt.Model:
        if self._model is None:
            raise RefusedError("no file is open; the job `open` comes first")
        return self._model

"""What an agent can be asked. Each job is a function of its wishes; the one thing kept between jobs is the file that is open.

`facts` · `state` · `start` (import the runtime) · `engine` (have one built and kept) · `open` · `predict` · `time` (a block one after another) ·
`parts` (copies and work on a GPU) · `duel` (several files in turn) · `flow` (as many images as can be) · `profile` (each node by itself) ·
`build` (an engine that is taken along). Tensors come and go as .npy files, without pickles.
"""

import os
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from . import apart, enginecache, engines, jetson, machine, nvml, runtimes, trtexec
from .block import block, settle
from .feed import Model
from .power import Meter
from .protocol import Answer, Job, RefusedError, Telling
from .runtimes import How

PARTED = 30
"""Runs whose copies and work are told apart."""


class Desk:
    """The agent's desk: at most one open file, with the inputs that it is timed on."""

    def __init__(self) -> None:
        self._model: Optional[Model] = None
        self._run: Optional[Callable[[], object]] = None

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
            "parts": self.parts,
            "duel": apart.duel,
            "flow": self.flow,
            "profile": apart.profile,
            "engine": Telling(enginecache.engine),
            "builder": enginecache.told,
            "build": Telling(enginecache.build),
        }

    def facts(self) -> Answer:
        """Which machine this is, a Jetson's release and power mode with it."""
        return dict(machine.facts(), **jetson.facts())

    def rest(self, seconds: float) -> Answer:
        """What the machine takes while nothing is asked of it."""
        meter = Meter(gpu=self._on_gpu())
        time.sleep(seconds)
        return self._told(meter)

    def state(self, raw: bool = False) -> Answer:
        """How the machine is, and the CPU seconds that this agent has had of it; `raw` as `jetson.state`."""
        return dict(machine.state(), **jetson.state(raw=raw), cpu_s=time.process_time(), pid=os.getpid())

    def start(self, runtime: str = "onnxruntime") -> Answer:
        """Import the runtime, so that its cost is not the first file's; bytes resident from here on are the file's."""
        answer = runtimes.imported(runtime)
        machine.forget_peak()
        return dict(answer, resident=machine.peak_memory())

    def open(self, path: str, provider: str, threads: int = 0, short_spin: bool = True, runtime: str = "onnxruntime", **how: Any) -> Answer:
        """Load a file; `threads` 0 takes one a core, `how` is further fields of `How`. Times in ms."""
        if not os.path.isfile(path):
            raise RefusedError("there is no file {}".format(path))
        runtimes.imported(runtime)
        threads = threads or machine.cores()
        if self._model is not None:
            self._model.close()
        self._model = self._run = None
        begin = time.perf_counter()
        self._model = model = runtimes.opened(runtime, path, How(provider, threads, short_spin, **how))
        taken = 1e3 * (time.perf_counter() - begin) if model.load_ms is None else model.load_ms
        settle()
        return {
            "load_ms": taken,
            "provider": model.provider,
            "threads": threads,
            "inputs": model.inputs,
            "outputs": model.outputs,
            "metadata": model.metadata,
            "batch": model.batch,
            "partly": model.partly,
        }

    def predict(self, inputs: Dict[str, str], output: str, folder: str, batch: int) -> Answer:
        """Answer the arrays in the files `inputs` by input name, `batch` at a time; the file of that output by its name, written into `folder`.

        A file whose batch is fixed gets full batches: the last is filled up with its own first rows, whose answers are dropped.
        """
        import numpy

        model = self._opened()
        at = [put["name"] for put in model.outputs].index(output)
        arrays = {name: numpy.load(file, allow_pickle=False) for name, file in inputs.items()}
        n = len(next(iter(arrays.values())))
        pieces: List[Any] = []
        for start in range(0, n, batch):
            piece = {name: array[start : start + batch] for name, array in arrays.items()}
            short = 0 if model.batch is None else batch - len(next(iter(piece.values())))
            if short:
                piece = {name: numpy.concatenate([array, numpy.repeat(array[:1], short, axis=0)]) for name, array in piece.items()}
            pieces.append(model.run(piece)[at][: batch - short])  # others may answer once for all images
        file = str(Path(folder) / "out.npy")
        numpy.save(file, numpy.concatenate(pieces), allow_pickle=False)
        return {"outputs": {output: file}}

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
        limits: Dict[str, Any] = {"warm_ms": warm_ms, "min_ms": min_ms, "min_runs": min_runs, "max_ms": max_ms}
        period_ms = None if frame_ms is None else frame_ms * images
        first = None
        if self._run is None and not isinstance(model, trtexec.Model):
            feeds = model.feeds(batch, dims or {})
            begin = time.perf_counter()
            self._run = model.runner(feeds)
            self._run()
            first = 1e3 * (time.perf_counter() - begin)
        by_tool = isinstance(model, trtexec.Model)
        meter = Meter(gpu=self._on_gpu()) if metered and not by_tool else None
        begin = time.perf_counter()
        if isinstance(model, trtexec.Model):
            first, samples = model.first(), model.timed(batch, dims or {}, period_ms=period_ms, **limits)["samples"]
        else:
            assert self._run is not None
            samples = block(self._run, period_ms=period_ms, **limits)
        energy: Answer = {"seconds": time.perf_counter() - begin} if meter is None else self._told(meter)
        if metered and by_tool:
            energy.update(joules=None, rail=None, energy_reason=trtexec.UNMETERED)
        clocks, gpu_mhz = machine.clocks(), self._gpu_mhz()
        settle()
        return {
            "samples": samples,
            "batch": images,
            "first_ms": first,
            "clock_mhz": clocks,
            "gpu_mhz": gpu_mhz,
            "peak": None if by_tool else machine.peak_memory(),
            **energy,
        }

    def parts(self, batch: int = 1, dims: Optional[Dict[str, int]] = None) -> Answer:
        """Milliseconds of copies to the GPU, its work and copies back in some inferences of an engine; how those are launched and waited for."""
        model = self._opened()
        if isinstance(model, trtexec.Model):
            found = model.timed(batch, dims or {}, warm_ms=200, min_ms=0, min_runs=PARTED, max_ms=0)
        elif isinstance(model, engines.Model):
            found = model.parts(model.feeds(batch, dims or {}), PARTED)
        else:
            raise RefusedError("{} does not tell copies and work apart".format(model.provider))
        return dict({part: found[part] for part in engines.PARTS}, graph=model.graph, graph_reason=model.graph_reason, spin=model.spin)

    def flow(self, batch: int, min_ms: float, streams: int = 1, dims: Optional[Dict[str, int]] = None) -> Answer:
        """Images a second over `min_ms` or more, `batch` at a time, `streams` batches in flight."""
        model = self._opened()
        images = model.images(batch, dims or {})
        if isinstance(model, trtexec.Model):
            return {"images_per_s": model.flow(batch, dims or {}, min_ms=min_ms, streams=streams), "batch": images, "streams": streams}
        feeds = model.feeds(batch, dims or {})
        runs = [model.runner(feeds) for _ in range(streams)]
        for run in runs:
            run()
        begin = time.perf_counter()
        end = begin + min_ms / 1e3
        counts = [0] * streams
        failures: List[Exception] = []

        def stream(at: int) -> None:
            try:
                while time.perf_counter() < end:
                    runs[at]()
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

    def _on_gpu(self) -> bool:
        return self._model is not None and self._model.provider not in runtimes.ON_CPU and not jetson.is_jetson()

    def _gpu_mhz(self) -> Optional[float]:
        """The clock of the GPU that does the work; None where none does, or it does not tell."""
        if self._model is None or self._model.provider in runtimes.ON_CPU:
            return None
        return jetson.gpu_mhz() if jetson.is_jetson() else nvml.mhz()

    @staticmethod
    def _told(meter: Meter) -> Answer:
        joules, seconds, rail, reason = meter.end()
        return {"joules": joules, "seconds": seconds, "rail": rail, "energy_reason": reason}

    def _opened(self) -> Model:
        if self._model is None:
            raise RefusedError("no file is open; the job `open` comes first")
        return self._model

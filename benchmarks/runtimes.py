"""One network in several runtimes on this CPU, taking turns in one process: ONNX Runtime, OpenVINO, PyTorch as it is and compiled.

In: a folder with a network's files and its weights, as `export` leaves it. Out: what an image took each of them, launches → rounds → ms, and their
answers to a few images, so that nobody is timed at something else. Each launch is a process of its own in which all are loaded before the first turn;
then they go in balanced rounds of blocks, as in `edgekd bench`, and a turn begins when the threads of the one before it have come to rest.
"""

import multiprocessing
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgekd import stats, target, timings
from edgekd.device.agent import machine
from edgekd.device.agent.block import block, settle
from edgekd.device.agent.runtimes import How, opened
from edgekd.export.optimised import conversions, in_int8, optimised
from edgekd.models.load import build
from edgekd.models.weightfile import read_metadata
from edgekd.target import Target

ORT, PLAIN, OPENVINO, EAGER, COMPILED = "onnxruntime", "onnxruntime, plain export", "openvino", "pytorch", "pytorch, compiled"
TARGETS = {ORT: "cpu", OPENVINO: "cpu-openvino"}
"""Whose targets open edgekd's files in which runtime."""
WEIGHTS, PLAIN_FILE = "weights.safetensors", "plain.onnx"
"""What a folder has beside the files that edgekd exported."""

Way = tuple[str, str]
"""Runtime and precision."""
Floats = NDArray[np.float32]
Answer = Callable[[Floats], Floats]
"""An image prepared, (1, c, h, w), to its logits, (1, classes)."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is timed: a block lasts `block_ms` and `block_runs` images, `most_ms` at the most."""

    launches: int = 3
    rounds: int = 6
    block_ms: float = 200.0
    block_runs: int = 5
    warm_ms: float = 20.0
    most_ms: float = 6000.0
    compile: bool = True


QUICK = Plan(launches=2, rounds=2, block_ms=20.0, block_runs=3, warm_ms=5.0, compile=False)


@dataclass
class Bout:
    """What came of a network: samples as launches → rounds → ms, answers (images, classes) of the first launch, and who failed with which reason."""

    samples: dict[Way, list[list[list[float]]]] = field(default_factory=dict)
    answers: dict[Way, Floats] = field(default_factory=dict)
    failures: dict[Way, str] = field(default_factory=dict)

    def latency(self, way: Way) -> stats.Interval:
        """The median in ms."""
        return timings.median_interval(self.samples[way])

    def ratio(self, way: Way, other: Way) -> stats.Interval:
        """The one's latency over the other's: of each launch the median over its rounds, in each of which both had a turn."""
        launches = zip(self.samples[way], self.samples[other], strict=True)
        return stats.mean_ratio([_median([_median(a) / _median(b) for a, b in zip(*pair, strict=True)]) for pair in launches])


def _median(values: list[float]) -> float:
    return stats.median(values)


def versions() -> dict[str, str]:
    """Of the runtimes that are timed."""
    return {name: version(name) for name in ("onnxruntime", "openvino", "torch")}


def compiler() -> str | None:
    """The C++ compiler that `torch.compile` would call; None where there is none."""
    return next((path for name in (os.environ.get("CXX", ""), "g++", "clang++", "c++") if name and (path := shutil.which(name))), None)


def compete(folder: Path, files: Mapping[Way, Path], images: Floats, shape: tuple[int, int, int], plan: Plan) -> Bout:
    """All launches of a network.

    Args:
        files: ONNX files by who runs them.
        images: prepared, (n, c, h, w); the first is what is timed.
        shape: height, width, channels of the data.
    """
    found = Bout()
    for number in range(plan.launches):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            samples, answers, failures = pool.submit(_launch, folder, files, images, shape, plan, number).result()
        for way, rounds in samples.items():
            found.samples.setdefault(way, []).append(rounds)
        found.answers = found.answers or answers
        found.failures |= failures
    for way in found.failures:  # it may have failed in one launch only
        found.samples.pop(way, None)
    return found


Launch = tuple[dict[Way, list[list[float]]], dict[Way, Floats], dict[Way, str]]


def _launch(folder: Path, files: Mapping[Way, Path], images: Floats, shape: tuple[int, int, int], plan: Plan, number: int) -> Launch:
    """In a process of its own: everybody loaded, asked for answers, then timed in turn."""
    threads = machine.cores()
    torch.set_num_threads(threads)
    runs: dict[Way, Answer] = {}
    answers: dict[Way, Floats] = {}
    failures: dict[Way, str] = {}
    for way, opener in _openers(folder, files, shape, threads, compiled=plan.compile).items():
        try:
            runs[way] = answer = opener()
            answers[way] = np.concatenate([np.array(answer(image[None])) for image in images])
        except Exception as error:  # of a library; the others are timed without it
            runs.pop(way, None)
            failures[way] = f"{type(error).__name__}: {error}".splitlines()[0]
        settle()
    samples: dict[Way, list[list[float]]] = {way: [] for way in runs}
    for at in range(plan.rounds):
        for way in timings.turns(list(runs), number, plan.rounds, at):
            once = partial(runs[way], images[:1])
            samples[way].append(block(once, warm_ms=plan.warm_ms, min_ms=plan.block_ms, min_runs=plan.block_runs, max_ms=plan.most_ms))
            settle()
    return samples, answers, failures


# Runtimes -------------------------------------------------------------------------------------------------------------


def _openers(
    folder: Path, files: Mapping[Way, Path], shape: tuple[int, int, int], threads: int, *, compiled: bool
) -> dict[Way, Callable[[], Answer]]:
    kinds: dict[str, Callable[[Path, int], Answer]] = {runtime: partial(_by_target, target.load(name)) for runtime, name in TARGETS.items()}
    kinds[PLAIN] = _plain
    found: dict[Way, Callable[[], Answer]] = {way: partial(kinds[way[0]], file, threads) for way, file in files.items()}
    found[EAGER, "fp32"] = partial(_pytorch, folder, shape, compiled=False)
    if compiled and compiler() is not None:
        found[COMPILED, "fp32"] = partial(_pytorch, folder, shape, compiled=True)
    return found


def _by_target(what: Target, file: Path, threads: int) -> Answer:
    """As a target opens it to be timed."""
    model = opened(what.runtime, str(file), How(provider=what.provider, threads=threads, batch=1))
    name = model.inputs[0]["name"]
    return lambda image: model.run({name: image})[0]


def _plain(file: Path, threads: int) -> Answer:
    """As ONNX Runtime is by default, which is on all cores."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda image: session.run(None, {name: image})[0]


def _pytorch(folder: Path, shape: tuple[int, int, int], *, compiled: bool) -> Answer:
    classes = int(read_metadata(folder / WEIGHTS)["edgekd.outputs"])
    body = build(str(folder / WEIGHTS), classes=classes, shape=shape).eval().body
    called: Any = torch.compile(body) if compiled else body

    def answer(image: Floats) -> Floats:
        with torch.inference_mode():
            logits: Floats = called(torch.from_numpy(image)).numpy()
        return logits

    return answer


def left_over(file: Path) -> dict[str, int]:
    """What ONNX Runtime makes of an int8 file for this CPU: how many nodes run in int8, and how many only go between int8 and float."""
    nodes = optimised(file)
    return {"int8_nodes": sum(in_int8(nodes).values()), "conversions": conversions(nodes), "nodes": sum(nodes.values())}

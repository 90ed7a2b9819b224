"""Precision, memory format and compiling for training on this machine, chosen by a short measurement.

A few steps are timed with each candidate in turn; the plain one (fp32, default layout) is left only for a gain of 5 % or more. One that fails, as
code that wants its tensors in torch's own order may, is none. What the recipe pins is not tried. Compiling takes half a minute itself: it is tried
only where the run is many times longer, and stays only if that comes back. The choice is written down by the caller and read on resume, so that a run
ends as it began.
"""

import copy
import math
import shutil
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekd.errors import first_line
from edgekd.scores import Struct
from edgekd.tasks import several

ROUNDS = 4
WORTH = 0.95
"""A candidate must take at most this share of the plain one's time to be chosen over it."""
COMPILING_S = 40.0
"""About what it takes to compile a small network on a CPU (37 s a resnet8)."""
LONG = 10.0
"""How many times as long a run must be for compiling to be tried. At 20, 10,000 steps of a resnet8 on two cores with AMX (9 minutes) were not
compiled, and took 1.27 times what they might have (benchmarks/LOG.md, 2026-11-27)."""


Way = TypeVar("Way")


class Pace(Struct, frozen=True, kw_only=True):
    """How steps are computed, and the seconds that each candidate's step took."""

    precision: str
    channels_last: bool
    compile: bool = False
    seconds: dict[str, float] = {}
    compiling: str = ""
    """What became of compiling, where it was tried or pinned."""


def choose_pace(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    precision: str | None,
    channels_last: bool | None,
    compile: bool | None = False,
    steps: int = 0,
) -> Pace:
    """The fastest way to run `steps` training steps of `network` on batches like `images` (batch, c, h, w); the network itself is left as it was.

    What is None is open.
    """
    precisions = [precision] if precision else ["fp32", "bf16"] if _bf16_runs(images.device) else ["fp32"]
    layouts = [channels_last] if channels_last is not None else [False, True]
    candidates = [(p, layout) for p in precisions for layout in layouts]
    if len(candidates) == 1 and compile is not None:
        return Pace(precision=candidates[0][0], channels_last=candidates[0][1], compile=compile)
    steppers = {candidate: _Stepper(network, images, labels, *candidate) for candidate in candidates}
    # a run that reads its pace instead of measuring it must drop out the same
    with torch.random.fork_rng([images.device] if images.device.type == "cuda" else []):
        chosen, seconds = fastest({candidate: stepper.step for candidate, stepper in steppers.items()}, rounds=ROUNDS)
        compiled, compiling = bool(compile), ""
        if compile is None and seconds[chosen] * steps > LONG * COMPILING_S and _compiler(images.device):
            compiled, compiling = _worth_compiling(network, images, labels, chosen, steppers[chosen], steps)
    told = {_name(*candidate): round(value, 5) for candidate, value in seconds.items()}
    return Pace(precision=chosen[0], channels_last=chosen[1], compile=compiled, seconds=told, compiling=compiling)


def fastest(ways: Mapping[Way, Callable[[], float]], *, rounds: int, most_s: float = math.inf) -> tuple[Way, dict[Way, float]]:
    """Of ways that tell how long they took, in turn, the fastest, and the seconds of each that did not fail.

    The first is the plain one: it is left only for a gain worth it, and must not fail. Once `most_s` has passed, one round after the first, which
    warms up, is enough.
    """
    begun, plain = time.monotonic(), next(iter(ways))
    times: dict[Way, list[float]] = {way: [] for way in ways}
    for at in range(rounds):
        if at > 1 and time.monotonic() - begun > most_s:
            break
        for way in list(times):
            try:
                times[way].append(ways[way]())
            except RuntimeError:
                if way == plain:
                    raise
                del times[way]
    # the minimum of a few interleaved rounds: a neighbour's load can only add to a time
    seconds = {way: min(samples[1:]) for way, samples in times.items()}
    best = min(seconds, key=lambda way: seconds[way])
    return (best if seconds[best] <= WORTH * seconds[plain] else plain), seconds


def _worth_compiling(network: nn.Module, images: Tensor, labels: Tensor, chosen: tuple[str, bool], plain: "_Stepper", steps: int) -> tuple[bool, str]:
    """Whether a compiled network ends `steps` steps sooner, what it takes to compile it included; and that in words."""
    begun = time.monotonic()
    try:
        compiled = _Stepper(network, images, labels, *chosen, compiled=True)
        compiled.step()
        spent = time.monotonic() - begun
        pairs = [(plain.step(), compiled.step()) for _ in range(ROUNDS)]
    except Exception as error:  # torch's compilers fail in many ways, and the run does well without them
        return False, f"compiling failed ({first_line(error)})"
    before, after = (min(times) for times in zip(*pairs, strict=True))
    words = f"compiled in {spent:.0f} s to {after / before:.0%} of a step's time"
    return after * steps + spent <= WORTH * before * steps, words


def _compiler(device: torch.device) -> bool:
    """Whether torch finds what it compiles with."""
    return any(shutil.which(name) for name in ("c++", "g++", "clang++")) if device.type == "cpu" else device.type == "cuda"


def _name(precision: str, channels_last: bool) -> str:
    return f"{precision} channels_last" if channels_last else precision


def _bf16_runs(device: torch.device) -> bool:
    """Whether bf16 is computed and not emulated there: only then is it worth a try."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()) or bool(
        getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    )


class _Stepper:
    """A copy of the network that takes training steps and tells how long one took."""

    def __init__(self, network: nn.Module, images: Tensor, labels: Tensor, precision: str, channels_last: bool, *, compiled: bool = False) -> None:
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.network = copy.deepcopy(network).train().to(memory_format=layout)
        self.forward = torch.compile(self.network) if compiled else self.network
        self.images = images.contiguous(memory_format=layout)
        self.labels = labels.argmax(1) if several(labels) else labels  # a loss over all logits takes as long whatever it says of them
        self.bf16 = precision == "bf16"
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=1e-4, momentum=0.9)

    def step(self) -> float:
        begun = time.perf_counter()
        with torch.autocast(self.images.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            logits = self.forward(self.images)
        self.optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(logits.float(), self.labels).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if self.images.device.type == "cuda":
            torch.cuda.synchronize(self.images.device)
        return time.perf_counter() - begun

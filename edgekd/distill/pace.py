"""Precision and memory format for training on this machine, chosen by a short measurement.

A few steps are timed with each candidate in turn; the plain one (fp32, default layout) is left only for a gain of 5 % or more. What the recipe pins
is not measured. The choice is written down by the caller and read on resume, so that a run ends as it began.
"""

import copy
import time

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekd.scores import Struct
from edgekd.tasks import several

ROUNDS = 4
WORTH = 0.95
"""A candidate must take at most this share of the plain one's time to be chosen over it."""


class Pace(Struct, frozen=True, kw_only=True):
    """How steps are computed, and the seconds that each candidate's step took."""

    precision: str
    channels_last: bool
    seconds: dict[str, float] = {}


def choose_pace(network: nn.Module, images: Tensor, labels: Tensor, *, precision: str | None, channels_last: bool | None) -> Pace:
    """The fastest way to run a training step of `network` on a batch like `images` (batch, c, h, w); the network itself is left as it was."""
    precisions = [precision] if precision else ["fp32", "bf16"] if _bf16_runs(images.device) else ["fp32"]
    layouts = [channels_last] if channels_last is not None else [False, True]
    candidates = [(p, layout) for p in precisions for layout in layouts]
    if len(candidates) == 1:
        return Pace(precision=candidates[0][0], channels_last=candidates[0][1])
    steppers = {candidate: _Stepper(network, images, labels, *candidate) for candidate in candidates}
    times: dict[tuple[str, bool], list[float]] = {candidate: [] for candidate in candidates}
    # a run that reads its pace instead of measuring it must drop out the same
    with torch.random.fork_rng([images.device] if images.device.type == "cuda" else []):
        for _ in range(ROUNDS):
            for candidate, stepper in steppers.items():
                times[candidate].append(stepper.step())
    # the minimum of a few interleaved rounds: a neighbour's load can only add to a time
    seconds = {candidate: min(samples[1:]) for candidate, samples in times.items()}
    plain = candidates[0]
    best = min(seconds, key=lambda candidate: seconds[candidate])
    chosen = best if seconds[best] <= WORTH * seconds[plain] else plain
    return Pace(precision=chosen[0], channels_last=chosen[1], seconds={_name(*c): round(s, 5) for c, s in seconds.items()})


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

    def __init__(self, network: nn.Module, images: Tensor, labels: Tensor, precision: str, channels_last: bool) -> None:
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.network = copy.deepcopy(network).train().to(memory_format=layout)
        self.images = images.contiguous(memory_format=layout)
        self.labels = labels.argmax(1) if several(labels) else labels  # a loss over all logits takes as long whatever it says of them
        self.bf16 = precision == "bf16"
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=1e-4, momentum=0.9)

    def step(self) -> float:
        begun = time.perf_counter()
        with torch.autocast(self.images.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            logits = self.network(self.images)
        self.optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(logits.float(), self.labels).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if self.images.device.type == "cuda":
            torch.cuda.synchronize(self.images.device)
        return time.perf_counter() - begun

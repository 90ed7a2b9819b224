"""How a teacher is asked: how many images at once and in which memory format, chosen by a short measurement.

What is fastest depends on the network: channels last for all that were measured; by 16 to 64 images at once those at 224 pixels, which keep more on
their way than a CPU's caches hold, by whole batches those at 32 (benchmarks/results/asking.json). In eval mode an answer depends on its own image
alone, so that this moves answers by rounding only. It is measured where a run asks often enough; the choice is written down by the caller, read on
resume and by whoever else asks for the same answers.
"""

import copy
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import torch
from torch import Tensor, nn

from edgekd import units
from edgekd.distill.pace import fastest
from edgekd.events import Emit, Note
from edgekd.files import write_atomic
from edgekd.models.network import evaluating
from edgekd.scores import Struct

PIECES = (64, 32, 16)
"""Images at once that are tried on a CPU beside a whole batch; a GPU wants as many as there are."""
OFTEN = 30_000
"""Images that a run must ask about for a measurement to come back: one asks about 1,000."""
ROUNDS, MOST_S = 3, 10.0
"""The first warms up; after so many seconds one more is enough."""


class Asking(Struct, frozen=True, kw_only=True):
    """How many images a teacher is asked about at once (None: a batch as it comes), and the seconds that an image took each candidate."""

    at_once: int | None = None
    channels_last: bool = False
    seconds: dict[str, float] = {}

    def __str__(self) -> str:
        return _name(self.at_once, channels_last=self.channels_last)


def choose_asking(network: nn.Module, images: Tensor, *, bf16: bool = False, often: bool = True) -> Asking:
    """The fastest way to have a network's answers to batches like `images` (batch, c, h, w); the network itself is left as it was.

    A candidate that fails, as code that wants its tensors in torch's own order may, is none; that of whole batches in this order must not.
    `often`: what is asked about so many images that a choice comes back; else that candidate alone is timed.
    """
    pieces = [None, *(piece for piece in PIECES if piece < len(images) and images.device.type == "cpu")] if often else [None]
    networks = copies(network) if often else {False: network}

    def timed(at_once: int | None, channels_last: bool) -> Callable[[], float]:
        return lambda: _seconds(networks[channels_last], images[:at_once], bf16=bf16) / (at_once or len(images))

    (at_once, channels_last), seconds = fastest({way: timed(*way) for way in itertools.product(pieces, networks)}, rounds=ROUNDS, most_s=MOST_S)
    told = {_name(piece, channels_last=last): round(value, 7) for (piece, last), value in seconds.items()}
    return Asking(at_once=at_once, channels_last=channels_last, seconds=told)


def copies(network: nn.Module) -> dict[bool, nn.Module]:
    """The network in torch's own memory format (False) and in channels last (True); one that has no maps, as an ONNX file, by itself."""
    if not any(parameter.dim() == 4 for parameter in network.parameters()):
        return {False: network}
    orders = {False: torch.contiguous_format, True: torch.channels_last}
    return {last: copy.deepcopy(network).to(memory_format=order) for last, order in orders.items()}


def _seconds(network: nn.Module, images: Tensor, *, bf16: bool) -> float:
    begun = time.perf_counter()
    with evaluating(network), torch.inference_mode(), torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=bf16):
        network(images)
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)
    return time.perf_counter() - begun


def asked_as(file: Path, network: nn.Module, images: Tensor, *, name: str, total: int, bf16: bool, emit: Emit) -> Asking:
    """As it stands in a file, else chosen and written there; where only few images, `total`, are asked about: plainly."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Asking)
    except (FileNotFoundError, msgspec.MsgspecError):
        if total < OFTEN:
            return Asking()
        found = choose_asking(network, images, bf16=bf16)
    write_atomic(file, msgspec.json.encode(found))
    taken, plain = (units.ms_text(1e3 * found.seconds[str(way)], 2) for way in (found, Asking()))
    emit(Note(text=f"{name} is asked for {found}: an image takes {taken} so, and {plain} of a batch at once"))
    return found


def _name(at_once: int | None, *, channels_last: bool) -> str:
    return f"{'a batch' if at_once is None else at_once} at once{', channels last' if channels_last else ''}"

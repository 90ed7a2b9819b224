"""What each of several launched processes does for test_ranks: `torchrun --standalone --nproc-per-node 2 -m tests.distill.ranked FOLDER`.

Each job ends with the weights of every rank in FOLDER/JOB-RANK.safetensors. In FOLDER/dies the last rank kills itself in its twelfth step, at its
first try.
"""

import itertools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from edgekd.data.batches import Batches
from edgekd.distill import Job, distill
from edgekd.distill.ranks import ALONE, Ranks, Several
from edgekd.models.network import Network
from edgekd.phases import Phase, Subset, Temperature
from edgekd.record import Training
from edgekd.terms import Attention, Dist, Feature, Kd, Label
from tests.distill import nets


class Smooth(nn.Module):
    """A convolution and a linear head: no statistics of a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.head = nn.Linear(4, nets.CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.first(images).relu().mean((2, 3)))
        return logits


PER_SAMPLE = (
    nets.PHASES[0],
    Phase(
        name="refine",
        epochs=3,
        terms=(Kd(), Kd(standardise=True), Label(weight=0.1)),
        temperature=Temperature(start=3, end=0.5, shape="learned"),
        subset=Subset(by="mixed", fraction=0.75),
    ),
)
"""Losses that are means over samples, two and then three of them, and two temperatures that every rank must move alike. 48 images of the second phase
are three batches."""
COUPLED = (Phase(name="coupled", epochs=2, terms=(Kd(), Dist()), temperature=3.0),)
"""DIST compares a batch's samples with each other, and the network normalises them together."""


INSIDE = (
    Phase(name="inside", epochs=2, terms=(Feature(pairs=(("first", "first"),)), Attention(pairs=(("first", "first"),)), Label())),
    Phase(name="answers", epochs=1, terms=(Kd(), Label(weight=0.1)), temperature=3.0),
)
"""What looks inside, by a projection that all ranks learn together, and then answers."""


def learn(
    folder: Path, body: Callable[[], nn.Module], phases: tuple[Phase, ...], ranks: Ranks = ALONE, *, dies: bool = False
) -> tuple[Network, Training]:
    """Distil a toy, from one of its own kind where its insides are compared; where it `dies`, the last rank is killed in its twelfth step."""
    torch.manual_seed(1 + ranks.number)  # the main rank's weights are everybody's
    student = nets.network(body())
    if dies:
        passes = itertools.count(1)

        def stop(module: nn.Module, args: object) -> None:
            if module.training and next(passes) == 12 and ranks.number == ranks.count - 1:
                os.kill(os.getpid(), signal.SIGKILL)

        student.register_forward_pre_hook(stop)
    training = distill(
        student,
        nets.network(body(), seed=9, name="teacher") if phases is INSIDE else nets.teacher(),
        Job(
            phases=phases,
            train=nets.TRAIN,
            folder=folder if ranks.main else folder.with_name(f"{folder.name}-{ranks.number}"),
            seed=5,
            checkpoint_s=nets.ALWAYS,
            ranks=ranks,
        ),
        data=Batches(nets.images()),
        data_sha256="toy",
        valid=nets.data(30, seed=1),
        memory=folder / "remembered",
    )
    return student, training


def main(folder: Path) -> None:
    ranks = Several(torch.device("cpu"))
    jobs = (
        ("per-sample", Smooth, PER_SAMPLE),
        ("coupled", lambda: nets.Toy(dropout=0.0), COUPLED),
        ("inside", Smooth, INSIDE),
        ("dies", Smooth, PER_SAMPLE),
    )
    for name, body, phases in jobs:
        first = ranks.agreed(not (folder / f"{name}-0.safetensors").exists())
        if not first:
            continue
        dies = name == "dies" and ranks.agreed(not (folder / name).exists())
        student, _ = learn(folder / name, body, phases, ranks, dies=dies)
        save_file(student.state_dict(), folder / f"{name}-{ranks.number}.safetensors")
        ranks.agreed(None)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

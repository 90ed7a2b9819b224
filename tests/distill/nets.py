"""Toy networks, images and one job in two phases, shared by the tests of training."""

import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from edgekd.data.batches import Batches
from edgekd.data.images import Images
from edgekd.distill import distill
from edgekd.distill.job import Job
from edgekd.distill.teacher import Teacher
from edgekd.distill.train import fit
from edgekd.events import Emit, Event, silent
from edgekd.models.network import Network
from edgekd.phases import Augment, Optimizer, Phase, Subset, Temperature, Train
from edgekd.preprocess import Preprocess
from edgekd.record import Training
from edgekd.terms import Dist, Kd, Label

CLASSES = 3
AUGMENT = Augment(crop=1, flip=True)
TRAIN = Train(batch=16, optimizer=Optimizer(lr=0.05), views=2, augment=AUGMENT, precision="fp32", channels_last=False)
EMA = Train(batch=16, optimizer=Optimizer(lr=0.05), views=2, augment=AUGMENT, precision="fp32", channels_last=False, ema=0.8)
PHASES = (
    Phase(
        name="transfer",
        epochs=3,
        terms=(Kd(weight=0.9), Label(weight=0.1)),
        temperature=Temperature(start=6, end=0.5, shape="student-confidence"),
    ),
    Phase(
        name="refine",
        epochs=3,
        terms=(Kd(), Dist()),
        temperature=Temperature(start=3, end=0.5, shape="learned"),
        subset=Subset(by="mixed", fraction=0.7),
        batchnorm="frozen",
    ),
)
"""24 steps on 64 images: 12 over all, 12 over 45 of them, which are two batches a pass."""
STEPS = 24
NEVER, ALWAYS = 1e9, -1.0
"""Seconds between checkpoints: only a signal leaves one, or each step does."""


class Toy(nn.Module):
    """Convolution, BatchNorm, dropout, a linear head: 131 weights."""

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.dropout(self.first(images).mean((2, 3))))
        return logits


class Painter(nn.Module):
    """A teacher without weights that has most images right: it tells red, green and blue apart by the mean of each."""

    def __init__(self, gain: float = 4.0) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, images: Tensor) -> Tensor:
        return self.gain * images.mean((2, 3))


class Viewed(nn.Module):
    """Wants what a convolution answers in torch's own order."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.convolution(images)
        return maps.view(len(maps), -1)


class Counted(nn.Module):
    """Another network, and how many images it was asked for."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.images = 0

    def forward(self, images: Tensor) -> Tensor:
        self.images += len(images)
        logits: Tensor = self.network(images)
        return logits


def network(body: nn.Module | None = None, *, seed: int = 1, name: str = "student") -> Network:
    """A network with weights by `seed`, which torch's generator starts from too, so that dropout repeats."""
    torch.manual_seed(seed)
    return Network(body or Toy(), Preprocess(size=(8, 8)), name=name, classes=CLASSES)


def teacher() -> Network:
    """A Painter behind its Preprocess."""
    return network(Painter(), name="teacher")


def images(count: int = 64, seed: int = 0) -> Images:
    """Noise with one channel brighter: which one is the label. Classes take turns."""
    labels = np.arange(count, dtype=np.int64) % CLASSES
    pixels = np.random.default_rng(seed).integers(0, 160, (count, 8, 8, 3))
    pixels[np.arange(count), :, :, labels] += 25
    return Images(labels, np.arange(count, dtype=np.int64) + 1000, (8, 8, 3), pixels=pixels.astype(np.uint8))


def data(count: int = 64, seed: int = 0) -> Batches:
    """The same as batches."""
    return Batches(images(count, seed))


def run(
    folder: Path,
    *,
    stops: Sequence[int] = (),
    by: int = 0,
    train: Train = TRAIN,
    phases: tuple[Phase, ...] = PHASES,
    checkpoint_s: float = NEVER,
    emit: Emit = silent,
) -> tuple[Network, Training]:
    """Distil a toy, sending this process the signal `by` while it computes training steps number `stops`, counted in this sitting."""
    student = network()
    passes = itertools.count(1)

    def stop(module: nn.Module, args: object) -> None:
        if module.training and next(passes) in stops:
            os.kill(os.getpid(), by)

    student.register_forward_pre_hook(stop)
    training = distill(
        student,
        teacher(),
        Job(phases=phases, train=train, folder=folder, seed=5, checkpoint_s=checkpoint_s),
        data=data(),
        data_sha256="toy",
        valid=data(30, seed=1),
        emit=emit,
    )
    return student, training


def kd(epochs: float = 3, **options: Any) -> Phase:
    """One of plain KD."""
    return phase("transfer", epochs, terms=(Kd(weight=0.9), Label(weight=0.1)), **options)


def distilled(
    folder: Path, by: Network | None, *phases: Phase, train: Train = TRAIN, events: list[Event] | None = None, **options: Any
) -> tuple[Network, Training]:
    """Distil a toy without dropout, by plain KD where no phases are given; `options` are those of `distill`."""
    student, job = network(Toy(dropout=0)), Job(phases=phases or (kd(),), train=train, folder=folder)
    emit = ([] if events is None else events).append
    return student, distill(student, by, job, data=data(), data_sha256="toy", emit=emit, **options)


def weights(network: nn.Module) -> Tensor:
    """All of a network's parameters, one behind another."""
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def phase(name: str = "p", epochs: float = 1, **options: Any) -> Phase:
    """One of labels alone, where `options` name no other terms."""
    return Phase(name=name, epochs=epochs, **{"terms": (Label(),), **options})


def learn(
    folder: Path,
    *phases: Phase,
    student: Network | None = None,
    images: Batches | None = None,
    teacher: Teacher | None = None,
    valid: Batches | None = None,
    checkpoint_s: float = NEVER,
    kept: Callable[[], None] = lambda: None,
    events: list[Event] | None = None,
    seed: int = 0,
    **settings: Any,
) -> tuple[Network, Training]:
    """Teach a toy; `settings` are those of Train that differ from the tests' own."""
    student = student or network()
    chosen = msgspec.structs.replace(TRAIN, **settings)
    job = Job(how="alone", phases=phases, train=chosen, seed=seed, folder=folder, checkpoint_s=checkpoint_s, kept=kept)
    heard = [] if events is None else events
    return student, fit(student, job, data=images or data(), valid=valid, teacher=teacher, emit=heard.append)


def same(first: nn.Module, second: nn.Module) -> bool:
    """Whether two networks hold the same bits."""
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)

"""Training settings that depend on the data, the network and the machine: filled in where the recipe left them open, each with its reason.

In: a recipe's `Train`. Out: the same with optimiser, augmentation, precision and memory format stated. Nothing is trained here;
`paced` times a few steps and writes its choice down, so that a run that goes on computes as it began.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch

from edgekd import units
from edgekd.data.batches import Batches
from edgekd.data.views import default_augment
from edgekd.distill import schedule
from edgekd.distill.pace import Pace, choose_pace
from edgekd.distill.ranks import ALONE, Ranks
from edgekd.events import Emit, Note
from edgekd.files import write_atomic
from edgekd.models.load import Network
from edgekd.phases import Optimizer, Phase, Train

SCRATCH = Optimizer(name="sgd", lr=0.1, momentum=0.9, weight_decay=5e-4)
"""For convolutions at random."""
ATTENDING = Optimizer(name="adamw", lr=1e-3, weight_decay=0.05)
"""For transformers at random."""
TUNED = Optimizer(name="adamw", lr=1e-3, body_lr=1e-4, weight_decay=1e-2)
"""For weights that were learnt elsewhere: only the head is new."""
BATCH, LEAST_BATCH, STEPS = 128, 16, 32
"""Images a step where there are plenty, where there are few, and the steps that a pass should have."""
WORTH_TIMING = 100
"""Steps below which a choice of precision costs more than it saves."""
_PACE = "pace.json"


def filled(train: Train, *, images: int, shape: tuple[int, int, int], flip: bool, brought: bool, attends: bool = False) -> Train:
    """The settings with batch, optimiser and augmentation stated.

    A batch that the recipe leaves open is 128, or as much smaller as gives a pass `STEPS` steps; the learning rate of what starts at random then goes
    down by the square root (Krizhevsky 2014, arXiv:1404.5997, section 5).

    Args:
        images: how many there are to learn from.
        shape: height, width, channels of the images.
        flip: whether a mirrored image means the same.
        brought: the network starts from weights that it came with.
        attends: it is a transformer.
    """
    batch = train.batch or min(BATCH, max(LEAST_BATCH, 2 ** int(math.log2(max(1, images / STEPS)))))
    scratch = ATTENDING if attends else SCRATCH
    slower = msgspec.structs.replace(scratch, lr=scratch.lr * math.sqrt(min(1.0, batch / BATCH)))
    return msgspec.structs.replace(
        train,
        batch=batch,
        optimizer=train.optimizer or (TUNED if brought else slower),
        augment=train.augment or default_augment(shape, flip),
    )


def paced(train: Train, network: Network, data: Batches, folder: Path, *, steps: int, ranks: Ranks = ALONE, emit: Emit) -> Train:
    """The settings with precision and memory format stated: as `folder` has them written down, else as a few timed steps are fastest."""
    decided = train.compile is not None or steps < WORTH_TIMING
    if train.precision is not None and train.channels_last is not None and decided:
        return train
    own = _written(folder)
    pace = ranks.agreed(own)
    if pace is None:
        pace = ranks.agreed(_timed(train, network, data, steps) if ranks.main else None)
        assert pace is not None, "the main rank has timed nothing"
        how = f"{pace.precision}{', channels last' if pace.channels_last else ''}{', compiled' if pace.compile else ''}"
        emit(Note(text=f"{network.name} is trained in {how}: {_reason(pace, steps)}"))
    if own is None:  # another rank's folder, too: what comes after it reads it there
        write_atomic(folder / _PACE, msgspec.json.encode(pace))
    channels_last = pace.channels_last if train.channels_last is None else train.channels_last
    compiled = pace.compile if train.compile is None else train.compile
    return msgspec.structs.replace(train, precision=train.precision or pace.precision, channels_last=channels_last, compile=compiled)


def pinned(train: Train, folder: Path) -> Train:
    """The settings with the precision and memory format that another training wrote into its folder, so that both are computed alike."""
    pace = _written(folder)
    if pace is None:
        return train  # both were stated
    return msgspec.structs.replace(train, precision=pace.precision, channels_last=pace.channels_last, compile=pace.compile)


def _written(folder: Path) -> Pace | None:
    """The choice that stands in a folder; None where none does, or none that reads."""
    try:
        return msgspec.json.decode((folder / _PACE).read_bytes(), type=Pace)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _timed(train: Train, network: Network, data: Batches, steps: int) -> Pace:
    if steps < WORTH_TIMING:
        return Pace(precision=train.precision or "fp32", channels_last=bool(train.channels_last), compile=bool(train.compile))
    assert train.batch is not None, "the defaults are not filled in"
    images, labels, _ = data.plain(torch.arange(min(train.batch, len(data))))
    return choose_pace(network, images, labels, precision=train.precision, channels_last=train.channels_last, compile=train.compile, steps=steps)


def _reason(pace: Pace, steps: int) -> str:
    if not pace.seconds:
        return "the recipe says so" if steps >= WORTH_TIMING else f"{steps} steps are too few to be worth a choice"
    timed = ", ".join(f"{name} {units.ms_text(1e3 * seconds, 2)}" for name, seconds in pace.seconds.items()) + " a step"
    return f"{timed}; {pace.compiling}" if pace.compiling else timed


def all_steps(phases: Sequence[Phase], images: int, batch: int) -> int:
    """Steps of all phases together."""
    return sum(schedule.phase_steps(phases, images, min(batch, images)))

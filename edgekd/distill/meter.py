"""What is said of training: lines of a log, some of them with a look at validation images, which are points of a curve.

In: each step's parts of the loss. Out: `Trained` events with their means, and images per second. Between two lines sums are kept on the device, and
nothing here makes a GPU wait before they are read.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from edgekd.data.batches import Batches
from edgekd.distill import checkpoint
from edgekd.distill.checkpoint import Place
from edgekd.distill.job import Job
from edgekd.distill.teacher import BATCH, answer_all
from edgekd.errors import TrainingError
from edgekd.evaluate.severally import mean_average_precision
from edgekd.events import Emit, Trained
from edgekd.phases import Phase
from edgekd.record import CurvePoint
from edgekd.tasks import several

LOG_S = 0.5
VALIDATIONS = 20
"""How often validation images are looked at, at most, through a whole run."""


@dataclasses.dataclass(frozen=True)
class Step:
    """What a step leaves for the log. Numbers that would make the device wait are asked for only when something is logged."""

    phase: Phase
    names: tuple[str, ...]
    temperature: Tensor
    gradient_shares: Callable[[], dict[str, float]]
    learning_rate: float


class Meter:
    """Sums of a loss's parts since the last log, kept on the device."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.since, self.steps, self.images = time.monotonic(), 0, 0
        self.parts: Tensor | None = None

    def add(self, parts: Tensor, images: int) -> None:
        self.parts = parts if self.parts is None else self.parts + parts
        self.steps, self.images = self.steps + 1, self.images + images

    def read(self) -> tuple[list[float], float]:
        """Mean parts per step, and images per second."""
        assert self.parts is not None
        means: list[float] = (self.parts / self.steps).tolist()
        return means, self.images / max(1e-9, time.monotonic() - self.since)


class Log:
    """What a job says as it goes on.

    Args:
        name: the network's.
        phase_steps: of each phase.
        epoch_steps: of one pass over the training images.
        measure: looks at validation images; None: there are none.

    Raises:
        TrainingError: by `told`, where the loss is not a number.
    """

    def __init__(self, name: str, job: Job, phase_steps: Sequence[int], epoch_steps: int, *, measure: Callable[[], float] | None, emit: Emit) -> None:
        self.name, self.job, self.phase_steps, self.epoch_steps, self.measure, self.emit = name, job, phase_steps, epoch_steps, measure, emit
        self.steps = sum(phase_steps)
        self.every = max(epoch_steps, -(-self.steps // VALIDATIONS))
        self.meter = Meter()

    def told(self, place: Place, step: Step) -> None:
        """Say a step and keep it in the curve, if it is its turn."""
        measures = place.step % self.every == 0 or place.step == self.steps
        ends = place.phase_step == self.phase_steps[place.phase]  # parts of two phases have nothing to do with each other
        if not self.job.ranks.main or (not (measures or ends) and time.monotonic() - self.meter.since < LOG_S):
            return
        line = self._line(place, step, self.measure if measures else None)
        if measures:
            place.curve.append(_point(line, None if place.first_temperature is None else float(place.first_temperature)))
        self.emit(line)
        self.meter.restart()

    def _line(self, place: Place, step: Step, measure: Callable[[], float] | None) -> Trained:
        means, images_per_s = self.meter.read()
        self._check(means, place, step)
        loss = sum(means)
        return Trained(
            network=self.name,
            phase=step.phase.name,
            step=place.step,
            steps=self.steps,
            epoch=place.step / self.epoch_steps,
            epochs=self.steps / self.epoch_steps,
            loss=loss,
            temperature=float(step.temperature) if step.phase.softens else None,
            shares={name: mean / loss if loss else 0.0 for name, mean in zip(step.names, means, strict=True)},
            gradient_shares=step.gradient_shares(),
            learning_rate=step.learning_rate,
            images_per_s=images_per_s,
            seconds_left=place.seconds / place.step * (self.steps - place.step),
            valid_accuracy=None if measure is None else measure(),
        )

    def _check(self, means: list[float], place: Place, step: Step) -> None:
        wrong = [name for name, mean in zip(step.names, means, strict=True) if not abs(mean) < float("inf")]
        if wrong:
            kept = self.job.folder / checkpoint.NAME
            where = f"The last good checkpoint is kept at {kept}. " if kept.exists() else ""
            raise TrainingError(
                f"the loss must stay a number; at step {place.step} of {self.steps} in phase {step.phase.name!r} "
                f"the term {' and '.join(wrong)} is not. {where}Lower train.optimizer.lr, or look for broken images and weights."
            )


def accuracy(network: nn.Module, images: Batches, *, bf16: bool) -> float:
    """Share of images that a network has right, in eval mode; of several labels an image the mean average precision."""
    logits = answer_all(network, (shown for shown, _, _ in images.plain_batches(2 * BATCH)), bf16=bf16)
    if several(images.labels):
        return mean_average_precision(torch.cat(list(logits)).cpu().numpy(), images.labels.cpu().numpy())
    right = sum((answer.argmax(1) == labels).sum() for answer, labels in zip(logits, torch.split(images.labels, 2 * BATCH), strict=True))
    return float(right) / len(images)


def _point(line: Trained, first_temperature: float | None) -> CurvePoint:
    """What the curve keeps of a line of the log."""
    kept = ("epoch", "step", "phase", "loss", "temperature", "shares", "learning_rate", "valid_accuracy")
    return CurvePoint(**{name: getattr(line, name) for name in kept}, first_temperature=first_temperature)

"""Who answers a batch: a live network, one that is remembered (`remembered`), or answers alone; corrected for class frequencies where that is asked.

Terms that need more than logits are not served here, but by `inside`, live.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgekd.data.batches import Batches
from edgekd.distill.leading import Answers, whole
from edgekd.errors import UsageError
from edgekd.models.network import evaluating
from edgekd.tasks.classify import Frequencies, adjust

BATCH = 256
"""Images that a network is asked for together."""


class Teacher(Protocol):
    """Answers a batch of views with logits (batch, classes), float32, or with what it keeps of them."""

    def answer(self, images: Tensor, positions: Tensor, view: int | None) -> Answers:
        """Logits for `images` (batch, c, h, w), which are view `view` (None: plain) of the training images at `positions` (batch,)."""

    def plain(self) -> Answers:
        """Logits (n, classes) for all training images, unaugmented."""


def answer_all(network: nn.Module, batches: Iterator[Tensor], *, bf16: bool = False, at_once: int | None = None) -> Iterator[Tensor]:
    """A network's logits in float32 for each batch of images, in eval mode, without gradients; `at_once`: asked for so many images at a time."""
    with evaluating(network):
        for images in batches:
            with torch.inference_mode(), torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=bf16):
                logits = network(images) if at_once is None else torch.cat([network(piece) for piece in torch.split(images, at_once)])
            yield logits.float()


class Live:
    """Asks the network every time; `compiled`, which pays in long runs, for the batches of training, which are of one size."""

    def __init__(self, network: nn.Module, data: Batches, *, bf16: bool = False, compiled: bool = False, at_once: int | None = None) -> None:
        self.network = network
        self.at_once = at_once
        self.asked: Any = torch.compile(network) if compiled else network
        self.data = data
        self.bf16 = bf16

    def answer(self, images: Tensor, positions: Tensor, view: int | None) -> Tensor:
        """Logits (batch, classes) of the live network."""
        return next(answer_all(self.asked, iter([images]), bf16=self.bf16, at_once=self.at_once)).clone()

    def plain(self) -> Tensor:
        """Logits (n, classes) for all training images, unaugmented."""
        batches = (images for images, _, _ in self.data.plain_batches(BATCH))
        return torch.cat(list(answer_all(self.network, batches, bf16=self.bf16, at_once=self.at_once)))


class Adjusted:
    """Another teacher's answers as if the classes had been as frequent in its training as is wanted.

    Args:
        frequencies: (classes,) shares or counts of the classes in the teacher's own training; None: its answers stay as they are.
        wanted: the same for where the student will work; None: all alike.
    """

    def __init__(self, teacher: Teacher, frequencies: Frequencies | None, wanted: Frequencies | None = None) -> None:
        self.teacher = teacher
        self.frequencies = frequencies
        self.wanted = wanted

    def answer(self, images: Tensor, positions: Tensor, view: int | None) -> Answers:
        """The teacher's logits, moved from the one prior to the other."""
        return self._adjusted(self.teacher.answer(images, positions, view))

    def plain(self) -> Answers:
        """The same for all training images, unaugmented."""
        return self._adjusted(self.teacher.plain())

    def _adjusted(self, answers: Answers) -> Answers:
        return answers if self.frequencies is None else self.adjusted(whole(answers))

    def adjusted(self, logits: Tensor) -> Tensor:
        """Logits of this teacher that were had in another way, moved alike."""
        return logits if self.frequencies is None else adjust(logits, self.frequencies, self.wanted)


@dataclass(frozen=True, eq=False)
class StoredAnswers:
    """A teacher that is not there any more: its answers to the plain training images, as `edgekd label` or anybody else has kept them.

    Every view of an image has the answer to the plain one, however it is cropped or mirrored. A teacher that is asked about each view teaches better
    where there is one (Beyer et al. 2022, arXiv:2106.05237, section 3); this one costs nothing, and needs no network here.

    Attributes:
        logits: (n, classes), float16, of the training images in their order. Of one label an image a constant of a row counts for nothing, so that
            log-probabilities are as good; of several they are logits before any sigmoid.
    """

    logits: NDArray[np.float16]
    name: str = "answers"

    @property
    def classes(self) -> int:
        """Width of the logits."""
        return int(self.logits.shape[1])

    @property
    def sha256(self) -> str:
        """Of all of them."""
        return hashlib.sha256(np.ascontiguousarray(self.logits).tobytes()).hexdigest()

    def on(self, device: torch.device) -> "Stored":
        """As a `Teacher` of images that lie on this device."""
        return Stored(torch.from_numpy(self.logits).to(device))


class Stored:
    """Reads stored answers."""

    def __init__(self, logits: Tensor) -> None:
        self._logits = logits

    def answer(self, images: Tensor, positions: Tensor, view: int | None) -> Tensor:
        """The answers (batch, classes) to the plain images at `positions`, whichever view is shown."""
        return self._logits[positions].float()

    def plain(self) -> Tensor:
        """All answers (n, classes)."""
        return self._logits.float()


def check_classes(teacher: int, student: int) -> None:
    """Teacher and student must answer the same classes.

    Raises:
        UsageError: they do not.
    """
    if teacher != student:
        raise UsageError(
            f"teacher and data must have the same classes: the teacher answers {teacher}, the data has {student}. "
            "Choose the teacher that was taught on these classes, or fine-tune it first with `edgekd teach`."
        )

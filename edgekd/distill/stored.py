"""A teacher that is not there any more: its answers to the plain training images, which stand beside them.

In: logits as `edgekd label` or anybody else has kept them. Out: a `Teacher`. Every view of an image has the answer to the plain one, so that the
student is asked for one answer however an image is cropped or mirrored. A teacher that is asked about each view teaches better where there is one
(Beyer et al. 2022, arXiv:2106.05237, section 3); this one costs nothing, and needs no network here.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class StoredAnswers:
    """Logits (n, classes), float16, of the training images in their order. Of one label an image a constant of a row counts for nothing, so that
    log-probabilities are as good; of several they are logits before any sigmoid."""

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
    """Reads what stands there."""

    def __init__(self, logits: Tensor) -> None:
        self._logits = logits

    def answer(self, images: Tensor, positions: Tensor, view: int | None) -> Tensor:
        """The answers (batch, classes) to the plain images at `positions`, whichever view is shown."""
        return self._logits[positions].float()

    def plain(self) -> Tensor:
        """All answers (n, classes)."""
        return self._logits.float()

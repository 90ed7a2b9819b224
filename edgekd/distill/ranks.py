"""Several processes that teach one network together: which of them this is, and the few things that they do in common.

`accelerate launch` or `torchrun` starts them, Hugging Face Accelerate carries tensors between them. Each shows the network its own part of every
batch; gradients and running statistics are averaged before each update, so that after every step all hold the same network, and the main rank's
checkpoint is everybody's. The main rank alone writes and tells. A process of its own is its own main rank, and pays nothing for this.
"""

import os
from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import Tensor

from edgekd.errors import TrainingError, UsageError

T = TypeVar("T")


class Ranks:
    """A process of its own: rank 0 of 1."""

    number, count = 0, 1

    @property
    def main(self) -> bool:
        """Whether this one writes and tells."""
        return self.number == 0

    def agreed(self, value: T) -> T:
        """The main rank's value, on every rank; all wait for each other here."""
        return value

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Put into each tensor its mean over the ranks, which hold the same ones in the same order."""

    def gathered(self, rows: Tensor) -> Tensor:
        """All ranks' rows, one rank's after another's; as many of each."""
        return rows

    def part(self, positions: Tensor) -> Tensor:
        """This rank's part of a batch's positions (n,): n // count of them, so that parts weigh alike; what is left over is not shown."""
        size = len(positions) // self.count
        return positions[self.number * size : (self.number + 1) * size]


class Several(Ranks):
    """One of the processes that a launcher has started, on its device."""

    def __init__(self, device: torch.device | None) -> None:
        from accelerate import PartialState

        try:
            self._state = PartialState(cpu=device.type == "cpu" if device is not None else not torch.cuda.is_available())
        except (RuntimeError, ValueError) as error:
            raise TrainingError(f"the processes that were launched do not find each other: {error}. Look at the launcher's addresses.") from error
        self.number, self.count = self._state.process_index, self._state.num_processes
        assert (self.number, self.count) == launched(), "Accelerate sees other processes than the launcher started"

    @property
    def device(self) -> torch.device:
        """The one that the launcher gave this process."""
        found: torch.device = self._state.device
        return found

    def agreed(self, value: T) -> T:
        from accelerate.utils import broadcast_object_list

        try:
            told: T = broadcast_object_list([value])[0]
        except RuntimeError as error:
            raise self._lost() from error
        return told

    def average(self, tensors: Iterable[Tensor]) -> None:
        from accelerate.utils import reduce

        own = list(tensors)
        if not own:
            return
        # One message and not hundreds: a small network's gradients take longer to announce than to send.
        try:
            means = reduce(torch.cat([tensor.reshape(-1) for tensor in own]), "mean")
        except RuntimeError as error:
            raise self._lost() from error
        with torch.no_grad():
            for tensor, mean in zip(own, means.split([tensor.numel() for tensor in own]), strict=True):
                tensor.copy_(mean.view_as(tensor))

    def gathered(self, rows: Tensor) -> Tensor:
        from accelerate.utils import gather

        try:
            found: Tensor = gather(rows)
        except RuntimeError as error:
            raise self._lost() from error
        return found

    def _lost(self) -> BaseException:
        """The main rank says what it means that another one is gone; another rank only follows it."""
        if not self.main:
            return SystemExit(3)
        return TrainingError(
            f"{self.count} processes teach together, and one of them ended. Its own messages say why; the last checkpoint stands, "
            "and the same command goes on from it, with as many processes as you like."
        )


ALONE = Ranks()


def launched() -> tuple[int, int]:
    """Number and count of this process among those that a launcher has started, by its word: (0, 1) where none has."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    return (int(os.environ.get("RANK", "0")), count) if count > 1 else (0, 1)


def check_batch(batch: int, ranks: Ranks) -> None:
    """Refuse a batch that cannot be shared out evenly.

    Raises:
        UsageError: ranks would have unlike parts of it, or none.
    """
    if batch % ranks.count:
        raise UsageError(
            f"train.batch is shared by all processes alike, and {batch} images are not {ranks.count} equal parts. "
            f"Take --set train.batch={max(1, round(batch / ranks.count)) * ranks.count}."
        )

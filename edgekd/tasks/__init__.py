"""What an answer means: labels, the losses that fit, metrics, output names; a module a task.

Labels say by their shape whose they are: one number an image (n,) is `classify`'s, a row of 0, 1 and −1 an image (n, labels) is `multilabel`'s.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from edgekd.phases import Phase
from edgekd.tasks import classify, multilabel


@runtime_checkable
class Task(Protocol):
    """What every task says."""

    def check_labels(self, labels: NDArray[Any], classes: Sequence[str], where: str) -> None:
        """Refuse labels that do not fit the classes."""

    def check_phases(self, phases: Sequence[Phase], classes: int) -> None:
        """Refuse phases that cannot be taught."""


@runtime_checkable
class _Shaped(Protocol):
    @property
    def ndim(self) -> int: ...


def several(labels: _Shaped) -> bool:
    """Whether an image may have several labels: an array's or a tensor's."""
    return labels.ndim == 2


def task_of(labels: _Shaped) -> Task:
    """The task that labels are of."""
    return multilabel if several(labels) else classify

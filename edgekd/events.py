"""What happened, as frozen structs, for whoever draws or keeps it.

`emit: Emit` is passed down to whatever takes time; nothing below the command line prints. The CLI draws events,
the run folder appends them to `events.jsonl`, one JSON object a line, told apart by `kind`.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec


class StageStarted(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="stage-started"):
    """A stage of a run begins, as in `teach` or `distill/resnet20`."""

    stage: str


class StageFinished(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="stage-finished"):
    """A stage ends; `reused` where its result already stood in the run folder."""

    stage: str
    seconds: float
    reused: bool = False


class Note(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="note"):
    """A decision with its reason, or a warning."""

    text: str
    level: Literal["info", "warning"] = "info"


class PhaseStarted(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="phase-started"):
    """A training phase begins: which network, how many images it sees and for how many steps."""

    network: str
    phase: str
    images: int
    steps: int


class Trained(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="trained"):
    """Training moved on. Sent about twice a second and at the end of each epoch.

    `step` of `steps` counts through all phases, as `epoch` of `epochs` does. `shares` holds each term's share of the loss in [0, 1],
    `gradient_shares` its share of the gradient at the logits. `valid_accuracy` (in [0, 1]) stands only where it was just measured.
    """

    network: str
    phase: str
    step: int
    steps: int
    epoch: float
    epochs: float
    loss: float
    temperature: float | None
    shares: dict[str, float]
    gradient_shares: dict[str, float]
    learning_rate: float
    images_per_s: float
    seconds_left: float
    valid_accuracy: float | None = None


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="progress"):
    """Anything else that takes time: `done` of `total` `unit`s of `what`."""

    what: str
    done: int
    total: int
    unit: str = "images"
    seconds_left: float | None = None


class Wrote(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="wrote"):
    """A file was finished and bears its final name."""

    path: str
    what: str


Event: TypeAlias = StageStarted | StageFinished | Note | PhaseStarted | Trained | Progress | Wrote
Emit: TypeAlias = Callable[[Event], None]


def silent(event: Event) -> None:
    """Take an event and do nothing: the default where nobody listens."""

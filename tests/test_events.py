"""events: each reads back from the JSON that the run folder keeps."""

import msgspec
import pytest

from edgekd import events

EXAMPLES: list[events.Event] = [
    events.StageStarted(stage="teach"),
    events.StageFinished(stage="distill/resnet20", seconds=1.5, reused=True),
    events.Note(text="the batch shrinks to 64", level="warning"),
    events.PhaseStarted(network="resnet20", phase="transfer", images=45_000, steps=10_000),
    events.Trained(
        network="resnet20",
        phase="transfer",
        step=1,
        steps=2,
        epoch=0.5,
        epochs=1.0,
        loss=2.3,
        temperature=3.0,
        shares={"kd": 1.0},
        gradient_shares={"kd": 1.0},
        learning_rate=0.1,
        images_per_s=1000.0,
        seconds_left=2.0,
    ),
    events.Progress(what="evaluate", done=1, total=10),
    events.Wrote(path="report.json", what="report"),
]


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_an_event_reads_back_from_its_line(event: events.Event) -> None:
    """`kind` alone tells events apart, and what a line holds besides (the time) is no hindrance."""
    line = msgspec.json.encode({"time": 1.0, **msgspec.to_builtins(event)})
    assert msgspec.json.decode(line, type=events.Event) == event


def test_every_kind_of_event_has_an_example() -> None:
    """A new event cannot be forgotten here."""
    assert {type(event) for event in EXAMPLES} == set(events.Event.__args__)


def test_silent_takes_anything() -> None:
    """Nobody has to listen."""
    for event in EXAMPLES:
        events.silent(event)

"""Tests of edgekd/report/live.py: what lines of events come to, and the page of a run that goes on."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.events import Event, Note, PhaseStarted, Progress, StageFinished, StageStarted, Trained, Wrote
from edgekd.report.live import Told, live
from tests.report.pages import HOSTILE, Page

TRAINED = Trained(
    network="resnet20",
    phase="transfer",
    step=50,
    steps=200,
    epoch=0.5,
    epochs=2.0,
    loss=1.5,
    temperature=3.0,
    shares={"kd": 0.9, "label": 0.1},
    gradient_shares={},
    learning_rate=0.1,
    images_per_s=900.0,
    seconds_left=75.0,
)
replace = msgspec.structs.replace


def line(event: Event, time: float = 1.0) -> bytes:
    """An event as a run appends it."""
    return msgspec.json.encode({"time": time, **msgspec.to_builtins(event)}) + b"\n"


def told(*events: Event) -> Told:
    """What these come to."""
    found = Told()
    found.read(b"".join(map(line, events)))
    return found


def test_each_epoch_is_a_point() -> None:
    """The last word on it, but a measured accuracy stays; the epoch under way counts as far as it is."""
    measured = replace(TRAINED, epoch=1.0, step=100, valid_accuracy=0.6)
    said = [TRAINED, replace(TRAINED, epoch=0.9), measured, replace(TRAINED, epoch=1.0), replace(TRAINED, epoch=1.2)]
    found = told(StageStarted(stage="distill/resnet20"), *said)
    (network,) = found.networks()
    assert (network.role, network.name, network.valid_accuracy) == ("student", "resnet20", 0.6)
    assert [(point.epoch, point.valid_accuracy) for point in network.training.curve] == [(1.0, 0.6), (1.2, None)]


@pytest.mark.parametrize(
    ("stage", "role"),
    [("teach", "teacher"), ("distill/resnet20", "student"), ("alone/resnet20", "alone"), ("alone-on-subset/resnet20", "alone-on-subset")],
)
def test_a_stage_says_whose_curve_it_is(stage: str, role: str) -> None:
    """A student and the same one taught alone have one name."""
    assert [network.role for network in told(StageStarted(stage=stage), TRAINED).networks()] == [role]


def test_a_run_has_ended_when_its_report_is_written() -> None:
    """Other files do not end it, and what begins or is taken up after that goes on."""
    wrote = Wrote(path="report.json", what="report")
    assert told(StageStarted(stage="teach"), Wrote(path="m.onnx", what="fp32")).finished is False
    assert told(StageStarted(stage="teach"), wrote).finished is True
    assert told(wrote, StageStarted(stage="teach")).finished is False
    assert told(wrote, StageFinished(stage="teach", seconds=1.0, reused=True)).finished is False


@given(st.lists(st.binary(max_size=40).filter(lambda text: not text.lstrip().startswith(b'{"kind')), max_size=8))
def test_what_is_no_event_is_passed_over(texts: list[bytes]) -> None:
    """Broken lines, lines of a later edgekd, nothing at all."""
    found = Told()
    found.read(b"\n".join(texts))
    found.read(b'{"time": 1, "kind": "sang", "song": "la"}\n' + line(Note(text="never"), time=1e300) + line(Note(text="here")))
    assert found.notes == ["here"]


def test_the_page_says_what_is_under_way() -> None:
    """The stage, how far it is and how long it takes, the curves so far, what is done; it loads itself again."""
    found = told(
        StageStarted(stage="teach"),
        StageFinished(stage="teach", seconds=200.0),
        StageStarted(stage="distill/resnet20"),
        PhaseStarted(network="resnet20", phase="transfer", images=100, steps=200),
        TRAINED,
        Note(text="the batch shrank to 64"),
    )
    page = Page(live("digits", found, refresh=5))
    assert page.inside("h1", "bdi")[0] == "digits"
    assert "distill/resnet20" in page.inside("bdi")
    assert "resnet20, transfer: step 50 of 200, 1\u00a0min 15\u00a0s left" in page.inside("p")
    assert "This run goes on; its last word is of 1970-01-01 00:00:01 UTC." in page.inside("p")
    assert "25 % done" in page.inside("title")
    assert page.inside("h2") == ["How training goes", "Stages that are done", "Notes"]
    assert "3 min 20 s" in page.inside("td")
    assert [meta["content"] for meta in page.named("meta") if meta.get("http-equiv") == "refresh"] == ["5"]


def test_other_work_has_its_bar() -> None:
    """As scoring does; work that is through has none."""
    progress = Progress(what="evaluate a", done=30, total=100, seconds_left=7.0)
    assert "evaluate a: 30 of 100 images, 7.0\u00a0s left" in Page(live("x", told(progress), refresh=5)).inside("p")
    assert told(progress, replace(progress, done=100)).doing is None


def test_a_run_that_only_began_is_a_page() -> None:
    """Nothing is under way yet."""
    page = Page(live("x", Told(), refresh=5))
    assert "between two stages" in page.inside("bdi")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_only_shown(name: str) -> None:
    """Of run, stage, network, phase, term and note."""
    trained = replace(TRAINED, network=name, phase=name, shares={name: 0.5, "b": 0.5})
    found = told(StageStarted(stage=name), trained, Note(text=name), StageFinished(stage=name, seconds=1.0))
    page = Page(live(name, found, refresh=5))
    assert not {"script", "img"} & {kind for kind, _ in page.elements}

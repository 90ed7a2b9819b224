"""edgekd.distill.defaults: what a recipe left open, and a pace that is written down once."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgekd.distill import defaults
from edgekd.distill.defaults import ATTENDING, SCRATCH, TUNED, all_steps, filled, paced
from edgekd.distill.pace import Pace
from edgekd.events import Event, Note
from edgekd.phases import Augment, Optimizer, Phase, Train
from edgekd.terms import Label
from tests.distill import nets

OPEN = Train(batch=128)
FAST = Pace(precision="bf16", channels_last=True, seconds={"fp32": 0.02, "bf16 channels_last": 0.01})


def pinned(**settings: Any) -> Train:
    return msgspec.structs.replace(OPEN, **settings)


def fill(train: Train, *, images: int = 50_000, flip: bool = True, brought: bool = False, attends: bool = False) -> Train:
    return filled(train, images=images, shape=(32, 32, 3), flip=flip, brought=brought, attends=attends)


def choose(folder: Path, train: Train = OPEN, *, steps: int = 1000) -> tuple[Train, list[str]]:
    """The settings with their pace, and what was said about it."""
    events: list[Event] = []
    found = paced(train, nets.network(), nets.data(8), folder, steps=steps, emit=events.append)
    return found, [event.text for event in events if isinstance(event, Note)]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What a measurement that always finds FAST was asked for, call by call."""
    calls: list[dict[str, Any]] = []

    def measure(network: object, images: Any, labels: object, **pinned: Any) -> Pace:
        calls.append({"images": len(images), **pinned})
        return FAST

    monkeypatch.setattr(defaults, "choose_pace", measure)
    return calls


@pytest.mark.parametrize(
    ("brought", "attends", "optimizer"), [(False, False, SCRATCH), (True, False, TUNED), (False, True, ATTENDING), (True, True, TUNED)]
)
def test_the_optimiser_follows_the_weights(brought: bool, attends: bool, optimizer: Optimizer) -> None:
    """Weights at random learn fast, a transformer's by AdamW; those that were learnt elsewhere move slowly below their head."""
    assert fill(OPEN, brought=brought, attends=attends).optimizer == optimizer


@pytest.mark.parametrize(
    ("images", "batch", "rate"),
    [(50_000, 128, 0.1), (4096, 128, 0.1), (4095, 64, 0.0707107), (1500, 32, 0.05), (1000, 16, 0.0353553), (20, 16, 0.0353553), (1, 16, 0.0353553)],
)
def test_few_images_make_small_batches(images: int, batch: int, rate: float) -> None:
    """A power of two that gives a pass 32 steps, from 16 to 128; SGD's rate falls by the square root."""
    found = fill(Train(), images=images)
    assert found.batch == batch
    assert found.optimizer is not None
    assert found.optimizer.lr == pytest.approx(rate, abs=1e-6)


def test_brought_weights_learn_at_one_rate() -> None:
    """AdamW's does not follow the batch."""
    assert fill(Train(), images=20, brought=True).optimizer == TUNED


def test_views_follow_the_images() -> None:
    """Small images are shifted by an eighth, and mirrored where that means the same."""
    assert fill(OPEN, flip=False).augment == Augment(crop=4, flip=False)


def test_what_is_stated_stays() -> None:
    """Nothing of a recipe is overwritten."""
    train = Train(optimizer=Optimizer(name="adam", lr=0.01), augment=Augment(crop=1), batch=7)
    assert fill(train, images=20, brought=True) == train


def test_a_pace_is_measured_once_and_read_again(tmp_path: Path, asked: list[dict[str, Any]]) -> None:
    """The first run measures with a batch, writes pace.json and says why; one that goes on reads it in silence."""
    first, said = choose(tmp_path)
    assert msgspec.json.decode((tmp_path / "pace.json").read_bytes(), type=Pace) == FAST
    assert said == ["student is trained in bf16, channels last: fp32 20 ms, bf16 channels_last 10 ms a step"]
    again, silence = choose(tmp_path)
    assert (again, silence) == (first, [])
    assert (first.precision, first.channels_last) == ("bf16", True)
    assert asked == [{"images": 8, "precision": None, "channels_last": None, "compile": None, "steps": 1000}]


@pytest.mark.parametrize("content", [b"", b"{", b'{"precision": 3}'])
def test_a_damaged_pace_is_measured_anew(tmp_path: Path, asked: list[dict[str, Any]], content: bytes) -> None:
    """And written down whole."""
    (tmp_path / "pace.json").write_bytes(content)
    choose(tmp_path)
    assert len(asked) == 1
    assert msgspec.json.decode((tmp_path / "pace.json").read_bytes(), type=Pace) == FAST


def test_few_steps_are_not_worth_a_measurement(tmp_path: Path, asked: list[dict[str, Any]]) -> None:
    """The plain way, or what is pinned, with the reason."""
    found, said = choose(tmp_path, steps=99)
    assert (found.precision, found.channels_last) == ("fp32", False)
    assert said == ["student is trained in fp32: 99 steps are too few to be worth a choice"]
    assert asked == []
    assert choose(tmp_path / "b", pinned(channels_last=True), steps=99)[0].channels_last is True


def test_what_is_pinned_altogether_needs_no_file(tmp_path: Path, asked: list[dict[str, Any]]) -> None:
    """Nothing is measured, written or said."""
    train = pinned(precision="bf16", channels_last=False, compile=False)
    assert choose(tmp_path, train) == (train, [])
    assert list(tmp_path.iterdir()) == []
    assert asked == []


def test_what_is_pinned_goes_before_what_was_written(tmp_path: Path, asked: list[dict[str, Any]]) -> None:
    """A pin that came after the measurement holds; the rest is read."""
    choose(tmp_path)
    found, _ = choose(tmp_path, pinned(precision="fp32"))
    assert (found.precision, found.channels_last) == ("fp32", True)
    assert choose(tmp_path, pinned(channels_last=False))[0].channels_last is False
    assert len(asked) == 1


def test_one_way_is_no_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a pin leaves a single candidate the reason is the recipe."""
    monkeypatch.setattr(defaults, "choose_pace", lambda *given, **pinned: Pace(precision="fp32", channels_last=True))
    assert choose(tmp_path, pinned(channels_last=True))[1] == ["student is trained in fp32, channels last: the recipe says so"]


def test_a_network_that_is_worth_compiling_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said what compiling took, a resumed run and the student alone do the same, and a pin goes before it."""
    pace = Pace(precision="fp32", channels_last=True, compile=True, seconds={"fp32": 0.5}, compiling="compiled in 40 s to 50% of a step's time")
    monkeypatch.setattr(defaults, "choose_pace", lambda *given, **pinned: pace)
    found, said = choose(tmp_path)
    assert found.compile is True
    assert said == ["student is trained in fp32, channels last, compiled: fp32 500 ms a step; compiled in 40 s to 50% of a step's time"]
    assert choose(tmp_path)[0].compile is True
    assert defaults.pinned(OPEN, tmp_path).compile is True
    assert choose(tmp_path, pinned(compile=False))[0].compile is False


def test_steps_of_all_phases() -> None:
    """64 images in batches of 16: 4 steps an epoch; 8 images are one batch."""
    phases = [Phase(name=name, epochs=epochs, terms=(Label(),)) for name, epochs in (("a", 2.0), ("b", 0.5))]
    assert all_steps(phases, 64, 16) == 10
    assert all_steps(phases, 8, 16) == 3


@pytest.mark.parametrize(("compile", "steps", "count"), [(None, 1000, 1), (None, 99, 0), (False, 1000, 0)])
def test_compiling_is_tried_where_it_alone_is_open(tmp_path: Path, asked: list[dict[str, Any]], compile: bool | None, steps: int, count: int) -> None:
    """A precision and a memory format that are pinned say nothing of it; a short run has nothing to choose."""
    found, _ = choose(tmp_path, Train(batch=8, precision="fp32", channels_last=False, compile=compile), steps=steps)
    assert len(asked) == count
    assert (found.precision, found.channels_last) == ("fp32", False)

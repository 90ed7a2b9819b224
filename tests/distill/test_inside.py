"""edgekd.distill.inside: students that learn from what their teacher computes on the way."""

import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
import torch

from edgekd.data.batches import Batches
from edgekd.distill import distill
from edgekd.distill.inside import pairs_of
from edgekd.errors import UsageError
from edgekd.events import Event, Note, Trained
from edgekd.models.load import build
from edgekd.models.network import Network
from edgekd.recipe import Phase
from edgekd.terms import Attention, Contrast, Feature, FeatureTerm, Kd, Label, Relation, Review
from tests.distill import nets
from tests.toys import brightness

ALL = (Feature(), Attention(weight=10), Relation(), Contrast(width=8), Review())


def toy(seed: int = 1, name: str = "student") -> Network:
    torch.manual_seed(seed)
    return nets.network(nets.Toy(dropout=0.2), seed=seed, name=name)


def teach(folder: Path, *phases: Phase, stop: int | None = None, events: list[Event] | None = None, data: Batches | None = None) -> Network:
    """A toy from another toy, stopped by a signal at a step where asked."""
    student, teacher = toy(), toy(seed=9, name="teacher")
    heard: list[Event] = [] if events is None else events
    steps = 0

    def count(module: torch.nn.Module, args: object) -> None:
        nonlocal steps
        steps += module.training
        if module.training and steps == stop:
            signal.raise_signal(signal.SIGINT)

    # Of a layer: a traced network calls no container.
    student.body.first[0].register_forward_pre_hook(count)  # type: ignore[union-attr, index]
    train = msgspec.structs.replace(nets.TRAIN, precision="fp32")
    distill(student, teacher, data=data or nets.data(), data_sha256="toy", phases=phases, train=train, folder=folder, seed=3, emit=heard.append)
    return student


def phase(*terms: FeatureTerm | Kd | Label, epochs: float = 2, name: str = "inside") -> Phase:
    return Phase(name=name, epochs=epochs, terms=terms)


@pytest.mark.parametrize("term", ALL, ids=lambda term: type(term).__name__.lower())
def test_each_term_teaches(tmp_path: Path, term: FeatureTerm) -> None:
    """Alone, it moves the student towards its teacher; the head, which no feature term reaches, stays where it was."""
    events: list[Event] = []
    before = toy()
    student = teach(tmp_path, phase(term, epochs=12), events=events)
    losses = [event.loss for event in events if isinstance(event, Trained)]
    assert losses[-1] < losses[0]
    assert not torch.equal(student.body.first[0].weight, before.body.first[0].weight)  # type: ignore[union-attr, index]
    kind = type(term).__name__.lower()
    assert [event.shares for event in events if isinstance(event, Trained)][-1] == {kind: 1.0}
    assert any(isinstance(event, Note) and event.text.startswith(f"{kind} compares ") for event in events)


def test_what_bridges_learn_stays_out_of_the_student(tmp_path: Path) -> None:
    """Its weights bear the names that they had, and the network answers alone."""
    student = teach(tmp_path, phase(*ALL, Kd()))
    assert student.state_dict().keys() == toy().state_dict().keys()
    assert not student.training
    assert student(torch.rand(1, 3, 8, 8)).shape == (1, nets.CLASSES)


@pytest.mark.parametrize("stop", [3, 9])
def test_a_stopped_run_ends_with_the_same_bits(tmp_path: Path, stop: int) -> None:
    """Bridges and their momentum are in the checkpoint; from features to logits, stopped in either phase."""
    phases = phase(*ALL, epochs=1.5), phase(Kd(), Contrast(width=8), epochs=1, name="logits")
    whole = teach(tmp_path / "whole", *phases)
    with pytest.raises(KeyboardInterrupt):
        teach(tmp_path / "stopped", *phases, stop=stop)
    assert nets.same(teach(tmp_path / "stopped", *phases), whole)


def test_features_first_and_logits_afterwards(tmp_path: Path) -> None:
    """Each phase has terms of its own; the second needs no features, and reads the remembered teacher."""
    events: list[Event] = []
    teach(tmp_path, phase(Feature(), name="features"), phase(Kd(), Label(weight=0.1), name="logits"), events=events)
    told = {event.phase: set(event.shares) for event in events if isinstance(event, Trained)}
    assert told == {"features": {"feature"}, "logits": {"kd", "label"}}
    assert list(tmp_path.rglob("view-*.npy"))


def test_named_pairs_are_taken(tmp_path: Path) -> None:
    """Modules by their own names, and nothing is said about a choice that was not made."""
    events: list[Event] = []
    teach(tmp_path, phase(Feature(pairs=(("first.1", "first"),))), events=events)
    assert not any(isinstance(event, Note) and "no pairs were named" in event.text for event in events)


def networks(*names: str) -> Sequence[Network]:
    return [build(name, classes=10, shape=(32, 32, 3)) for name in names]


def test_pairs_that_are_not_named() -> None:
    """The last stages for feature, all for attention and review, the heads' inputs for relation and contrast."""
    student, teacher = networks("resnet8", "wrn-16-2")
    stages = tuple((f"stage{n}", f"stage{n}") for n in (1, 2, 3))
    found = [pairs_of(term, student, teacher) for term in ALL]
    assert found == [stages[-1:], stages, (("pooled", "pooled"),), (("pooled", "pooled"),), stages]


def test_networks_without_stages_in_common() -> None:
    """A student of vectors alone has no stage; the error says how to name pairs."""
    flat = nets.network(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, nets.CLASSES)), name="flat")
    with pytest.raises(UsageError, match=r"the term attention needs pairs of taps; flat and teacher have no stages .* `edgekd taps MODEL` lists"):
        pairs_of(Attention(), flat, toy(name="teacher"))


def test_an_onnx_teacher_has_no_features(tmp_path: Path) -> None:
    """It is refused before anything is learnt."""
    teacher = build(str(brightness(tmp_path / "t.onnx")), classes=2, shape=(4, 4, 1))
    student = nets.network(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2)))
    student.classes = 2
    with pytest.raises(UsageError, match="is an ONNX file and shows its answers alone"):
        distill(student, teacher, data=nets.data(), data_sha256="toy", phases=(phase(Relation(), Kd()),), train=nets.TRAIN, folder=tmp_path / "run")
    assert not list((tmp_path / "run").rglob("*.pt"))

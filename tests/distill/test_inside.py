"""edgekd.distill.inside: students that learn from what their teacher computes on the way."""

import math
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import pytest
import torch
from torch import Tensor

from edgekd.data.batches import Batches
from edgekd.distill import Job, asking, distill, independent
from edgekd.distill.inside import Inside, Look, pairs_of
from edgekd.distill.mixture import Ensemble
from edgekd.distill.objective import Objective, Seen
from edgekd.distill.teacher import Live, StoredAnswers
from edgekd.errors import UsageError
from edgekd.events import Event, Note, Trained, silent
from edgekd.models.deit import Deit
from edgekd.models.load import build
from edgekd.models.network import Network
from edgekd.models.taps import LOGITS
from edgekd.phases import Optimizer, Phase
from edgekd.terms import Attention, Contrast, Feature, FeatureTerm, Heads, Kd, Label, Relation, Review, Tokens, Values
from tests.distill import nets
from tests.toys import brightness

ALL = (Feature(), Attention(weight=10), Relation(), Contrast(width=8), Review())


def toy(seed: int = 1, name: str = "student") -> Network:
    torch.manual_seed(seed)
    return nets.network(nets.Toy(dropout=0.2), seed=seed, name=name)


def teach(
    folder: Path,
    *phases: Phase,
    stop: int | None = None,
    events: list[Event] | None = None,
    data: Batches | None = None,
    precision: Literal["fp32", "bf16"] = "fp32",
) -> Network:
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
    train = msgspec.structs.replace(nets.TRAIN, precision=precision)
    distill(student, teacher, Job(phases=phases, train=train, folder=folder, seed=3), data=data or nets.data(), data_sha256="toy", emit=heard.append)
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


def test_features_come_in_float32_where_networks_compute_in_bf16(tmp_path: Path) -> None:
    """Bridges hold float32 weights: what autocast leaves in bfloat16 is widened before it meets them, and losses are finite."""
    events: list[Event] = []
    teach(tmp_path, phase(*ALL, Kd()), events=events, precision="bf16")
    losses = [event.loss for event in events if isinstance(event, Trained)]
    assert losses
    assert all(map(math.isfinite, losses))


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
        distill(
            student, teacher, Job(phases=(phase(Relation(), Kd()),), train=nets.TRAIN, folder=tmp_path / "run"), data=nets.data(), data_sha256="toy"
        )
    assert not list((tmp_path / "run").rglob("*.pt"))


class Unsteady(nets.Toy):
    """It looks at the values of its images, which no trace can."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) if images.mean() > -1e9 else images


def test_a_student_that_cannot_be_traced_learns_through_hooks(tmp_path: Path) -> None:
    """The same weights as the one that can, to rounding; that it has hooks is said, and none are left."""
    events: list[Event] = []
    ends, phases = [], (phase(Feature(pairs=(("first", "first"),)), Kd()),)
    for number, kind in enumerate((nets.Toy, Unsteady)):
        torch.manual_seed(1)
        student = nets.network(kind(dropout=0))
        job = Job(phases=phases, train=nets.TRAIN, folder=tmp_path / str(number))
        distill(student, toy(seed=9, name="teacher"), job, data=nets.data(), data_sha256="toy", emit=events.append)
        ends.append(student)
    assert [event.text for event in events if isinstance(event, Note) and "cannot be traced" in event.text]
    torch.testing.assert_close(nets.weights(ends[1]), nets.weights(ends[0]), rtol=1e-4, atol=1e-5)
    assert not any(module._forward_hooks for module in ends[1].body.modules())


def contrasting(seed: int = 1) -> Inside:
    """A toy and its teacher, with a bridge that learns."""
    return Inside(toy(), toy(seed=9, name="teacher"), [phase(Contrast(width=8))], seed=seed, emit=silent)


def test_a_teacher_answers_in_eval_mode() -> None:
    """However it was left: what an image is beside changes no answer."""
    found = contrasting()
    assert found.teacher is not None
    found.teacher.train()
    images = torch.rand(4, 3, 8, 8)
    torch.testing.assert_close(found.answer(images)[0][:1], found.answer(images[:1])[0])


@pytest.mark.parametrize("at_once", [1, 3, 4, 9])
def test_a_teacher_answers_by_pieces_as_at_once(at_once: int) -> None:
    """Logits and features both, in the order of the images."""
    found, images = contrasting(), torch.rand(4, 3, 8, 8)
    logits, features = found.answer(images)
    found.at_once = at_once
    pieces, parts = found.answer(images)
    torch.testing.assert_close(pieces, logits)
    assert parts.keys() == features.keys() == {"pooled"}
    torch.testing.assert_close(parts["pooled"], features["pooled"])


def test_a_teacher_answers_folded_and_stays_as_it_was() -> None:
    """It is asked without its BatchNorm, which it keeps itself."""
    teacher = toy(seed=9, name="teacher")
    found = Inside(toy(), teacher, [phase(Contrast(width=8))], seed=1, emit=silent)
    assert found.teacher is not None
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in found.teacher.read.modules())
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in teacher.modules())
    images = torch.rand(4, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(found.answer(images)[0], teacher.eval()(images))


@pytest.mark.parametrize("compiled", [False, True])
def test_a_teacher_of_a_compiled_run_is_compiled(monkeypatch: pytest.MonkeyPatch, compiled: bool) -> None:
    """What was compiled answers."""
    asked: list[int] = []

    def counted(tapped: torch.nn.Module) -> Callable[[torch.Tensor], object]:
        def answer(images: torch.Tensor) -> object:
            asked.append(len(images))
            return tapped(images)

        return answer

    monkeypatch.setattr(torch, "compile", counted)
    found = Inside(toy(), toy(seed=9, name="teacher"), [phase(Contrast(width=8))], seed=1, compiled=compiled, emit=silent)
    found.answer(torch.rand(4, 3, 8, 8))
    assert asked == ([4] if compiled else [])


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_run_that_looks_inside_often_times_its_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels_last: bool) -> None:
    """As one that asks for logits alone does: the choice is written down and holds for every step, and the teacher stays as it was."""
    way = asking.Asking(at_once=5, channels_last=channels_last)
    chosen = msgspec.structs.replace(way, seconds={str(way): 0.1, "a batch at once": 0.2})
    monkeypatch.setattr(asking, "OFTEN", 64)
    monkeypatch.setattr(asking, "choose_asking", lambda *args, **options: chosen)
    seen: list[tuple[int | None, bool]] = []
    answer = Inside.answer

    def noted(self: Inside, images: torch.Tensor, *, bf16: bool = False) -> object:
        assert self.teacher is not None
        weights = next(parameter for parameter in self.teacher.parameters() if parameter.dim() == 4)
        seen.append((self.at_once, not weights.is_contiguous()))
        return answer(self, images, bf16=bf16)

    monkeypatch.setattr(Inside, "answer", noted)
    events: list[Event] = []
    teacher = toy(seed=9, name="teacher")
    phases = (phase(Contrast(width=8)),)
    distill(toy(), teacher, Job(phases=phases, train=nets.TRAIN, folder=tmp_path, seed=3), data=nets.data(), data_sha256="toy", emit=events.append)
    assert set(seen) == {(5, channels_last)}
    assert (tmp_path / "asking-inside-teacher.json").is_file()
    assert teacher.body.first[0].weight.is_contiguous()  # type: ignore[union-attr, index]
    told = [event.text for event in events if isinstance(event, Note)]
    assert f"teacher is asked for {way}: an image takes 100 ms so, and 200 ms of a batch at once" in told


def test_another_seed_begins_with_other_bridges() -> None:
    """The same with the same."""
    one, same, other = (list(contrasting(seed).bridges.parameters()) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True) if a.dim() > 1)


# Transformers ---------------------------------------------------------------------------------------------------------

ADAMW = msgspec.structs.replace(nets.TRAIN, optimizer=Optimizer(name="adamw", lr=3e-3))
UNLIKE = "unlike networks look at unlike things"


def deit(seed: int = 1, *, depth: int = 1, heads: int = 2, distilled: bool = False, name: str = "student", classes: int = nets.CLASSES) -> Network:
    """A transformer of four patches for the tests' images."""
    torch.manual_seed(seed)
    found = nets.network(Deit(depth, 8 * heads, classes, 3, heads=heads, distilled=distilled), seed=seed, name=name)
    found.classes = classes
    return found


def pass_on(folder: Path, student: Network, teacher: Network, *phases: Phase, stop: int | None = None) -> list[Event]:
    """Teach any student, stopped by a signal at a step where asked; what was said on the way."""
    heard: list[Event] = []
    steps = 0

    def count(module: torch.nn.Module, args: object) -> None:
        nonlocal steps
        steps += module.training
        if module.training and steps == stop:
            signal.raise_signal(signal.SIGINT)

    student.body.get_submodule("norm" if isinstance(student.body, Deit) else "first.0").register_forward_pre_hook(count)
    distill(student, teacher, Job(phases=phases, train=ADAMW, folder=folder, seed=3), data=nets.data(), data_sha256="toy", emit=heard.append)
    return heard


@pytest.mark.parametrize("term", [Heads(), Values(), Tokens(), Tokens(form="soft")], ids=["heads", "values", "tokens", "tokens soft"])
def test_each_term_on_transformers_teaches(tmp_path: Path, term: FeatureTerm) -> None:
    """Alone, it moves the student towards a teacher of more layers and heads; its state is as it was made."""
    student = deit(distilled=isinstance(term, Tokens))
    names = student.state_dict().keys()
    events = pass_on(tmp_path, student, deit(9, depth=2, heads=4, name="teacher"), phase(term, epochs=6))
    losses = [event.loss for event in events if isinstance(event, Trained)]
    kind = type(term).__name__.lower()
    assert losses[-1] < losses[0]
    assert [event.shares for event in events if isinstance(event, Trained)][-1] == {kind: 1.0}
    assert student.state_dict().keys() == names
    told = [event.text for event in events if isinstance(event, Note) and event.text.startswith(kind)]
    assert told == ([] if isinstance(term, Tokens) else [f"{kind} compares heads1 with heads2: no pairs were named"])


def test_a_distillation_token_learns_from_whoever_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network, the same as an ensemble of one, and its stored answers: nobody looks inside it, each image is asked for once, and the bits are the
    same."""
    teacher = toy(seed=9, name="teacher")
    said = Live(teacher, nets.data()).plain().half().numpy()
    phases = (nets.phase("tokens", 3, terms=(Tokens(), Label()), plain=True),)
    monkeypatch.setattr(Inside, "answer", None)
    ends = []
    teachers: tuple[Network | Ensemble | StoredAnswers, ...] = (teacher, Ensemble((teacher,), None, (None,)), StoredAnswers(said))
    for number, one in enumerate(teachers):
        student = deit(distilled=True)
        distill(student, one, Job(phases=phases, train=ADAMW, folder=tmp_path / str(number), seed=3), data=nets.data(), data_sha256="toy")
        ends.append(student)
    assert nets.same(ends[0], ends[1])
    assert nets.same(ends[0], ends[2])
    assert not nets.same(ends[0], deit(distilled=True))


def test_a_stopped_transformer_ends_with_the_same_bits(tmp_path: Path) -> None:
    """From attention to a distillation token, stopped in the first phase."""
    teacher = deit(9, depth=2, name="teacher")
    phases = phase(Heads(), Values(weight=0.5), Feature(), epochs=1.5), phase(Tokens(), Label(), epochs=1, name="tokens")
    whole, stopped, resumed = (deit(distilled=True) for _ in range(3))
    pass_on(tmp_path / "whole", whole, teacher, *phases)
    with pytest.raises(KeyboardInterrupt):
        pass_on(tmp_path / "stopped", stopped, teacher, *phases, stop=4)
    pass_on(tmp_path / "stopped", resumed, teacher, *phases)
    assert nets.same(whole, resumed)


@pytest.mark.parametrize("reverse", [False, True], ids=["to a transformer", "from a transformer"])
def test_between_networks_of_two_kinds(tmp_path: Path, reverse: bool) -> None:
    """Every term on features and logits goes both ways; attention says what to expect of it."""
    student, teacher = (toy(), deit(9, name="teacher")) if reverse else (deit(), toy(seed=9, name="teacher"))
    events = pass_on(tmp_path, student, teacher, phase(*ALL, Kd(), Label(), epochs=1))
    shares = [event.shares for event in events if isinstance(event, Trained)][-1]
    assert set(shares) == {"feature", "attention", "relation", "contrast", "review", "kd", "label"}
    warned = [event.text for event in events if isinstance(event, Note) and event.level == "warning"]
    kinds = ("convolutions", "transformer") if reverse else ("transformer", "convolutions")
    assert [UNLIKE in text and f"student ({kinds[0]}) and teacher ({kinds[1]})" in text for text in warned] == [True]


def convolutions(groups: int) -> Network:
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3, stride=2, padding=1), torch.nn.Conv2d(6, 6, 3, padding=1, groups=groups))
    return nets.network(torch.nn.Sequential(layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(6, nets.CLASSES)))


@pytest.mark.parametrize(("ours", "theirs", "warns"), [(6, 1, True), (1, 6, True), (6, 6, False), (1, 2, False)])
def test_which_networks_look_at_unlike_things(ours: int, theirs: int, warns: bool) -> None:
    """Convolutions channel by channel beside full ones; groups are none; and only the term that compares where they look says so."""
    student, teacher = convolutions(ours), convolutions(theirs)
    for term in (Attention(), Relation()):
        heard: list[Event] = []
        Inside(student, teacher, [phase(term)], seed=0, emit=heard.append)
        warned = any(isinstance(event, Note) and event.level == "warning" and UNLIKE in event.text for event in heard)
        assert warned is (warns and isinstance(term, Attention))


@pytest.mark.parametrize("terms", [(Label(), Tokens(weight=0.0)), (Label(weight=0.0), Tokens()), (Kd(), Tokens(weight=0.0))])
def test_each_head_learns_its_own(terms: tuple[Label | Kd, Tokens]) -> None:
    """Labels and a teacher's logits teach the class token's head, tokens the distillation token's, and neither the other's."""
    student, teacher = deit(distilled=True), toy(seed=9, name="teacher")
    inside = Inside(student, None, [phase(*terms)], seed=0, emit=silent)
    images, labels, _ = nets.data(8).plain(torch.arange(8))
    (logits, ours), answers = inside.student.train()(images), teacher(images).detach()
    loss = Objective(phase(*terms), inside.looks(phase(*terms)))(logits, answers, labels, progress=0, seen=Seen(ours, {LOGITS: answers}))
    loss.total.backward()  # type: ignore[no-untyped-call]
    head = student.body.get_submodule("head").weight.grad
    assert isinstance(head, torch.Tensor)
    reached = [bool(half.any()) for half in head.chunk(2, dim=1)]
    assert reached == ([False, True] if terms[0].weight == 0 else [True, False])


@pytest.mark.parametrize("form", ["hard", "soft"])
def test_a_token_learns_several_labels(form: Literal["hard", "soft"]) -> None:
    """Each a yes or no of its own: what the teacher says of it, hard where its logit is above 0, or softened."""
    term, (student, teacher) = Tokens(form=form), torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    look = Look((("pooled", "logits"),), torch.nn.Identity())
    seen = Seen({"pooled": torch.zeros(5, 4)}, {"logits": student})
    loss = Objective(phase(term), {0: look})(torch.ones(5, 4), teacher, torch.ones(5, 4, dtype=torch.int64), progress=0, seen=seen)
    hard, soft = independent.bce(student, (teacher > 0).long()), independent.kd(student, teacher, torch.full((5,), 3.0))
    assert loss.total.item() == pytest.approx((hard if form == "hard" else soft).item())


def test_an_onnx_teacher_teaches_a_token(tmp_path: Path) -> None:
    """It answers, which is all that is asked of it."""
    teacher = build(str(brightness(tmp_path / "t.onnx")), classes=2, shape=(4, 4, 1))
    events = pass_on(tmp_path / "run", deit(distilled=True, classes=2), teacher, phase(Tokens()))
    assert [event.step for event in events if isinstance(event, Trained)][-1] == 8


def test_a_term_that_does_not_fit_is_refused_before_anything_is_learnt(tmp_path: Path) -> None:
    """A convolutional network has neither attention nor a distillation token."""
    for term, words in ((Heads(), "has none that is read"), (Tokens(), "distillation token; student has none")):
        with pytest.raises(UsageError, match=words):
            pass_on(tmp_path, toy(), deit(9, name="teacher"), phase(term))
    assert not list(tmp_path.rglob("*.pt"))

"""edgekd.distill.quantised: a network computes as its int8 file will, learns so, goes on so, and is a plain one afterwards."""

import signal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.distill import Job, alone, checkpoint, distill
from edgekd.distill.quantised import LAYERS, FakeInt8, Ranges, check, rounded, rounded_weight, told, unrounded
from edgekd.errors import UsageError
from edgekd.events import Event, Note, PhaseStarted, silent
from edgekd.export.feed import Feed
from edgekd.export.int8 import Quantiser
from edgekd.export.onnx import to_onnx
from edgekd.export.stem import stem
from edgekd.models.load import build
from edgekd.models.network import Network
from edgekd.phases import Phase
from edgekd.terms import Feature, Kd, Label
from tests.distill import nets

LAST = Phase(name="int8", epochs=2, terms=(Kd(), Label(weight=0.1)), plain=True, quantised=True)
"""8 steps on 64 images."""
PHASES = (*nets.PHASES, LAST)


class Branched(nn.Module):
    """What files round at different places: a convolution before a ReLU, two before a sum, one before a tanh, a linear layer before a ReLU6."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.first_norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.left, self.left_norm = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(8)
        self.right = nn.Conv2d(8, 8, 1)
        self.last = nn.Conv2d(8, 6, 1)
        self.hidden, self.relu6, self.head = nn.Linear(6 * 64, 10), nn.ReLU6(), nn.Linear(10, nets.CLASSES)
        self.spare = nn.Linear(2, 2)

    def forward(self, images: Tensor) -> Tensor:
        first = F.relu(self.first_norm(self.first(images)), inplace=True)
        both = F.relu(self.left_norm(self.left(first)) + self.right(first))
        logits: Tensor = self.head(self.relu6(self.hidden(self.last(both).tanh().flatten(1))))
        return logits


def branched() -> Network:
    """As if trained: BatchNorm with statistics and weights of its own, some of them negative."""
    torch.manual_seed(0)
    network = nets.network(Branched())
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, -1.5, 1.5)
            nn.init.normal_(module.bias)
    return network


def shown(count: int = 24) -> Tensor:
    """Images (count, 3, 8, 8) in [0, 1]."""
    return nets.data(count).plain(torch.arange(count))[0]


def on_steps(weight: Tensor) -> bool:
    """Whether each output channel's values are whole parts of its largest one's 127th."""
    steps = weight.flatten(1) / (weight.flatten(1).abs().amax(1, keepdim=True) / 127).clamp(min=1e-12)
    return torch.allclose(steps, steps.round(), atol=1e-3)


# Numbers --------------------------------------------------------------------------------------------------------------


def test_a_weight_keeps_to_255_values_a_channel() -> None:
    """Whole steps up to 127 to either side, the largest value exact; a channel of zeros stays so."""
    weight = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    weight[2] = 0
    found, largest = rounded_weight(weight), weight.flatten(1).abs().amax(1)
    assert on_steps(found)
    assert not on_steps(weight)
    assert torch.allclose(found.flatten(1).abs().amax(1), largest)
    assert torch.equal(found[2], torch.zeros(3, 3, 3))
    assert (found - weight).abs().max() <= largest.max() / 254 * 1.001


@given(st.integers(0, 1000), st.lists(st.floats(0.01, 100) | st.floats(-100, -0.01), min_size=5, max_size=5))
def test_folding_a_norm_moves_no_step(seed: int, factors: list[float]) -> None:
    """A channel's factor, negative ones too, may be multiplied in before or after: BatchNorm need not be folded to round as the file does."""
    weight = torch.randn(5, 7, generator=torch.Generator().manual_seed(seed))
    factor = torch.tensor(factors).reshape(-1, 1)
    step = (weight * factor).abs().amax(1, keepdim=True) / 127
    before, after = rounded_weight(weight) * factor / step, rounded_weight(weight * factor) / step
    apart = (before - after).abs()
    assert ((apart < 1e-2) | ((weight * factor / step % 1 - 0.5).abs() < 1e-2)).all()  # but for what lies between two steps


def test_an_input_keeps_to_256_values() -> None:
    """From one end of the range to the other, 0 among them; what lies outside becomes an end and has no gradient."""
    values = torch.tensor([-3.0, -1.0, -0.3, 0.0, 0.004, 1.7, 2.0, 9.0], requires_grad=True)
    found = rounded(values, torch.tensor([-1.0, 2.0]))
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert torch.allclose(found, torch.tensor([-1.0, -1.0, -0.3, 0.0, 0.0, 1.7, 2.0, 2.0]), atol=3 / 510)
    assert found[3] == found[4] == 0
    assert values.grad is not None
    assert values.grad.tolist() == [0, 1, 1, 1, 1, 1, 1, 0]
    positive = rounded(torch.tensor([0.0, 3.0, 5.0]), torch.tensor([2.0, 5.0]))
    assert torch.allclose(positive, torch.tensor([0.0, 3.0, 5.0]), atol=5 / 510)  # a range reaches to 0 always
    assert torch.equal(rounded(torch.zeros(3), torch.zeros(2)), torch.zeros(3))


def test_what_is_no_number_stays_so() -> None:
    """The loss then says it, as without rounding."""
    assert rounded(torch.ones(2), torch.tensor([0.0, torch.nan])).isnan().all()
    assert rounded_weight(torch.tensor([[1.0, torch.nan]])).isnan().all()


# A network ------------------------------------------------------------------------------------------------------------


def answers(network: Network, images: Tensor, ranges: Ranges | None = None) -> Tensor:
    """Logits in eval mode, rounded where ranges are given."""
    network.eval()
    with torch.no_grad():
        if ranges is None:
            return network(images)  # type: ignore[no-any-return]
        with FakeInt8(network, images, "n").on(ranges):
            return network(images)  # type: ignore[no-any-return]


def test_it_computes_as_the_int8_file_does() -> None:
    """The same tensors rounded within the same ranges, the same weights once norms are folded, and so the same answers."""
    network, images = branched(), shown() * torch.linspace(0.1, 1, 24).reshape(-1, 1, 1, 1)
    ranges: Ranges = {}
    with FakeInt8(network.eval(), images, "n").on(ranges), torch.no_grad():
        for layer in network.modules():
            layer.train(isinstance(layer, (nn.Conv2d, nn.Linear)))
        network(images)
    prepared = network.prepare(images).numpy()
    made = Quantiser(to_onnx(network.body, (3, 8, 8), opset=20, batch=None), prepared, Feed(), "n", silent).made("int8-cpu")
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    pairs = sorted(tuple(float(constants[name]) for name in node.input[1:]) for node in made.graph.node if node.op_type == "QuantizeLinear")
    del ranges["body.right in"]  # the same tensor as the left one's
    scales = {name: float(range_[1].clamp(min=0) - range_[0].clamp(max=0)) / 255 for name, range_ in ranges.items()}
    assert sorted(scales.values()) == pytest.approx([scale for scale, _ in pairs], rel=0.05)
    for name, norm in (("first", "first_norm"), ("left", "left_norm"), ("last", None), ("head", None)):
        own = rounded_weight(network.body.get_parameter(f"{name}.weight").detach())
        factor = torch.ones(len(own)) if norm is None else _factor(network.body.get_submodule(norm))
        file = constants[f"{name}.weight_quantized"] * constants[f"{name}.weight_scale"].reshape(-1, *[1] * (own.ndim - 1))
        assert np.allclose((own * factor.reshape(-1, *[1] * (own.ndim - 1))).numpy(), file, atol=1e-5), name
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # whatever this CPU's 8-bit products do
    session = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    file = session.run(None, {"images": prepared})[0]
    # Calibration saw plain values and this here rounded ones: within just the same ranges they answer alike, but for biases.
    paired = zip(sorted(scales, key=scales.__getitem__), pairs, strict=True)
    exact = {name: torch.tensor([-zero, 255 - zero]) * scale for name, (scale, zero) in paired}
    plain, fake = answers(network, images).numpy(), answers(network, images, {**exact, "body.right in": exact["body.left in"]}).numpy()
    assert np.abs(file - fake).mean() < 0.1 * np.abs(file - plain).mean()


def _factor(norm: nn.Module) -> Tensor:
    """What a channel is multiplied by when a BatchNorm is folded."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_var is not None
    return norm.weight.detach() / (norm.running_var + norm.eps).sqrt()


def test_what_is_rounded() -> None:
    """Inputs of all layers that compute; outputs where the file has no activation to merge: behind the norm, where one follows."""
    network, ranges = branched(), Ranges()
    fake = FakeInt8(network, shown(2), "n")
    network.eval().body.get_submodule("left").train()
    with fake.on(ranges):
        network(shown(4))
    assert set(ranges) == {"body.left in", "body.left out"}
    network.train()
    with fake.on(ranges):
        network(shown(4))
    inputs = {f"body.{name} in" for name in ("first", "left", "right", "last", "hidden", "head")}
    assert set(ranges) == inputs | {f"body.{name} out" for name in ("left", "right", "last")}
    assert "of 6 layers and the outputs of 3 as" in fake.told("int8")


@pytest.mark.parametrize(("name", "left"), [("mobilenet_v2", 2), ("shufflenet_v2_x0_5", 0), ("resnet18", 0)])
def test_a_stem_that_the_file_leaves_in_float_is_not_rounded(name: str, left: int) -> None:
    """The layers are those that export/stem.py finds in the graph: two where a depthwise one reads the first one's output."""
    network = build(name, classes=3, shape=(32, 32, 3)).eval()
    fake = FakeInt8(network, torch.zeros(2, 3, 32, 32), name)
    model = to_onnx(network.body, (3, 32, 32), opset=20, batch=None)
    weights = {node.input[1] for node in model.graph.node if node.name in stem(model)}
    floats = {layer for layer, module in network.named_modules() if isinstance(module, LAYERS)} - fake._layers.keys()
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    assert len(floats) == len(weights) == left
    assert sorted(tuple(network.get_parameter(f"{layer}.weight").shape) for layer in floats) == sorted(shapes[weight] for weight in weights)


def test_ranges_follow_slowly() -> None:
    """The first batch sets them, later ones move them by a hundredth of the way; in eval mode they stay."""
    network, ranges = nets.network(), Ranges()
    images = shown(4)
    with FakeInt8(network, images, "n").on(ranges):
        network.train()(images)
        begun = ranges["body.first.0 in"].clone()
        assert torch.equal(begun, torch.stack([network.prepare(images).min(), network.prepare(images).max()]))
        network(images * 0)
        dark = torch.stack([network.prepare(images * 0).min(), network.prepare(images * 0).max()])
        assert torch.allclose(ranges["body.first.0 in"], begun + 0.01 * (dark - begun))
        moved = ranges["body.first.0 in"].clone()
        network.eval()(images)
        assert torch.equal(ranges["body.first.0 in"], moved)


def test_the_network_is_a_plain_one_afterwards() -> None:
    """The same parameters under the same names and no hook, also where a layer failed; a look at it leaves statistics, mode and generator alone."""
    network, generator = nets.network().train(), torch.get_rng_state()
    before, parameters = {name: value.clone() for name, value in network.state_dict().items()}, dict(network.named_parameters())
    fake = FakeInt8(network, shown(2), "n")
    assert network.training
    assert torch.equal(torch.get_rng_state(), generator)
    with pytest.raises(RuntimeError), fake.on({}):
        network.body(torch.zeros(2, 5, 8, 8))  # no layer takes 5 channels
    assert all(one is other for one, other in zip(network.parameters(), parameters.values(), strict=True))
    assert [name for name, _ in network.named_parameters()] == list(parameters)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_gradients_reach_the_networks_own_weights() -> None:
    """Through the rounding, about as without it."""
    network, images = branched().eval(), shown()
    network.body.requires_grad_()
    ranges: Ranges = {}

    def gradient(ranges: Ranges | None) -> Tensor:
        network.zero_grad()
        if ranges is None:
            network(images).square().mean().backward()
        else:
            with FakeInt8(network, images, "n").on(ranges):
                network.train()
                for module in network.modules():
                    if isinstance(module, nn.BatchNorm2d):
                        module.eval()
                network(images).square().mean().backward()
        return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])

    exact, straight = gradient(None), gradient(ranges)
    assert exact.shape == straight.shape
    assert F.cosine_similarity(exact, straight, dim=0) > 0.95
    assert not torch.equal(exact, straight)


def test_nothing_to_round_is_refused_before_the_first_step(tmp_path: Path) -> None:
    """With the way out; a phase that does not ask for it takes any network."""
    student = nets.network(nets.Painter())
    with pytest.raises(UsageError, match=r"rounds convolutions and linear layers, and student computes with none.*Leave quantised out of its phases"):
        learnt(student, tmp_path, nets.phase(), nets.phase("q", quantised=True))
    assert not (tmp_path / checkpoint.NAME).exists()
    check(student, "student", (nets.phase(),), (8, 8, 3))


def learnt(student: Network, folder: Path, *phases: Phase, teacher: Network | None = None) -> None:
    """A student taught by the room's own verb."""
    distill(student, teacher, Job(phases=phases, train=nets.TRAIN, folder=folder), data=nets.data(), data_sha256="toy")


# A phase --------------------------------------------------------------------------------------------------------------


def test_a_phase_learns_with_rounding_and_leaves_a_plain_student(tmp_path: Path) -> None:
    """It is said, statistics stand still, weights move and lie on no steps; a step sees rounded weights."""
    events: list[Event] = []
    seen: list[Tensor] = []
    student = nets.network()
    layer = student.body.get_submodule("first.0")

    def note(module: nn.Module, args: object, output: object) -> None:
        if module.training:
            seen.append(module.weight.detach().clone())  # type: ignore[operator]

    layer.register_forward_hook(note)
    nets.learn(tmp_path / "a", nets.phase(), nets.phase("q", quantised=True), student=student, events=events)
    notes = [event.text for event in events if isinstance(event, Note)]
    assert [event.phase for event in events if isinstance(event, PhaseStarted)] == ["p", "q"]
    assert notes == ["phase 'q' rounds inputs and weights of 2 layers as int8 does; BatchNorm statistics stand still"]
    assert [on_steps(weight) for weight in seen] == [False] * 4 + [True] * 4
    assert not on_steps(student.state_dict()["body.first.0.weight"])
    first, _ = nets.learn(tmp_path / "b", nets.phase(), student=nets.network())
    for name in ("running_mean", "running_var"):
        assert not torch.equal(first.state_dict()[f"body.first.1.{name}"], nets.network().state_dict()[f"body.first.1.{name}"])
    held, _ = nets.learn(tmp_path / "c", nets.phase(quantised=True), student=nets.network())
    assert torch.equal(held.state_dict()["body.first.1.running_mean"], torch.zeros(4))


def test_validation_is_of_the_rounded_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the phase lasts, answers in eval mode are rounded, too."""
    called: list[bool] = []
    plain = torch.fake_quantize_per_channel_affine
    student = nets.network()

    def noted(*args: Any) -> Tensor:
        called.append(student.training)
        return plain(*args)

    monkeypatch.setattr(torch, "fake_quantize_per_channel_affine", noted)
    nets.learn(tmp_path, nets.phase(quantised=True), student=student, valid=nets.data(30, seed=1))
    assert called.count(True) == 4 * 2
    assert called.count(False) == 2


@pytest.mark.parametrize("settings", [{"precision": "bf16"}, {"compile": True}], ids=["bf16", "compiled"])
def test_steps_are_computed_in_fp32_and_not_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]) -> None:
    """bf16 could not hold int8's steps, and a compiled network would not see the hooks: it ends as in fp32, bit for bit."""

    def compiled(network: nn.Module) -> Any:
        return lambda images: pytest.fail("a compiled network was asked")

    monkeypatch.setattr(torch, "compile", compiled)
    phases = (nets.phase(quantised=True),)
    expected, _ = nets.learn(tmp_path / "fp32", *phases)
    found, _ = nets.learn(tmp_path / "other", *phases, **settings)
    assert nets.same(found, expected)


def test_what_looks_inside_sees_the_rounded_network(tmp_path: Path) -> None:
    """A term on features teaches in a quantised phase, too."""
    student = nets.network()
    before = student.state_dict()["body.first.0.weight"].clone()
    terms = (Feature(pairs=(("first", "first"),)), Label())
    learnt(student, tmp_path, nets.phase(quantised=True, terms=terms), teacher=nets.network(seed=2, name="teacher"))
    assert not torch.equal(student.state_dict()["body.first.0.weight"], before)
    assert not any(module._forward_pre_hooks for module in student.modules())


# Going on -------------------------------------------------------------------------------------------------------------


def test_a_stopped_run_goes_on_with_its_ranges(tmp_path: Path) -> None:
    """Stopped before, at the begin and within a quantised phase it ends with the bits of an undisturbed run, averaged weights among them."""
    train = nets.EMA
    whole, expected = nets.run(tmp_path / "whole", phases=PHASES, train=train)
    for stops in ([20], [5], [1], [4]):  # 24 steps come before the phase
        with pytest.raises(SystemExit):
            nets.run(tmp_path / "parts", phases=PHASES, train=train, stops=stops, by=signal.SIGTERM)
    kept = torch.load(tmp_path / "parts" / checkpoint.NAME, weights_only=True)
    assert kept["place"]["step"] == 30
    assert set(kept["place"]["ranges"]) == {"body.first.0 in", "body.head in"}
    assert not any("range" in name for name in kept["states"]["network"])
    student, training = nets.run(tmp_path / "parts", phases=PHASES, train=train)
    assert nets.same(student, whole)
    assert [point.valid_accuracy for point in training.curve] == [point.valid_accuracy for point in expected.curve]


def test_lost_ranges_would_show(tmp_path: Path) -> None:
    """The comparison of bits can fail: a run that begins its ranges anew ends elsewhere."""
    whole, _ = nets.run(tmp_path / "whole", phases=PHASES)
    with pytest.raises(SystemExit):
        nets.run(tmp_path / "parts", phases=PHASES, stops=[28], by=signal.SIGTERM)
    kept = torch.load(tmp_path / "parts" / checkpoint.NAME, weights_only=True)
    kept["place"]["ranges"] = {}
    torch.save(kept, tmp_path / "parts" / checkpoint.NAME)
    assert not nets.same(nets.run(tmp_path / "parts", phases=PHASES)[0], whole)


def test_a_checkpoint_without_ranges_reads(tmp_path: Path) -> None:
    """One that was written before there were any."""
    checkpoint.save(tmp_path, checkpoint.Place(step=3), {}, key="mine")
    table = torch.load(tmp_path / checkpoint.NAME, weights_only=True)
    del table["place"]["ranges"]
    torch.save(table, tmp_path / checkpoint.NAME)
    found = checkpoint.load(tmp_path, key="mine")
    assert found is not None
    assert found[0] == checkpoint.Place(step=3)


# Whom it concerns -----------------------------------------------------------------------------------------------------


def test_alone_is_rounded_alike_and_an_assistant_is_not() -> None:
    """The same schedule is compared; who gets no int8 file learns as ever."""
    assert [phase.is_quantised for phase in alone(PHASES)] == [False, False, True]
    assert unrounded(PHASES) == (*nets.PHASES, msgspec.structs.replace(LAST, quantised=msgspec.UNSET))
    assert unrounded(nets.PHASES) == nets.PHASES


def test_the_report_says_it() -> None:
    """By phase; nothing where none was rounded."""
    assert told("thin", nets.PHASES) == []
    assert told("thin", PHASES) == [
        "thin learnt with int8's rounding in phase 'int8': in the training curve, validation accuracies of that phase are the rounded network's"
    ]
    assert "in phases 'a' and 'b': " in told("thin", [nets.phase("a", quantised=True), nets.phase("b", quantised=True)])[0]

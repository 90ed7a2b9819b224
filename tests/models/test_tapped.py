"""edgekd.models.tapped: features beside the logits, by a trace and through hooks."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import SwinTransformer
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.ops import MLP

from edgekd.errors import UsageError
from edgekd.models.load import build
from edgekd.models.network import Network
from edgekd.models.tapped import Tapped, _Hooked
from edgekd.models.taps import find, landmarks, taps
from edgekd.preprocess import Preprocess
from tests.models.insides import fickle, network, transformer
from tests.toys import brightness

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["resnet8x4", "mobilenet_v3_small"])
@pytest.mark.parametrize("training", [True, False])
def test_a_tapped_network_answers_as_it_did(name: str, training: bool) -> None:
    """The same logits, the shapes that were promised, through the same weights, in train and in eval mode."""
    body = network(name)
    for module in body.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.0
    places = landmarks(body)
    tapped = Tapped(body, list(places)).train(training)
    with torch.no_grad():
        logits, features = tapped(IMAGES)
        assert torch.equal(logits, body.train(training)(IMAGES))
    assert tapped.note is None
    assert {name: tuple(value.shape[1:]) for name, value in features.items()} == {name: tap.shape for name, tap in places.items()}
    assert {id(p) for p in tapped.parameters()} == {id(p) for p in body.parameters()}


def test_a_traced_network_compiles_whole() -> None:
    """In one graph, without a break: that is what taps are traced for."""
    body = network("resnet8").eval()
    tapped = Tapped(body, ["stage2", "pooled"]).eval()
    compiled = torch.compile(tapped, backend="eager", fullgraph=True)
    with torch.no_grad():
        (logits, features), (plain, expected) = compiled(IMAGES), tapped(IMAGES)
    assert torch.equal(logits, plain)
    assert all(torch.equal(features[name], expected[name]) for name in ("stage2", "pooled"))


def test_features_carry_gradients_into_the_network() -> None:
    """What is learnt through a tap is learnt by the network itself, up to the tap and no further."""
    body = network("resnet8")
    Tapped(body, ["stage2"])(IMAGES)[1]["stage2"].square().mean().backward()
    moved = {name for name, parameter in body.named_parameters() if parameter.grad is not None and parameter.grad.abs().sum() > 0}
    assert "body.conv1.weight" in moved
    assert not any(name.startswith(("body.layer3", "body.linear")) for name in moved)


def test_a_network_that_cannot_be_traced_is_read_through_hooks() -> None:
    """It says so, answers the same, and keeps no hook."""
    body = fickle()
    tapped = Tapped(body, ["first", "pooled"])
    assert tapped.note is not None
    assert "fickle cannot be traced" in tapped.note
    logits, features = tapped(IMAGES[..., :8, :8])
    assert torch.equal(logits, body(IMAGES[..., :8, :8]))
    assert (features["first"].shape, features["pooled"].shape) == ((2, 4, 6, 6), (2, 4))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in body.modules())


def test_what_a_head_over_maps_is_given_is_pooled() -> None:
    """SqueezeNet's head is a convolution, whose answers are pooled: `pooled` has a number a channel, as its tap says."""
    body = build("squeezenet1_1", classes=3, shape=(64, 64, 3), preprocess=Preprocess())
    _, features = Tapped(body, ["pooled"]).eval()(torch.rand(2, 3, 64, 64))
    assert features["pooled"].shape == (2, *landmarks(body)["pooled"].shape)


def test_a_tap_that_does_not_answer_is_an_error() -> None:
    """Not a loss of zero."""
    tapped = Tapped(fickle(), ["second"])
    with pytest.raises(UsageError, match="every tap must answer at every step; second did not"):
        tapped(IMAGES[..., :8, :8] - 2)


@pytest.mark.parametrize("kind", ["deit", "vit", "swin"])
@pytest.mark.parametrize("training", [True, False])
def test_a_tapped_transformer_answers_as_it_did(kind: str, training: bool) -> None:
    """By its trace and through hooks alike: the same logits, and at each place what stands there."""
    network = transformer(kind)
    places = landmarks(network)
    tapped = Tapped(network, [*places, "logits"]).train(training)
    hooked = Tapped(network, [*places, "logits"])
    hooked.read = _Hooked(network.body, hooked.places)
    hooked.train(training)
    images = IMAGES[..., :16, :16]
    with torch.no_grad():
        logits, features = tapped(images)
        _, heard = hooked(images)
        assert torch.equal(logits, network.train(training)(images))
    assert tapped.note is None
    assert {name: tuple(value.shape[1:]) for name, value in features.items()} == {name: tap.shape for name, tap in places.items()} | {"logits": (10,)}
    assert all(torch.equal(features[name], heard[name]) for name in features)


@pytest.mark.parametrize("kind", ["deit", "vit", "swin", "bottleneck"])
def test_every_module_is_read_alike_by_its_trace_and_through_hooks(kind: str) -> None:
    """Modules that a name's number tells apart (`ln_1`, `ln_2`), one that is used several times, whose last answer counts, and those whose answer is
    gone on with in place."""
    bottleneck = Network(ResNet(Bottleneck, [1, 1, 1, 1], num_classes=10), Preprocess(size=(16, 16)), name="bottleneck", classes=10)
    network = (bottleneck if kind == "bottleneck" else transformer(kind)).eval()
    leaves = [name for name, module in network.body.named_modules() if isinstance(module, MLP)]  # which torchvision does not trace into
    names = [tap.name for tap in taps(network) if not tap.name.startswith(tuple(f"{leaf}." for leaf in leaves))]
    tapped, hooked = Tapped(network, names).eval(), Tapped(network, names).eval()
    hooked.read = _Hooked(network.body, hooked.places)
    assert tapped.note is None
    with torch.no_grad():
        features, heard = tapped(IMAGES[..., :16, :16])[1], hooked(IMAGES[..., :16, :16])[1]
    assert [name for name in names if not torch.equal(features[name], heard[name])] == []


def test_what_a_layer_is_given_is_not_what_its_block_answers() -> None:
    """Asked for together, neither takes the other's place: a block's last sum is what the next one's norm is given."""
    network = transformer("deit")
    _, features = Tapped(network, ["blocks.0", "blocks.1.norm1", "heads2", "blocks.1"])(IMAGES[..., :16, :16])
    torch.testing.assert_close(network.body.get_submodule("blocks.1.norm1")(features["blocks.0"]), features["heads2"])
    assert torch.equal(features["blocks.1.norm1"], features["heads2"])
    assert not torch.equal(features["blocks.0"], features["blocks.1"])


def test_swin_with_stochastic_depth_is_traced() -> None:
    """What torchvision's own units do in training mode is no obstacle."""
    body = SwinTransformer([2, 2], 8, [1, 1], [2, 2], [4, 4], stochastic_depth_prob=0.5, num_classes=10)
    network = Network(body, Preprocess(size=(16, 16)), name="swin", classes=10)
    tapped = Tapped(network, ["heads2", "stage1"]).train()
    assert tapped.note is None
    assert tapped(IMAGES[..., :16, :16])[1]["heads2"].shape == (2, 16, 4, 4)


def test_answers_are_a_tap_of_any_network(tmp_path: Path) -> None:
    """An ONNX file, too, has its logits, and nothing else."""
    teacher = build(str(brightness(tmp_path / "t.onnx")), classes=2, shape=(4, 4, 1))
    tapped = Tapped(teacher, ["logits"])
    logits, features = tapped(torch.rand(3, 1, 4, 4))
    assert torch.equal(features["logits"], logits)
    assert find(teacher, "logits")["logits"].shape == (2,)

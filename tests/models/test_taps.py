"""edgekd.models.taps: places in a network by name, and features beside the logits."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import SwinTransformer, VisionTransformer

from edgekd.errors import UsageError
from edgekd.models.deit import Deit
from edgekd.models.load import build
from edgekd.models.network import Network
from edgekd.models.taps import Tapped, _Hooked, attention_layers, find, landmarks, suggested, taps
from edgekd.record import Preprocess
from tests.toys import brightness

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def network(name: str) -> Network:
    torch.manual_seed(0)
    return build(name, classes=10, shape=(32, 32, 3))


class Fickle(nn.Module):
    """It looks at the values of its images, which a trace cannot, and leaves out its second layer for dark ones."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.first(images)
        if images.mean() > -0.5:
            maps = self.second(maps)
        logits: Tensor = self.head(maps.mean((2, 3)))
        return logits


def fickle() -> Network:
    torch.manual_seed(0)
    return Network(Fickle(), Preprocess(mean=(0.0,), std=(1.0,), size=(8, 8)), name="fickle", classes=2, spec="fickle")


def transformer(kind: str) -> Network:
    """A toy of a family for images of 16 px, whose training mode leaves nothing to chance."""
    torch.manual_seed(0)
    bodies: dict[str, Callable[[], nn.Module]] = {
        "deit": lambda: Deit(2, 16, 10, 3, heads=2),
        "vit": lambda: VisionTransformer(16, 4, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=10),
        "swin": lambda: SwinTransformer([2, 2], 8, [2, 2], [2, 4], [4, 4], stochastic_depth_prob=0.0, num_classes=10),
    }
    return Network(bodies[kind](), Preprocess(size=(16, 16)), name=kind, classes=10, spec=kind)


def test_taps_are_named_with_their_shapes() -> None:
    """In the order in which they answer, for one image."""
    found = {tap.name: tap.shape for tap in taps(network("resnet8"))}
    assert list(found)[:2] == ["conv1", "bn1"]
    assert list(found)[-1] == "linear"
    assert (found["layer2"], found["layer3.0.conv1"], found["linear"]) == ((32, 16, 16), (64, 8, 8), (10,))


@pytest.mark.parametrize(
    ("name", "stages", "last"),
    [
        ("resnet8", {"stem": "bn1", "stage1": "layer1", "stage2": "layer2", "stage3": "layer3"}, "linear"),
        ("wrn-16-2", {"stem": "block1.layer.0.bn1", "stage1": "block1", "stage2": "block2", "stage3": "block3"}, "fc"),
        ("cifar-shufflenet-v2", {"stem": "bn1", "stage1": "layer1", "stage2": "layer2", "stage3": "layer3"}, "linear"),
        ("resnet18", {"stem": "bn1", "stage1": "layer1", "stage2": "layer2", "stage3": "layer3", "stage4": "layer4"}, "fc"),
    ],
)
def test_the_same_places_bear_the_same_names(name: str, stages: dict[str, str], last: str) -> None:
    """A stage ends with the last block of a resolution, whatever a block does inside."""
    assert {name: tap.name for name, tap in landmarks(network(name)).items()} == {**stages, "pooled": last}


def test_a_sequence_of_plain_layers_has_stages_too() -> None:
    """Where there are no blocks, the last layer of each resolution."""
    layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 3, padding=1), nn.Flatten(), nn.Linear(128, 2))
    found = landmarks(Network(layers, Preprocess(size=(8, 8)), name="plain", classes=2))
    assert {name: tap.name for name, tap in found.items()} == {"stem": "0", "stage1": "1", "stage2": "3", "pooled": "5"}


def test_stages_of_one_resolution_are_suggested_to_belong_together() -> None:
    """By resolution; where none agrees, counted from the last."""
    assert suggested(network("resnet8"), network("wrn-16-2")) == [(f"stage{n}", f"stage{n}") for n in (1, 2, 3)]
    assert suggested(network("resnet8"), network("cifar-shufflenet-v2")) == [("stage2", "stage1"), ("stage3", "stage2")]
    torch.manual_seed(0)
    small = build("resnet8", classes=10, shape=(12, 12, 3))
    assert suggested(small, network("cifar-shufflenet-v2")) == [(f"stage{n}", f"stage{n}") for n in (1, 2, 3)]


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


def test_a_tap_that_does_not_answer_is_an_error() -> None:
    """Not a loss of zero."""
    tapped = Tapped(fickle(), ["second"])
    with pytest.raises(UsageError, match="every tap must answer at every step; second did not"):
        tapped(IMAGES[..., :8, :8] - 2)


def test_a_tap_that_is_not_there_is_an_error() -> None:
    """It names what there is, and the command that lists the rest."""
    with pytest.raises(UsageError, match=r"resnet8 has no 'layer9'\. It has stem, stage1, stage2, stage3, pooled, .*`edgekd taps resnet8`"):
        find(network("resnet8"), "layer9")


def test_an_onnx_file_shows_nothing_of_its_inside(tmp_path: Path) -> None:
    """The remedy is the network itself."""
    teacher = build(str(brightness(tmp_path / "t.onnx")), classes=2, shape=(4, 4, 1))
    with pytest.raises(UsageError, match="is an ONNX file and shows its answers alone"):
        taps(teacher)


# Transformers ---------------------------------------------------------------------------------------------------------

PLACES = {
    "deit": {
        "stem": ("patch_embed.proj", (16, 4, 4)),
        "stage1": ("blocks", (17, 16)),
        "pooled": ("head", (16,)),
        "heads1": ("blocks.0.attn", (17, 16)),
        "heads2": ("blocks.1.attn", (17, 16)),
    },
    "vit": {
        "stem": ("conv_proj", (16, 4, 4)),
        "stage1": ("encoder", (17, 16)),
        "pooled": ("heads.head", (16,)),
        "heads1": ("encoder.layers.encoder_layer_0.self_attention", (17, 16)),
        "heads2": ("encoder.layers.encoder_layer_1.self_attention", (17, 16)),
    },
    "swin": {
        "stem": ("features.0.0", (8, 8, 8)),
        "stage1": ("features.1", (8, 8, 8)),
        "stage2": ("features", (16, 4, 4)),
        "pooled": ("head", (16,)),
        "heads1": ("features.1.0.attn", (8, 8, 8)),
        "heads2": ("features.1.1.attn", (8, 8, 8)),
        "heads3": ("features.3.0.attn", (16, 4, 4)),
        "heads4": ("features.3.1.attn", (16, 4, 4)),
    },
}


@pytest.mark.parametrize("kind", PLACES)
def test_the_places_of_a_transformer(kind: str) -> None:
    """Blocks by their grid of patches, then what each attention layer is given; Swin's maps have their channels first."""
    found = landmarks(transformer(kind))
    assert {name: (tap.name, tap.shape) for name, tap in found.items()} == PLACES[kind]
    assert [tap.heads for tap in attention_layers(transformer(kind))] == ([2, 2, 4, 4] if kind == "swin" else [2, 2])


@pytest.mark.parametrize("kind", PLACES)
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


class Causal(nn.Module):
    """Attention behind a mask, which cannot be read from what the layer is given."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 4, stride=4)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.first(images).flatten(2).transpose(1, 2)
        mask = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool).triu(1)
        logits: Tensor = self.head(self.attention(query=tokens, key=tokens, value=tokens, attn_mask=mask)[0].mean(1))
        return logits


def test_attention_that_would_be_read_wrongly_is_no_tap() -> None:
    """A mask changes what is attended to."""
    torch.manual_seed(0)
    assert attention_layers(Network(Causal(), Preprocess(size=(16, 16)), name="causal", classes=2)) == []


def test_stages_of_a_transformer_and_a_convolutional_network() -> None:
    """They meet where the grid of patches is as fine as the maps."""
    torch.manual_seed(0)
    deit = Network(Deit(1, 16, 10, 3, heads=2), Preprocess(size=(32, 32)), name="deit", classes=10)
    assert suggested(deit, network("resnet8")) == [("stage1", "stage3")]
    assert suggested(network("resnet8"), deit) == [("stage3", "stage1")]


def test_answers_are_a_tap_of_any_network(tmp_path: Path) -> None:
    """An ONNX file, too, has its logits, and nothing else."""
    teacher = build(str(brightness(tmp_path / "t.onnx")), classes=2, shape=(4, 4, 1))
    tapped = Tapped(teacher, ["logits"])
    logits, features = tapped(torch.rand(3, 1, 4, 4))
    assert torch.equal(features["logits"], logits)
    assert find(teacher, "logits")["logits"].shape == (2,)

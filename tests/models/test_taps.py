"""edgekd.models.taps: places in a network by name."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgekd.errors import UsageError
from edgekd.models.deit import Deit
from edgekd.models.load import build
from edgekd.models.network import Network
from edgekd.models.taps import attention_layers, find, landmarks, suggested, suggested_heads, taps
from edgekd.preprocess import Preprocess
from tests.models.insides import network, transformer
from tests.toys import brightness


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
    pooling = nn.Sequential(*list(layers)[:4], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    pooled = landmarks(Network(pooling, Preprocess(size=(8, 8)), name="plain", classes=2))
    assert [tap.grid for name, tap in pooled.items() if name.startswith("stage")] == [(8, 8), (4, 4)]
    found = landmarks(Network(layers, Preprocess(size=(8, 8)), name="plain", classes=2))
    assert {name: tap.name for name, tap in found.items()} == {"stem": "0", "stage1": "1", "stage2": "3", "pooled": "5"}


def test_stages_of_one_resolution_are_suggested_to_belong_together() -> None:
    """By resolution; where none agrees, counted from the last."""
    assert suggested(network("resnet8"), network("wrn-16-2")) == [(f"stage{n}", f"stage{n}") for n in (1, 2, 3)]
    assert suggested(network("resnet8"), network("cifar-shufflenet-v2")) == [("stage2", "stage1"), ("stage3", "stage2")]
    torch.manual_seed(0)
    small = build("resnet8", classes=10, shape=(12, 12, 3))
    assert suggested(small, network("cifar-shufflenet-v2")) == [(f"stage{n}", f"stage{n}") for n in (1, 2, 3)]


def test_the_last_attention_layers_are_suggested_to_belong_together() -> None:
    """Of two transformers of whatever depth; a network without attention has none."""
    short, long = transformer("deit"), Network(Deit(3, 16, 10, 3, heads=2), Preprocess(size=(16, 16)), name="long", classes=10)
    assert suggested_heads(short, long) == [("heads2", "heads3")]
    assert suggested_heads(network("resnet8"), long) == []


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

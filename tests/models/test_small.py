"""edgekd.models.small: the literature's networks, by name, count and arithmetic."""

import pytest
import torch
from torch import Tensor, nn

from edgekd.models.small import factory

LITERATURE = {
    ("resnet20", 10): 269_722,
    ("resnet32", 10): 464_154,
    ("resnet44", 10): 658_586,
    ("resnet56", 10): 853_018,
    ("resnet110", 10): 1_727_962,
    ("resnet20b", 100): 278_324,
    ("resnet32b", 100): 472_756,
    ("resnet56b", 100): 861_620,
    ("resnet110b", 100): 1_736_564,
    ("resnet8x4", 100): 1_233_540,
    ("resnet32x4", 100): 7_433_860,
    ("wrn-16-2", 100): 703_284,
    ("wrn-40-1", 100): 569_780,
    ("wrn-40-2", 100): 2_255_156,
    ("wrn-28-10", 10): 36_479_194,
    ("cifar-vgg8", 100): 3_965_028,
    ("cifar-vgg13", 100): 9_462_180,
    ("cifar-mobilenet-v2", 100): 812_836,
    ("cifar-shufflenet-v2", 100): 1_355_528,
}
"""Parameters by name and classes, of the papers' own code (CIFAR-10) and of the CIFAR-100 protocol's."""

FAMILIES = ["resnet8", "resnet8b", "resnet8x4", "wrn-10-1", "wrn-16-2", "cifar-vgg8", "cifar-vgg13", "cifar-mobilenet-v2", "cifar-shufflenet-v2"]

CIRCULATING = {
    "resnet20": ["layer2.0.conv2.weight", "layer3.2.bn1.running_mean", "linear.weight"],
    "resnet20b": ["layer2.0.downsample.0.weight", "layer2.0.downsample.1.running_var", "fc.bias"],
    "resnet8x4": ["layer1.0.downsample.0.weight", "fc.weight"],
    "wrn-16-2": ["block1.layer.0.convShortcut.weight", "block3.layer.1.bn2.weight", "bn1.weight", "fc.weight"],
    "cifar-vgg13": ["block0.0.bias", "block4.3.weight", "block4.4.running_mean", "classifier.weight"],
    "cifar-mobilenet-v2": ["conv1.0.weight", "blocks.6.0.conv.7.weight", "conv2.1.weight", "classifier.0.weight"],
    "cifar-shufflenet-v2": ["conv1.weight", "layer1.0.conv5.weight", "layer2.7.bn3.weight", "conv2.weight", "linear.bias"],
}


def made(name: str, classes: int = 10, channels: int = 3, device: str = "meta") -> nn.Module:
    """A network in eval mode; on "meta" it has shapes and no numbers."""
    make = factory(name)
    assert make is not None
    with torch.device(device):
        return make(classes, channels).eval()


def answer_shape(body: nn.Module, *shape: int) -> tuple[int, ...]:
    """The shape of its logits for images of a shape."""
    logits: Tensor = body(torch.empty(shape, device="meta"))
    return tuple(logits.shape)


@pytest.mark.parametrize(("name", "classes"), LITERATURE)
def test_parameters_are_as_many_as_in_the_literature(name: str, classes: int) -> None:
    """To the last one."""
    assert sum(parameter.numel() for parameter in made(name, classes).parameters()) == LITERATURE[name, classes]


@pytest.mark.parametrize("name", FAMILIES)
def test_logits_for_images_of_any_size_from_8_px(name: str) -> None:
    """Square or not, in colour or grey, one row of logits an image."""
    for channels in (1, 3):
        body = made(name, 7, channels)
        assert [answer_shape(body, 2, channels, *size) for size in ((32, 32), (8, 8), (9, 13))] == [(2, 7)] * 3


def test_grey_changes_the_first_convolution_alone() -> None:
    """Two thirds of its weights are gone, and no other's shape is changed."""
    grey, colour = made("resnet20", 10, 1).state_dict(), made("resnet20").state_dict()
    assert [name for name in colour if colour[name].shape != grey[name].shape] == ["conv1.weight"]
    assert grey["conv1.weight"].shape == (16, 1, 3, 3)


@pytest.mark.parametrize("name", CIRCULATING)
def test_weights_are_called_as_in_the_checkpoints_in_circulation(name: str) -> None:
    """A few of each family, those that another writer would call otherwise."""
    assert set(CIRCULATING[name]) <= set(made(name).state_dict())


@pytest.mark.parametrize("name", ["resnet20c", "resnet21", "resnet20 ", "ResNet20", "wrn-16", "wrn-15-2", "wrn-4-2", "wrn-16-0", "resnet18", ""])
def test_other_names_are_none_of_its(name: str) -> None:
    """Depths that no such network has, misspellings, and torchvision's."""
    assert factory(name) is None


def test_a_wide_resnet_of_any_lawful_depth() -> None:
    """wrn-10-1 is the least: three blocks, 16, 32 and 64 wide."""
    body = made("wrn-10-1", 10)
    assert sum(isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3) for module in body.modules()) == 7
    assert sum(parameter.numel() for parameter in body.parameters()) == 77_850


def test_where_the_sizes_end() -> None:
    """At 32 px, the literature's last maps are 8×8 in ResNets, 4×4 in VGG and ShuffleNetV2, and 2×2 in MobileNetV2."""
    last = {"resnet8": "layer3", "resnet8b": "layer3", "wrn-16-2": "block3", "cifar-vgg8": "block4", "cifar-shufflenet-v2": "layer3"}
    sides: list[tuple[int, ...]] = []
    for name, place in {**last, "cifar-mobilenet-v2": "blocks.6"}.items():
        body = made(name)
        body.get_submodule(place).register_forward_hook(lambda _module, _given, maps: sides.append(tuple(maps.shape[2:])))
        answer_shape(body, 1, 3, 32, 32)
    assert sides == [(8, 8), (8, 8), (8, 8), (4, 4), (4, 4), (2, 2)]


@pytest.mark.parametrize("name", ["resnet8", "resnet8b", "wrn-10-1", "cifar-mobilenet-v2", "cifar-shufflenet-v2"])
def test_every_weight_is_reached(name: str) -> None:
    """The gradient of the logits is not zero in any tensor of weights."""
    torch.manual_seed(0)
    body = made(name, 3, device="cpu").train()
    (body(torch.rand(4, 3, 16, 16)) * torch.rand(4, 3)).sum().backward()
    assert [label for label, weight in body.named_parameters() if weight.grad is None or not weight.grad.any()] == []


def test_random_weights_are_the_seeds() -> None:
    """The same seed begins with the same network, another with another."""
    starts = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        starts.append(made("resnet8", device="cpu").state_dict()["linear.weight"])
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])

"""edgekd.models.zoo: torchvision's networks by name, with published weights and without."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torch import Tensor
from torchvision import models

from edgekd.errors import MissingError, UsageError
from edgekd.models.heads import find_head, outputs
from edgekd.models.load import Network, build, save_weights
from edgekd.models.zoo import published_preprocess, torchvision_body, torchvision_names
from edgekd.preprocess import Preprocess
from tests.models.nets import IMAGENET, noise

FAMILIES = [
    *("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3", "maxvit_t", "mnasnet0_5", "mobilenet_v2"),
    *("mobilenet_v3_small", "regnet_x_400mf", "resnet18", "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_1", "swin_t", "vgg11", "vit_b_16"),
]
INCEPTIONS = ("googlenet", "inception_v3")
OF_224 = Preprocess(size=(224, 224), resize=256, crop=224, mean=IMAGENET.mean, std=IMAGENET.std)


# torchvision ----------------------------------------------------------------------------------------------------------


def test_the_names_are_classifiers() -> None:
    """No detectors, no segmentation, no video."""
    assert {"resnet50", "vit_b_16", "mobilenet_v3_small"} <= set(torchvision_names())
    assert not {"fasterrcnn_resnet50_fpn", "fcn_resnet50", "r3d_18"} & set(torchvision_names())


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_ends_in_a_head_of_the_classes(name: str) -> None:
    """The last linear layer or convolution, which a replacement or a reordering takes."""
    with torch.device("cpu" if name.startswith("regnet") else "meta"):  # RegNet's widths are computed with tensors
        made = torchvision_body(name, 7, pretrained=False, replace_head=False)
    head = find_head(made.body)
    assert head is not None
    assert outputs(head[1]) == 7
    assert not made.states


def test_networks_with_heads_for_training_answer_one_tensor() -> None:
    """In train mode too, where torchvision's would answer three."""
    with torch.device("meta"):
        body = torchvision_body("googlenet", 7, pretrained=False, replace_head=False).body.train()
        assert body(torch.empty(2, 3, 64, 64)).shape == (2, 7)


def test_an_unknown_name() -> None:
    """Near ones of either kind, or none."""
    with pytest.raises(UsageError, match=r"no network is called 'resnet52'\. Near: resnet\w+, resnet\w+, resnet\w+\. A model is one of"):
        torchvision_body("resnet52", 7, pretrained=False, replace_head=False)
    with pytest.raises(UsageError, match=r"no network is called '###'\. A model is one of"):
        torchvision_body("###", 7, pretrained=False, replace_head=False)


Publish = Callable[[str], dict[str, Tensor]]


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """A function that puts random weights where torchvision keeps what it has fetched, and returns them."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)

    def put(name: str) -> dict[str, Tensor]:
        state: dict[str, Tensor] = models.get_model(name, **({"init_weights": False} if name in INCEPTIONS else {})).state_dict()
        torch.save(state, folder / models.get_model_weights(name).DEFAULT.url.rpartition("/")[2])
        return state

    return put


def test_published_weights_come_with_their_preprocess(publish: Publish) -> None:
    """Used as they are, at their own size whatever the data's."""
    published = publish("shufflenet_v2_x0_5")
    network = build("shufflenet_v2_x0_5", classes=1000, shape=(32, 32, 3), weights="pretrained")
    assert network.preprocess == OF_224
    assert network.notes == []
    assert torch.equal(network.state_dict()["body.conv1.0.weight"], published["conv1.0.weight"])
    assert network.eval()(noise(1, 32, 32)).shape == (1, 1000)


def test_published_weights_that_are_taught_on_get_a_new_head(publish: Publish) -> None:
    """And see the data in its own size, which they can take; a note says what was done."""
    published = publish("shufflenet_v2_x0_5")
    network = build("shufflenet_v2_x0_5", classes=3, shape=(64, 64, 3), weights="pretrained", replace_head=True)
    assert network.preprocess == Preprocess(size=(64, 64), resize=256, crop=224, mean=IMAGENET.mean, std=IMAGENET.std)
    assert network.notes == ["its head fc of 1000 outputs was replaced by a new one of 3"]
    assert torch.equal(network.state_dict()["body.conv1.0.weight"], published["conv1.0.weight"])


@pytest.mark.parametrize("name", INCEPTIONS)
def test_inception_networks_answer_as_torchvisions_do(publish: Publish, tmp_path: Path, name: str) -> None:
    """Which lead ImageNet's mean and std back to [-1, 1] inside: here their Preprocess does, and a file of their weights answers the same."""
    publish(name)
    network = build(name, classes=1000, shape=(96, 96, 3), weights="pretrained").eval()
    body = models.get_model(name, weights="DEFAULT").eval()
    images = noise(1, 96, 96)
    small = network.with_preprocess(Preprocess(mean=network.preprocess.mean, std=network.preprocess.std))
    with torch.no_grad():
        torch.testing.assert_close(small(images), body(Network(body, IMAGENET, name="", classes=1000).prepare(images)), rtol=1e-3, atol=1e-4)
    assert isinstance(network.train().body(noise(2, 96, 96)), Tensor)
    save_weights(network, tmp_path / "net.safetensors")
    back = build(name, classes=1000, shape=(96, 96, 3), weights="net.safetensors", base=tmp_path).eval()
    assert back.preprocess == network.preprocess
    with torch.no_grad():
        assert torch.equal(back.body(images), network.eval().body(images))


def test_published_weights_of_other_classes(publish: Publish) -> None:
    """As a teacher that is used as it is, they do not know the data."""
    publish("shufflenet_v2_x0_5")
    with pytest.raises(UsageError, match=r"the published weights of shufflenet_v2_x0_5 answer 1000 classes and the data has 10\. Teach it on"):
        build("shufflenet_v2_x0_5", classes=10, shape=(32, 32, 3), weights="pretrained")


def test_published_weights_that_cannot_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they come from, and where to put the file by hand."""

    def offline(*_given: Any, **_options: Any) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr(torch.hub, "urlopen", offline)
    with pytest.raises(MissingError, match=rf"squeezenet1_1 could not be fetched from https://\S+: .*Put that file into {tmp_path}/hub/checkpoints"):
        torchvision_body("squeezenet1_1", 1000, pretrained=True, replace_head=False)


def test_published_preprocess() -> None:
    """Of torchvision's own published weights; the hub's are not known before they are fetched, and nothing is fetched here."""
    assert published_preprocess("resnet18", "pretrained") == OF_224
    given = [("resnet18", None), ("resnet18", "own.pt"), ("resnet20", "pretrained"), ("hf:a/net", "pretrained"), ("nothing", "pretrained")]
    assert [published_preprocess(*each) for each in given] == [None] * 5
    inception = published_preprocess("inception_v3", "pretrained")
    assert inception is not None
    assert (inception.size, inception.resize) == ((299, 299), 342)

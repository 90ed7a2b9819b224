"""edgekd.models.load: what cannot be built is refused, with the rule, the value and the remedy."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from edgekd.errors import MissingError, UsageError
from edgekd.models.load import Network, build, save_weights
from edgekd.preprocess import Preprocess
from tests.models.nets import AS_THEY_ARE, IMAGENET, Tiny, linear_file, tiny, userfile


def built(spec: str, folder: Path = Path(), weights: str | None = None, preprocess: Preprocess | None = None) -> Network:
    """A network of four classes for images of 8×8."""
    return build(spec, classes=4, shape=(8, 8, 3), weights=weights, preprocess=preprocess, base=folder)


def coded(folder: Path, code: str) -> Network:
    """A network whose forward pass answers this expression of `x`."""
    text = f"import torch\n\nclass Own(torch.nn.Module):\n    def forward(self, x):\n        return {code}\n\ndef net(classes):\n    return Own()"
    return built(userfile(folder, text), folder)


# Specs ----------------------------------------------------------------------------------------------------------------


def test_an_unknown_name() -> None:
    """Near ones are given, small networks' too, and the forms that a spec has."""
    with pytest.raises(UsageError, match=r"no network is called 'resnet21'\. Near: .*resnet.*\. A model is one of edgekd's .* FILE\.onnx"):
        built("resnet21")


@pytest.mark.parametrize("spec", ["keras:resnet50", "timm:", "hf:", "own.py:", ":"])
def test_an_unknown_library(spec: str) -> None:
    """Two are known by a prefix."""
    with pytest.raises(UsageError, match=rf"a model's spec may start with timm: or hf:, or is FILE\.py:function; got '{spec}'"):
        built(spec)


def test_a_function_that_makes_no_module(tmp_path: Path) -> None:
    """What it must return, and what it did."""
    with pytest.raises(UsageError, match=r"own\.py:net must return a torch\.nn\.Module for its one argument, the number of classes; got int"):
        built(userfile(tmp_path, "def net(classes):\n    return classes"), tmp_path)


@pytest.mark.parametrize("spec", ["resnet8", "own.py:net"])
def test_published_weights_of_a_network_that_has_none(tmp_path: Path, spec: str) -> None:
    """Libraries publish weights; small networks and a user's own have files."""
    userfile(tmp_path)
    with pytest.raises(UsageError, match=rf"pretrained weights are torchvision's, timm's and hf's; {spec} has none\. Give a file of weights"):
        built(spec, tmp_path, weights="pretrained")


def test_weights_beside_an_onnx_file(tmp_path: Path) -> None:
    """They stand in it."""
    linear_file(tmp_path / "net.onnx")
    with pytest.raises(UsageError, match=r"an ONNX file holds its weights; net\.onnx takes none beside it, got 'own\.pt'"):
        built("net.onnx", tmp_path, weights="own.pt")


def test_a_safetensors_file_of_someone_else_is_no_network(tmp_path: Path) -> None:
    """It does not say which network its weights are of."""
    safetensors.torch.save_file(Tiny().state_dict(), tmp_path / "net.safetensors")
    with pytest.raises(UsageError, match=r"names no network\. Give model = NAME and weights = 'net\.safetensors'"):
        built("net.safetensors", tmp_path)


def test_weights_beside_a_whole_network(tmp_path: Path) -> None:
    """One of the two is too many."""
    save_weights(built("resnet8"), tmp_path / "net.safetensors")
    with pytest.raises(UsageError, match=r"takes no weights beside it; .*net\.safetensors names resnet8"):
        built("net.safetensors", tmp_path, weights="own.pt")


@pytest.mark.parametrize("name", ["net.safetensors", "net.pt"])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    """As a spec and as weights, with its whole path."""
    with pytest.raises(MissingError, match=rf"no weights at {tmp_path}/{name}"):
        built("resnet8", tmp_path, weights=name, preprocess=IMAGENET)
    if name.endswith(".safetensors"):
        with pytest.raises(MissingError, match=rf"no weights at {tmp_path}/{name}"):
            built(name, tmp_path)


# Preprocess -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["own.pt", "own.safetensors"])
def test_weights_that_are_not_there(tmp_path: Path, name: str) -> None:
    """Before anything is said of how they want their images."""
    with pytest.raises(MissingError, match=rf"no weights at .*{name}"):
        built(userfile(tmp_path), tmp_path, weights=name)


@pytest.mark.parametrize("name", ["own.pt", "own.safetensors"])
def test_brought_weights_without_a_preprocess(tmp_path: Path, name: str) -> None:
    """It is not guessed: where it is written, and what it mostly is."""
    torch.save(Tiny().state_dict(), tmp_path / "own.pt")
    safetensors.torch.save_file(Tiny().state_dict(), tmp_path / "own.safetensors")
    message = rf"must be stated; {name} does not say it of own\.py:net\. Give preprocess = .* mean \[0\.485, 0\.456, 0\.406\]"
    with pytest.raises(UsageError, match=message):
        built(userfile(tmp_path), tmp_path, weights=name)


@pytest.mark.parametrize("text", ["{", '{"mean": [0.5], "std": [0.0]}', '{"middle": [0.5]}'])
def test_metadata_that_does_not_read(tmp_path: Path, text: str) -> None:
    """Broken, unlawful or misspelt: it is not passed over."""
    safetensors.torch.save_file(Tiny().state_dict(), tmp_path / "own.safetensors", {"edgekd.preprocess": text})
    with pytest.raises(UsageError, match=r"the metadata edgekd\.preprocess of .*own\.safetensors does not read: .* or state preprocess beside"):
        built(userfile(tmp_path), tmp_path, weights="own.safetensors")


def test_a_head_of_another_size(tmp_path: Path) -> None:
    """A teacher that is used as it is must answer the data's classes."""
    torch.save(Tiny(7).state_dict(), tmp_path / "own.pt")
    with pytest.raises(UsageError, match=r"own\.pt answers 7 outputs, and 4 classes were asked for"):
        built(userfile(tmp_path), tmp_path, weights="own.pt", preprocess=IMAGENET)


def test_a_whole_network_of_other_classes(tmp_path: Path) -> None:
    """The same of a file that edgekd wrote."""
    save_weights(build("resnet8", classes=7, shape=(8, 8, 3)), tmp_path / "net.safetensors")
    with pytest.raises(UsageError, match=r"net\.safetensors answers 7 outputs, and 4 classes were asked for"):
        built("net.safetensors", tmp_path)


# Images and answers ---------------------------------------------------------------------------------------------------


def test_a_network_that_cannot_take_its_images(tmp_path: Path) -> None:
    """Channels and size that were tried, the body's own words, and what to state; the cause stays attached."""
    message = r"must take the images it is given; own\.py:net with 1 channel\(s\) of 8x8 fails: .*State size = \[H, W\]"
    with pytest.raises(UsageError, match=message) as caught:
        built(userfile(tmp_path), tmp_path, preprocess=Preprocess(mean=(0.0,), std=(1.0,), colour="grey"))
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_network_that_answers_something_else(tmp_path: Path) -> None:
    """Segmentation networks of torchvision answer a table."""
    with pytest.raises(UsageError, match=r"must answer one tensor \(batch, classes\) in eval mode; own\.py:net answers a dict"):
        coded(tmp_path, "{'out': x}")


@pytest.mark.parametrize(("code", "shape"), [("x.mean((2, 3))", r"\(1, 3\)"), ("x", r"\(1, 3, 8, 8\)"), ("torch.zeros(4)", r"\(4,\)")])
def test_a_network_of_other_classes(tmp_path: Path, code: str, shape: str) -> None:
    """One number a class for each image."""
    with pytest.raises(UsageError, match=rf"and the data has 4; own\.py:net answers {shape} for one image\. Give it a head of 4 outputs"):
        coded(tmp_path, code)


def test_mean_and_std_of_another_number_of_channels() -> None:
    """Before it could fail in the middle of a run."""
    with pytest.raises(UsageError, match=r"mean and std have one value, or one per channel; resnet8's preprocess has mean \[0\.485, .* for 1"):
        built("resnet8", preprocess=Preprocess(mean=IMAGENET.mean, std=IMAGENET.std, colour="grey"))


def test_building_leaves_a_users_network_as_it_was(tmp_path: Path) -> None:
    """The look at one image moves no statistics and leaves train mode on."""
    network = built(userfile(tmp_path), tmp_path, preprocess=AS_THEY_ARE)
    assert all(module.training for module in network.modules())
    assert network.state_dict()["body.features.1.num_batches_tracked"] == 0
    assert tiny().state_dict().keys() == network.state_dict().keys()

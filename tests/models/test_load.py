"""edgekd.models.load: a spec becomes a network with its weights and Preprocess, and goes back into a file."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from edgekd import __version__
from edgekd.models.blackbox import OnnxTeacher
from edgekd.models.load import Network, build, fingerprint, load_weights, parameters, reorder, save_weights
from edgekd.preprocess import Preprocess
from tests.models.nets import AS_THEY_ARE, IMAGENET, Tiny, linear_file, noise, tiny, userfile
from tests.needs import need_data

SHAPE = (8, 8, 3)
PUBLISHED = {
    "resnet20": ("resnet20-12fca82f.th", 269_722),
    "resnet32": ("resnet32-d509ac18.th", 464_154),
    "resnet44": ("resnet44-014dd654.th", 658_586),
    "resnet56": ("resnet56-4bfd9763.th", 853_018),
}


def same(first: Network, second: Network) -> bool:
    """Whether two networks have the same weights, bit for bit."""
    pairs = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
    return all(name == other and torch.equal(tensor, its) for (name, tensor), (other, its) in pairs)


# Specs ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("spec", "name"), [(name, name) for name in ("resnet8", "wrn-10-1", "squeezenet1_1")] + [("own.py:net", "net")])
def test_a_name_or_a_function_of_a_file(tmp_path: Path, spec: str, name: str) -> None:
    """Small networks, torchvision's, a user's own: named, in train mode, with a head of the classes, in [-1, 1] and the data's size."""
    userfile(tmp_path)
    network = build(spec, classes=6, shape=(32, 32, 3), base=tmp_path)
    assert (network.name, network.spec, network.classes, network.notes) == (name, spec, 6, [])
    assert network.training
    assert network.preprocess == Preprocess(size=(32, 32))
    assert network.eval()(noise(2, 32, 32)).shape == (2, 6)


def test_an_onnx_file(tmp_path: Path) -> None:
    """Relative to the base, as a black box."""
    linear_file(tmp_path / "net.onnx")
    network = build("net.onnx", classes=5, shape=(4, 4, 3), preprocess=AS_THEY_ARE, base=tmp_path)
    assert isinstance(network, OnnxTeacher)
    assert (network.name, network.spec, parameters(network)) == ("net", "net.onnx", 0)


def test_grey_data() -> None:
    """Small networks are made for one channel; torchvision's take three, and see the same in each."""
    small, large = (build(spec, classes=3, shape=(32, 32, 1)) for spec in ("resnet8", "squeezenet1_1"))
    assert (small.channels, small.preprocess.colour) == (1, "grey")
    assert (large.channels, large.preprocess.colour) == (3, "rgb")
    for network in (small, large):
        assert network.eval()(noise(2, 32, 32, channels=1)).shape == (2, 3)


def test_a_stated_colour_goes_before_the_datas() -> None:
    """A grey network of colour images, and one of three channels of grey ones."""
    assert build("resnet8", classes=3, shape=SHAPE, preprocess=Preprocess(colour="grey")).channels == 1
    assert build("resnet8", classes=3, shape=(8, 8, 1), preprocess=Preprocess()).channels == 3


def test_random_weights_are_the_callers_seed() -> None:
    """Nothing in here seeds torch."""
    torch.manual_seed(3)
    first = build("resnet8", classes=3, shape=SHAPE)
    torch.manual_seed(3)
    assert same(build("resnet8", classes=3, shape=SHAPE), first)
    assert not same(build("resnet8", classes=3, shape=SHAPE), first)


# Weights that were brought --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", PUBLISHED)
def test_the_published_cifar_resnets_load_as_they_are(spec: str) -> None:
    """Every weight has its place, and there is nothing to say."""
    file, count = PUBLISHED[spec]
    network = build(spec, classes=10, shape=(32, 32, 3), weights=str(need_data(file)), preprocess=IMAGENET)
    assert parameters(network) == count
    assert network.notes == []
    stored = torch.load(need_data(file), map_location="cpu", weights_only=True)["state_dict"]
    assert torch.equal(network.state_dict()["body.linear.weight"], stored["module.linear.weight"])


def test_the_published_resnet20_knows_cifar10() -> None:
    """Its authors state 91.7 %: on 400 test images not below 87."""
    images = np.load(need_data("cifar10.npz"))
    network = build("resnet20", classes=10, shape=(32, 32, 3), weights=str(need_data("resnet20-12fca82f.th")), preprocess=IMAGENET)
    logits = network.predict({"images": images["x_test"][:400]})["logits"]
    assert (logits.argmax(1) == images["y_test"][:400]).mean() > 0.87


def test_a_checkpoint_beside_a_users_network(tmp_path: Path) -> None:
    """The file and its key are relative to the base, and notes come with the network."""
    torch.manual_seed(1)
    state, averaged = Tiny().state_dict(), {f"module.{name}": tensor + 1 for name, tensor in Tiny().state_dict().items()}
    torch.save({"state_dict": state, "state_dict_ema": averaged}, tmp_path / "own.pt")
    spec = userfile(tmp_path)
    network = build(spec, classes=4, shape=SHAPE, weights="own.pt", weights_key="state_dict_ema", preprocess=IMAGENET, base=tmp_path)
    assert torch.equal(network.state_dict()["body.head.bias"], averaged["module.head.bias"])
    assert build(spec, classes=4, shape=SHAPE, weights="own.pt", preprocess=IMAGENET, base=tmp_path).notes[0].startswith("own.pt has weights under")


def test_a_head_of_another_size_is_new_where_it_is_taught(tmp_path: Path) -> None:
    """From a file of seven classes to a student of four."""
    torch.save(Tiny(7).state_dict(), tmp_path / "own.pt")
    network = build(userfile(tmp_path), classes=4, shape=SHAPE, weights="own.pt", preprocess=IMAGENET, base=tmp_path, replace_head=True)
    assert network.notes == [f"the head of {tmp_path / 'own.pt'} (7 outputs) was left out; a new one of 4 outputs is taught"]
    assert network.eval()(noise(1)).shape == (1, 4)


# Preprocess -----------------------------------------------------------------------------------------------------------


def test_a_stated_preprocess_is_kept_with_the_datas_size(tmp_path: Path) -> None:
    """Its own size, or its crop, goes before."""
    for stated, size in ((IMAGENET, (8, 6)), (Preprocess(size=(5, 7)), (5, 7)), (Preprocess(crop=9), (9, 9))):
        network = build(userfile(tmp_path), classes=4, shape=(8, 6, 3), preprocess=stated, base=tmp_path)
        assert network.preprocess.size == size
        assert (network.preprocess.mean, network.preprocess.std) == (stated.mean, stated.std)


def test_a_library_network_that_cannot_take_the_datas_size() -> None:
    """At 8 px nothing is left of SqueezeNet's maps: it sees images of its own 224 px; from 32 px on it takes them as they are."""
    assert build("squeezenet1_1", classes=3, shape=SHAPE).preprocess.size == (224, 224)
    assert build("squeezenet1_1", classes=3, shape=(32, 40, 3)).preprocess.size == (32, 40)


def test_weights_that_edgekd_wrote_carry_their_preprocess(tmp_path: Path) -> None:
    """Nobody has to state it; what is stated goes before."""
    carried = Preprocess(size=(6, 6), mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), colour="bgr", interpolation="bicubic")
    save_weights(tiny(preprocess=carried), tmp_path / "own.safetensors")
    spec = userfile(tmp_path)
    assert build(spec, classes=4, shape=SHAPE, weights="own.safetensors", base=tmp_path).preprocess == carried
    stated = build(spec, classes=4, shape=SHAPE, weights="own.safetensors", preprocess=IMAGENET, base=tmp_path).preprocess
    assert (stated.mean, stated.colour) == (IMAGENET.mean, "rgb")


# Back into a file -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["resnet8", "squeezenet1_1", "own.py:net"])
def test_a_network_comes_back_from_its_file(tmp_path: Path, spec: str) -> None:
    """Weights bit for bit, names and Preprocess; the data's shape is the file's own."""
    userfile(tmp_path)
    network = build(spec, classes=4, shape=(32, 32, 3), preprocess=IMAGENET, base=tmp_path)
    network.name = "student"
    save_weights(network, tmp_path / "net.safetensors")
    back = build("net.safetensors", classes=4, shape=(48, 48, 3), base=tmp_path)
    assert same(back, network)
    assert (back.name, back.spec, back.preprocess) == ("student", spec, network.preprocess)


def test_a_network_in_another_order_comes_back_in_it(tmp_path: Path) -> None:
    """What reorder did is in the weights."""
    network = build("resnet8", classes=3, shape=SHAPE).eval()
    reorder(network, ["c", "a", "b"], ["a", "b", "c"])
    save_weights(network, tmp_path / "net.safetensors")
    back = build("net.safetensors", classes=3, shape=SHAPE, base=tmp_path).eval()
    assert torch.equal(back(noise(2, 8, 8)), network(noise(2, 8, 8)))


def test_halves_in_the_file(tmp_path: Path) -> None:
    """Half the size, float32 again when read, counters as they are."""
    network = build("resnet8", classes=4, shape=SHAPE)
    for half in (False, True):
        save_weights(network, tmp_path / f"{half}.safetensors", half=half)
    assert (tmp_path / "True.safetensors").stat().st_size < 0.55 * (tmp_path / "False.safetensors").stat().st_size
    back = build("True.safetensors", classes=4, shape=SHAPE, base=tmp_path)
    for name, tensor in network.state_dict().items():
        got = back.state_dict()[name]
        assert got.dtype == tensor.dtype
        assert torch.equal(got, tensor.half().float() if tensor.is_floating_point() else tensor)


def test_tied_weights_can_be_written(tmp_path: Path) -> None:
    """One tensor under two names, which safetensors would refuse as it stands."""
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    body = nn.ModuleDict({"a": first, "b": second})
    save_weights(Network(body, AS_THEY_ARE, name="tied", classes=2), tmp_path / "net.safetensors")
    with safe_open(tmp_path / "net.safetensors", framework="pt") as file:
        assert torch.equal(file.get_tensor("b.weight"), first.weight)


def test_what_a_file_tells_of_its_network(tmp_path: Path) -> None:
    """All that building it anew needs, in the metadata, and the version that wrote it."""
    save_weights(build("resnet8", classes=4, shape=SHAPE), tmp_path / "net.safetensors")
    with safe_open(tmp_path / "net.safetensors", framework="pt") as file:
        metadata = file.metadata()
    assert metadata.pop("edgekd.preprocess").startswith('{"size":[8,8],')
    assert metadata == {"edgekd.version": __version__, "edgekd.model": "resnet8", "edgekd.name": "resnet8", "edgekd.outputs": "4"}


def test_load_weights_in_place(tmp_path: Path) -> None:
    """A network takes over those of a file."""
    save_weights(tiny(seed=1), tmp_path / "net.safetensors")
    network = tiny(seed=2)
    assert load_weights(network, tmp_path / "net.safetensors") == []
    assert same(network, tiny(seed=1))


# Fingerprints ---------------------------------------------------------------------------------------------------------


def test_a_fingerprint_changes_with_any_weight_or_buffer() -> None:
    """The last number of each tensor is enough, and the same weights have the same."""
    network = tiny()
    before = fingerprint(network)
    assert before == fingerprint(tiny())
    for tensor in network.state_dict().values():
        last = tensor.view(-1)[-1:]
        kept = last.clone()
        last += 1
        assert fingerprint(network) != before
        last.copy_(kept)
    assert fingerprint(network) == before


def test_a_fingerprint_of_an_onnx_teacher(tmp_path: Path) -> None:
    """Its file's bytes, and the order that its answers are given in."""

    def teacher(name: str, *, softmax: bool = False) -> Network:
        linear_file(tmp_path / f"{name}.onnx", softmax=softmax)
        return build(f"{name}.onnx", classes=5, shape=(4, 4, 3), preprocess=AS_THEY_ARE, base=tmp_path)

    first, again, other = teacher("first"), teacher("again"), teacher("other", softmax=True)
    assert fingerprint(first) == fingerprint(again) != fingerprint(other)
    reorder(first, list("bacde"), list("abcde"))
    assert fingerprint(first) != fingerprint(again)


def test_equal_weights_are_equal_files(tmp_path: Path) -> None:
    """Byte for byte in every process, so that hashes of files compare: the metadata stand in order, and the file reads."""
    network = build("resnet8", classes=4, shape=(8, 8, 3))
    save_weights(network, tmp_path / "a.safetensors")
    data = (tmp_path / "a.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    names = list(json.loads(data[8 : 8 + length])["__metadata__"])
    assert (names, length % 8) == (sorted(names), 0)
    assert len(names) == 5
    assert fingerprint(build(str(tmp_path / "a.safetensors"), classes=4, shape=(8, 8, 3))) == fingerprint(network)

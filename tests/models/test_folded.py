"""edgekd.models.folded: fewer layers, the same answers; the network itself stays as it was."""

import copy

import pytest
import torch
from torch import Tensor, nn

from edgekd.events import Event, Note, silent
from edgekd.models.folded import fold, folded
from edgekd.models.load import build
from edgekd.models.network import Network
from edgekd.models.tapped import Tapped
from edgekd.models.taps import landmarks
from edgekd.preprocess import Preprocess
from tests.models.insides import network, transformer

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def lived(one: Network) -> Network:
    """With running statistics that say something."""
    for module in one.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        one.train()(torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(1)))
    return one


def norms(module: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))


@pytest.mark.parametrize("name", ["resnet8", "wrn-16-2", "vgg13_bn", "cifar-shufflenet-v2", "mobilenet_v3_small", "densenet121"])
def test_folded_networks_answer_alike_with_fewer_layers(name: str) -> None:
    """Networks whose norm follows a convolution lose it, those whose norm stands before one keep that; the network itself keeps all it had."""
    one = lived(network(name))
    before, layers = copy.deepcopy(one.state_dict()), norms(one)
    other = folded(one, silent)
    assert one.training, "the mode comes back"
    assert all(torch.equal(value, before[key]) for key, value in one.state_dict().items())
    assert norms(one) == layers
    assert norms(other) < layers
    assert (norms(other) == 0) == (name not in ("wrn-16-2", "densenet121"))
    with torch.no_grad():
        close(other(IMAGES), one.eval()(IMAGES))


def test_a_folded_network_learns_nothing_from_the_other() -> None:
    """It is a copy: what the network learns later does not reach it."""
    one = lived(network("resnet8"))
    other = folded(one, silent)
    with torch.no_grad():
        before = other(IMAGES)
        for parameter in one.parameters():
            parameter.zero_()
        assert torch.equal(other(IMAGES), before)


@pytest.mark.parametrize("name", ["resnet8", "mobilenet_v3_small"])
def test_folded_taps_answer_alike(name: str) -> None:
    """Logits and every landmark, the stem's BatchNorm, which is a tap, among them."""
    one = lived(network(name)).eval()
    places = list(landmarks(one))
    plain, quick = Tapped(one, places).eval(), Tapped(one, places).eval()
    quick.fold(silent)
    assert norms(quick.read) == 0
    with torch.no_grad():
        (logits, features), (expected, others) = quick(IMAGES), plain(IMAGES)
    close(logits, expected)
    assert list(features) == list(others)
    for tap in places:
        close(features[tap], others[tap])


def test_a_convolution_that_is_tapped_keeps_its_norm() -> None:
    """What it answers is not what the norm makes of it."""
    one = lived(network("resnet8")).eval()
    plain, quick = Tapped(one, ["conv1"]).eval(), Tapped(one, ["conv1"]).eval()
    quick.fold(silent)
    assert norms(quick.read) == 1
    with torch.no_grad():
        close(quick(IMAGES)[1]["conv1"], plain(IMAGES)[1]["conv1"])


def test_a_transformer_has_nothing_to_fold() -> None:
    """It stays what it is."""
    one, told = transformer("deit"), list[Event]()
    assert folded(one, told.append) is one
    assert not told


class Twice(nn.Module):
    """One convolution behind which two norms stand, each where it is called: neither can go into its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.first, self.second = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        self.first.running_var.fill_(4.0)  # type: ignore[union-attr]
        self.second.running_mean.fill_(2.0)  # type: ignore[union-attr]

    def forward(self, images: Tensor) -> Tensor:
        maps = self.second(self.convolution(self.first(self.convolution(images))))
        means: Tensor = maps.mean((2, 3))
        return means


class Normed(nn.Module):
    """A convolution with its norm."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def means(self, images: Tensor) -> Tensor:
        found: Tensor = self.norm(self.convolution(images)).mean((2, 3))
        return found


class Moody(Normed):
    """It looks at the values of its images, which a trace cannot."""

    def forward(self, images: Tensor) -> Tensor:
        return self.means(images) if images.mean() > 0 else -self.means(images)


class Careful(Normed):
    """Its head computes a small difference of large numbers, and in float32 whatever the rest does, which a trace leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 3)

    def forward(self, images: Tensor) -> Tensor:
        means = self.means(images)
        with torch.autocast("cpu", enabled=False):
            answers: Tensor = self.head(means.float() + 64) - self.head(torch.full_like(means, 64, dtype=torch.float32))
        return answers


class Lost(Normed):
    """It answers no number."""

    def forward(self, images: Tensor) -> Tensor:
        return self.means(images) * torch.nan


def network_of(body: nn.Module) -> Network:
    return Network(body, Preprocess(mean=(0.0,), std=(1.0,), size=(8, 8)), name="own", classes=3)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Twice, "its trace answers otherwise"),
        (Careful, "its trace answers otherwise"),
        (Lost, "its trace answers otherwise"),
        (Moody, "symbolically traced"),
    ],
)
def test_what_would_answer_otherwise_stays(kind: type[nn.Module], reason: str) -> None:
    """A graph that cannot be had, or that does not answer as its module does, is not taken, and that is said."""
    torch.manual_seed(0)
    one, told = network_of(kind().eval()), list[Event]()
    assert folded(one, told.append) is one
    (note,) = (event.text for event in told if isinstance(event, Note))
    assert note.startswith("own answers with its BatchNorms, which cannot be folded into other layers (")
    assert reason in note


class Restless(nn.Module):
    """Its norm keeps no running statistics: it is one of its batch, and has none to fold."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False)

    def forward(self, images: Tensor) -> Tensor:
        most: Tensor = self.norm(self.convolution(images)).amax((2, 3))
        return most


class First(nn.Module):
    """Its norm stands before all layers."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.head = nn.BatchNorm2d(3), nn.Linear(3, 3)

    def forward(self, images: Tensor) -> Tensor:
        answers: Tensor = self.head(self.norm(images).mean((2, 3)))
        return answers


@pytest.mark.parametrize("kind", [Restless, First])
def test_where_no_norm_can_go_nothing_is_copied(kind: type[nn.Module]) -> None:
    """And nothing is said: there is nothing to fold."""
    module, told = kind().eval(), list[Event]()
    assert fold(module, network_of(module), told.append) is module
    assert not told


@pytest.mark.parametrize("training", [True, False])
def test_taps_that_were_folded_leave_the_network_alone(training: bool) -> None:
    """Its mode, its weights and their memory format are its own: what becomes of the copy does not reach it."""
    one = lived(network("resnet8")).train(training)
    tapped = Tapped(one, ["stage2"])
    tapped.fold(silent)
    tapped.eval().to(memory_format=torch.channels_last)
    assert {module.training for module in one.modules()} == {training}
    assert one.body.get_submodule("conv1").weight.is_contiguous()  # type: ignore[operator]
    assert not {id(parameter) for parameter in one.parameters()} & {id(parameter) for parameter in tapped.parameters()}
    with torch.no_grad():
        close(tapped(IMAGES)[0], one.eval()(IMAGES))


def test_a_network_keeps_what_it_is_called_and_prepares() -> None:
    """Names and Preprocess come along: images in [0, 1] go in as before."""
    preprocess = Preprocess(mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.3), size=(16, 16))
    one = build("resnet8", classes=7, shape=(32, 32, 3), preprocess=preprocess)
    other = folded(one, silent)
    assert (other.name, other.classes, other.spec, other.preprocess) == (one.name, 7, one.spec, one.preprocess)
    with torch.no_grad():
        close(other(IMAGES), one.eval()(IMAGES))

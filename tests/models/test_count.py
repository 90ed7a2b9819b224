"""edgekd.models.count: multiply-accumulates, worked out by hand."""

import pytest
import torch
from torch import Tensor, nn

from edgekd.models.count import macs
from edgekd.models.network import Network
from edgekd.models.small import factory
from edgekd.preprocess import Preprocess
from tests.models.nets import AS_THEY_ARE, tiny


def counted(body: nn.Module, preprocess: Preprocess = AS_THEY_ARE, shape: tuple[int, int, int] = (4, 4, 3)) -> int | None:
    """MACs of a body behind a Preprocess."""
    return macs(Network(body, preprocess, name="body", classes=4), shape)


class Attention(nn.Module):
    """Pixels as tokens of 8, through one layer of attention."""

    def __init__(self, weights: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 1, bias=False)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.weights = weights

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.first(images).flatten(2).transpose(1, 2)
        answer: Tensor = self.attention(tokens, tokens, tokens, need_weights=self.weights)[0].mean(1)
        return answer


def test_a_convolution_and_a_linear_layer() -> None:
    """16 places of 3·9·6, and 6·4 in the head; norms, biases and activations are not counted."""
    assert macs(tiny(), (4, 4, 3)) == 16 * 3 * 9 * 6 + 6 * 4


def test_grouped_and_strided_convolutions() -> None:
    """Each output sees its own group of inputs, and every second place is left out."""
    body = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1, groups=3), nn.Flatten(), nn.Linear(24, 4))
    assert counted(body) == 4 * 9 * 6 + 24 * 4


@pytest.mark.parametrize("weights", [True, False])
def test_attention_is_counted(weights: bool) -> None:
    """Of 16 tokens: query, key and value, their products with one another, and the way out, whichever kernel does it."""
    projections, products = 16 * 8 * 24 + 16 * 8 * 8, 2 * 16 * 16 * 8
    assert counted(Attention(weights)) == 16 * 3 * 8 + projections + products


def test_resnet20_of_the_literature() -> None:
    """41 million at 32 px: 40.55 million in convolutions, 640 in the head."""
    make = factory("resnet20")
    assert make is not None
    with torch.device("meta"):
        assert counted(make(10, 3), shape=(32, 32, 3)) == 40_550_400 + 640


def test_its_own_size_goes_before_the_datas() -> None:
    """A network that resizes its images does the arithmetic of that size; one channel is a third of three in the first layer."""
    assert macs(tiny(preprocess=Preprocess(size=(2, 3))), (4, 4, 3)) == 6 * 3 * 9 * 6 + 6 * 4
    assert macs(tiny(preprocess=Preprocess(colour="grey")), (4, 4, 3)) == 16 * 9 * 6 + 6 * 4


def test_a_black_box_is_not_counted() -> None:
    """A body without parameters is known from outside only."""
    assert counted(nn.Flatten()) is None


def test_counting_changes_nothing() -> None:
    """Mode, statistics and torch's fast path of attention are as before."""
    network = tiny().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fast = torch.backends.mha.get_fastpath_enabled()
    macs(network, (4, 4, 3))
    assert network.training
    assert torch.backends.mha.get_fastpath_enabled() is fast
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())

"""edgekd.models.settle: what a network must answer while it learns."""

import pytest
import torch
from torch import Tensor, nn

from edgekd.errors import UsageError
from edgekd.models.network import Network
from edgekd.models.settle import probe_learning
from edgekd.preprocess import Preprocess


class Auxiliary(nn.Module):
    """Answers as it is told to where it learns, and logits where it does not."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.norm, self.head = how, nn.BatchNorm2d(3), nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 2))

    def forward(self, images: Tensor) -> object:
        logits: Tensor = self.head(self.norm(images))
        if not self.training or self.how == "logits":
            return logits
        if self.how == "fails":
            raise RuntimeError("no targets were given")
        return (logits, logits) if self.how == "two" else logits[:, :1]


def network(how: str) -> Network:
    return Network(Auxiliary(how), Preprocess(size=(2, 2)), name="aux", classes=2, spec="nets.py:aux")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("two", r"in train mode nets\.py:aux answers a tuple\. Take auxiliary heads off"),
        ("one", r"in train mode nets\.py:aux answers \(2, 1\) for two images"),
        ("fails", r"must take images in train mode, too; nets\.py:aux fails: no targets were given"),
    ],
)
def test_what_cannot_be_taught_is_refused(how: str, message: str) -> None:
    """Before anything is."""
    with pytest.raises(UsageError, match=message):
        probe_learning(network(how))


def test_a_network_that_is_asked_stays_as_it_was() -> None:
    """Its mode, its statistics, and what is drawn at random afterwards."""
    one = network("logits").eval()
    before, drawn = {name: tensor.clone() for name, tensor in one.state_dict().items()}, torch.get_rng_state()
    probe_learning(one)
    assert not one.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in one.state_dict().items())
    assert torch.equal(torch.get_rng_state(), drawn)

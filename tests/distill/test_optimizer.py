"""edgekd.distill.optimizer: a running average of parameters, by hand."""

import pytest
import torch
from torch import nn

from edgekd.distill.optimizer import Averaged, warmed


def _one(value: float) -> nn.Linear:
    network = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(value)
    return network


def test_it_is_a_mean_at_first_and_decays_later() -> None:
    """Steps 1 and 2 weigh the beginning by 1/2 and 2/3; from where the decay is smaller, it counts."""
    network = _one(0.0)
    average = Averaged(network, 0.6)
    for step, (value, expected) in enumerate([(1.0, 0.5), (2.0, 0.6 * 0.5 + 0.4 * 2.0), (3.0, 0.6 * 1.1 + 0.4 * 3.0)], start=1):
        with torch.no_grad():
            network.weight.fill_(value)
        average.follow(network, step)
        assert average.values["weight"].item() == pytest.approx(expected)
    assert network.weight.item() == 3.0
    average.put(network)
    assert network.weight.item() == pytest.approx(1.86)


def test_it_goes_on_from_what_was_kept() -> None:
    """What a checkpoint holds takes the place of what the network began with."""
    average = Averaged(_one(1.0), 0.9)
    average.load({"weight": torch.tensor([[0.25]])})
    network = _one(1.0)
    average.put(network)
    assert network.weight.item() == 0.25


def test_without_a_decay_there_is_none() -> None:
    """The network keeps its last parameters."""
    network = _one(4.0)
    average = Averaged(network, 0.0)
    average.follow(network, 1)
    average.put(network)
    assert (average.values, network.weight.item()) == ({}, 4.0)


def test_a_decay_warms_up() -> None:
    """It begins as a plain mean and is held at its bound."""
    assert [warmed(0.99, step) for step in (0, 1, 3, 98, 1000)] == pytest.approx([0, 0.5, 0.75, 98 / 99, 0.99])
    assert warmed(0.0, 5) == 0

"""edgekd.distill.batchnorm: what becomes of BatchNorm's statistics."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgekd.distill.batchnorm import batchnorms, reestimate
from edgekd.distill.job import Job
from edgekd.distill.train import fit
from edgekd.events import Event, Trained
from tests.distill import nets


def statistics(network: nn.Module) -> Tensor:
    return torch.cat([value for layer in batchnorms(network) for value in (layer.running_mean, layer.running_var) if value is not None])


def test_frozen_batchnorm_keeps_its_statistics(tmp_path: Path) -> None:
    """In its phase only, and its weights still learn."""
    seen: list[tuple[str, Tensor, Tensor]] = []
    student = nets.network()
    layer = next(batchnorms(student))

    def look(event: Event) -> None:
        if isinstance(event, Trained):
            seen.append((event.phase, statistics(student).clone(), layer.weight.detach().clone()))

    job = Job(how="alone", phases=(nets.phase("a"), nets.phase("b", 2, batchnorm="frozen")), train=nets.TRAIN, seed=0, folder=tmp_path)
    fit(student, job, data=nets.data(), valid=None, teacher=None, emit=look)
    (_, before, _), (_, first, early), (_, second, late) = (item for item in seen if item[0] in "ab")
    assert not torch.equal(before, statistics(nets.network()))
    assert torch.equal(before, first)
    assert torch.equal(first, second)
    assert not torch.equal(early, late)


@pytest.mark.parametrize("count", [64, 300])
def test_reestimated_statistics_are_the_mean_over_views(count: int) -> None:
    """Each image counts as much as any other, in whatever batch it is; the momentum is put back."""
    network, data = nets.network(), nets.data(count)
    views = data.view(torch.arange(count), 0, nets.AUGMENT, 0)[0]
    features = network.get_submodule("body.first.0")(network.prepare(views)).detach()
    reestimate(network, data, 0, nets.AUGMENT, 0)
    (layer,) = batchnorms(network)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    torch.testing.assert_close(layer.running_mean, features.mean((0, 2, 3)))
    torch.testing.assert_close(layer.running_var, features.var((0, 2, 3)), rtol=0.01, atol=0)
    assert (layer.momentum, network.training) == (0.1, False)


def test_one_image_over_is_left_out_of_statistics() -> None:
    """257 images: BatchNorm on features of one pixel cannot take the last alone."""
    network = nets.network(nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.BatchNorm1d(4), nn.Linear(4, nets.CLASSES)))
    reestimate(network, nets.data(257), 0, nets.AUGMENT, 0)
    assert statistics(network).isfinite().all()


def test_statistics_are_reestimated_at_the_end(tmp_path: Path) -> None:
    """Where it is asked for; a run without ends with its running ones."""
    asked, _ = nets.learn(tmp_path / "a", nets.phase(), reestimate_batchnorm=True)
    left, _ = nets.learn(tmp_path / "b", nets.phase())
    assert not torch.equal(statistics(asked), statistics(left))
    reestimate(left, nets.data(), 0, nets.AUGMENT, 0)
    assert torch.equal(statistics(asked), statistics(left))


def test_after_a_plain_phase_statistics_are_of_plain_images(tmp_path: Path) -> None:
    """What the network learnt on last, is what its statistics are of."""
    network, _ = nets.learn(tmp_path, nets.phase(plain=True), reestimate_batchnorm=True)
    found = statistics(network).clone()
    reestimate(network, nets.data(), None, nets.AUGMENT, 0)
    assert torch.equal(found, statistics(network))
    reestimate(network, nets.data(), 0, nets.AUGMENT, 0)
    assert not torch.equal(found, statistics(network))

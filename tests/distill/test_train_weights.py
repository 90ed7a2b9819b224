"""edgekd.distill.train: what becomes of weights and statistics."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch import Tensor, nn

from edgekd.distill import train
from edgekd.distill.train import Job, build_optimizer, fit, reestimate
from edgekd.events import Event, Trained
from edgekd.recipe import Optimizer
from tests.distill import nets


def test_body_and_head_learn_at_their_own_rates() -> None:
    """The head is the last linear layer; no weight is left out or counted twice."""
    network = nets.network()
    body, head = build_optimizer(network, Optimizer(name="adamw", lr=0.01, body_lr=0.001)).param_groups
    assert (body["peak"], head["peak"]) == (0.001, 0.01)
    assert {id(p) for p in head["params"]} == {id(p) for p in network.body.get_submodule("head").parameters()}
    assert len(body["params"]) + len(head["params"]) == len(list(network.parameters()))


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_each_optimiser_learns(tmp_path: Path, name: Any, kind: type[torch.optim.Optimizer]) -> None:
    """By its name, and the loss falls."""
    settings = Optimizer(name=name, lr=0.02)
    assert type(build_optimizer(nets.network(), settings)) is kind
    _, training = nets.learn(tmp_path, nets.phase(epochs=8), student=nets.network(nets.Toy(dropout=0)), optimizer=settings)
    assert training.curve[-1].loss < training.curve[0].loss


def test_the_first_step_is_as_long_as_the_schedule_says(tmp_path: Path) -> None:
    """One-cycle begins at 1 % of the peak: a hundredth of a constant rate's step."""
    plain = Optimizer(lr=0.05, momentum=0, weight_decay=0)
    start, cycle, constant = (
        torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
        for network in (
            nets.network(),
            nets.learn(tmp_path / "a", nets.phase(), batch=64, optimizer=plain)[0],
            nets.learn(tmp_path / "b", nets.phase(), batch=64, optimizer=plain, schedule="constant")[0],
        )
    )
    torch.testing.assert_close(100 * (cycle - start), constant - start, rtol=1e-2, atol=1e-4)
    assert (constant - start).norm() > 1e-2


def statistics(network: nn.Module) -> Tensor:
    return torch.cat([value for layer in train.batchnorms(network) for value in (layer.running_mean, layer.running_var) if value is not None])


def test_frozen_batchnorm_keeps_its_statistics(tmp_path: Path) -> None:
    """In its phase only, and its weights still learn."""
    seen: list[tuple[str, Tensor, Tensor]] = []
    student = nets.network()
    layer = next(train.batchnorms(student))

    def look(event: Event) -> None:
        if isinstance(event, Trained):
            seen.append((event.phase, statistics(student).clone(), layer.weight.detach().clone()))

    job = Job(name="s", how="alone", phases=(nets.phase("a"), nets.phase("b", 2, batchnorm="frozen")), train=nets.TRAIN, seed=0, folder=tmp_path)
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
    (layer,) = train.batchnorms(network)
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


def test_averaged_weights_are_kept_in_the_end(tmp_path: Path) -> None:
    """The average that stands in the documents, followed by hand step by step."""
    student = nets.network()
    average = [parameter.detach().clone() for parameter in student.parameters()]

    def follow(event: Event) -> None:
        if isinstance(event, Trained):
            for mean, parameter in zip(average, student.parameters(), strict=True):
                mean.mul_(0.8).add_(parameter.detach(), alpha=0.2)

    chosen = msgspec.structs.replace(nets.EMA, batch=64)
    job = Job(name="s", how="alone", phases=(nets.phase(epochs=5),), train=chosen, seed=0, folder=tmp_path)
    fit(student, job, data=nets.data(), valid=None, teacher=None, emit=follow)
    torch.testing.assert_close([parameter.detach() for parameter in student.parameters()], average)


def test_bf16_computes_and_keeps_fp32(tmp_path: Path) -> None:
    """Weights stay float32 and finite, and differ from those of an fp32 run."""
    narrow, _ = nets.learn(tmp_path / "a", nets.phase(epochs=2), precision="bf16", channels_last=True)
    wide, _ = nets.learn(tmp_path / "b", nets.phase(epochs=2))
    assert all(parameter.dtype == torch.float32 and parameter.isfinite().all() for parameter in narrow.parameters())
    assert not nets.same(narrow, wide)

"""edgekd.distill.train: what becomes of weights and statistics."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from edgekd.distill.job import Job
from edgekd.distill.optimizer import build_optimizer
from edgekd.distill.train import fit
from edgekd.events import Event, Trained
from edgekd.phases import Optimizer
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


def test_averaged_weights_are_kept_in_the_end(tmp_path: Path) -> None:
    """The average that stands in the documents, followed by hand step by step."""
    student = nets.network()
    average = [parameter.detach().clone() for parameter in student.parameters()]

    def follow(event: Event) -> None:
        if isinstance(event, Trained):
            for mean, parameter in zip(average, student.parameters(), strict=True):
                decay = min(1 - 1 / event.step, 0.8)  # a plain mean of the first five
                mean.mul_(decay).add_(parameter.detach(), alpha=1 - decay)

    chosen = msgspec.structs.replace(nets.EMA, batch=64)
    job = Job(how="alone", phases=(nets.phase(epochs=5),), train=chosen, seed=0, folder=tmp_path)
    fit(student, job, data=nets.data(), valid=None, teacher=None, emit=follow)
    torch.testing.assert_close([parameter.detach() for parameter in student.parameters()], average)


def test_bf16_computes_and_keeps_fp32(tmp_path: Path) -> None:
    """Weights stay float32 and finite, and differ from those of an fp32 run."""
    narrow, _ = nets.learn(tmp_path / "a", nets.phase(epochs=2), precision="bf16", channels_last=True)
    wide, _ = nets.learn(tmp_path / "b", nets.phase(epochs=2))
    assert all(parameter.dtype == torch.float32 and parameter.isfinite().all() for parameter in narrow.parameters())
    assert not nets.same(narrow, wide)

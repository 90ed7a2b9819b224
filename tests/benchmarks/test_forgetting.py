"""Tests of benchmarks/forgetting.py."""

import pytest
import torch

from benchmarks import forgetting
from edgekd.models.load import build


def test_forgetting_is_paired_with_the_old_student() -> None:
    """Over the seeds that every way has; what was not run has no figure."""
    found = {"before": [(70.0, 0.0), (72.0, 0.0), (99.0, 0.0)], "fine_tuning": [(10.0, 45.0), (12.0, 47.0)], "lwf": [(30.0, 50.0), (34.0, 54.0)]}
    rows = [
        {"way": way, "seed": seed, "old": old, "new": 80.0, "all": whole, "aligned_all": whole}
        for way, seeds in found.items()
        for seed, (old, whole) in enumerate(seeds)
    ]
    figures = forgetting.figures(rows)
    assert (figures["before_old"], figures["lwf_old"], figures["lwf_all"]) == (71.0, 32.0, 52.0)
    assert (figures["fine_tuning_forgotten"], figures["lwf_forgotten"], figures["lwf_minus_fine_tuning"]) == (60.0, 39.0, 6.0)
    assert figures["lwf_minus_fine_tuning_low"] < 6.0 < figures["lwf_minus_fine_tuning_high"]
    assert not {"joint_all", "lwf_replay_minus_lwf"} & set(figures)
    assert forgetting.figures(rows[3:]) == {}


def test_aligned_outputs_are_as_long_as_the_old_ones() -> None:
    """On average, and only those of new classes; the network itself stays."""
    network = build("resnet8", classes=10, shape=(32, 32, 3))
    head = network.body.get_submodule("linear")
    assert isinstance(head, torch.nn.Linear)
    with torch.no_grad():
        head.weight[forgetting.KNOWN :] *= 3
    before = head.weight.detach().clone()
    other = forgetting.aligned(network).body.get_submodule("linear")
    assert isinstance(other, torch.nn.Linear)
    lengths = other.weight.detach().norm(dim=1)
    assert lengths[forgetting.KNOWN :].mean() == pytest.approx(lengths[: forgetting.KNOWN].mean().item(), rel=1e-5)
    assert torch.equal(other.weight[: forgetting.KNOWN], before[: forgetting.KNOWN])
    assert torch.equal(head.weight, before)

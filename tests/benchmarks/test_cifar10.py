"""Tests of benchmarks/cifar10.py and phase2_search.py."""

import pytest

from benchmarks import cifar10, phase2_search, result
from edgekd.phases import FEW_TERMS, termed
from edgekd.recipe import Recipe
from edgekd.recipefile import read_recipe


def test_the_measured_two_phases_are_the_default_ones() -> None:
    """The same temperatures, subset, terms and shares of the epochs."""
    measured, default = read_recipe(result.ROOT / "recipes" / "two-phase.toml").phase, termed(Recipe().phase, FEW_TERMS)
    for ours, theirs in zip(cifar10.scaled(measured, 8), cifar10.scaled(default, 8), strict=True):
        assert ours == theirs


def test_every_way_takes_the_same_steps() -> None:
    """Alone, plain KD and two phases differ in what is asked of a step, and in nothing else."""
    ways = cifar10.ways(read_recipe(result.ROOT / "recipes" / "two-phase.toml"), 8.0)
    assert set(ways) == set(cifar10.WAYS)
    assert {sum(phase.epochs for phase in phases) for phases in ways.values()} == {8.0}
    assert not any(phase.soft for phase in ways["alone"])


def test_gains_are_paired_by_seed() -> None:
    """A mean of differences over the seeds that all ways have, with an interval."""
    rows = [
        {"student": "resnet8", "way": way, "seed": seed, "test_accuracy": accuracy}
        for way, found in {"two_phase": [82.0, 84.0, 99.0], "kd": [81.5, 84.5], "alone": [80.0, 80.0]}.items()
        for seed, accuracy in enumerate(found)
    ]
    figures = cifar10.figures(rows)
    assert figures["two_phase_minus_alone"] == pytest.approx(3.0)
    assert figures["two_phase"] == pytest.approx(83.0)
    assert figures["two_phase_minus_kd"] == pytest.approx(0.0)
    assert figures["two_phase_minus_kd_low"] < 0 < figures["two_phase_minus_kd_high"]


def test_candidates_share_the_first_phase() -> None:
    """All last one epoch of eight, so that each goes on from the same checkpoint."""
    assert {second.epochs for second in phase2_search.seconds(1.0, cifar10.TERMS).values()} == {1.0}

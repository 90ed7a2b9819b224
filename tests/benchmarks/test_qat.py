"""Tests of benchmarks/qat.py."""

import msgspec
import pytest

from benchmarks import qat


def test_every_way_to_int8_begins_alike() -> None:
    """The same two phases; the two ways with a third take as many steps in it, and differ in whether it rounds."""
    found = qat.ways(4.0, 0.5)
    assert tuple(found) == qat.WAYS
    assert {phases[:2] for phases in found.values()} == {found["post_training"]}
    longer, rounded = found["longer"][2], found["quantised"][2]
    assert (longer.is_quantised, rounded.is_quantised) == (False, True)
    assert msgspec.structs.replace(rounded, quantised=msgspec.UNSET) == longer
    assert sum(phase.epochs for phase in found["quantised"]) == pytest.approx(4.5)


def test_what_a_quantised_phase_wins_back_is_paired() -> None:
    """By seed, over the seeds that have all ways; each student by itself."""
    accuracies = {
        "post_training": [(80.0, 78.0), (82.0, 79.0), (99.0, 1.0)],
        "longer": [(81.0, 79.0), (83.0, 80.0)],
        "quantised": [(80.5, 80.0), (83.0, 83.0)],
    }
    rows = [
        {"student": "resnet8", "way": way, "seed": seed, "fp32_accuracy": fp32, "int8_accuracy": int8, "drop": fp32 - int8}
        for way, seeds in accuracies.items()
        for seed, (fp32, int8) in enumerate(seeds)
    ]
    figures = qat.figures([*rows, {**rows[0], "student": "cifar-mobilenet-v2"}])
    assert (figures["resnet8_post_training_int8"], figures["resnet8_longer_drop_points"]) == (78.5, 2.5)
    assert (figures["resnet8_quantised_minus_longer"], figures["resnet8_quantised_minus_post_training"]) == (2.0, 3.0)
    assert figures["resnet8_won_back_points"] == 2.25
    assert figures["resnet8_won_back_points_low"] < 2.25 < figures["resnet8_won_back_points_high"]
    assert all(name.startswith("resnet8_") for name in figures)

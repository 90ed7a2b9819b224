"""Tests of benchmarks/inherit.py."""

from benchmarks import cifar10, inherit
from edgekd.distill import alone
from edgekd.recipe import Recipe


def test_what_a_student_inherits_is_paired_with_itself_alone() -> None:
    """By seed and setting; under a teacher that was taught on flipped labels too, alone is that of the flipped labels."""
    plain = dict.fromkeys(inherit.PAIRED, 50.0)
    rows = [
        {"setting": setting, "way": way, "seed": seed, **plain, "agreement": 80.0, "corrupted": corrupted}
        for (setting, way), found in {
            ("clean", "student"): [60.0, 64.0],
            ("clean", "alone"): [58.0, 58.0, 1.0],
            ("taught", "student"): [55.0],
        }.items()
        for seed, corrupted in enumerate(found)
    ]
    rows += [
        {"setting": "noisy", "way": "alone", "seed": 0, **plain, "corrupted": 54.0},
        {"setting": "clean", "way": "teacher", "seed": 0, "accuracy": 93.0},
    ]
    figures = inherit.figures(rows)
    assert (figures["clean_student_corrupted"], figures["clean_student_minus_alone_corrupted"]) == (62.0, 4.0)
    assert figures["clean_student_minus_alone_corrupted_low"] < 4.0 < figures["clean_student_minus_alone_corrupted_high"]
    assert (figures["taught_student_minus_alone_corrupted"], figures["clean_teacher_accuracy"]) == (1.0, 93.0)
    assert not {"clean_teacher_transferred_4", "noisy_student_corrupted", "taught_alone_corrupted"} & set(figures)


def test_every_way_to_inherit_takes_the_same_steps() -> None:
    """Student and alone; there is an alone for every student to be compared with."""
    for name in inherit.NOISE:
        assert [way for way, _ in inherit.wanted(name, [0, 1])] == ["teacher", *inherit.WAYS[name] * 2]
    two = cifar10.scaled(Recipe().phase, 3.0)
    assert {sum(phase.epochs for phase in phases) for phases in (two, alone(two))} == {3.0}

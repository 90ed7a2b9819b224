"""Tests of benchmarks/longtail.py."""

from benchmarks import longtail
from edgekd.terms import Label


def test_every_way_on_a_long_tail_takes_the_same_steps() -> None:
    """Two phases' own schedule with labels alone, and plain KD in one phase; the labels are adjusted where that is the name, and nowhere else."""
    for two in longtail.candidates(10.0).values():
        ways = longtail.ways(two, 10.0)
        assert tuple(ways) == longtail.WAYS
        assert {way: round(sum(phase.epochs for phase in phases), 6) for way, phases in ways.items()} == dict.fromkeys(ways, 10.0)
        assert [way for way, phases in ways.items() if any(phase.soft for phase in phases)] == ["two_phase", "kd"]
        assert [ways[way][-1].subset == two[-1].subset for way in ("alone_balanced", "alone", "alone_adjusted")] == [True, False, True]
        assert [term.logit_adjustment for term in ways["alone_balanced"][0].terms if isinstance(term, Label)] == [0.0]


def _row(way: str, seed: int, accuracy: float, **others: object) -> dict[str, object]:
    return {"data": "cifar10", "imbalance": 100, "way": way, "seed": seed, "test_balanced_accuracy": accuracy, **others}


def test_gains_on_a_long_tail_are_paired_by_seed() -> None:
    """Over the seeds that the four ways of the issue have; a teacher is one, and what is not measured has no figure."""
    found = {
        "two_phase": [70.0, 72.0, 99.0],
        "kd": [60.0, 60.0],
        "alone_balanced": [65.0, 66.0],
        "alone": [55.0, 55.0, 55.0],
        "alone_adjusted": [68.0],
    }
    rows = [_row(way, seed, accuracy) for way, seeds in found.items() for seed, accuracy in enumerate(seeds)]
    rows += [_row("teacher", 0, 62.0), _row("teacher_corrected", 0, 73.0), _row("alone", 0, 50.0, imbalance=10)]
    figures = longtail.figures(rows)
    assert (figures["two_phase"], figures["two_phase_minus_kd"], figures["two_phase_minus_alone_balanced"]) == (71.0, 11.0, 5.5)
    assert (figures["teacher"], figures["two_phase_minus_teacher"], figures["two_phase_minus_teacher_corrected"]) == (62.0, 9.0, -2.0)
    assert figures["two_phase_minus_kd_low"] < 11 < figures["two_phase_minus_kd_high"]
    assert not {"alone_adjusted", "two_phase_minus_alone_adjusted", "cifar10_10_alone"} & set(figures)


def test_the_candidate_is_chosen_on_validation_images() -> None:
    """By balanced accuracy on one seed's; test images have no say, nor have other settings."""
    rows = [
        _row("a", longtail.CHOSEN_ON, 99.0, valid_balanced_accuracy=50.0),
        _row("b", longtail.CHOSEN_ON, 10.0, valid_balanced_accuracy=60.0),
        _row("c", 0, 10.0, valid_balanced_accuracy=90.0),
        _row("d", longtail.CHOSEN_ON, 10.0, valid_balanced_accuracy=90.0, imbalance=10),
    ]
    assert longtail.chosen(rows, "cifar10") == "b"

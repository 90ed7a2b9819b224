"""Tests of edgekd/budget/choose.py: which file is the fastest."""

import msgspec

from edgekd.budget.choose import fastest, paces
from edgekd.stats import median
from tests.report.sample import SHIPPED, TEACHER, sample_report

ORDER = ["int8-cpu", "fp32", "fp16"]
PRECISIONS = {"a": "fp32", "b": "fp16", "c": "int8-cpu", "d": "as-is"}


def test_the_fastest_is_chosen() -> None:
    """Whatever a target's order says, where no other comes near."""
    assert fastest({"a": 2.0, "b": 1.0, "c": 1.06}, PRECISIONS, ORDER) == "b"


def test_of_a_tie_the_targets_first_choice() -> None:
    """Within a twentieth of the least time; what the target does not list comes last, and of two alike the faster."""
    assert fastest({"a": 1.04, "b": 1.0, "c": 1.05}, PRECISIONS, ORDER) == "c"
    assert fastest({"a": 1.04, "b": 1.0, "c": 1.06}, PRECISIONS, ORDER) == "a"
    assert fastest({"b": 1.04, "d": 1.0}, PRECISIONS, ORDER) == "b"
    assert fastest({"a": 1.04, "b": 1.0}, {"a": "fp32", "b": "fp32"}, ORDER) == "b"


def test_files_are_compared_as_they_were_held_against_each_other() -> None:
    """By their ratios to one file, where each has one; else by medians. What was not measured on the target has neither."""
    report = sample_report()
    ratios = {each.artifact: each.value for each in report.ratios}
    assert paces(report, "cpu", [TEACHER, SHIPPED]) == {TEACHER: 1.0, SHIPPED: ratios[SHIPPED]}
    some = msgspec.structs.replace(report, ratios=[each for each in report.ratios if each.artifact != SHIPPED])
    medians = {each.artifact: median(each.timing.samples) for each in report.measurements}
    assert paces(some, "cpu", [TEACHER, SHIPPED, "gone"]) == {name: medians[name] for name in (TEACHER, SHIPPED)}
    assert paces(report, "another", [SHIPPED]) == {}

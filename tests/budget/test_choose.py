"""Tests of edgekd/budget/choose.py: which file is the fastest, and what each lost."""

import math
from typing import Any

import msgspec

from edgekd.budget.choose import fastest, losses, paces, within
from edgekd.measurements import Timing
from edgekd.record import Report
from edgekd.scores import Metric
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
    empty = [msgspec.structs.replace(each, timing=Timing(launches=[])) for each in report.measurements]
    assert paces(msgspec.structs.replace(report, measurements=empty), "cpu", [SHIPPED]) == {}


def _held_out(files: dict[str, tuple[float, float]], recipe: dict[str, Any]) -> Report:
    """A report whose files have this accuracy and balanced accuracy on validation images."""
    report = sample_report()
    first = report.scores[0]
    metrics = {
        file: {name: Metric(value=value, low=0.0, high=1.0, n=100) for name, value in zip(("accuracy", "balanced_accuracy"), values, strict=True)}
        for file, values in files.items()
    }
    scores = [msgspec.structs.replace(first, artifact=file, split="valid", metrics=found) for file, found in metrics.items()]
    return msgspec.structs.replace(report, scores=[*report.scores, *scores], recipe=recipe)


def test_what_a_file_lost_to_its_networks_first() -> None:
    """In accuracy, or in balanced accuracy where classes are met alike; other networks' files are left out."""
    own = "student/resnet20/fp32"
    files = {own: (0.9, 0.5), SHIPPED: (0.88, 0.51)}
    shipped = sample_report().artifact(SHIPPED)
    by_images = losses(_held_out(files, {}), shipped)
    assert next(iter(by_images)) == own
    assert TEACHER not in by_images
    assert math.isclose(by_images[SHIPPED], 0.02)
    assert math.isclose(losses(_held_out(files, {"train": {"prior": "uniform"}}), shipped)[SHIPPED], -0.01)


def test_a_file_without_a_score_lost_too_much() -> None:
    """And so did all but the first where that one has none; a loss is within a bound that it meets but for rounding."""
    own = "student/resnet20/fp32"
    shipped = sample_report().artifact(SHIPPED)
    for files in ({own: (0.9, 0.5)}, {SHIPPED: (0.9, 0.5)}):
        found = losses(_held_out(files, {}), shipped)
        assert (found[own], found[SHIPPED]) == (0.0, math.inf)
    assert within(0.3 - 0.2, 0.1)
    assert not within(0.101, 0.1)
    assert not within(math.inf, 0.1)

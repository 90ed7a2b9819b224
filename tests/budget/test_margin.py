"""Bounds from what was measured, with room to spare."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.budget import judge
from edgekd.budget.margin import bound_text, left_out, suggested, tighter, vague
from edgekd.budget.rules import BYTES, COUNT, RULES
from edgekd.limit import Limit
from edgekd.measurements import Launch, Timing
from edgekd.record import Report
from tests.report.sample import SHIPPED, TEACHER, sample_report

REPORT = sample_report()
replace = msgspec.structs.replace


def measured(**changes: Any) -> Report:
    """The sample, what ships measured otherwise."""
    return replace(REPORT, measurements=[replace(each, **changes) if each.artifact == SHIPPED else each for each in REPORT.measurements])


def test_what_ships_is_bounded() -> None:
    """What holds anywhere in one limit, the machine's own times in another that names it."""
    assert suggested(REPORT, 0.1) == [
        Limit(target="cpu", size="366 kB", params="297k", macs="44.7M", speedup="5.30×", accuracy="89.8 %"),
        Limit(target="cpu", host="Example Four 4000", latency_p50="1.19 ms", memory="12.6 MB"),
    ]


def test_one_of_several_reports_is_bounded_by_name() -> None:
    """Whatever ships would be every report's, a bare file beside it included."""
    assert {(limit.artifact, limit.target) for limit in suggested(REPORT, 0.1, alone=False)} == {(SHIPPED, "cpu")}


@pytest.mark.parametrize(("provider", "chip"), [("CPUExecutionProvider", "Example Four 4000"), ("TensorrtExecutionProvider", "Example RTX")])
def test_a_limit_on_times_names_the_chip_that_computed(provider: str, chip: str) -> None:
    """On a machine that has a GPU, too."""
    report = replace(measured(provider=provider), hosts={"here": replace(REPORT.hosts["here"], gpu="Example RTX")})
    assert [limit.host for limit in suggested(report, 0.1)] == [None, chip]


@pytest.mark.parametrize("margin", [0.0, 0.001, 0.1, 1.0])
def test_what_was_measured_keeps_to_what_is_suggested(margin: float) -> None:
    """Whatever the rounding; nothing passes by being left out."""
    verdicts = judge(REPORT, suggested(REPORT, margin))
    assert [verdict.state for verdict in verdicts] == ["pass"] * 7


@given(st.sampled_from(sorted(RULES)), st.floats(1e-6, 1e12), st.floats(0, 2))
def test_a_bound_is_never_on_the_wrong_side(quantity: str, value: float, margin: float) -> None:
    """An upper one is never below its figure, a lower one never above."""
    rule = RULES[quantity]
    value = float(round(value) + 1) if rule.unit in (BYTES, COUNT) else min(value, rule.unit.most)
    bound = rule.unit.parse(bound_text(rule, value, margin))
    assert bound >= value if rule.side == "≤" else bound <= value


def test_what_is_hardly_known_gets_no_limit() -> None:
    """An interval down to half of it, or up to twice, would be a bound that holds nothing back; why is said."""
    rough = replace(REPORT.score(SHIPPED).metrics["accuracy"], value=0.25, low=0.089, high=0.532)  # type: ignore[union-attr]
    scores = [replace(each, metrics={**each.metrics, "accuracy": rough}) if each.artifact == SHIPPED else each for each in REPORT.scores]
    report = replace(REPORT, scores=scores)
    assert all(limit.accuracy is None for limit in suggested(report, 0.1))
    (told,) = left_out(report)
    assert told.startswith(f"accuracy of {SHIPPED} gets no limit: 25.0 %, which may be 8.9 %, bounds nothing. Score it on more images")
    assert list(left_out(REPORT)) == []


def test_a_time_that_may_be_three_times_as_long_gets_no_limit() -> None:
    """Launches of 1, 1.4 and 1.9 ms tell little of the next."""
    report = measured(timing=Timing(launches=[Launch(load_ms=1, first_ms=1, rounds=[[ms] * 50]) for ms in (1.0, 1.4, 1.9)]))
    assert all(limit.latency_p50 is None for limit in suggested(report, 0.1))
    assert any(told.startswith(f"latency_p50 of {SHIPPED} gets no limit") for told in left_out(report))


def test_several_that_ship_are_named() -> None:
    """As "shipped" would mean them all."""
    other = replace(REPORT.artifacts[3], network="tiny")
    report = replace(REPORT, artifacts=[*REPORT.artifacts, other], shipped={**REPORT.shipped, "cpu/tiny": other.name})
    assert {limit.artifact for limit in suggested(report, 0.1)} == {SHIPPED, other.name}


def test_bare_files_are_named_by_their_paths() -> None:
    """And bounded by what stands in them."""
    file = replace(REPORT.artifacts[0], role="file", precision="as-is", path="models/m.onnx")
    report = Report(edgekd="0", name="m", created="", artifacts=[file])
    assert suggested(report, 0.0) == [Limit(artifact="models/m.onnx", size="3.45 MB", params="854k", macs="126M")]
    assert [verdict.state for verdict in judge(report, suggested(report, 0.0))] == ["pass"] * 3


def test_where_nothing_ships_students_are_bounded() -> None:
    """By their full names; a report without any has nothing to suggest."""
    assert {limit.artifact for limit in suggested(replace(REPORT, shipped={}), 0.1)} == {each.name for each in REPORT.artifacts[3:]}
    assert suggested(replace(REPORT, shipped={}, artifacts=REPORT.artifacts[:3]), 0.1) == []


def test_a_bound_on_a_rough_measurement_is_told() -> None:
    """Its interval is in the bound, which then holds little back; a figure that is known well says nothing."""
    assert list(vague(REPORT, suggested(REPORT, 0.1))) == []
    measured = next(each for each in REPORT.measurements if each.artifact == SHIPPED)
    launches = [
        replace(launch, rounds=[[ms * factor for ms in block] for block in launch.rounds])
        for launch, factor in zip(measured.timing.launches, (1.0, 1.1, 1.2), strict=True)
    ]
    rough = replace(measured, timing=replace(measured.timing, launches=launches))
    report = replace(REPORT, measurements=[rough if each is measured else each for each in REPORT.measurements])
    (told,) = vague(report, suggested(report, 0.1))
    assert re.fullmatch(
        r"latency_p50 = \S+ ms leaves room for a wide interval: \S+ ms, which may be \S+ ms\. Measure longer, .*, then tighten it\.", told
    )
    few = replace(
        REPORT, scores=[replace(each, metrics={**each.metrics, "accuracy": replace(each.metrics["accuracy"], low=0.7)}) for each in REPORT.scores]
    )
    (told,) = vague(few, suggested(few, 0.1))
    assert re.match(r"accuracy = \d\S* % leaves room for a wide interval: .* which may be 70\.0 %\. Score it on more images", told)


def test_bounds_with_room_are_tightened() -> None:
    """Upper and lower, never beyond the margin, growth and what is not known left alone."""
    limits = [
        Limit(artifact="int8", size="1 MB", params="270k", energy="9 J", growth={"size": "5 %"}),
        Limit(artifact="int8", accuracy="50 %", recall={"cat": 0.5}, auc=0.1),
    ]
    found = list(tighter([REPORT], limits, 0.1))
    assert [(each.place, each.quantity, each.before, each.after) for each in found] == [
        (0, "size", "1 MB", "366 kB"),
        (1, "accuracy", "50 %", "89.8 %"),
        (1, "recall.cat", "50 %", "89.1 %"),
    ]
    assert found[0].measured == "332 kB"


def test_a_limit_on_several_files_leaves_room_for_each() -> None:
    """In one report or in two."""
    fp = [each for each in REPORT.artifacts if each.role == "student"]
    assert [each.after for each in tighter([replace(REPORT, artifacts=fp)], [Limit(artifact="fp32", size="9 MB")], 0.0)] == ["1.11 MB"]
    larger = replace(REPORT, artifacts=[replace(each, size=2 * each.size) for each in REPORT.artifacts])
    assert [each.after for each in tighter([REPORT, larger], [Limit(artifact="int8", size="9 MB")], 0.0)] == ["664 kB"]
    assert list(tighter([REPORT], [Limit(artifact="none", size="9 MB")], 0.0)) == []


def test_a_bound_on_what_is_known_of_one_file_alone_stays() -> None:
    """What the other came to may be near it; where none is known there is nothing to tighten."""
    students = [each for each in REPORT.artifacts if each.role == "student"]
    report = replace(REPORT, artifacts=[*students, replace(students[0], network="other")])
    for scores in (REPORT.scores, [each for each in REPORT.scores if each.artifact != "student/resnet20/fp32"]):
        assert list(tighter([replace(report, scores=scores)], [Limit(artifact="fp32", accuracy="50 %")], 0.1)) == []


@given(st.floats(0, 0.5), st.floats(1, 1e7))
def test_tightening_never_loosens_and_never_breaks(margin: float, bound: float) -> None:
    """Whatever stood there, what is written is tighter and holds."""
    for change in tighter([REPORT], [Limit(artifact=TEACHER, size=bound)], margin):
        after = RULES["size"].unit.parse(change.after)
        assert REPORT.artifacts[0].size <= after < bound

"""Tests of edgekd/report/operators.py."""

import msgspec
import pytest

from edgekd.measurements import LayerTime, Measurement
from edgekd.report.operators import operators, slowest, told
from edgekd.report.text import drawn
from tests.report.pages import drawn_report
from tests.report.sample import SHIPPED, sample_report


def measurement(*times: LayerTime) -> Measurement:
    """The shipped file's, with these times."""
    found = next(each for each in sample_report().measurements if each.artifact == SHIPPED)
    return msgspec.structs.replace(found, layer_times=list(times))


CONV = LayerTime(name="relu_nchwc", op="Conv", layer="conv1", us=[280.0, 300.0, 9000.0])
CAST = LayerTime(name="cast_0", op="Cast", us=[100.0, 100.0, 100.0])


def test_medians_and_shares() -> None:
    """One slow run moves nothing; shares add up to one; a layer's name goes before the runtime's."""
    found = operators(measurement(CONV, CAST))
    assert [(each.name, each.op, each.ms, each.known) for each in found] == [("conv1", "Conv", 0.3, True), ("cast_0", "Cast", 0.1, False)]
    assert [each.share for each in found] == pytest.approx([0.75, 0.25])


def test_nothing_was_profiled() -> None:
    """Or nothing took a whole microsecond."""
    assert operators(measurement()) == []
    assert operators(measurement(LayerTime(name="a", op="Relu", us=[0.0]), LayerTime(name="b", op="Relu", us=[]))) == []


def test_both_times_are_told() -> None:
    """The sum of the profile and the latency without it, and how much is known by layer."""
    found = measurement(CONV, CAST)
    assert told(found, operators(found)) == (
        "2 operators take 400 µs together, timed one by one by a profile, which slows them; an inference without it takes 1.06 ms. "
        "75 % of it is in layers of the file, the rest stands under the runtime's own names."
    )


def test_a_table_of_the_slowest() -> None:
    """Ten at the most, the slowest first, the rest as a sum, within 80 columns."""
    report = drawn_report()
    many = [LayerTime(name=f"{'long/' * 20}conv{number}", op="Conv", us=[float(10 + number)]) for number in range(12)]
    measurements = [msgspec.structs.replace(each, layer_times=many if each.artifact == SHIPPED else []) for each in report.measurements]
    text = drawn(slowest(msgspec.structs.replace(report, measurements=measurements)))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == f"Slowest layers of {SHIPPED} on cpu"
    rows = [line.split() for line in lines[4:14]]
    assert [row[2:4] for row in rows] == [[f"{21 - at}.0", "µs"] for at in range(10)]
    assert "2 more take 11.3 %." in " ".join(text.split())
    assert slowest(sample_report()) == []

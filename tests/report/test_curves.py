"""Tests of edgekd/report/curves.py."""

import msgspec
from msgspec.structs import replace

from edgekd.record import CurvePoint
from edgekd.report.curves import phases, temperatures, thinned, training
from tests.report.pages import Page, drawn_report, large_report
from tests.report.sample import sample_report

REPORT = drawn_report()
CURVE = next(network for network in REPORT.networks if network.role == "student").training.curve
(STUDENT, PICTURE), *OTHERS = training(REPORT)
PAGE = Page(PICTURE)


def _point(epoch: float, phase: str) -> CurvePoint:
    return CurvePoint(epoch=epoch, step=1, phase=phase, loss=1.0, temperature=None, shares={}, learning_rate=0.1, valid_accuracy=None)


def test_a_student_has_four_panels_on_one_axis() -> None:
    """Accuracy, loss, temperature and shares, each with its numbers in words."""
    assert STUDENT == "resnet20"
    assert PAGE.inside("title") == ["validation accuracy", "loss", "temperature T", "share of each term in the loss"]
    assert PAGE.inside("desc") == [
        "student ends at 88.0 %; alone ends at 86.0 %",
        "from 2.00 to 0.333",
        "held at 3.00, then from 3.00 to 1.50",
        "kd ends at 90 %; label ends at 10 %",
    ]


def test_the_second_phase_is_shaded_in_each_panel() -> None:
    """From where the first one ended, after two thirds."""
    shades = [attributes for attributes in PAGE.named("rect") if attributes.get("class") == "phase"]
    assert [(shade["x"], shade["width"]) for shade in shades] == [("66.67", "33.33")] * 4
    assert {"transfer", "refine"} <= set(PAGE.inside("text"))


def test_the_teacher_taught_here_has_its_own_picture() -> None:
    """Without a temperature and with one term only: two panels."""
    ((name, picture),) = OTHERS
    assert name == "resnet56, the teacher"
    assert Page(picture).inside("title") == ["validation accuracy", "loss"]


def test_the_numbers_stand_beside_the_picture() -> None:
    """A row for each epoch, as the report has them."""
    cells = PAGE.inside("td")
    assert PAGE.inside("th")[-len(CURVE) :] == ["1", "2", "3", "4", "5", "6"]
    assert cells[-6:] == ["88.0 %", "0.333", "1.50", "90.0 %", "10.0 %", "0.100"]


def test_a_curve_of_one_point_is_a_dot() -> None:
    """As after a run of one epoch."""
    page = Page(training(sample_report())[0][1])
    assert any((attributes.get("class") or "").startswith("dot") for attributes in page.named("g"))


def test_a_phase_begins_where_the_one_before_ended() -> None:
    """Whatever they are called, and one that comes again is a new one."""
    curve = [_point(1, "a"), _point(2, "a"), _point(2.5, "b"), _point(4, "a")]
    assert phases(curve) == [("a", 0.0, 2), ("b", 2, 2.5), ("a", 2.5, 4)]


def _heated(*points: tuple[float, str, float | None, float | None]) -> list[CurvePoint]:
    """Points of epoch, phase, T, and T at the phase's first step."""
    return [replace(_point(epoch, phase), temperature=heat, first_temperature=first) for epoch, phase, heat, first in points]


def test_the_temperature_is_drawn_from_each_phases_first_step() -> None:
    """Where the first epoch had most of the fall, and where T leaps between phases; a phase of labels has none."""
    curve = _heated((1, "a", 2.5, 6.0), (2, "a", 0.9, 6.0), (3, "b", None, None), (4, "c", 3.0, 4.0))
    assert temperatures(curve) == [[(0.0, 6.0), (1, 2.5), (2, 0.9)], [(3, 4.0), (4, 3.0)]]
    student = next(network for network in REPORT.networks if network.role == "student")
    taught = replace(student, training=replace(student.training, curve=curve))
    page = Page(training(replace(REPORT, networks=[taught]))[0][1])
    assert page.inside("desc")[-1] == "from 6.00 to 0.900, then from 4.00 to 3.00"
    lines = [attributes["points"] for attributes in page.named("polyline") if attributes.get("class") == "line temperature"]
    tops = [[float(place.split(",")[0]) for place in (points or "").split()] for points in lines]
    assert tops == [[0.0, 25.0, 50.0], [75.0, 100.0]]


def test_the_temperature_of_an_older_report_begins_with_its_first_epoch() -> None:
    """What T was before is not known, and not drawn."""
    assert temperatures(_heated((1, "a", 2.5, None), (2, "a", 2.0, None), (3, "b", 1.0, None))) == [[(1, 2.5), (2, 2.0)], [(3, 1.0)]]


def test_thinning_keeps_the_last_of_each_phase() -> None:
    """Of 240 epochs about as many as asked."""
    curve = next(network for network in large_report().networks if network.role == "student").training.curve
    kept = thinned(curve, 20)
    assert 20 <= len(kept) <= 22
    assert {160.0, 240.0} <= {point.epoch for point in kept}
    assert "214 epochs between them stand in report.json." in Page(training(large_report())[0][1]).inside("p")


def test_networks_that_were_not_taught_here_have_no_picture() -> None:
    """A teacher that came with weights has no curve."""
    brought = [msgspec.structs.replace(each, training=msgspec.structs.replace(each.training, curve=[])) for each in REPORT.networks]
    assert training(msgspec.structs.replace(REPORT, networks=brought)) == []

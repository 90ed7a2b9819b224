"""Tests of edgekd/report/reliability.py."""

import msgspec

from edgekd.report.reliability import reliabilities
from edgekd.scores import Bin
from tests.report.pages import Page, drawn_report
from tests.report.sample import SHIPPED, sample_report

replace = msgspec.structs.replace


def test_the_bins_are_those_of_the_report() -> None:
    """Of the file that ships and of the teacher's own; an empty bin has no dot and, where both are empty, no row."""
    ((name, drawn),) = reliabilities(drawn_report())
    page = Page(drawn)
    assert name == SHIPPED
    assert "student: of 1200 images at 96.7 % confidence, 95.5 % are right" in page.inside("title")
    assert "teacher: of 1200 images at 96.7 % confidence, 92.9 % are right" in page.inside("title")
    assert len([title for title in page.inside("title") if title.startswith("student:")]) == 10
    assert next(text for text in page.inside("th") if text.endswith("%")) == "33 to 40 %"
    assert page.inside("td")[:3] == ["10", "36.7 %", "37.4 %"]


def test_the_errors_stand_beside_the_diagram() -> None:
    """The student's and the teacher's, as the report has them, and where most answers are."""
    page = Page(reliabilities(drawn_report())[0][1])
    assert page.inside("li") == ["student, ECE 2.1 %", "teacher, ECE 2.1 %", "as sure as right"]
    assert page.inside("desc")[1] == "student: 60 % of the answers at 93 to 100 % confidence; teacher: 60 % of the answers at 93 to 100 % confidence"


def test_without_bins_nothing_is_drawn() -> None:
    """As in a report from before they were kept; a teacher without them leaves the student alone."""
    report = drawn_report()
    assert reliabilities(sample_report()) == []
    alone = replace(report, scores=[replace(each, reliability=[]) if each.artifact.startswith("teacher/") else each for each in report.scores])
    assert Page(reliabilities(alone)[0][1]).inside("li") == ["student, ECE 2.1 %", "as sure as right"]


def test_one_full_bin_is_a_diagram() -> None:
    """A student that is sure of everything."""
    sure = [*[Bin(images=0, confidence=0.0, accuracy=0.0)] * 14, Bin(images=9, confidence=1.0, accuracy=1.0)]
    report = drawn_report()
    page = Page(reliabilities(replace(report, scores=[replace(each, reliability=sure) for each in report.scores]))[0][1])
    assert "student: of 9 images at 100.0 % confidence, 100.0 % are right" in page.inside("title")

"""Tests of edgekd/report/classes.py."""

import msgspec

from edgekd.record import Report
from edgekd.report.classes import recalls, shown
from edgekd.scores import Metric, Score
from tests.report.pages import Page
from tests.report.sample import SHIPPED, TEACHER, sample_report

replace = msgspec.structs.replace


def _metric(value: float) -> Metric:
    return Metric(value=value, low=value, high=value, n=100)


def _of(count: int) -> Report:
    """Each class by its number; the student tells the first ones worst, the teacher all alike."""
    report = sample_report()

    def recall(score: Score) -> dict[str, Metric]:
        return {f"class {number}": _metric(0.9 if score.artifact == TEACHER else number / count) for number in range(count)}

    return replace(report, scores=[replace(each, recall=recall(each)) for each in report.scores])


def test_the_worst_classes_stand_first() -> None:
    """Of the file that ships, with both recalls as the report has them."""
    ((name, drawn),) = recalls(_of(5))
    assert name == SHIPPED
    page = Page(drawn)
    assert page.inside("bdi") == [f"class {number}" for number in range(5)]
    assert page.inside("td") == ["0.0 %", "90.0 %", "20.0 %", "90.0 %", "40.0 %", "90.0 %", "60.0 %", "90.0 %", "80.0 %", "90.0 %"]
    assert page.inside("title")[1] == "class 1: student 20.0 %, teacher 90.0 %, 100 images"


def test_many_classes_open_on_a_click() -> None:
    """Twelve are drawn, the next stand as numbers, and of a thousand the page says how many it leaves out."""
    page = Page(recalls(_of(1000))[0][1])
    assert len(page.inside("title")) == 12
    assert "The other 988 classes" in page.inside("summary")
    assert "588 more stand in report.json." in page.inside("p")
    assert len(page.inside("bdi")) == 412


def test_without_a_teacher_the_student_stands_alone() -> None:
    """As in a report of a network that nobody taught."""
    report = _of(3)
    alone = replace(report, artifacts=[each for each in report.artifacts if each.role == "student"])
    page = Page(recalls(alone)[0][1])
    assert page.inside("td")[1::2] == ["–"] * 3
    assert page.inside("li") == ["student"]


def test_a_student_that_does_not_ship_shows_its_first_file() -> None:
    """Each student is shown, whether a target chose it or not."""
    report = sample_report()
    assert [each.name for each in shown(report)] == [SHIPPED]
    assert [each.name for each in shown(replace(report, shipped={}))] == ["student/resnet20/fp32"]

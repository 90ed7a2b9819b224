"""Tests of edgekd/report/steps.py."""

import msgspec

from edgekd.record import Network, Report, Training
from edgekd.report.columns import tables
from edgekd.report.html import html
from edgekd.report.live import Told, live
from edgekd.report.markdown import markdown
from edgekd.report.steps import steps
from edgekd.report.text import text
from edgekd.scores import Metric, NetworkRole
from tests.report.sample import sample_report

replace = msgspec.structs.replace
NO = "–"


def network(role: NetworkRole, name: str, valid: float | None, test: float | None = None, params: int = 100_000) -> Network:
    """One that was tested on 2,000 images, where it was."""
    metric = None if test is None else Metric(value=test, low=test - 0.01, high=test + 0.01, n=2000)
    return Network(role=role, name=name, params=params, macs=None, training=Training(how="distilled"), valid_accuracy=valid, test_accuracy=metric)


def report(*between: Network) -> Report:
    """The sample, with networks between its teacher (93.40 % of test images) and its student."""
    teacher, *others = sample_report().networks
    return replace(sample_report(), networks=[teacher, *between, *others])


def cells(shown: Report) -> dict[str, list[str]]:
    """The table's cells by heading."""
    return steps(shown).cells


def test_one_teacher_and_its_student_are_no_steps() -> None:
    """Their scores say all there is."""
    assert steps(sample_report()).columns == []
    assert "From teacher to student" not in text(sample_report())


def test_an_assistant_without_a_teacher_is_the_first_step() -> None:
    """Of stored answers: nobody is before it, and there is no whole way to tell."""
    student = next(each for each in sample_report().networks if each.role == "student")
    table = steps(replace(sample_report(), networks=[network("assistant", "resnet44", 0.93, 0.93), student]))
    found, note = table.cells, table.note
    assert found["network"] == ["assistant/resnet44", "student/resnet20"]
    assert found["behind, points"] == [NO, "0.7"]
    assert "in all, points" not in found
    assert "in all" not in note


def test_each_step_is_measured_against_the_one_before_it() -> None:
    """Test accuracy where all have it: the teacher's and the student's from their files."""
    shown = report(network("assistant", "resnet44", 0.93, 0.93), network("assistant", "resnet32", 0.93, 0.928))
    table = steps(shown)
    assert table.columns[0].cells == ["teacher/resnet56", "assistant/resnet44", "assistant/resnet32", "student/resnet20"]
    found = cells(shown)
    assert found["params"] == ["853k", "100k", "100k", "270k"]
    assert found["test"] == ["93.4 %", "93.0 %", "92.8 %", "92.3 %"]
    assert found["behind, points"] == [NO, "0.4", "0.2", "0.5"]
    assert found["in all, points"] == [NO, "0.4", "0.6", "1.1"]
    assert found["95 % interval"][2] == "−1.2 to 1.6"
    assert "test images" in table.note
    assert "than the teacher;" in table.note


def test_a_student_of_several_teachers_is_measured_against_them_together() -> None:
    """Teachers teach nobody alone; without an assistant each student learns from the ensemble."""
    shown = report(network("co-teacher", "night", 0.9, 0.9, params=0), network("ensemble", "resnet56+night", 0.95, 0.95, params=0))
    found = cells(shown)
    assert found["behind, points"] == [NO, NO, NO, "2.7"]
    assert found["in all, points"] == found["behind, points"]
    assert found["params"][1:3] == [NO, NO]
    assert "than the teachers together" in steps(shown).note


def test_validation_images_serve_where_a_file_was_not_tested() -> None:
    """For all of them, so that no step compares two kinds of images; there is no interval then."""
    shown = replace(report(network("assistant", "resnet32", 0.93, 0.91)), scores=[])
    found = cells(shown)
    assert found["behind, points"] == [NO, "0.6", "0.6"]
    assert "95 % interval" not in found
    assert found["test"] == [NO, "91.0 %", NO]
    assert "validation images" in steps(shown).note


def test_what_nobody_measured_is_left_open() -> None:
    """No validation images, no scores: no gap is made up."""
    shown = replace(report(network("assistant", "resnet32", None)), scores=[])
    assert "behind, points" not in cells(shown)


def test_every_form_of_the_report_has_the_table() -> None:
    """Text of 80 columns, Markdown and the page."""
    shown = report(network("assistant", "resnet32", 0.93, 0.928))
    assert [table.title for table in tables(shown)][-1] == "From teacher to student"
    assert "From teacher to student" in text(shown)
    assert max(map(len, text(shown).splitlines())) <= 80
    assert "| assistant/resnet32 | 100k | 93.0 % | 92.8 % | 0.6 |" in markdown(shown)
    assert "assistant/resnet32" in html(shown)


def test_a_run_under_way_shows_an_assistant_as_one() -> None:
    """Its curve stands under its own role."""
    told = Told()
    for line in (
        b'{"kind":"stage-started","stage":"assist/resnet32","time":1.0}',
        b'{"kind":"trained","network":"resnet32","phase":"transfer","step":5,"steps":10,"epoch":1.0,"epochs":2.0,"loss":1.0,"temperature":3.0,'
        b'"shares":{},"gradient_shares":{},"learning_rate":0.1,"images_per_s":1.0,"seconds_left":1.0,"valid_accuracy":0.5,"time":2.0}',
    ):
        told.read(line)
    assert [(each.role, each.name) for each in told.networks()] == [("assistant", "resnet32")]
    assert "resnet32, an assistant" in live("run", told, refresh=5)

"""Tests of edgekd/report/kept.py: what a student kept, in sentences, in the tables and on the page."""

import msgspec
import pytest

from edgekd import stats
from edgekd.record import Report
from edgekd.report.html import html
from edgekd.report.kept import kept, sentences
from edgekd.report.markdown import markdown
from edgekd.report.runs import kept_table, lettered
from edgekd.report.text import text
from edgekd.reportfile import decode_report, encode_report
from edgekd.scores import Held, Kept, Metric
from tests.report.pages import HOSTILE, Page
from tests.report.sample import sample_report

replace = msgspec.structs.replace


def _metric(k: int, n: int) -> Metric:
    value, low, high = stats.proportion(k, n)
    return Metric(value=value, low=low, high=high, n=n)


def _lost(forgotten: int, gained: int, n: int) -> Metric:
    value, low, high = stats.paired_difference(forgotten, gained, n)
    return Metric(value=value, low=low, high=high, n=n)


def _kept(*, forgotten: int = 60, gained: int = 20, classes: tuple[str, ...] = ("cat", "dog")) -> Kept:
    """1,000 old images, 900 of them right before; 200 new ones of a class that it did not know."""
    old = Held(
        images="old",
        before=_metric(900, 1000),
        after=_metric(900 - forgotten + gained, 1000),
        lost=_lost(forgotten, gained, 1000),
        recall_before={name: _metric(450, 500) for name in classes},
        recall={name: _metric(430, 500) for name in classes},
    )
    new = Held(images="new", after=_metric(190, 200), recall={"deer": _metric(190, 200)})
    return Kept(student="resnet20", run="runs/animals", classes=list(classes), replayed=120, tests=[old, new])


def _report(*found: Kept) -> Report:
    return replace(sample_report(), kept=list(found))


def test_a_run_that_went_on_from_none_says_nothing_of_it() -> None:
    """No sentence, no table, no section."""
    assert (kept(sample_report()), sentences(sample_report())) == ([], [])
    assert "What it kept" not in html(sample_report())


def test_students_of_several_runs_that_learnt_on_stand_side_by_side() -> None:
    """Each by its run's letter, before, after and what it lost; without their classes. Runs that went on from none are left out."""
    table = kept_table(lettered([_report(_kept()), sample_report(), _report(_kept(forgotten=0))]))
    assert table is not None
    assert table.columns[0].cells == [f"{run} resnet20, {which} test images" for run in "AC" for which in ("old", "new")]
    assert {column.head: column.cells for column in table.columns}["after"] == ["86.0 %", "95.0 %", "92.0 %", "95.0 %"]
    assert kept_table(lettered([sample_report()])) is None


def test_a_row_for_each_run_s_images_and_each_class() -> None:
    """Old ones before new ones; what was not known before has no cell there."""
    (told,) = kept(_report(_kept()))
    cells = told.cells
    assert told.columns[0].cells == ["old test images", "old: cat", "old: dog", "new test images", "new: deer"]
    assert cells["images"] == ["1000", "500", "500", "200", "200"]
    assert cells["before"] == ["90.0 %", "90.0 %", "90.0 %", "–", "–"]
    assert cells["after"] == ["86.0 %", "86.0 %", "86.0 %", "95.0 %", "95.0 %"]
    assert cells["lost, points"] == ["4.0", "4.0", "4.0", "–", "–"]
    assert cells["95 % interval"][0].startswith("2.")
    assert cells["95 % interval"][1:] == ["–"] * 4
    assert "120 old images were shown again" in told.note


def test_many_classes_have_no_rows() -> None:
    """They stand in report.json, which the note says."""
    (told,) = kept(_report(_kept(classes=tuple(f"class {number}" for number in range(21)))))
    assert told.columns[0].cells == ["old test images", "new test images", "new: deer"]
    assert "more than 20 classes stand in report.json" in told.note


@pytest.mark.parametrize(
    ("forgotten", "gained", "words"),
    [
        (60, 20, "resnet20 has 86.0 % of the old test images right, 90.0 % before: it forgot 4.0 points (95 % interval 2."),
        (20, 60, "it gained 4.0 points (95 % interval 2."),
        (20, 20, "whether it forgot anything is within the noise: 0.0 points (95 % interval −1."),
    ],
)
def test_forgetting_is_said_with_its_interval(forgotten: int, gained: int, words: str) -> None:
    """And the new images beside it."""
    (said,) = sentences(_report(_kept(forgotten=forgotten, gained=gained)))
    assert words in said
    assert said.endswith("; of the new ones it has 95.0 % right.")


def test_what_was_not_measured_is_said() -> None:
    """With the reason, below the table and in the sentence."""
    one = replace(_kept(), tests=_kept().tests[1:], untold=["the images of runs/animals are not there any more."], replayed=0)
    (told,) = kept(_report(one))
    assert sentences(_report(one)) == ["What resnet20 kept of runs/animals was not measured: of the new test images it has 95.0 % right."]
    assert told.note.endswith("no old images were shown again; not measured: the images of runs/animals are not there any more")


def test_every_form_has_it() -> None:
    """Text of 80 columns, Markdown, and a section of the page; several students have a table each; it reads back equal."""
    report = _report(_kept(), replace(_kept(), student="resnet8"))
    assert max(map(len, text(report).splitlines())) <= 80
    for drawn in (text(report), markdown(report), html(report)):
        assert "What resnet20 kept" in drawn
        assert "What resnet8 kept" in drawn
    assert "What it kept" in Page(html(report)).inside("h2")
    assert decode_report(encode_report(report)) == report


def test_hostile_names_stay_names() -> None:
    """Classes, run and student called what would break a careless page."""
    one = replace(_kept(classes=tuple(HOSTILE)), student=HOSTILE[0], run=HOSTILE[1], untold=[HOSTILE[6]])
    page = html(_report(one))
    assert HOSTILE[0] not in page
    assert HOSTILE[1] not in page
    assert "<script>" not in markdown(_report(one))

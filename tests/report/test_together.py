"""Tests of edgekd/report/together.py: the page as a document. What a browser makes of it is test_browser's."""

import msgspec

from edgekd.record import Report
from edgekd.report.runs import lettered
from edgekd.report.together import together
from tests.report.pages import HOSTILE, Page, run_reports
from tests.report.sample import SHIPPED, sample_report

RUNS = lettered(run_reports())
PAGE = Page(together(RUNS))
replace = msgspec.structs.replace


def test_the_recipes_come_first() -> None:
    """Then the pictures, then every figure."""
    assert PAGE.inside("h1") == ["4 runs side by side"]
    assert PAGE.inside("h2") == ["What differs", "Accuracy against latency", "How the students were taught", "Figures"]
    assert "phase.0.temperature" in PAGE.inside("bdi")


def test_only_one_machines_times_share_a_picture() -> None:
    """Three runs on the first, the other's own beside it; the same file stands in it once a run."""
    titles = PAGE.inside("title")
    assert [title for title in titles if title.startswith("Accuracy against")] == [
        "Accuracy against latency on cpu (A, B, C)",
        "Accuracy against latency on cpu (D)",
    ]
    assert [title[0] for title in titles if title[2:].startswith(f"{SHIPPED}:")] == ["C", "A", "B", "D"]


def test_every_student_has_its_line() -> None:
    """By letter and colour; a run without a student has none."""
    lines = [attributes["class"] for attributes in PAGE.named("polyline")]
    assert lines == ["line run-0", "line run-1", "line run-3"]
    assert [text for text in PAGE.inside("li") if "resnet20" in text] == [f"{run} resnet20, 88.0 %" for run in "ABD"]


def test_runs_that_hold_nothing_are_a_page() -> None:
    """As of two that only began."""
    empty = Report(edgekd="0.1.0", name=HOSTILE[1], created="")
    page = Page(together(lettered([empty, empty])))
    assert page.inside("h2") == ["What differs"]
    assert page.inside("bdi").count(HOSTILE[1]) == 4


def test_a_page_of_many_runs_stays_small() -> None:
    """Under 1.5 MB with as many as there are letters."""
    assert len(together(lettered([sample_report()] * 26)).encode()) < 1_500_000

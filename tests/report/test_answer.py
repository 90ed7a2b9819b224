"""Tests of edgekd/report/answer.py."""

import msgspec

from edgekd.report.answer import Cells, answer, beside, doubts, verdicts
from edgekd.scores import Metric
from tests.report.pages import Page, large_report
from tests.report.sample import SHIPPED, judged_report, sample_report

REPORT = judged_report()
PAGE = Page(answer(REPORT))
replace = msgspec.structs.replace


def test_the_shipped_file_stands_in_large_figures() -> None:
    """Its size, latency and accuracy, each against the teacher with its interval."""
    assert PAGE.inside("dt") == ["size", "median latency", "accuracy"]
    assert PAGE.inside("b")[:3] == ["332 kB", "1.06 ms", "92.0 %"]
    assert PAGE.inside("small")[:3] == [
        "10.4× less than the teacher",
        "5.92× the teacher's speed (5.90× to 5.94×)",
        "1.4 points lost (0.7 to 2.1)",
    ]


def test_every_file_stands_beside_the_teachers_own() -> None:
    """All three precisions of both, the teacher's first."""
    page = Page(beside(REPORT, Cells(REPORT)))
    assert page.inside("bdi") == ["resnet56", "resnet20"]
    assert page.inside("td")[::3] == ["3.44 MB", "1.74 MB", "1.01 MB", "1.10 MB", "561 kB", "332 kB"]
    assert page.inside("td")[-3:] == ["332 kB", "1.06 ms", "92.0 %"]
    assert page.inside("small")[-3:] == ["10.4×", "5.92×", "1.4 lost"]


def test_a_gain_is_called_one() -> None:
    """With its interval the other way round."""
    better = {"accuracy_drop": Metric(value=-0.006, low=-0.016, high=0.005, n=2000)}
    scores = [replace(each, against=better) if each.artifact == SHIPPED else each for each in REPORT.scores]
    said = Page(answer(replace(REPORT, scores=scores))).inside("small")
    assert "0.6 points gained (−0.5 to 1.6)" in said
    assert "0.6 gained" in said


def test_energy_has_a_column_where_it_was_measured() -> None:
    """And a figure of its own."""
    measured = replace(REPORT, measurements=[replace(each, energy=0.003) for each in REPORT.measurements])
    page = Page(answer(measured))
    assert "energy of one image" in page.inside("dt")
    assert page.inside("td").count("3.00 mJ") == len(REPORT.artifacts)


def test_of_many_files_the_answer_names_a_few() -> None:
    """The teacher's and those that ship; the note says where the others are."""
    page = Page(answer(large_report()))
    assert page.inside("dt") == []
    assert len([heading for heading in page.named("th") if heading["scope"] == "row"]) == 3 + 16
    assert any("32 more files stand under All figures." in text for text in page.inside("p"))


def test_verdicts_come_the_worst_first() -> None:
    """How many, and one item each with its state in a word."""
    page = Page(verdicts(REPORT.verdicts))
    assert page.inside("h2")[0].startswith("Limits: 1 over, ")
    states = page.inside("b")
    assert len(states) == len(REPORT.verdicts)
    assert states[0] == "over"
    assert "Both limits hold" in verdicts([each for each in REPORT.verdicts if each.state == "pass"][:2])
    assert "No limits were set" in verdicts([])


def test_many_doubts_open_on_a_click() -> None:
    """Few stand open; none leave no heading."""
    assert Page(doubts(REPORT)).inside("h2") == ["3 doubts"]
    many = replace(REPORT, doubts=[f"doubt {number}" for number in range(9)])
    assert Page(doubts(many)).inside("summary") == ["All 11 doubts"]
    sure = replace(sample_report(), doubts=[], data=None, measurements=[])
    assert doubts(sure) == ""


def test_a_file_that_ships_and_is_not_there_is_left_out() -> None:
    """A report cut down by hand still makes a page."""
    assert "Ships on" not in answer(replace(REPORT, artifacts=[each for each in REPORT.artifacts if each.name != SHIPPED]))

"""Tests of edgekd/report/inherit.py: the table of what students inherit, and that every view has it."""

import msgspec
import pytest

from edgekd.record import Report
from edgekd.report.columns import tables
from edgekd.report.inherit import called, inherited, ordered
from edgekd.report.markdown import markdown
from edgekd.report.text import drawn, text
from edgekd.reportfile import decode_report, encode_report
from tests.report.golden import check_golden
from tests.report.sample import sample_report
from tests.report.steady import steady_report

replace = msgspec.structs.replace


def cells(report: Report, head: str) -> dict[str, str]:
    """A network's figures by their names."""
    told = inherited(report)[0]
    return dict(zip(told.columns[0].cells, told.cells[head], strict=True))


def test_the_table_reads_as_it_should() -> None:
    """In 80 columns: teacher, student, alone and the file that ships beside each other; then the files with a temperature."""
    report = steady_report()
    both = [table for table in tables(report) if table.title in ("What the student inherits", "A temperature folded in")]
    check_golden("inherit.txt", drawn(both) + "\n")


def test_the_figures_are_those_of_the_report() -> None:
    """Means over corruptions and severities, worked out by hand; nothing is said that was not measured."""
    found = cells(steady_report(), "student")
    assert (found["accuracy"], found["agreement with the teacher"], found["T"]) == ("92.0 %", "95.0 %", "1.03")
    assert found["corrupted: noise"] == "82.9 %"  # 0.92 − 0.03 × 3 less 0, 1 and 2 thousandths
    assert found["corrupted: all"] == "82.4 %"
    assert found["corrupted, of its accuracy"] == "89.6 %"
    assert (found["FGSM by 8/255"], found["the teacher's FGSM by 8/255"]) == ("68.0 %", "80.0 %")
    assert cells(steady_report(), "teacher")["the teacher's FGSM by 8/255"] == "–"
    assert cells(steady_report(), "int8-cpu")["FGSM by 1/255"] == "–"


def test_what_nobody_has_has_no_row() -> None:
    """Without validation images there is no temperature, without a gradient no FGSM."""
    report = steady_report()
    assert report.robustness is not None
    bare = [replace(each, calibration=None, fgsm=[], transferred=[]) for each in report.robustness.networks]
    told = inherited(replace(report, robustness=replace(report.robustness, networks=bare)))[0]
    assert not {"ECE", "T", "NLL, divided by T", "FGSM by 1/255", "the teacher's FGSM by 1/255"} & set(told.columns[0].cells)
    assert "validation" not in told.note


def test_a_network_that_has_nothing_right_has_no_share() -> None:
    """0 of 0 is no number."""
    report = steady_report()
    assert report.robustness is not None
    networks = [replace(each, clean=replace(each.clean, value=0.0)) if each.role == "student" else each for each in report.robustness.networks]
    assert cells(replace(report, robustness=replace(report.robustness, networks=networks)), "student")["corrupted, of its accuracy"] == "–"


def test_several_students_go_by_their_names_each_beside_itself_alone() -> None:
    """Long ones lose their middle; all fits 80 columns."""
    report = steady_report()
    assert report.robustness is not None
    first, student, alone, file = report.robustness.networks
    long = "mobilenet-v3-small-and-much-more"
    others = [replace(each, name=f"{each.role}/{long}") for each in (student, alone)]
    robustness = replace(report.robustness, networks=[first, student, others[0], alone, others[1], file])
    names = [each.name for each in ordered(robustness)]
    assert names[:5] == ["teacher/resnet56", "student/resnet20", "alone/resnet20", f"student/{long}", f"alone/{long}"]
    heads = called(ordered(robustness))
    assert heads[0] == "teacher"
    assert heads[1] == "student/resnet20"
    assert heads[3] == "student/mo…d-much-more"
    wide = drawn(tables(replace(report, robustness=robustness)))
    assert max(map(len, wide.splitlines())) <= 80


@pytest.mark.parametrize("view", [text, markdown])
def test_every_view_has_the_table(view: object) -> None:
    """And none where nothing was asked."""
    assert callable(view)
    assert "What the student inherits" in view(steady_report())
    assert "What the student inherits" not in view(sample_report())
    assert "A temperature folded in" not in view(sample_report())


def test_it_reads_back_and_older_reports_load() -> None:
    """report.json holds all of it; one from before has none."""
    report = steady_report()
    assert decode_report(encode_report(report)) == report
    table = msgspec.json.decode(encode_report(report))
    del table["robustness"]
    for artifact in table["artifacts"]:
        del artifact["temperature"]
    older = decode_report(msgspec.json.encode(table))
    assert older.robustness is None
    assert inherited(older) == []

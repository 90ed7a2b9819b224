"""Tests of edgekd/report/text.py."""

import io

import msgspec
import pytest
from rich.console import Console

from edgekd.record import Report
from edgekd.report.cells import Column, Table
from edgekd.report.text import drawn, places, render, render_verdicts, table, text, verdict_lines, without_middle
from tests.report.golden import check_golden
from tests.report.sample import SHIPPED, judged_report, sample_report

replace = msgspec.structs.replace


def _drawn(renderable: object, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_the_whole_report_reads_as_it_should(width: int) -> None:
    """Sentences, tables, verdicts and doubts, cut to the width."""
    check_golden(f"report-{width}.txt", text(judged_report(), width=width))


def test_rich_draws_the_same() -> None:
    """What a terminal shows has every cell of the plain tables, uncut."""
    drawn = _drawn(render(judged_report()), 80)
    check_golden("rich.txt", drawn)
    assert "…" not in drawn


@pytest.mark.parametrize("width", [50, 60, 80, 100, 200])
def test_tables_fit_their_width(width: int) -> None:
    """No line is wider than asked, even with a network of a long name."""
    report = sample_report()
    long = "timm-efficientvit-b2.r288_in1k-and-more"
    artifacts = [replace(each, network=long) if each.role == "teacher" else each for each in report.artifacts]
    lines = table(replace(report, artifacts=artifacts), width=width).splitlines()
    assert max(map(len, lines)) <= width


def test_a_long_name_keeps_its_role_and_precision() -> None:
    """The middle of a name gives way."""
    report = sample_report()
    artifacts = [replace(each, network="x" * 60) for each in report.artifacts]
    assert "teacher/xxxxxxxxx…xxxxxxxxxxxxx/fp32" in table(replace(report, artifacts=artifacts, measurements=[], scores=[]))


def test_percentiles_without_samples_enough_are_not_shown() -> None:
    """With 100 samples there is no p95: the column goes."""
    report = sample_report()
    assert "p95" in table(report)
    short = [replace(each, timing=replace(each.timing, launches=each.timing.launches[:0])) for each in report.measurements]
    assert "p95" not in table(replace(report, measurements=short))
    few = [
        replace(each, timing=replace(each.timing, launches=[replace(launch, rounds=launch.rounds[:1]) for launch in each.timing.launches]))
        for each in report.measurements[:1]
    ]
    mixed = table(replace(report, measurements=[*few, *report.measurements[1:]]), width=200)
    row = next(line for line in mixed.split("On cpu")[1].splitlines() if line.startswith("teacher/resnet56/fp32"))
    assert row.split()[1:6] == ["6.32", "ms", "1.00×", "–", "–"]


def test_an_empty_report_says_so() -> None:
    """A report without artifacts has words and no table."""
    empty = Report(edgekd="0", name="empty", created="")
    assert table(empty) == "Nothing was made yet: this report has no artifacts."
    assert text(empty).strip() == table(empty)


def test_bare_files_are_compared_with_the_first() -> None:
    """`edgekd bench old.onnx new.onnx`: the first file is what the others are measured against."""
    report = sample_report()
    files = [replace(each, role="file", network=name, precision="fp32") for each, name in zip(report.artifacts, ("old", "new"), strict=False)]
    found = table(Report(edgekd="0", name="files", created="", artifacts=files))
    assert "÷: how many times less than file/old/fp32" in found
    assert "1.98×" in found


def test_scores_of_bare_files_speak_of_no_teacher() -> None:
    """Of several, what each keeps is of the first; one alone has nothing to keep."""
    report = sample_report()
    names = ("old", "new")
    files = [replace(each, role="file", network=name, precision="fp32") for each, name in zip(report.artifacts, names, strict=False)]
    scores = [replace(report.scores[0], artifact=file.name) for file in files]
    empty = Report(edgekd="0", name="files", created="")
    said = table(replace(empty, artifacts=files, scores=scores))
    assert "kept: of what file/old/fp32 has" in said
    assert "against the teacher" not in said
    alone = table(replace(empty, artifacts=files[:1], scores=scores[:1]))
    assert "kept" not in alone


def test_verdicts_stand_alone() -> None:
    """What `edgekd check` prints: one paragraph a verdict, with its state in a word."""
    report = judged_report()
    lines = verdict_lines(report.verdicts, width=1000).splitlines()
    assert len(lines) == len(report.verdicts)
    assert lines[0] == f"✓ pass: {SHIPPED} on cpu, size ≤ 332 kB: 331.95 kB; 46 B (0.01 %) to spare."
    assert lines[-1].startswith("– missing, only a warning: ")
    assert lines == _drawn(render_verdicts(report.verdicts), 1000).splitlines()


def test_no_line_ends_between_a_number_and_its_unit() -> None:
    """At any width a unit stays with its number."""
    for width in range(60, 90):
        lines = verdict_lines(judged_report().verdicts, width=width).splitlines()
        assert not any(line.strip().startswith(("%", "kB", "ms", "points")) for line in lines)


def test_wide_characters_take_two_columns() -> None:
    """Tables stay in line and within their width, and so do verdicts; what is drawn over another takes none."""
    name = "猫の認識モデルの第二版"
    report = judged_report()
    artifacts = [replace(report.artifacts[0], role="file", network=name), *report.artifacts[1:]]
    assert places(name) == 22
    assert places("e\u0301a") == 2
    for width in (50, 80):
        lines = table(replace(report, artifacts=artifacts), width=width).splitlines()
        assert max(map(places, lines)) <= width
    columns = [Column("file", [name, "b"]), Column("size", ["1 MB", "20 MB"])]
    first, second = drawn([Table("files", "", columns)]).splitlines()[-2:]
    assert places(first) == places(second) == places(name) + 2 + 5
    verdicts = [replace(verdict, artifact=f"file/{name}/as-is") for verdict in report.verdicts]
    assert max(map(places, verdict_lines(verdicts, width=60).splitlines())) <= 60
    assert places(without_middle(name * 2, 21)) <= 21
    assert without_middle(name * 2, 21).endswith("第二版")

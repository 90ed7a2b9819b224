"""Tests of edgekd/report/runs.py."""

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.errors import UsageError
from edgekd.record import Report
from edgekd.report import markdown, text
from edgekd.report.runs import alike, differences, figure_table, flat, lettered, rows, tables
from tests.report.golden import check_golden
from tests.report.pages import HOSTILE, run_reports
from tests.report.sample import SHIPPED, TEACHER, sample_report

RUNS = lettered(run_reports())
replace = msgspec.structs.replace
leaves = st.text(max_size=5) | st.integers() | st.floats(allow_nan=False) | st.booleans()
recipes = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3), max_leaves=8
)


def test_runs_side_by_side_read_as_they_should() -> None:
    """For a terminal and for Markdown: differences first."""
    check_golden("runs.txt", text.drawn(tables(RUNS)))
    check_golden("runs.md", markdown.drawn(tables(RUNS)))


def test_what_differs_stands_by_its_key() -> None:
    """As `--set` would take it, with a sign where a run does not say it; what is the same is left out."""
    table = differences(RUNS[:2])
    assert [column.head for column in table.columns] == ["key", "A", "B"]
    assert table.columns[0].cells == ["run", "phase.0.temperature", "seed"]
    assert table.columns[1].cells == ["sample", "3.0", "–"]
    assert table.columns[2].cells == [HOSTILE[0], "4.0", "8"]


def test_data_version_and_machine_may_differ_too() -> None:
    """Whatever the recipes say."""
    report = sample_report()
    assert report.data is not None
    other = replace(report, edgekd="0.2.0", data=replace(report.data, sha256="6a" * 32))
    assert differences(lettered([report, other])).columns[0].cells == ["run", "images, sha256", "edgekd"]
    assert differences([RUNS[0], RUNS[3]]).columns[2].cells == ["elsewhere", "Other Two 2000, 2 cores"]


def test_a_long_value_loses_its_middle() -> None:
    """What tells apart is compared before: two that are cut alike still differ."""
    long = [replace(sample_report(), recipe={"data": f"npz:{'a' * 60}{middle}{'b' * 60}"}) for middle in "cd"]
    table = differences(lettered(long))
    assert table.columns[0].cells == ["run", "data"]
    assert table.columns[1].cells[1] == f"npz:{'a' * 15}…{'b' * 20}"


def test_runs_that_are_the_same_say_so() -> None:
    """Nothing stands in the table but their names."""
    table = differences(lettered([sample_report(), sample_report()]))
    assert table.columns[0].cells == ["run"]
    assert table.note == "the recipes are the same, and so are data, version and machine"


@given(recipes)
def test_a_recipe_becomes_flat(recipe: Any) -> None:
    """Each leaf under its key, and nothing that is not set."""
    found = list(flat({"recipe": recipe}))
    assert all(key.startswith("recipe") and isinstance(value, str) for key, value in found)
    assert found or recipe is None


def test_a_list_of_plain_values_is_one_value() -> None:
    """A list of tables is counted."""
    recipe = {"mean": [0.4, 0.5], "phase": [{"epochs": 3, "subset": None}, {"epochs": 1}]}
    assert list(flat(recipe)) == [("mean", "0.4, 0.5"), ("phase.0.epochs", "3"), ("phase.1.epochs", "1")]


def test_files_of_one_name_stand_together() -> None:
    """A row for each file of each run, as the report has them."""
    found = rows(RUNS)
    assert [f"{row.run.letter} {row.artifact.name}" for row in found[:5]] == [f"{run} {TEACHER}" for run in "ABCD"] + ["A teacher/resnet56/fp16"]
    shipped = next(row for row in found if row.run.letter == "B" and row.artifact.name == SHIPPED)
    assert shipped.ships
    assert shipped.values["size_bytes"] == 331_954
    assert shipped.values["params"] == 269_722
    assert "energy_joules" not in shipped.values


def test_numbers_copy_into_a_spreadsheet() -> None:
    """Every cell but a name is a number with a point and a minus that a computer reads, or the sign for none."""
    report = sample_report()
    better = [replace(each, correct=base64.b64encode(b"\xff" * 250).decode()) if each.artifact == SHIPPED else each for each in report.scores]
    table = figure_table(lettered([report, replace(report, scores=better)]))
    assert table is not None
    for column in table.columns[1:]:
        assert all(cell == "–" or isinstance(float(cell), float) for cell in column.cells)
    assert any(cell.startswith("-") for column in table.columns for cell in column.cells)


def test_times_of_other_machines_are_told_apart() -> None:
    """A to C compare, D does not; runs of one machine say nothing."""
    assert [[run.letter for run in group] for group in alike(RUNS)] == [["A", "B", "C"], ["D"]]
    assert "times compare only on one machine: A, B, C; D" in (figure_table(RUNS) or tables(RUNS)[0]).note
    assert "machines" not in (figure_table(RUNS[:3]) or tables(RUNS)[0]).note


def test_a_run_without_files_has_no_figures() -> None:
    """Nothing was exported yet."""
    empty = Report(edgekd="0.1.0", name="empty", created="")
    assert figure_table(lettered([empty, empty])) is None
    assert len(tables(lettered([empty, empty]))) == 1


def test_there_are_as_many_runs_as_letters() -> None:
    """The message names both numbers and the remedy."""
    report = sample_report()
    assert [run.letter for run in lettered([report] * 26)][-1] == "Z"
    with pytest.raises(UsageError, match=r"at most 26 runs stand side by side, got 27\. Name fewer\."):
        lettered([report] * 27)

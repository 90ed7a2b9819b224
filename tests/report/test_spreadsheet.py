"""Tests of edgekd/report/spreadsheet.py."""

import csv
import io

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekd import stats
from edgekd.report.runs import QUANTITIES, lettered
from edgekd.report.spreadsheet import HEADS, inert, sheet
from tests.report.pages import HOSTILE, run_reports
from tests.report.sample import SHIPPED, sample_report

replace = msgspec.structs.replace


def _read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_number_is_the_reports_own() -> None:
    """Unrounded, under a heading that names its unit; what is not known is empty."""
    report = sample_report()
    found = _read(sheet(lettered([report])))
    (row,) = [each for each in found if (each["role"], each["network"], each["precision"]) == tuple(SHIPPED.split("/"))]
    score = report.score(SHIPPED)
    assert score is not None
    (timed,) = [each for each in report.measurements if each.artifact == SHIPPED]
    assert list(row) == [*HEADS, *(quantity.key for quantity in QUANTITIES)]
    assert row["size_bytes"] == "331954"
    assert float(row["accuracy"]) == score.metrics["accuracy"].value
    assert float(row["latency_p50_ms"]) == pytest.approx(stats.median(timed.timing.samples))
    assert (row["ships"], row["target"], row["energy_joules"]) == ("yes", "cpu", "")


def test_a_row_for_each_file_of_each_run() -> None:
    """In the order of the tables."""
    found = _read(sheet(lettered(run_reports())))
    assert len(found) == 4 * 6
    assert [row["run"] for row in found[:4]] == ["A", "B", "C", "D"]


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=30) | st.sampled_from(HOSTILE))
def test_any_name_reads_back(name: str) -> None:
    """Commas, quotes and line ends stay within their cell."""
    row = _read(sheet(lettered([replace(sample_report(), name=name)])))[0]
    assert row["name"] in (name, f"'{name}")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@sum", "\t=1", "\r=1"])
def test_no_name_is_computed(name: str) -> None:
    """A spreadsheet takes it for text."""
    assert inert(name) == f"'{name}"
    assert inert(f"a{name}") == f"a{name}"

"""report/floors.py: computed floors stand beside measurements under their own heading, and by themselves where nothing was measured."""

import msgspec

from edgekd import stats
from edgekd.measurements import Floor
from edgekd.record import Report
from edgekd.report import floors
from edgekd.report.columns import tables
from edgekd.report.text import text
from tests.report.sample import SHIPPED, TEACHER, sample_report

replace = msgspec.structs.replace


def with_floors(*floors: tuple[str, str, float, int]) -> Report:
    """The sample with floors (artifact, target, ms, batch)."""
    made = [Floor(artifact=name, target=where, ms=ms, by="memory", batch=batch, source="a data sheet") for name, where, ms, batch in floors]
    return replace(sample_report(), floors=made)


def cells(report: Report, title: str) -> dict[str, list[str]]:
    """A table's cells by heading."""
    (table,) = [table for table in tables(report) if table.title == title]
    return {column.head: column.cells for column in table.columns}


def test_beside_what_was_measured() -> None:
    """The floor and the part of the median that it is; a floor of another batch says nothing here."""
    report = with_floors((TEACHER, "cpu", 3.1, 1), (SHIPPED, "cpu", 0.1, 8))
    found = cells(report, "Further times on cpu")
    median = next(stats.median(each.timing.samples) for each in report.measurements if each.artifact == TEACHER)
    assert found["computed floor"][0] == "3.10 ms"
    assert found["reached"][0] == f"{310 / median:.1f} %"
    assert set(found["computed floor"][1:]) == set(found["reached"][1:]) == {"–"}


def test_where_nothing_was_measured() -> None:
    """A table of its own, a column a target, which says that it is computed; never a column of measurements."""
    report = with_floors((TEACHER, "l4", 0.25, 1), (SHIPPED, "l4", 0.0625, 1), (SHIPPED, "a100", 0.01, 1), (TEACHER, "cpu", 3.1, 1))
    found = cells(report, "At best, computed")
    assert found["artifact"] == [TEACHER, f"{SHIPPED} *"]
    assert found["l4"] == ["250 µs", "62.5 µs"]
    assert found["a100"] == ["–", "10.0 µs"]
    assert "cpu" not in found
    note = floors.unmeasured(report).note
    assert note.startswith("nothing was measured there")
    assert "a data sheet" in note
    assert max(map(len, text(report, width=80).splitlines())) <= 80


def test_a_report_without_floors_has_neither() -> None:
    """As older ones."""
    report = sample_report()
    assert "At best, computed" not in [table.title for table in tables(report)]
    assert "computed floor" not in cells(report, "Further times on cpu")

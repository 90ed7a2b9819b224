"""Tests of edgekd/report/rows.py."""

import msgspec
import pytest

from edgekd import stats, timings, units
from edgekd.measurements import Launch
from edgekd.record import Report
from edgekd.report.rows import energies, losses, sizes, spreads
from tests.report.pages import Page
from tests.report.sample import SHIPPED, sample_report

REPORT = sample_report()
EMPTY = Report(edgekd="0", name="empty", created="")
replace = msgspec.structs.replace


def _bars(page: Page) -> list[float]:
    return [float((bar["width"] or "").rstrip("%")) for bar in page.named("rect") if (bar.get("class") or "").startswith("bar")]


def test_bars_are_as_long_as_files_are_large() -> None:
    """From 0, on one axis, beside their numbers."""
    page = Page(sizes(REPORT))
    bars = _bars(page)
    assert [bar / bars[0] for bar in bars] == pytest.approx([each.size / REPORT.artifacts[0].size for each in REPORT.artifacts], abs=1e-3)
    assert page.inside("td")[:2] == ["3.44 MB", "1.00×"]
    assert page.inside("title") == [f"{each.name}: {units.bytes_text(each.size)}" for each in REPORT.artifacts]


def test_a_network_is_named_once_above_its_files() -> None:
    """Rows are precisions; the one that ships says so."""
    page = Page(sizes(REPORT))
    assert page.inside("bdi") == ["resnet56", "resnet20"]
    assert [heading for heading in page.named("th") if heading["scope"] == "rowgroup"] == [{"scope": "rowgroup", "colspan": "4"}] * 2
    assert page.inside("span").count("ships") == 1


def test_energy_is_drawn_where_it_was_measured() -> None:
    """And there is no table where it was not."""
    measured = [replace(each, energy=0.002 * number) for number, each in enumerate(REPORT.measurements, 1)]
    page = Page(energies(replace(REPORT, measurements=measured), "cpu"))
    assert page.inside("td") == ["2.00 mJ", "4.00 mJ", "6.00 mJ", "8.00 mJ", "10.0 mJ", "12.0 mJ"]
    assert energies(REPORT, "cpu") == ""


def test_losses_are_those_of_the_report() -> None:
    """With interval and newly wrong images, the teacher's own file left out of nothing that was scored."""
    page = Page(losses(REPORT))
    score = REPORT.score(SHIPPED)
    assert score is not None
    drop = score.against["accuracy_drop"]
    assert f"{SHIPPED}: 1.4 points lost, 95 % interval 0.7 to 2.1" in page.inside("title")
    assert (round(drop.value, 3), round(drop.low, 3), round(drop.high, 3)) == (0.014, 0.007, 0.021)
    assert page.inside("td")[-2:] == ["1.4", units.percent_text(score.against["flips"].value)]


def test_a_spread_has_both_percentiles_of_the_report() -> None:
    """As text beside each curve, with the interval beneath."""
    page = Page(spreads(REPORT, "cpu"))
    timing = REPORT.measurements[-1].timing
    low, high = timings.median_interval([launch.rounds for launch in timing.launches])[1:]
    p95 = stats.percentile(timing.samples, 95)
    assert page.inside("td")[-2:] == [units.ms_text(stats.median(timing.samples)), units.ms_text(p95)]
    assert page.inside("small")[-2].replace("\u00a0", " ") == units.span_text(units.ms_text(low), units.ms_text(high))
    assert len(page.named("polyline")) == len(REPORT.measurements)
    assert "480 samples a file." in page.inside("p")[-1]


def test_a_percentile_without_samples_enough_is_not_drawn() -> None:
    """The cell is empty, and the words say so."""
    few = [
        replace(each, timing=replace(each.timing, launches=[Launch(load_ms=1, first_ms=1, rounds=[[1.0, 1.1, 1.3]])])) for each in REPORT.measurements
    ]
    page = Page(spreads(replace(REPORT, measurements=few), "cpu"))
    assert all(text.endswith("p95 not known") for text in page.inside("title"))
    assert len([dot for dot in page.named("circle") if dot["r"] == "3"]) == len(few)


def test_an_instant_file_does_not_stop_the_page() -> None:
    """A clock that saw no time pass leaves nothing to draw."""
    none = [replace(each, timing=replace(each.timing, launches=[Launch(load_ms=1, first_ms=1, rounds=[[0.0]])])) for each in REPORT.measurements]
    assert spreads(replace(REPORT, measurements=none), "cpu") == ""


def test_an_empty_report_has_no_rows() -> None:
    """Nothing is drawn of nothing."""
    assert (sizes(EMPTY), losses(EMPTY), spreads(EMPTY, "cpu"), energies(EMPTY, "cpu")) == ("", "", "", "")

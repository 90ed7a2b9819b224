"""Tests of edgekd/report/sustained.py: what load came to, in words and drawn."""

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekd.measurements import Moment
from edgekd.record import Report
from edgekd.report.sustained import change, sentences, sustained
from tests.report.pages import Page, bare_report, drawn_report
from tests.report.sample import SHIPPED, sample_report

replace = msgspec.structs.replace


def moments(*ms: float, every_s: float = 1.0) -> list[Moment]:
    """One after another."""
    return [Moment(when="during", at_s=every_s * (number + 1), ms=value, inferences=9) for number, value in enumerate(ms)]


def loaded(found: list[Moment], **other: object) -> Report:
    """The sample whose shipped file went through this."""
    report = sample_report()
    return replace(report, measurements=[replace(each, sustained=found, **other) for each in report.measurements if each.artifact == SHIPPED])


def steady(n: int, seed: int) -> list[float]:
    """1 ms with 1 % of noise."""
    draw = random.Random(seed)
    return [draw.gauss(1.0, 0.01) for _ in range(n)]


def test_a_machine_that_grows_hot_is_told_in_words() -> None:
    """How much slower, with its interval; clock, temperature, and in how many moments it was slowed."""
    assert sentences(drawn_report()) == [
        f"{SHIPPED} on cpu: in 1 min of sustained load the last 10 s were 20.0 % slower than the first (95 % interval 19.8 to 20.1 %); "
        "the clock went from 3400 to 2800 MHz; the temperature went from 45.5 to 75.0 °C; "
        "the processor was slowed for its heat in 1 of 60 moments."
    ]


def test_noise_is_called_noise() -> None:
    """Whatever the seed, and what the machine keeps to itself is said."""
    for seed in range(5):
        (sentence,) = sentences(loaded(moments(*steady(60, seed)), untold="the machine tells no clock"))
        assert "latency did not change beyond noise: the last 10 s against the first" in sentence
        assert sentence.endswith("; the machine tells no clock.")


def test_a_file_that_grows_faster() -> None:
    """As when the first seconds were another program's."""
    (sentence,) = sentences(loaded(moments(*[2.0] * 10, *[1.0] * 20), fps=30.0))
    assert (
        "in 30 s of sustained load at 30 images a second the last 10 s were 50.0 % faster than the first (95 % interval 50.0 to 50.0 %)" in sentence
    )


def test_a_short_load_compares_thirds() -> None:
    """And a single moment, compared with itself, tells nothing."""
    assert "the last 1.0 s were 100.0 % slower" in sentences(loaded(moments(*[1.0] * 10, *[1.5] * 10, *[2.0] * 10, every_s=0.1)))[0]
    assert change(moments(3.0)) == (1.0, 0.0, float("inf"))
    assert "too little was seen to tell whether it changed: the last 1.0 s against the first 0.0 %" in sentences(loaded(moments(3.0, 3.0, 3.0)))[0]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=80), st.floats(0.05, 20))
def test_a_change_lies_in_its_interval(ms: list[float], every_s: float) -> None:
    """However the moments fall, and whatever is drawn of them is a page."""
    found = moments(*ms, every_s=every_s)
    value, low, high = change(found)
    assert 0 <= low <= value <= high
    ((_, picture),) = sustained(loaded(found))
    Page(picture)


def test_every_quantity_has_its_panel() -> None:
    """Latency, clock and temperature on one axis of seconds, whose numbers stand under the last; every third moment is listed."""
    ((name, picture),) = sustained(drawn_report())
    assert name == SHIPPED
    page = Page(picture)
    titles = ["median latency", "clock of the fastest core, MHz", "hottest sensor, °C"]
    assert [title for title in page.inside("title") if title.endswith(SHIPPED)] == [f"{title}: {SHIPPED}" for title in titles]
    assert page.inside("desc") == [
        "from 1.00 ms to 1.20 ms, at least 1 ms, at most 1.20 ms",
        "from 3400 to 2800, at least 2800, at most 3400",
        "from 45.5 to 75.0, at least 45.5, at most 75.0",
    ]
    assert page.inside("text").count("seconds of load") == 1
    assert len([True for attributes in page.named("th") if attributes.get("scope") == "row"]) == 20


def test_a_machine_that_tells_nothing_has_one_panel() -> None:
    """That of latency."""
    ((_, picture),) = sustained(loaded(moments(*steady(30, 0))))
    assert len([attributes for attributes in Page(picture).named("svg") if attributes.get("role") == "img"]) == 1


def test_a_long_load_is_thinned() -> None:
    """An hour is drawn in some hundred points and listed in some rows, and the page says what is left out."""
    ((_, picture),) = sustained(loaded(moments(*steady(3600, 0))))
    assert len(picture) < 40_000
    assert "3576 moments between them stand in report.json." in picture


@pytest.mark.parametrize("report", [sample_report(), bare_report(), loaded([]), loaded(moments(0.0, -1.0))])
def test_no_load_no_picture(report: Report) -> None:
    """As in reports from before it was kept, and where a moment holds no time."""
    assert sustained(report) == []
    assert sentences(report) == []


def test_several_targets_are_told_apart() -> None:
    """By their names."""
    report = drawn_report()
    twice = [*report.measurements, *(replace(each, target="pi") for each in report.measurements)]
    assert [name for name, _ in sustained(replace(report, measurements=twice))] == [f"{SHIPPED} on cpu", f"{SHIPPED} on pi"]

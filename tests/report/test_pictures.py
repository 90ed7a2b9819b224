"""Tests of edgekd/report/pictures.py."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from edgekd import stats, units
from edgekd.record import Report
from edgekd.report.pictures import Point, against_latency, front, short
from tests.report.pages import Page, large_report
from tests.report.sample import SHIPPED, TEACHER, sample_report

REPORT = sample_report()
PAGE = Page(against_latency(REPORT, "cpu"))


def _points(places: list[tuple[float, float]]) -> list[Point]:
    return [Point(REPORT.artifacts[0], ms, accuracy) for ms, accuracy in places]


def test_every_file_stands_where_the_report_has_it() -> None:
    """A mark for each, which says its median and its accuracy."""
    said = PAGE.inside("title")[1:]
    for measurement in REPORT.measurements:
        score = REPORT.score(measurement.artifact)
        assert score is not None
        median = units.ms_text(stats.median(measurement.timing.samples))
        assert f"{measurement.artifact}: {median}, {units.percent_text(score.metrics['accuracy'].value)}" in said
    assert len(said) == len(REPORT.artifacts)


def test_faster_is_further_left_and_more_accurate_further_up() -> None:
    """The shipped file beside the teacher's."""
    marks = [attributes for attributes in PAGE.named("svg") if attributes.get("class") == "at"]
    places = {text.split(":")[0]: mark for text, mark in zip(PAGE.inside("title")[1:], marks, strict=False)}
    shipped, teacher = places[SHIPPED], places[TEACHER]
    assert float((shipped["x"] or "").rstrip("%")) < float((teacher["x"] or "").rstrip("%"))
    assert float((shipped["y"] or "").rstrip("%")) > float((teacher["y"] or "").rstrip("%"))


def test_it_says_in_words_what_it_shows() -> None:
    """A role, a title, and the front in its description."""
    assert PAGE.named("svg")[0]["role"] == "img"
    assert PAGE.inside("title")[0] == "Accuracy against latency on cpu"
    assert SHIPPED in PAGE.inside("desc")[0]


def test_what_ships_has_a_ring_and_a_name() -> None:
    """One mark, and a key that says what the ring is."""
    assert [circle["r"] for circle in PAGE.named("circle") if circle.get("class") == "ring"] == ["11", "7"]
    assert "resnet20 int8-cpu" in PAGE.inside("text")


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0, 1)), min_size=1, max_size=20))
def test_nothing_beats_the_front(places: list[tuple[float, float]]) -> None:
    """Every point is on it, or some point of it is as fast and as accurate."""
    points = _points(places)
    best = front(points)
    for point in points:
        assert any(one.ms <= point.ms and one.accuracy >= point.accuracy for one in best)
    assert [one.ms for one in best] == sorted(one.ms for one in best)
    assert [one.accuracy for one in best] == sorted({one.accuracy for one in best})


def test_of_equal_files_one_stands_on_the_front() -> None:
    """And the slower of two that are as accurate does not."""
    assert front(_points([(1.0, 0.9), (1.0, 0.9), (2.0, 0.9), (2.0, 0.8)])) == _points([(1.0, 0.9)])


def test_one_file_is_no_picture() -> None:
    """Nor is a target that nothing was measured on."""
    one = msgspec.structs.replace(REPORT, artifacts=REPORT.artifacts[:1])
    assert against_latency(one, "cpu") == ""
    assert against_latency(REPORT, "gpu") == ""
    assert against_latency(Report(edgekd="0", name="empty", created=""), "cpu") == ""


def test_fifty_files_are_all_marked_and_few_are_named() -> None:
    """Names stand only where they do not cover each other or a mark."""
    page = Page(against_latency(large_report(), "cpu"))
    assert len(page.inside("title")) == 1 + len(large_report().artifacts)
    assert len([text for text in page.named("text") if text.get("class") == "label"]) < 10


def test_a_long_name_loses_its_middle() -> None:
    """Both ends say what it is."""
    assert short("a" * 20 + "b" * 20, 10) == "aaaa…bbbbb"
    assert short("short", 10) == "short"

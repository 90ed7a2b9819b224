"""Tests of edgekd/report/disagreements.py."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from edgekd.report.disagreements import disagreements, fitting
from edgekd.scores import Disagreement
from tests.report.pages import DOT, Page, drawn_report
from tests.report.sample import SHIPPED, sample_report

replace = msgspec.structs.replace


def _differing(*sizes: int) -> list[Disagreement]:
    return [
        Disagreement(index=place, label="cat", teacher="cat", student="dog", teacher_probability=0.9, student_probability=0.8, png="A" * size)
        for place, size in enumerate(sizes)
    ]


def test_an_image_says_what_it_is_and_who_said_what() -> None:
    """The picture itself, words for who cannot see it, both answers, and which is right, for eyes and ears."""
    ((name, drawn),) = disagreements(drawn_report())
    page = Page(drawn)
    assert name == SHIPPED
    first = page.named("img")[0]
    assert first["src"] == f"data:image/png;base64,{DOT}"
    assert first["alt"] == "Test image 4, cat"
    assert page.inside("bdi")[:3] == ["cat", "cat", "dog"]
    assert page.inside("span")[:8] == ["teacher ", "✓", " ", ", 90\u00a0%", "student ", "✗", " ", ", 76\u00a0%"]
    assert [attributes["aria-label"] for attributes in page.named("span") if "aria-label" in attributes][:2] == ["right", "wrong"]


@given(st.lists(st.integers(0, 1000), max_size=30), st.integers(0, 10_000))
def test_no_more_bytes_than_allowed(sizes: list[int], most: int) -> None:
    """The first ones, as many as fit."""
    found = _differing(*sizes)
    drawn = fitting(found, most)
    assert list(drawn) == found[: len(drawn)]
    assert sum(len(each.png) for each in drawn) <= most
    assert len(drawn) == len(found) or sum(sizes[: len(drawn) + 1]) > most


def test_large_images_are_counted_where_they_do_not_fit() -> None:
    """A page stays small whatever its report holds."""
    report = drawn_report()
    large = replace(report, scores=[replace(each, disagreements=_differing(*[100_000] * 24)) for each in report.scores])
    page = Page(disagreements(large)[0][1])
    assert len(page.named("img")) == 4
    assert page.inside("p") == ["20 more stand in report.json."]


def test_where_all_agree_nothing_is_shown() -> None:
    """As in a report that holds no images."""
    assert disagreements(sample_report()) == []

"""Tests of edgekd/report/markup.py."""

from hypothesis import given
from hypothesis import strategies as st

from edgekd.report.markup import clean, folded, grid, name, percent, plain, tag
from tests.report.pages import HOSTILE, Page

NAMES = st.text() | st.sampled_from(HOSTILE)


@given(NAMES)
def test_text_reads_back_as_it_was_written(text: str) -> None:
    """Whatever it holds, it is text and no element."""
    page = Page(tag("p", plain(text)))
    assert [kind for kind, _ in page.elements] == ["p"]
    assert "".join(page.inside("p")) == clean(text)


@given(NAMES)
def test_an_attribute_reads_back_as_it_was_written(text: str) -> None:
    """It ends where it should."""
    (attributes,) = Page(tag("p", aria_label=text)).named("p")
    assert attributes == {"aria-label": clean(text)}


@given(NAMES)
def test_a_page_of_any_text_can_be_written(text: str) -> None:
    """Halves of pairs, control characters and marks of direction are replaced."""
    shown = clean(text + "\ud800\x00\u202e")
    assert shown.endswith("\ufffd" * 3)
    shown.encode()


def test_a_name_keeps_its_direction_to_itself() -> None:
    """Right-to-left names do not turn what stands after them."""
    assert name("قطة") == "<bdi>قطة</bdi>"


def test_attributes_are_named_as_in_html() -> None:
    """Underscores become hyphens, None leaves out, numbers are short."""
    assert tag("rect", class_="a", stroke_width=2.0, x=1 / 3, y=None) == '<rect class="a" stroke-width="2" x="0.33"></rect>'


def test_places_are_shares_of_a_frame() -> None:
    """With two decimals at the most."""
    assert [percent(share) for share in (0, 0.5, 1 / 3, 1)] == ["0%", "50%", "33.33%", "100%"]


def test_a_table_has_headings_of_both_kinds() -> None:
    """A caption, a scope on each heading, and a frame that the keyboard reaches."""
    page = Page(grid("Files", ["file", "size"], [[plain("a"), plain("1 kB")]], note="all of it"))
    assert [heading["scope"] for heading in page.named("th")] == ["col", "col", "row"]
    assert page.inside("caption", "td", "p") == ["Files", "1 kB", "all of it"]
    assert page.named("div")[0]["tabindex"] == "0"


def test_nothing_folds_into_nothing() -> None:
    """No empty element that opens."""
    assert folded("more", plain("")) == ""

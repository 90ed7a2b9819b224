"""Tests of edgekd/report/steadiness.py: the lines of accuracy under corruption and FGSM, as a document and in a browser."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edgekd.report.html import html
from edgekd.report.steadiness import steadiness
from tests.needs import need_tool
from tests.report.chromium import Browser, chromium
from tests.report.pages import HOSTILE, Page, drawn_report
from tests.report.steady import KINDS, steady_report
from tests.report.test_browser import BLANK, FAINT, OUTSIDE, WIDTHS

replace = msgspec.structs.replace
((NAME, PICTURE),) = steadiness(steady_report())
PAGE = Page(PICTURE)


def test_a_student_has_a_picture_for_each_family_and_two_of_fgsm() -> None:
    """Each says in words where its lines begin and end."""
    assert NAME == "resnet20"
    families = [f"accuracy under {family}" for family in ("noise", "blur", "weather", "digital")]
    assert PAGE.inside("title") == [*families, "accuracy moved along their own gradients", "accuracy moved along the teacher's"]
    told = PAGE.inside("desc")
    assert told[0] == "teacher from 93.0 % to 82.9 %; student from 92.0 % to 76.9 %; alone from 90.0 % to 64.9 %"
    assert told[5] == "student from 92.0 % to 80.0 %; alone from 90.0 % to 70.0 %"


def test_lines_fall_from_the_clean_images() -> None:
    """Six points a line of severities, five of FGSM, each lower than the one before; in the colours of their roles."""
    lines = [(attributes["class"], attributes["points"]) for attributes in PAGE.named("polyline")]
    assert [kind for kind, _ in lines[:3]] == ["line teacher", "line student", "line alone"]
    counts = []
    for _, points in lines:
        tops = [float(place.split(",")[1]) for place in (points or "").split()]
        counts.append(len(tops))
        assert tops == sorted(tops)
    assert counts == [6] * 12 + [5] * 5


def test_the_numbers_stand_beside_the_pictures() -> None:
    """A row a corruption, a column a network and severity."""
    heads, cells = PAGE.inside("th"), PAGE.inside("td")
    assert heads[:3] == ["corruption", "teacher, severity 1", "teacher, severity 2"]
    assert [head for head in heads if head in KINDS] == KINDS
    assert len(cells) == len(KINDS) * 15
    assert cells[0] == "91.0 %"


def test_a_teacher_alone_has_its_picture() -> None:
    """Where a run has no student."""
    report = steady_report()
    assert report.robustness is not None
    only = replace(report, robustness=replace(report.robustness, networks=report.robustness.networks[:1]))
    assert [name for name, _ in steadiness(only)] == ["resnet56"]


def test_the_page_has_the_section_where_it_was_measured() -> None:
    """And not elsewhere."""
    assert "What the student inherits" in Page(html(steady_report())).inside("h2")
    assert "What the student inherits" not in Page(html(drawn_report())).inside("h2")
    assert steadiness(drawn_report()) == []


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium."""
    with chromium(need_tool("chromium", "chromium-browser", "google-chrome"), tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_is_laid_out_at_every_width(browser: Browser, tmp_path: Path, width: int, scheme: str) -> None:
    """Nothing sticks out, is empty or is too faint to read, and nothing is said on the console; also with hostile names."""
    report = steady_report()
    assert report.robustness is not None
    hostile = [replace(each, name=f"{each.role}/{HOSTILE[0]}{HOSTILE[5]}") for each in report.robustness.networks]
    for number, shown in enumerate((report, replace(report, robustness=replace(report.robustness, networks=hostile)))):
        page = tmp_path / f"{number}.html"
        page.write_text(html(shown), encoding="utf-8")
        browser.open(page, width=width, scheme=scheme)
        assert browser.value(BLANK) == 0
        assert browser.value(OUTSIDE) == []
        assert browser.value(FAINT) == []
        assert browser.errors == []

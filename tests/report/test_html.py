"""Tests of edgekd/report/html.py: the page as a document. What a browser makes of it is test_browser's."""

import base64
import hashlib
import re
import subprocess
import sys
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekd.record import Report
from edgekd.report.html import html
from edgekd.reportfile import read_report
from tests.needs import ROOT
from tests.report.golden import check_golden
from tests.report.pages import HOSTILE, Page, bare_report, drawn_report, hostile_report, large_report

TEXT = html(drawn_report())
PAGE = Page(TEXT)
REPORTS = {
    "drawn": drawn_report(),
    "large": large_report(),
    "hostile": hostile_report(),
    "bare": bare_report(),
    "empty": Report(edgekd="0.1.0", name="empty", created=""),
    "golden": read_report(ROOT / "tests" / "golden" / "report-v1.json"),
}
replace = msgspec.structs.replace


def test_the_page_reads_as_it_should() -> None:
    """Its text from top to bottom, as a reader without eyes hears it."""
    shown = [" ".join(text.split()) for tag, text in PAGE.texts if tag != "style"]
    check_golden("report.html.txt", "\n".join(text for text in shown if text) + "\n")


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_a_page_is_complete_in_itself(report: Report) -> None:
    """No script, no address to load from, no style but the one whose hash its policy names."""
    page = Page(html(report))
    assert not {"script", "iframe", "object", "base", "form", "image", "use", "foreignObject"} & {kind for kind, _ in page.elements}
    assert [attributes for attributes in page.named("link")] == [{"rel": "icon", "href": "data:,"}]
    assert not [
        name
        for kind, attributes in page.elements
        for name in attributes
        if name == "style" or (name == "src" and kind != "img") or (name == "href" and kind != "link") or name.startswith("on")
    ]
    assert all((image["src"] or "").startswith("data:image/png;base64,") and image["alt"] for image in page.named("img"))
    (style,) = page.inside("style")
    assert "url(" not in style
    assert "@import" not in style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = next(meta["content"] for meta in page.named("meta") if "http-equiv" in meta)
    assert policy is not None
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_a_page_can_be_heard_and_reached(report: Report) -> None:
    """A language and a title, headings in order, pictures and tables with names, headings with a scope, scrolling frames for the keyboard."""
    page = Page(html(report))
    assert page.named("html") == [{"lang": "en"}]
    assert len([kind for kind, _ in page.elements if kind == "h1"]) == 1
    levels = [int(kind[1]) for kind, _ in page.elements if re.fullmatch("h[1-6]", kind)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(heading.get("scope") in ("col", "row", "rowgroup") for heading in page.named("th"))
    assert len(page.named("caption")) == len(page.named("table"))
    pictures = [number for number, (kind, attributes) in enumerate(page.elements) if kind == "svg" and attributes.get("role") == "img"]
    assert all(page.elements[number + 1][0] == "title" for number in pictures)
    assert all(frame["tabindex"] == "0" and frame["aria-label"] for frame in page.named("div") if frame.get("class") == "scroll")


def test_the_answer_stands_before_the_pictures() -> None:
    """Sentences, figures, limits and doubts; then pictures; then everything."""
    titles = PAGE.inside("h2")
    assert titles[0].startswith("Limits: 1 over")
    assert titles[1:] == [
        "3 doubts",
        "Accuracy against latency",
        "What it costs",
        "How steady it runs",
        "How it holds under load",
        "How it was taught",
        "Class by class",
        "What it mixes up",
        "Where it differs from its teacher",
        "How sure it is",
        "Where the bytes and the time are",
        "All figures",
        "How to repeat it",
    ]


def test_several_targets_have_a_picture_each() -> None:
    """Under headings that name them."""
    report = drawn_report()
    twice = [*report.measurements, *(replace(each, target="pi") for each in report.measurements)]
    titles = Page(html(replace(report, measurements=twice))).inside("h2")
    assert titles.count("Accuracy against latency on cpu") == titles.count("Accuracy against latency on pi") == 1


def test_an_empty_report_is_a_page() -> None:
    """It says that nothing was judged, and how it was made."""
    page = Page(html(Report(edgekd="0.1.0", name="empty", created="2026-11-20T12:00:00Z", notes=["no data yet"])))
    assert page.inside("h2") == ["How to repeat it"]
    assert "empty" in page.inside("bdi")
    assert "no data yet" in page.inside("li")


def test_fifty_files_stay_small() -> None:
    """Under 1.5 MB, with 240 epochs of seventeen networks."""
    assert len(large_report().artifacts) > 50
    assert len(html(large_report()).encode()) < 1_500_000


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=300) | st.sampled_from(HOSTILE))
def test_no_name_makes_an_element(name: str) -> None:
    """Whatever run, classes, phases and doubts are called, the page has the same elements."""
    called, plain = (Page(html(_called(each))) for each in (name, "name"))
    assert [kind for kind, _ in called.elements] == [kind for kind, _ in plain.elements]


def _called(name: str) -> Report:
    """Run, classes, phases, notes and doubts begin with a name."""
    report = drawn_report()
    curves = {each.role: [replace(point, phase=f"{name}{point.phase}") for point in each.training.curve] for each in report.networks}
    return replace(
        report,
        name=name,
        networks=[replace(each, training=replace(each.training, curve=curves[each.role])) for each in report.networks],
        scores=[replace(each, recall={f"{name}{label}": metric for label, metric in each.recall.items()}) for each in report.scores],
        doubts=[name],
        notes=[name],
    )


def test_a_page_needs_no_slow_import() -> None:
    """It is made where reports are read: no torch, NumPy or drawing library, and no Rich."""
    code = "import sys, edgekd.report.html; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"torch", "torchvision", "numpy", "onnx", "onnxruntime", "matplotlib", "rich"} & set(loaded)

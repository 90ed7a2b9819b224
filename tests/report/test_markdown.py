"""Tests of edgekd/report/markdown.py."""

import sys

import msgspec

from edgekd.recipefile import decode_recipe
from edgekd.record import Report
from edgekd.report.markdown import markdown
from tests.report.golden import check_golden
from tests.report.sample import judged_report, sample_report

replace = msgspec.structs.replace


def test_the_page_reads_as_it_should() -> None:
    """Headline, tables, limits, doubts, and how to repeat it."""
    check_golden("report.md", markdown(judged_report()))


def test_what_a_user_chose_is_drawn_as_written() -> None:
    """Names with pipes, markup and HTML break no table and make no elements."""
    report = sample_report()
    artifacts = [replace(each, network="a|b_<img>") for each in report.artifacts]
    page = markdown(replace(report, name="x\ny", artifacts=artifacts))
    assert "| teacher/a\\|b\\_&lt;img&gt;/fp32 |" in page
    assert "<img>" not in page
    assert page.startswith("# x y\n")


def test_the_recipe_can_be_run_again() -> None:
    """What stands between the fences reads back as a recipe, without the keys that have no value."""
    report = replace(sample_report(), recipe={**sample_report().recipe, "teacher": None})
    block = markdown(report).split("````toml\n")[1].split("\n````")[0]
    assert decode_recipe(block).on == {"cpu": "local"}


def test_an_empty_report_still_says_how_it_was_made() -> None:
    """A report of nothing has a name and a version."""
    page = markdown(Report(edgekd="0.1.0", name="empty", created="2026-11-20T12:00:00Z", notes=["no data yet"]))
    assert page == "# empty\n\n## Notes\n\n- no data yet\n\n## How to repeat it\n\n- edgekd 0.1.0, seed 0, 2026-11-20T12:00:00Z\n"


def test_a_page_needs_no_slow_import() -> None:
    """Reports are read in CI: neither torch nor numpy is asked for."""
    import subprocess

    code = "import sys, edgekd.budget, edgekd.report.text, edgekd.report.markdown, edgekd.report.junit; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"torch", "torchvision", "numpy", "onnx", "onnxruntime", "matplotlib", "rich"} & set(loaded)

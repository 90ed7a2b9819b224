"""assert_within, for people whose CI is pytest."""

from pathlib import Path

import pytest

from edgekd.errors import RecipeError
from edgekd.reportfile import encode_report
from edgekd.testing import assert_within
from tests.report.sample import SHIPPED, sample_report
from tests.toys import brightness


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A run's report on disk."""
    file = tmp_path / "report.json"
    file.write_bytes(encode_report(sample_report()))
    return file


def test_what_holds_says_nothing(report: Path) -> None:
    """A student within its limits passes."""
    assert_within(report, artifact=SHIPPED, target="cpu", size="400 kB", params="300k")


def test_what_does_not_hold_raises_with_the_verdicts(report: Path) -> None:
    """The assertion's text holds what broke and by how much, and not what held."""
    with pytest.raises(AssertionError) as caught:
        assert_within(report, artifact=SHIPPED, target="cpu", size="300 kB", params="300k")
    assert "size ≤ 300 kB: over" in str(caught.value)
    assert "params" not in str(caught.value)


def test_no_limit_at_all_is_no_pass(report: Path) -> None:
    """A gate that checks nothing does not pass."""
    with pytest.raises(AssertionError, match="missing"):
        assert_within(report)


def test_a_misspelt_quantity_is_named(report: Path) -> None:
    """With the nearest known one."""
    with pytest.raises(RecipeError, match="did you mean 'size'"):
        assert_within(report, sise="4 MB")


def test_what_may_occur_in_a_bare_file(tmp_path: Path) -> None:
    """Operators as a list, layers by precision as a table; growth over a file of its own."""
    old, new = brightness(tmp_path / "old.onnx", {}), brightness(tmp_path / "new.onnx")
    assert_within(new, size="4 MB", params=34, operators=["Gemm", "Flatten"], layers={"fp32": 1}, growth={"size": "500 %"}, baseline=old)
    with pytest.raises(AssertionError, match=r"Not among them: Flatten \(1\)"):
        assert_within(new, operators=["Gemm"])
    with pytest.raises(AssertionError, match=r"growth\.size ≤ 1 %: over: "):
        assert_within(new, growth={"size": "1 %"}, baseline=old)

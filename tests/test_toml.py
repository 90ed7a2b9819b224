"""TOML: the one place where it is read."""

import re
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from edgekd.errors import RecipeError
from edgekd.toml import decode
from tests.needs import ROOT

plain = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), plain, max_size=4))
def test_what_was_written_reads_back(table: dict[str, object]) -> None:
    """As text and as bytes."""
    text = tomli_w.dumps(table)
    assert decode(text, "x") == decode(text.encode(), "x") == table


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("size: 4 MB", "b.toml is not TOML: "),
        (b"size = \xff", "b.toml is not UTF-8 text: invalid start byte at byte 7."),
        ("a = " + "[" * 100_000, "b.toml is not TOML that can be read: it is nested too deep"),
        ("a = " + "1" * 10_000, "b.toml is not TOML: "),
        ("a = 1\na = 2", "b.toml is not TOML: "),
    ],
)
def test_what_does_not_read_is_named(data: str | bytes, said: str) -> None:
    """By its file, whatever is wrong with it."""
    with pytest.raises(RecipeError, match=f"^{re.escape(said)}"):
        decode(data, "b.toml")


def test_no_other_module_reads_it_by_itself() -> None:
    """Which library there is stands here alone."""
    own = [file.relative_to(ROOT) for file in (ROOT / "edgekd").rglob("*.py") if "import tomllib" in file.read_text(encoding="utf-8")]
    assert own == [Path("edgekd/toml.py")]


def test_a_mark_of_byte_order_is_no_text() -> None:
    """As Windows' editors put one before UTF-8."""
    assert decode(b"\xef\xbb\xbfa = 1\n", "f.toml") == {"a": 1}

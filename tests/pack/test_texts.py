"""Text files that need no parser: every name stays on its line, every number reads back."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.pack.texts import _numbers, classes_text, plain

HOSTILE = [
    "two\nlines",
    "\r\n",
    "\u2028",
    "a\u202egnp.exe",
    "👩‍🚀",
    "שלום",
    "a = b",
    "# no comment",
    "",
    " ",
    "x" * 200,
    "C:\\new",
    "\x1b[31mred",
    "\x00",
]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(HOSTILE), min_size=1))
def test_every_name_has_one_line(names: list[str]) -> None:
    """However it is read: by newlines alone, or by all that Python takes for the end of a line; and it can be told from every other."""
    lines = classes_text(names).split("\n")
    assert lines.pop() == ""
    assert lines == [plain(name) for name in names]
    assert classes_text(names).splitlines() == lines
    assert len(set(lines)) == len(set(names))
    assert not [letter for line in lines for letter in line if unicodedata.category(letter) in {"Cc", "Zl", "Zp"} or letter == "\u202e"]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("two\nlines", "two\\nlines"),
        ("\x07", "\\x07"),
        ("a\u202eb", "a\\u202eb"),
        ("C:\\new", "C:\\\\new"),
        ("👩‍🚀 שלום", "👩‍🚀 שלום"),
        ("\ud800", "\\ud800"),
    ],
)
def test_names_stay_as_they_are_but_for_what_harms(name: str, line: str) -> None:
    """Letters of every script and emoji stay."""
    assert plain(name) == line


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_read_back_equal(values: list[float]) -> None:
    """As float32."""
    read = np.array(_numbers(np.array(values, np.float32).tolist()).split(), np.float32)
    np.testing.assert_array_equal(read, np.array(values, np.float32))

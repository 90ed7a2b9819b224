"""Tests of edgekd/units.py."""

import math
from collections.abc import Callable, Iterable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekd import units
from edgekd.errors import UsageError

_PAIRS: list[tuple[Callable[..., str], Callable[..., float], float]] = [
    (units.bytes_text, units.parse_bytes, 1e13),
    (units.ms_text, units.parse_time_ms, 1e7),
    (units.count_text, units.parse_count, 1e13),
    (units.energy_text, units.parse_energy, 1e4),
    (units.ratio_text, units.parse_ratio, 1e5),
    (units.percent_text, units.parse_fraction, 1.0),
    (units.points_text, units.parse_fraction, 1.0),
]


@pytest.mark.parametrize(
    ("parse", "text", "expected"),
    [
        (units.parse_bytes, "400 kB", 400_000),
        (units.parse_bytes, "400KB", 400_000),
        (units.parse_bytes, "1.1 kB", 1100),
        (units.parse_bytes, " 4 MiB ", 4 * 2**20),
        (units.parse_bytes, "1_000 B", 1000),
        (units.parse_bytes, 12.9, 12),
        (units.parse_time_ms, "12 ms", 12.0),
        (units.parse_time_ms, "800us", 0.8),
        (units.parse_time_ms, "800 µs", 0.8),
        (units.parse_time_ms, "1.5 s", 1500.0),
        (units.parse_time_ms, "2 min", 120_000.0),
        (units.parse_time_ms, 3, 3.0),
        (units.parse_fraction, "90 %", 0.9),
        (units.parse_fraction, "1.2 points", 0.012),
        (units.parse_fraction, "-1 point", -0.01),
        (units.parse_fraction, 0.9, 0.9),
        (units.parse_count, "1.2M", 1_200_000),
        (units.parse_count, "270 k", 270_000),
        (units.parse_energy, "3 mJ", 0.003),
        (units.parse_ratio, "4x", 4.0),
        (units.parse_ratio, "4.5×", 4.5),
        (units.parse_ratio, 4.0, 4.0),
    ],
)
def test_reads_what_a_person_writes(parse: Callable[[units.Quantity], float], text: units.Quantity, expected: float) -> None:
    """Numbers with or without a space before their unit, and plain ones, mean what they say, exactly."""
    assert expected == parse(text)


@pytest.mark.parametrize(
    ("parse", "text", "expected"),
    [
        (units.parse_bytes, "2 GB", 2e9),
        (units.parse_bytes, "1 TB", 1e12),
        (units.parse_bytes, "2 GiB", 2 * 2**30),
        (units.parse_bytes, "1 TiB", 2**40),
        (units.parse_time_ms, "500 ns", 5e-4),
        (units.parse_count, "3G", 3e9),
        (units.parse_count, "1T", 1e12),
        (units.parse_energy, "5 nJ", 5e-9),
        (units.parse_energy, "800 µJ", 8e-4),
        (units.parse_energy, "800 uJ", 8e-4),
        (units.parse_energy, "1.2 kJ", 1200.0),
    ],
)
def test_every_unit_means_what_it_says(parse: Callable[[units.Quantity], float], text: str, expected: float) -> None:
    """The large and the small ones, too."""
    assert parse(text) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("text", ["1_", "1__0 kB", "_1 kB", "1_.5 kB"])
def test_a_mark_between_digits_stands_between_digits(text: str) -> None:
    """As Python has it; anything else is a mistake of whoever typed it, and told as one."""
    with pytest.raises(UsageError, match="a size is written as"):
        units.parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (units.bytes_text(1_080_000), "1.08 MB"),
        (units.bytes_text(999_999), "1.00 MB"),
        (units.bytes_text(999), "999 B"),
        (units.bytes_text(0), "0 B"),
        (units.ms_text(12.34), "12.3 ms"),
        (units.ms_text(0.052), "52.0 µs"),
        (units.ms_text(1234), "1.23 s"),
        (units.count_text(269_722), "270k"),
        (units.energy_text(0.0031), "3.10 mJ"),
        (units.ratio_text(4.021), "4.02×"),
        (units.ratio_text(12345.6), "12346×"),
        (units.number_text(0.2511), "0.251"),
        (units.percent_text(0.93449), "93.4 %"),
        (units.percent_text(-0.92, 0), "−92 %"),
        (units.percent_text(-0.00001), "0.0 %"),
        (units.points_text(0.012), "1.2 points"),
        (units.points_text(0.01), "1.0 point"),
        (units.points_text(0.0125, None), "1.25 points"),
        (units.bytes_text(400_000, None), "400 kB"),
        (units.seconds_text(0.44), "0.4 s"),
        (units.seconds_text(59.7), "1 min"),
        (units.seconds_text(200), "3 min 20 s"),
        (units.seconds_text(7500), "2 h 5 min"),
        (units.seconds_text(48), "48 s"),
    ],
)
def test_writes_what_a_person_reads(text: str, expected: str) -> None:
    """Numbers get the unit in which they are at least 1, three digits or one decimal, and no minus zero."""
    assert expected == text


@pytest.mark.parametrize("text", [pair[0] for pair in _PAIRS])
def test_what_is_no_number_reads_as_none(text: Callable[[float | None], str]) -> None:
    """None, NaN and infinity have words of their own."""
    assert units.NOTHING == text(None)
    assert text(math.nan) == "not a number"
    assert text(math.inf) == "∞"
    assert text(-math.inf) == "−∞"


@pytest.mark.parametrize(("text", "parse", "most"), _PAIRS)
@given(st.data())
@settings(max_examples=40, deadline=None)
def test_text_reads_back(text: Callable[..., str], parse: Callable[..., float], most: float, data: st.DataObject) -> None:
    """With all digits the number itself comes back, with three significant ones a number within half a percent."""
    whole = parse in (units.parse_bytes, units.parse_count)
    value = data.draw(st.integers(0, int(most)) if whole else st.floats(0, most, allow_subnormal=False).filter(lambda x: x == 0 or x > 1e-9))
    assert parse(text(value, None)) == pytest.approx(value, rel=1e-12)
    if most > 1:
        assert parse(text(value)) == pytest.approx(value, rel=0.00501)


@given(st.floats(0, 1e9), st.integers(1, 10**9))
@settings(max_examples=60, deadline=None)
def test_a_number_stands_on_its_own_side_of_a_bound(share: float, bound: int) -> None:
    """What is printed beside a bound is above it exactly where the number is."""
    for value in (bound + share, bound - min(share, bound), bound + 1, float(bound)):
        shown = float(units.beside(value, bound, units.ratio_text).removesuffix("×"))
        assert (value > bound, value < bound) == (shown > bound, shown < bound)


def test_rounding_hides_no_overshoot() -> None:
    """One byte over reads as over."""
    assert units.beside(400_001, 400_000, units.bytes_text) == "400.001 kB"
    assert units.beside(400_000, 400_000, units.bytes_text) == "400 kB"
    assert units.beside(1e308, 0.0, units.percent_text, 1) == f"1{'0' * 310}.0 %"
    assert units.beside(1e-7, 0.0, units.points_text, 1) == "0.00001 points"


def test_an_interval_says_its_unit_once() -> None:
    """A unit that both ends share stands at the end alone."""
    assert units.span_text("1.0 point", "4.5 points") == "1.0 to 4.5 points"
    assert units.span_text("900 µs", "1.1 ms") == "900 µs to 1.1 ms"
    assert units.span_text("2×", "3×") == "2× to 3×"


CHANGE = partial(units.parse_fraction, one=False)
"""A drop or a rise: 1 would be all of it."""


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (units.parse_bytes, "4 Mb", "a size is written as 400 kB, 4 MB, 4 MiB or a number of bytes, got '4 Mb'"),
        (units.parse_bytes, "1,5 MB", "Write a decimal point and no thousands separators"),
        (units.parse_bytes, "-4 kB", "a size is never below 0, got '-4 kB'"),
        (units.parse_bytes, math.nan, "got nan"),
        (units.parse_bytes, True, "got True"),
        (units.parse_bytes, "1e999", "got '1e999'"),
        (units.parse_time_ms, "12 m", "a time is written as 12 ms"),
        (units.parse_count, "many", "a count is written as 270k"),
        (units.parse_energy, "3 W", "an energy is written as 3 mJ"),
        (units.parse_ratio, "4 times", "a factor is written as 4x or 4.0"),
        (units.parse_fraction, 90, "Did you mean 90 % or 90 points?"),
        (units.parse_fraction, "90", "Did you mean 90 % or 90 points?"),
        (CHANGE, 1, "1 may be 1 % or all, which is 100 %. Did you mean 1 % or 1 point?"),
        (CHANGE, 1.0, "1.0 may be 1 % or all"),
        (CHANGE, "1", "'1' may be 1 % or all"),
        (CHANGE, "−1", "'−1' may be 1 % or all"),
        (units.parse_fraction, "180", "at most 100 %, got '180'.$"),
        (units.parse_fraction, "101 %", "at most 100 %, got '101 %'"),
    ],
)
def test_says_what_it_accepts(parse: Callable[[units.Quantity], float], text: units.Quantity, message: str) -> None:
    """Text that does not read is refused with what would."""
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        parse(text)


def test_a_share_may_be_more_than_all_where_it_makes_sense() -> None:
    """Growth can be over 100 %, but a bare 1.5 stays ambiguous."""
    assert units.parse_fraction("150 %", most=math.inf) == 1.5
    assert units.parse_fraction("100 %", one=False) == units.parse_fraction(1, most=math.inf) == 1
    with pytest.raises(UsageError, match=r"Did you mean 1\.5 %"):
        units.parse_fraction(1.5, most=math.inf)


@pytest.mark.parametrize(
    ("names", "most", "text"),
    [
        ([], 8, "none"),
        (["a"], 8, "a"),
        (range(3), 3, "0, 1, 2"),
        (range(4), 3, "0, 1, 2 and 1 more"),
        (iter("abcdefghij"), 8, "a, b, c, d, e, f, g, h and 2 more"),
    ],
)
def test_some_names_stand_for_all(names: Iterable[object], most: int, text: str) -> None:
    """The first of them, and how many are left out."""
    assert units.some(names, most) == text

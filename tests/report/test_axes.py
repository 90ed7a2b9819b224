"""Tests of edgekd/report/axes.py."""

from hypothesis import given
from hypothesis import strategies as st

from edgekd.report.axes import Axis, around, from_zero, scaled

VALUES = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=20)


@given(VALUES, st.integers(3, 6))
def test_ticks_lie_on_the_axis_and_are_few(values: list[float], most: int) -> None:
    """Whatever the values are."""
    for axis in (around(values, str, least=1e-3), from_zero(values, str), scaled(values, str)):
        ticks = axis.ticks(most)
        assert 1 <= len(ticks) <= most
        assert all(axis.low - 1e-9 * abs(axis.high) <= tick <= axis.high * (1 + 1e-9) for tick in ticks)
        assert ticks == sorted(set(ticks))


@given(VALUES)
def test_every_value_stands_within_its_axis(values: list[float]) -> None:
    """In the order of the values."""
    for axis in (around(values, str, least=1e-3), from_zero(values, str), scaled(values, str)):
        places = [axis.place(value) for value in sorted(values)]
        assert places == sorted(places)
        assert all(0 <= place <= 1 for place in places)


def test_ticks_are_round() -> None:
    """Tenths, halves and decades, as a person would choose them."""
    assert around([0.931, 0.935], str, least=0.01).ticks(6) == [0.928, 0.93, 0.932, 0.934, 0.936, 0.938]
    assert scaled([0.164, 1.9], str).ticks() == [0.2, 0.5, 1.0, 2.0]
    assert Axis(0.9, 1.3, str, log=True).ticks() == [0.9, 1.0, 1.1, 1.2, 1.3]
    assert scaled([1e-3, 1e3], str).ticks() == [0.01, 1.0, 100.0]
    assert [str(tick) for tick in scaled([1.36e-4, 1.39e-2], str).ticks()] == ["0.0003", "0.001", "0.003", "0.01"]


def test_an_axis_ends_where_values_cannot_lie() -> None:
    """No share is above 1."""
    assert around([0.999, 1.0], str, least=0.01, ends=(0.0, 1.0)).high == 1.0


def test_what_lies_outside_stands_at_the_end() -> None:
    """A distribution's slowest sample does not leave its frame."""
    axis = Axis(1.0, 4.0, str, log=True)
    assert (axis.place(0.0), axis.place(2.0), axis.place(1e9)) == (0.0, 0.5, 1.0)

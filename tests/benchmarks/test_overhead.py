"""Tests of benchmarks/overhead.py."""

import pytest

from benchmarks import overhead


def test_overhead_is_a_mean_over_launches() -> None:
    """Of each launch its middle pair; one launch has no interval."""
    rows = [{"ratios": [1.0, 1.01, 9.0], "loop_ms": [0.9]}, {"ratios": [1.03, 1.03, 0.1], "loop_ms": [1.1]}]
    found = overhead.figures(rows)
    assert found["overhead_percent"] == pytest.approx(100 * ((1.01 * 1.03) ** 0.5 - 1))
    assert found["loop_ms"] == 1.0
    assert found["overhead_percent_low"] < found["overhead_percent"] < found["overhead_percent_high"]
    assert set(overhead.figures(rows[:1])) == {"overhead_percent", "loop_ms"}

"""Tests of benchmarks/trust.py."""

import pytest

from benchmarks import trust


def test_trust_holds_a_session_against_the_others() -> None:
    """A session's own launches are no part of the long-run value; the two loads have one each."""
    rows = [
        {"loaded": loaded, "launches": [ratio, ratio], "seconds": 5.0, "loop_100": ratio}
        for loaded, ratios in {False: [4.0, 4.0, 8.0], True: [2.0, 2.0, 2.0]}.items()
        for ratio in ratios
    ]
    found = trust.figures(rows)
    assert found["coverage"] == 0.5
    assert found["ratio_spread_loaded"] == pytest.approx(0.0)
    assert found["ratio_spread_quiet"] > 0.3
    assert found["shift_under_load"] == pytest.approx(2.0 / 128 ** (1 / 3) - 1)

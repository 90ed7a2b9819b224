"""Tests of benchmarks/gate_noise.py."""

import pytest

from benchmarks import gate_noise


@pytest.mark.parametrize(("loaded", "state", "expected"), [(False, "over", 1.0), (True, "undecided", 0.0)])
def test_a_gates_figure_is_the_worse_halfs(loaded: bool, state: str, expected: float) -> None:
    """False alarms of the half with more of them, findings of the half with fewer."""
    others = dict.fromkeys(gate_noise.RIVALS, False)
    rows = [
        {"percent": percent, "loaded": half, "state": state if half == loaded else "pass", "seconds": 5.0, **others}
        for percent in (0, 10)
        for half in (False, True)
    ]
    found = gate_noise.figures(rows)
    assert (found["false_alarm_rate"], found["found_10"]) == (expected, 0.0)

"""Tests of benchmarks/quantisers.py."""

from typing import Any

import pytest

from benchmarks import quantisers


def test_quantisers_side_by_side() -> None:
    """Means and the most over networks, by who and for what; what failed counts for nothing, and what was not timed has no speed-up."""
    rows: list[dict[str, Any]] = [
        {"network": "a", "who": "edgekd", "what": "cpu", "drop_points": 0.2, "speedup": 2.0, "speedup_openvino": 3.0},
        {"network": "b", "who": "edgekd", "what": "cpu", "drop_points": -0.1, "speedup": 1.0, "speedup_openvino": 1.0},
        {"network": "a", "who": "nncf", "what": "cpu", "failed": "no"},
        {"network": "a", "who": "modelopt", "what": "trt", "drop_points": 0.3},
    ]
    assert quantisers.figures(rows) == {
        "edgekd_cpu_drop_points_mean": pytest.approx(0.05),
        "edgekd_cpu_drop_points_max": 0.2,
        "edgekd_cpu_speedup_mean": 1.5,
        "edgekd_cpu_speedup_openvino_mean": 2.0,
        "modelopt_trt_drop_points_mean": 0.3,
        "modelopt_trt_drop_points_max": 0.3,
    }

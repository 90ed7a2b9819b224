"""Tests of benchmarks/asking.py."""

from typing import Any

from benchmarks import asking


def test_what_asking_by_pieces_gains() -> None:
    """The figure is the chosen way's, whichever is the best; what choosing cost is the most of all networks."""
    rows: list[dict[str, Any]] = [
        {"network": "a", "speedup": 1.0, "chosen": False, "choice_s": 2.0},
        {"network": "a", "speedup": 1.5, "chosen": True, "choice_s": 2.0},
        {"network": "a", "speedup": 1.6, "chosen": False, "choice_s": 2.0},
        {"network": "b", "speedup": 1.0, "chosen": True, "choice_s": 5.0},
    ]
    assert asking.figures(rows) == {"a_speedup": 1.5, "b_speedup": 1.0, "choice_s_max": 5.0}

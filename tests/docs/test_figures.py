"""docs.generate.figures: measured tables as they are printed."""

from typing import Any

import pytest

from benchmarks import render
from benchmarks.catalogue import ACROSS
from docs.generate import figures


def test_a_method_without_a_row_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the set stands in the table, the best first; what an assistant teaches is told beside plain KD by the same."""
    name = "cifar10-transformer"
    accuracies = {"alone": 59.0, "kd, by an assistant": 63.5, "heads": 64.0}
    rows: list[dict[str, Any]] = [{"set": name, "method": method, "epoch_s": 80.0, "test_accuracy": found} for method, found in accuracies.items()]
    rows[2]["assistant_accuracy"] = 68.0
    found = {f"{name}, teacher": 93.39, f"{name}, heads minus kd, by an assistant": 0.5}
    host = {"cpu": "a CPU", "cores": 2}
    result = {"command": "c", "commit": "d", "date": "e", "host": host, "figures": found, "rows": rows}
    monkeypatch.setattr(render, "results", lambda: {"methods": result})
    _, table, told = figures.methods().split("\n\n")
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    assert [line[0] for line in lines[:3]] == ["heads", "kd, by an assistant", "alone"]
    assert {line[0]: line[2] for line in lines[3:]} == {method: "not run" for method in ACROSS if method not in accuracies}
    assert told.endswith("of 68.00 %. Over plain KD by that assistant: heads +0.50.")

"""Tests of benchmarks/speed.py."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks import cifar10, rivals, speed


class _Lesson:
    def learn(self, steps: int) -> None: ...


def test_speed_is_told_in_ratios_of_one_slice() -> None:
    """Over the floor, over floor and teacher, and how much longer the others take; resnet20's figures have its name."""
    times = {"floor": [1.0, 2.0], "teacher": [0.5, 1.0], "remembered": [1.1, 2.2], "live": [1.8, 3.6], "tutorial": [5.5, 11.0]}
    rows = speed.rows("resnet8", dict.fromkeys(times, _Lesson()), times, fill=2.0, steps=10)
    found = speed.figures(rows)
    ratios = {"remembered_over_floor": 1.1, "live_over_floor": 1.2, "tutorial_ratio": 5.0, "tutorial_ratio_live": 5.5 / 1.8, "fill_seconds": 16.0}
    assert {name: found[name] for name in ratios} == {name: pytest.approx(value, abs=1e-3) for name, value in ratios.items()}
    assert not any(name.startswith("torchdistill") for name in found)
    assert set(speed.figures([{**row, "student": "resnet20"} for row in rows])) == {f"resnet20_{name}" for name in found}


def test_the_tutorials_loop_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The student moves, its teacher does not."""
    monkeypatch.setattr(rivals, "WORKERS", 0)
    torch.manual_seed(0)
    heads = [torch.nn.Linear(3 * 8 * 8, 3) for _ in range(2)]
    before = [head.weight.detach().clone() for head in heads]
    student, teacher = (torch.nn.Sequential(torch.nn.Flatten(), head) for head in heads)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
    loop = rivals.Tutorial(student, teacher, rivals.Photos(pixels, np.arange(12) % 3, cifar10.IMAGENET), 4)
    loop.learn(5)
    assert np.isfinite(loop.loss)
    assert not torch.equal(heads[0].weight, before[0])
    assert torch.equal(heads[1].weight, before[1])


def test_everybody_takes_as_many_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """After one that is dropped, each as long."""
    monkeypatch.setattr(speed, "REST_S", 0.0)
    asked: dict[str, list[int]] = {"a": [], "b": []}
    lessons: dict[str, speed.Lesson] = {name: SimpleNamespace(learn=steps.append) for name, steps in asked.items()}
    times = speed.sliced(lessons, slices=3, steps=8)
    assert asked == {"a": [2, 8, 8, 8], "b": [2, 8, 8, 8]}
    assert {name: len(values) for name, values in times.items()} == {"a": 3, "b": 3}

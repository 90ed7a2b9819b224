"""Tests of benchmarks/methods.py."""

from typing import Any

import pytest

from benchmarks import catalogue, lessons, methods
from edgekd.models.attention import attends
from edgekd.models.load import build


def test_a_methods_gain_is_paired_and_the_best_is_the_figure() -> None:
    """Rows of choices count for nothing, nor do two seeds for the best; the share of the gap is of what lies between alone and the teacher."""
    rows = [
        {"set": "cifar100", "method": method, "setting": 0, "seed": seed, "test_accuracy": accuracy}
        for method, found in {"alone": [60.0, 62.0, 61.0], "kd": [62.0, 63.0, 62.5], "dkd": [64.0, 66.0, 65.0], "dist": [99.0, 99.0]}.items()
        for seed, accuracy in enumerate(found)
    ]
    rows.append({"set": "cifar100", "method": "dkd", "setting": 1, "seed": methods.CHOICE_SEED, "valid_accuracy": 99.0})
    found = methods.figures(rows, {"cifar100, teacher": 71.0})
    assert found["cifar100, dkd minus alone"] == found["best_gain_points"] == pytest.approx(4.0)
    assert found["cifar100, dkd minus kd"] == pytest.approx(2.5)
    assert found["cifar100, dkd minus kd, low"] < 2.5 < found["cifar100, dkd minus kd, high"]
    assert found["cifar100, dkd, gap recovered"] == pytest.approx(0.4)
    assert "best_gain_points" not in methods.figures([row for row in rows if row["seed"] != 2], {})


def test_what_an_assistant_teaches_is_held_to_plain_kd_by_it() -> None:
    """And not only to plain KD by another teacher; of other methods there is no such figure."""
    taught = {"alone": 59.0, "kd": 60.0, "kd, by an assistant": 63.5, "heads": 64.0, "tokens, hard": 60.5}
    rows = [{"set": "cifar10-transformer", "method": method, "setting": 0, "seed": 0, "test_accuracy": found} for method, found in taught.items()]
    found = methods.figures(rows, {})
    assert found["cifar10-transformer, heads minus kd"] == pytest.approx(4.0)
    held = {key: gain for key, gain in found.items() if key.endswith("minus kd, by an assistant")}
    assert held == {"cifar10-transformer, heads minus kd, by an assistant": pytest.approx(0.5)}


def test_rows_of_another_teacher_do_not_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do those of a method or setting that is no more; other sets' rows are not looked at."""
    monkeypatch.setattr(lessons.Lesson, "key", property(lambda lesson: f"{lesson.method}-{lesson.at}"))
    setting = lessons.SETTINGS["cifar10"]
    row = {"set": "cifar10", "method": "dkd", "setting": 1, "seed": 0, "epochs": 10.0, "key": "dkd-1"}
    changes: list[dict[str, Any]] = [{}, {"key": "dkd-0"}, {"setting": 7}, {"method": "gone"}, {"set": "cifar100", "key": "old"}]
    assert [methods.stands({**row, **change}, "cifar10", setting, quick=False) for change in changes] == [True, False, False, False, True]


def test_a_setting_is_chosen_once_all_are_tried() -> None:
    """By validation images; a method without a choice needs none."""
    tried = [{"set": "cifar10", "method": "dkd", "setting": at, "seed": methods.CHOICE_SEED, "valid_accuracy": 50.0 + at} for at in range(2)]
    assert methods.chosen(tried, "cifar10", "dkd") == 1
    assert methods.chosen(tried[:1], "cifar10", "dkd") is None
    assert methods.chosen([], "cifar10", "kd") == 0


def test_every_method_is_measured_somewhere() -> None:
    """A transformer has the terms of attention layers and tokens, and a teacher that attends where those need one; convolutions have all others."""
    measured = [set(setting.methods) for setting in lessons.SETTINGS.values()]
    assert set().union(*measured) == set(catalogue.METHODS)
    transformer = lessons.SETTINGS["cifar10-transformer"]
    assert [set(catalogue.ATTENDING) <= found for found in measured] == [False, False, True]
    networks = [build(name, classes=10, shape=(32, 32, 3)) for name in (transformer.student, transformer.assistant, transformer.teacher)]
    assert list(map(attends, networks)) == [True, True, False]
    assert {catalogue.WHO[method] for method in ("heads", "values")} == {"assistant"}


def test_every_method_takes_the_same_steps() -> None:
    """Whatever its phases, and choices come before what is chosen."""
    for settings in catalogue.METHODS.values():
        for phases in settings:
            assert sum(phase.epochs for phase in catalogue.scaled(phases, 10.0)) == pytest.approx(10.0)
    order = methods.wanted(["dkd", "kd"], [0, 1])
    assert order == [("dkd", 0, 10), ("dkd", 1, 10), ("dkd", None, 0), ("kd", None, 0), ("dkd", None, 1), ("kd", None, 1)]

"""Tests of benchmarks/protocol.py."""

import dataclasses
from pathlib import Path

import pytest

from benchmarks import protocol
from benchmarks.protocol import LONG_TAIL, METHOD, PAIRS, TAIL, TAIL_LABELS, TAIL_METHOD, TEACHER, Item


def test_each_teacher_is_taught_before_its_first_student() -> None:
    """A seed of each pair before the next one, each teacher once, then what they are held to and the long tail."""
    found = list(protocol.items(PAIRS, [0, 1]))
    assert [item.network for item in found[:4]] == ["resnet56b", "resnet20b", "resnet32x4", "resnet8x4"]
    teachers = [Item(pair.teacher, "", TEACHER, 0) for pair in PAIRS[:4]]
    assert [item for item in found if item.method == TEACHER] == [*teachers, Item(LONG_TAIL.teacher, "", TEACHER, 0, TAIL)]
    assert all(item.master is None or item.master in found[:place] for place, item in enumerate(found))
    assert [item.seed for item in found if item.method == METHOD] == [0] * len(PAIRS) + [1] * len(PAIRS)
    assert len({item.folder for item in found}) == len(found)
    assert {item.method for item in found[-2:]} == {TAIL_METHOD, TAIL_LABELS}


def test_every_item_takes_the_protocols_steps() -> None:
    """By whatever it is taught; a student alone and one on the long tail have terms of their own."""
    for item in protocol.items(PAIRS, [0]):
        phases = protocol.phases_of(item, 240.0)
        assert sum(phase.epochs for phase in phases) == pytest.approx(240.0)
        assert any(phase.soft for phase in phases) is (item.master is not None)


def test_figures_are_means_by_network_and_gains_are_paired() -> None:
    """Teachers apart, students under the names that goals have; what was not run counts for nothing."""
    told = {
        Item("a", "", TEACHER, 0): 70.0,
        Item("b", "a", METHOD, 0): 71.0,
        Item("b", "a", METHOD, 1): 72.0,
        Item("b", "a", "kd", 1): 69.0,
        Item("b", "", "alone", 2): 60.0,
    }
    rows = [{**item.about, "test_accuracy": accuracy} for item, accuracy in told.items()]
    rows.append({**Item("b", "a", METHOD, 2).about, "test_accuracy": protocol.NOT_RUN})
    rows.append({**Item("b", "a", TAIL_METHOD, 0, TAIL).about, "test_accuracy": 40.0})
    assert protocol.figures(rows) == {
        "a, teacher": 70.0,
        "b": 71.5,
        "b, kd": 69.0,
        "b, alone": 60.0,
        "b minus kd": 3.0,
        f"b, long tail, {TAIL_METHOD}": 40.0,
    }


def test_teachers_outlive_their_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights beside the results and their row are put back; what has no result says that it was not run."""
    student = Item("b", "a", METHOD, 1)
    teacher = student.master
    assert teacher is not None
    monkeypatch.setattr(protocol, "RESULTS", tmp_path)
    monkeypatch.setattr(protocol, "saved_rows", lambda name: [{**teacher.about, "test_accuracy": 70.0}])
    protocol.restore([teacher, student], tmp_path / "work")
    assert not (tmp_path / "work").exists()
    protocol.kept(teacher).write_bytes(b"weights")
    protocol.restore([teacher, student], tmp_path / "work")
    assert (tmp_path / "work" / teacher.folder / protocol.WEIGHTS).read_bytes() == b"weights"
    assert protocol.row_of(teacher, tmp_path / "work")["test_accuracy"] == 70.0
    assert protocol.row_of(student, tmp_path / "work")["test_accuracy"] == protocol.NOT_RUN
    assert protocol.kept(dataclasses.replace(teacher, imbalance=TAIL)) != protocol.kept(teacher)

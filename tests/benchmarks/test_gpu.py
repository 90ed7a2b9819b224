"""Tests of benchmarks/gpu.py."""

from pathlib import Path

import pytest

from benchmarks import gpu


def test_a_gpu_teaches_each_teacher_before_its_first_student() -> None:
    """A seed of each pair before the next one, and each teacher once."""
    found = list(gpu.items(gpu.PAIRS, [0, 1]))
    assert [item.network for item in found[:4]] == ["resnet56b", "resnet20b", "resnet32x4", "resnet8x4"]
    assert [item for item in found if item.teacher is None] == [gpu.Item(pair.teacher, None, 0) for pair in gpu.PAIRS[:4]]
    for place, item in enumerate(found):
        if item.teacher is not None:
            assert gpu.Item(item.teacher, None, 0) in found[:place]
    assert [item.seed for item in found if item.teacher is not None] == [0] * len(gpu.PAIRS) + [1] * len(gpu.PAIRS)


def test_a_gpus_figures_are_means_by_network() -> None:
    """Teachers apart, under the names that the students have in the literature."""
    rows = [{"network": n, "teacher": t, "test_accuracy": a} for n, t, a in (("a", "", 70.0), ("b", "a", 71.0), ("b", "a", 72.0))]
    assert gpu.figures([*rows, {"network": "b", "teacher": "a", "test_accuracy": gpu.NOT_RUN}]) == {"a, teacher": 70.0, "b": 71.5}


def test_a_gpus_teachers_outlive_their_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights beside the results and their row are put back; what has no result says that it was not run."""
    teacher, student = gpu.Item("a", None, 0), gpu.Item("b", "a", 1)
    monkeypatch.setattr(gpu, "RESULTS", tmp_path)
    monkeypatch.setattr(gpu, "saved_rows", lambda name: [{"network": "a", "teacher": "", "seed": 0, "test_accuracy": 70.0}])
    gpu.restore([teacher, student], tmp_path / "work")
    assert not (tmp_path / "work").exists()
    gpu.kept(teacher).write_bytes(b"weights")
    gpu.restore([teacher, student], tmp_path / "work")
    assert (tmp_path / "work" / teacher.folder / gpu.WEIGHTS).read_bytes() == b"weights"
    assert gpu.row_of(teacher, tmp_path / "work")["test_accuracy"] == 70.0
    assert gpu.row_of(student, tmp_path / "work")["test_accuracy"] == gpu.NOT_RUN

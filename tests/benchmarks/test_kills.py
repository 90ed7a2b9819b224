"""Tests of benchmarks/kills.py."""

from pathlib import Path

from benchmarks import kills


def test_a_broken_file_is_seen(tmp_path: Path) -> None:
    """Half a JSON under a final name is named; an unfinished one is passed over."""
    (tmp_path / "stage.json").write_text('{"a"')
    (tmp_path / ".part-1-report.json").write_text('{"a"')
    assert [text.split(":")[0] for text in kills.broken(tmp_path)] == ["stage.json"]

"""benchmarks/walk.py: every family of torchvision's classifiers exports and answers as torch does; one that does not is a row with its reason."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import walk
from edgekd.errors import EdgekdError
from edgekd.record import Artifact


def test_a_refusal_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the error's own words, and counted."""

    def refused(*given: Any, **options: Any) -> list[Artifact]:
        raise EdgekdError("torch cannot export Branching to ONNX")

    monkeypatch.setattr(walk, "built", lambda name: name)
    monkeypatch.setattr(walk, "export", refused)
    found = walk.row("branching", tmp_path)
    assert (found["network"], found["refused"], found["size_mb"]) == ("branching", "torch cannot export Branching to ONNX", "")
    assert walk.figures([found, {"refused": ""}]) == {"agree": 1.0, "refused": 1.0}


def test_pictures_are_real_and_unlike() -> None:
    """Crops of photographs: no two alike, none of one colour."""
    pictures = walk.pictures(8)
    assert pictures.shape == (8, walk.SIZE, walk.SIZE, 3)
    assert pictures.std(axis=(1, 2)).min() > 3
    assert len({picture.tobytes() for picture in pictures}) == 8


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", walk.names())
def test_each_family_exports(name: str, tmp_path: Path) -> None:
    """The file is written, and passed the check that every fp32 file passes."""
    found = walk.row(name, tmp_path)
    assert not found["refused"]
    assert found["difference_ppm"] < 1000

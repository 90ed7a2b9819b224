"""cli/paths.py: specs and files as they read from another folder."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.cli.paths import Moved

DESK = Path("/desk")
PATHS = st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=3).map("/".join)


@pytest.mark.parametrize("text", ["a/b.npz", "npz:a.npz", "mine.py:data", "digits", "hf:org/set", "folder:photos", "/d/a.onnx"])
def test_nothing_moves_where_both_folders_are_one(text: str) -> None:
    """What was typed stays as it was typed."""
    move = Moved(DESK, DESK)
    assert (move.path(text), move.spec(text), move.file(text)) == (text, text, text)


@given(PATHS, PATHS)
def test_a_moved_path_names_the_same_file(path: str, base: str) -> None:
    """Seen from its new folder it is what it was from the old one; a spec's path is moved alike."""
    move = Moved(DESK, DESK / base)
    assert (move.base / move.path(path)).resolve() == (DESK / path).resolve()
    assert move.spec(f"folder:{path}") == f"folder:{move.path(path)}"


def test_only_what_ends_like_a_file_is_one() -> None:
    """A bare word is a name: of a network, a set, a target."""
    move = Moved(DESK, DESK / "recipes")
    assert [move.file(text) for text in ("w.pth", "t.onnx", "resnet56", "timm:resnet50", "cpu", "nets.py:wide")] == [
        "../w.pth",
        "../t.onnx",
        "resnet56",
        "timm:resnet50",
        "cpu",
        "../nets.py:wide",
    ]

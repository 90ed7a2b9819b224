"""The questions of `edgekd init`, answered by a list instead of a person."""

import builtins
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd.cli.interview import IMAGENET, answered, found_here, spec_of
from edgekd.cli.options import Flags

Answer = Callable[..., Flags]


@pytest.fixture
def answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Answer:
    """A function that answers the questions in turn, Enter for "", in an empty folder; an answer may be an exception."""
    monkeypatch.chdir(tmp_path)

    def given(flags: Flags, *answers: str | type[BaseException]) -> Flags:
        left = list(answers)

        def reply() -> str:
            now = left.pop(0)
            if isinstance(now, str):
                return now
            raise now

        monkeypatch.setattr(builtins, "input", reply)
        found = answered(flags, base=tmp_path, cwd=tmp_path, line=lambda given: "edgekd init …")
        assert left == [], "not all questions were asked"
        return found

    return given


def photos(folder: Path) -> Path:
    """A folder of two classes, a picture each."""
    for kind in ("a", "b"):
        (folder / kind).mkdir(parents=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder / kind / "0.png")
    return folder


def test_enter_takes_what_is_sensible(answer: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    """In an empty folder the digits, edgekd's own teacher and this machine; the line that says the same is told."""
    assert answer(Flags(), "", "", "") == Flags(data="digits", on=["cpu"])
    out, said = capsys.readouterr()
    assert out == ""
    assert "images [digits]: " in said
    assert "The same without questions: edgekd init …" in said


def test_what_was_typed_is_not_asked(answer: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing at all where all that is needed was given."""
    flags = Flags(data="digits", teacher="resnet20", on=["cpu"])
    assert answer(flags) == flags
    assert capsys.readouterr().err == ""
    assert answer(Flags(data="digits", teacher="resnet20"), "cpu, rtx-4090") == Flags(data="digits", teacher="resnet20", on=["cpu", "rtx-4090"])


def test_a_teacher_with_weights_is_asked_how_it_was_taught(answer: Answer, tmp_path: Path) -> None:
    """Enter takes ImageNet's mean and std; a file that says so itself is not guessed at."""
    for name in ("w.pth", "w.safetensors", "t.onnx"):
        (tmp_path / name).write_bytes(b"")
    start = Flags(data="digits", on=["cpu"])
    made = answer(start, "resnet20", "'w.pth'", "", "", "32", "")
    assert (made.teacher_weights, made.teacher_mean, made.teacher_std, made.teacher_size, made.teacher_classes) == ("w.pth", *IMAGENET, "32", None)
    made = answer(start, "resnet20", "w.safetensors", "", "", "a,b")
    assert (made.teacher_mean, made.teacher_std, made.teacher_classes) == (None, None, "a,b")
    made = answer(start, "t.onnx", "0.5", "0.25", "", "")
    assert (made.teacher, made.teacher_weights, made.teacher_mean, made.teacher_std) == ("t.onnx", None, "0.5", "0.25")
    assert answer(start, "resnet18", "pretrained").teacher_mean is None
    assert answer(Flags(data="digits", on=["cpu"], teacher="resnet20", teacher_weights="w.pth"), "", "", "", "").teacher_mean == IMAGENET[0]


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (("nowhere", "digits", "", ""), "'nowhere' is none that is here"),
        (("npz:a.npz", "digits", "", ""), "there is nothing at"),
        (("digits", "t.onnx", "", ""), "there is nothing at"),
        (("digits", "mine.py:net", "", ""), "there is nothing at"),
        (("digits", "", "cpuu", "cpu"), "Did you mean 'cpu'?"),
        (("digits", "resnet20", "gone.pth", "", ""), "gone.pth"),
    ],
)
def test_what_cannot_be_used_is_asked_again(answer: Answer, capsys: pytest.CaptureFixture[str], answers: tuple[str, ...], words: str) -> None:
    """With what is wrong with it."""
    assert answer(Flags(), *answers).data == "digits"
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("stop", [KeyboardInterrupt, EOFError])
def test_stopping_at_any_question_ends_it(answer: Answer, stop: type[BaseException]) -> None:
    """By Ctrl-C or Ctrl-D; what it says then is that nothing was written."""
    for before in range(3):
        with pytest.raises(KeyboardInterrupt, match="Nothing was written"):
            answer(Flags(), *[""] * before, stop)


def test_images_that_lie_here_are_found(tmp_path: Path) -> None:
    """A folder of class folders or with train, else an npz or csv file; hidden and foreign ones are passed over."""
    assert found_here(tmp_path) == "digits"
    (tmp_path / "list.csv").write_text("path,label\n")
    (tmp_path / "notes" / "old").mkdir(parents=True)
    photos(tmp_path / ".cache")
    assert found_here(tmp_path) == "csv:list.csv"
    photos(tmp_path / "my photos" / "train")
    assert found_here(tmp_path) == "folder:my photos"
    assert found_here(tmp_path / "my photos") == "folder:."


def test_a_bare_path_says_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, an npz or a csv file; a spec stays as it is, and so does what nobody can tell."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    photos(tmp_path / "my photos")
    typed = ["my photos", "~/my photos", "a.npz", "b/c.csv", "npz:a.npz", "digits", "nowhere"]
    assert [spec_of(text) for text in typed] == [
        "folder:my photos",
        f"folder:{tmp_path}/my photos",
        "npz:a.npz",
        "csv:b/c.csv",
        "npz:a.npz",
        "digits",
        "nowhere",
    ]

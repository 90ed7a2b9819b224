"""errors: exit codes, and the message of a missing extra."""

import importlib.util
from pathlib import Path

import pytest

from edgekd import errors

PIP = "pip install 'edgekd[hf]'"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.EdgekdError, 3),
        (errors.UsageError, 2),
        (errors.RecipeError, 2),
        (errors.MissingError, 2),
        (errors.RunError, 3),
        (errors.TrainingError, 3),
        (errors.DeviceError, 3),
    ],
)
def test_each_error_has_the_exit_code_of_its_kind(kind: type[errors.EdgekdError], code: int) -> None:
    """2 stands for what the user can mend in what they asked for, 3 for everything else."""
    assert kind("text").exit_code == code
    assert issubclass(kind, errors.EdgekdError)


def test_a_missing_extra_names_the_line_that_installs_it() -> None:
    """The message can be pasted into a shell."""
    error = errors.MissingExtra("torch", "train")
    assert str(error) == f"torch is needed here and is not installed. Install it with: {errors.install_line('train')}"
    assert error.exit_code == 2


@pytest.mark.parametrize(("pip", "folder", "line"), [(None, True, "uv sync --extra hf"), (None, False, PIP), (object(), True, PIP)])
def test_what_installs_an_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pip: object, folder: bool, line: str) -> None:
    """An environment that uv made in a checkout has no pip."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: pip)
    monkeypatch.setattr(errors, "__file__", str(tmp_path / "edgekd" / "errors.py"))
    if folder:
        (tmp_path / "pyproject.toml").touch()
    assert errors.install_line("hf") == line


@pytest.mark.parametrize(("error", "line"), [(RuntimeError("one\ntwo"), "one"), (RuntimeError(), "RuntimeError")])
def test_what_an_error_says_first(error: Exception, line: str) -> None:
    """Its kind where it says nothing."""
    assert errors.first_line(error) == line

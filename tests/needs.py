"""What a test needs from outside Python: skipped with a reason where it is not there, failed where CI promised it."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def need_tool(*names: str) -> str:
    """The path of the first of these programs that is installed.

    Tests do without it on a person's machine; under CI, where `.ci/run` installs it, its absence fails.
    """
    for name in names:
        if path := shutil.which(name):
            return path
    return _absent(f"{' or '.join(names)} is not installed")


def need_package(name: str) -> None:
    """A Python package that a person may do without; under CI its absence fails."""
    if importlib.util.find_spec(name) is None:
        _absent(f"the package {name} is not installed")


def need_script(variable: str, name: str) -> str:
    """The text of a script that an environment variable names the file of; as `need_tool` where it names none."""
    path = Path(os.environ.get(variable, ""))
    return path.read_text(encoding="utf-8") if path.is_file() else _absent(f"{variable} names no {name}")


def need_data(name: str) -> Path:
    """The file of an image set, as in `need_data("cifar10.npz")`: in `EDGEKD_DATA`, else in benchmarks/data/.

    Skips where neither has it, under CI too: the images are no part of the project.
    """
    folders = [Path(os.environ["EDGEKD_DATA"])] if "EDGEKD_DATA" in os.environ else []
    for folder in [*folders, ROOT / "benchmarks" / "data"]:
        if (folder / name).is_file():
            return folder / name
    pytest.skip(f"{name} is neither in EDGEKD_DATA nor in benchmarks/data")


def _absent(reason: str) -> str:
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and CI is set: see .ci/run")
    pytest.skip(reason)

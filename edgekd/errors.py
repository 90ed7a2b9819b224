"""What edgekd raises on purpose. Every message says the rule, the value received and the remedy.

EdgekdError            exit 3   anything that went wrong for a reason we can name
├── UsageError         exit 2   the command, recipe or file cannot be used as it was given
│   └── RecipeError    exit 2   a recipe that does not read
├── MissingError       exit 2   something that is needed is not there
│   └── MissingExtra   exit 2   a package of an extra that is not installed
├── RunError           exit 3   a run folder that cannot be used, or is in use
├── TrainingError      exit 3   training that cannot go on, as with a loss that is not a number
└── DeviceError        exit 3   a device or runtime that refused, crashed or fell silent
    └── HostsLostError exit 3   some of several hosts, while the others measured
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar


class EdgekdError(Exception):
    """Base of all errors that edgekd raises on purpose; its text is for the user."""

    exit_code: ClassVar[int] = 3


class UsageError(EdgekdError):
    """What was asked cannot be done as it was asked."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe does not read: a misspelt key, a wrong type, values that contradict each other."""


class MissingError(EdgekdError):
    """A file, class, figure or package that is needed is not there."""

    exit_code = 2


def install_line(extra: str) -> str:
    """What installs an extra: by uv in a checkout whose environment it has made, which has no pip."""
    by_uv = importlib.util.find_spec("pip") is None and (Path(__file__).parents[1] / "pyproject.toml").is_file()
    return f"uv sync --extra {extra}" if by_uv else f"pip install 'edgekd[{extra}]'"


class MissingExtra(MissingError):
    """A package of an extra is not installed.

    `MissingExtra("torch", "train")` names the line that installs it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is needed here and is not installed. Install it with: {install_line(extra)}")


class RunError(EdgekdError):
    """A run folder is another recipe's, is in use, or cannot be written."""


class TrainingError(EdgekdError):
    """Training cannot go on; the last good checkpoint is kept."""


class DeviceError(EdgekdError):
    """A device or its runtime refused, crashed or fell silent."""


class HostsLostError(DeviceError):
    """Some of several hosts could not be measured; `report` (a record.Report) holds what the others came to."""

    def __init__(self, hosts: Mapping[str, str], report: object) -> None:
        super().__init__("; ".join(f"{host} was given up: {why}" for host, why in hosts.items()))
        self.report = report


def first_line(error: BaseException) -> str:
    """What another library's error says first, or its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]

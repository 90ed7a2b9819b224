"""Exceptions → what a person is told, and exit codes."""

import errno
import io
import os

import pytest

from edgekd.cli.faults import Fault, Terminated, explain, show
from edgekd.errors import MissingExtra, RunError, UsageError, install_line


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("a rule"), 2, "a rule"),
        (RunError("in use"), 3, "in use"),
        (MissingExtra("torch", "train"), 2, install_line("train")),
        (
            ModuleNotFoundError("No module named 'timm'", name="timm"),
            2,
            f"timm is needed here and is not installed. Install it with: {install_line('timm')}",
        ),
        (ModuleNotFoundError("No module named 'torch.x'", name="torch.x"), 2, install_line("train")),
        (KeyboardInterrupt(), 130, "Stopped."),
        (Terminated("Stopped. Kept.", SystemExit(143)), 143, "Stopped. Kept."),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/x.npy"), 3, "The disk is full at /data/x.npy. Finished files are whole and kept"),
        (PermissionError(errno.EACCES, "no", "/root/x"), 3, "Permission denied at /root/x. Check the path and its permissions."),
        (MemoryError(), 3, "Out of memory: no message. A smaller batch needs less: --set train.batch=32"),
        (ZeroDivisionError("division by zero"), 3, "ZeroDivisionError: division by zero. Please report it"),
        (ModuleNotFoundError("No module named 'left_pad'", name="left_pad"), 3, "Please report it"),
    ],
)
def test_each_way_to_end_badly_has_its_words_and_its_code(error: BaseException, code: int, said: str) -> None:
    """2 for the user's side, 3 for the rest, 130 and 143 for signals."""
    fault = explain(error)
    assert fault.exit_code == code
    assert said in fault.message


@pytest.mark.parametrize(("needs", "extra"), [(None, "measure"), ("measure", "measure"), ("train", "train")])
def test_the_extra_is_the_commands_own(needs: str | None, extra: str) -> None:
    """Who trains is not sent for numpy first and for torch next."""
    error = ModuleNotFoundError("No module named 'numpy'", name="numpy")
    assert install_line(extra) in explain(error, needs).message


def test_an_unexpected_error_is_called_a_bug() -> None:
    """The title says whose fault it is."""
    assert explain(RuntimeError("boom")).title == "this is a bug in edgekd"


def test_in_a_log_a_fault_is_one_line() -> None:
    """No frame where it cannot be seen."""
    stream = io.StringIO()
    show(Fault("UsageError", "a rule", 2), stream)
    assert stream.getvalue() == "edgekd: error: a rule\n"


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_fault_is_a_panel() -> None:
    """Brackets of a message are no markup."""
    stream = Screen()
    show(Fault("UsageError", "pip install 'edgekd[train]'", 2), stream)
    assert "edgekd[train]" in stream.getvalue()
    assert "─ error ─" in stream.getvalue()


def test_lines_of_python_stay_lines() -> None:
    """Elsewhere than on a terminal a message is one line, but for code, which would be none."""
    said = io.StringIO()
    show(Fault("UsageError", "Save its weights:\nimport torch\ntorch.save(1)  # once", 2), said)
    show(Fault("UsageError", "Two lines\nof words.", 2), said)
    assert said.getvalue().splitlines()[1:] == ["import torch", "torch.save(1)  # once", "edgekd: error: Two lines of words."]

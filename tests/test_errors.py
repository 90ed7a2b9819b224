"""errors: exit codes, and the message of a missing extra."""

import pytest

from edgekd import errors


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
    assert str(error) == "torch is needed here and is not installed. Install it with: pip install 'edgekd[train]'"
    assert error.exit_code == 2

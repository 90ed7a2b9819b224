"""Typed text → values, without Typer's own adapter."""

from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from edgekd.cli.quick import Command

runner = CliRunner()


def program() -> tuple[typer.Typer, list[dict[str, Any]]]:
    """A command with an option of each kind, and what it was given."""
    app, seen = typer.Typer(), []

    @app.command(cls=Command)
    def it(
        files: Annotated[list[Path] | None, typer.Argument()] = None,
        text: Annotated[str, typer.Option()] = "a",
        whole: Annotated[int | None, typer.Option()] = None,
        number: Annotated[float | None, typer.Option()] = None,
        many: Annotated[list[str] | None, typer.Option()] = None,
        on: Annotated[bool, typer.Option("--on")] = False,
    ) -> None:
        seen.append({"files": list(files or []), "text": text, "whole": whole, "number": number, "many": list(many or []), "on": on})

    return app, seen


def test_what_is_not_typed_is_the_default() -> None:
    """None, empty or as the command says."""
    app, seen = program()
    assert runner.invoke(app, []).exit_code == 0
    assert seen == [{"files": [], "text": "a", "whole": None, "number": None, "many": [], "on": False}]


def test_each_kind_is_read() -> None:
    """Paths, text, numbers, lists and switches."""
    app, seen = program()
    typed = ["x", "y", "--text", "t", "--whole", "3", "--number", "2.5", "--many", "p", "--many", "q", "--on"]
    assert runner.invoke(app, typed).exit_code == 0
    assert seen == [{"files": [Path("x"), Path("y")], "text": "t", "whole": 3, "number": 2.5, "many": ["p", "q"], "on": True}]


@pytest.mark.parametrize(("option", "what"), [("--whole", "a whole number"), ("--number", "a number")])
def test_text_that_is_no_number_is_wrong_usage(option: str, what: str) -> None:
    """It says what the option takes and what it got."""
    result = runner.invoke(program()[0], [option, "many"])
    assert result.exit_code == 2
    assert f"it takes {what}, got 'many'" in " ".join(result.stderr.replace("│", " ").split())

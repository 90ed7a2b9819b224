"""What every command shares: spread options, exit codes, one JSON document, interrupts."""

import io
import json
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from edgekd.cli.face import Face, command
from edgekd.cli.options import Flags
from edgekd.errors import UsageError
from edgekd.events import StageFinished, StageStarted

Name = Annotated[str, typer.Argument(help="A name.")]
runner = CliRunner()


def app_of(function: object) -> typer.Typer:
    """A program with this one command and another, as Typer makes a lone command the program."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command("it")(command(function))  # type: ignore[arg-type]
    app.command("other")(lambda: None)
    return app


def test_groups_of_options_are_spread_and_gathered() -> None:
    """A command sees whole dataclasses, the user sees their options."""
    seen: list[tuple[str, Flags, Face]] = []

    def it(name: Name, *, flags: Flags, face: Face) -> None:
        seen.append((name, flags, face))

    result = runner.invoke(app_of(it), ["it", "x", "--seed", "3", "--student", "a", "--student", "b", "-q"])
    assert result.exit_code == 0, result.output
    ((typed, gathered, loud),) = seen
    assert typed == "x"
    assert (gathered.seed, gathered.student, gathered.data) == (3, ["a", "b"], None)
    assert loud == Face(quiet=True)


def test_an_error_of_the_user_is_one_line_and_its_code() -> None:
    """No traceback without --debug, and one with it."""

    def it(*, face: Face) -> None:
        raise UsageError("the rule, got 3")

    result = runner.invoke(app_of(it), ["it"])
    assert result.exit_code == 2
    assert result.stderr == "edgekd: error: the rule, got 3\n"
    assert result.stdout == ""
    assert "Traceback" in runner.invoke(app_of(it), ["it", "--debug"]).stderr


def test_under_json_an_error_is_a_document_too() -> None:
    """What reads stdout gets one document whatever happens."""

    def it(*, face: Face) -> None:
        raise UsageError("the rule")

    result = runner.invoke(app_of(it), ["it", "--json"])
    assert json.loads(result.stdout) == {"error": {"kind": "UsageError", "message": "the rule"}, "exit_code": 2}


def test_a_result_is_text_or_one_document() -> None:
    """--json prints the document and nothing else."""

    def it(*, face: Face) -> None:
        face.result("text\n\n", {"a": [1]})

    assert runner.invoke(app_of(it), ["it"]).stdout == "text\n"
    assert json.loads(runner.invoke(app_of(it), ["it", "--json"]).stdout) == {"a": [1]}


def test_an_exit_code_passes_through() -> None:
    """A gate chooses its own."""

    def it(*, face: Face) -> None:
        raise typer.Exit(1)

    assert runner.invoke(app_of(it), ["it"]).exit_code == 1


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_an_interrupt_says_what_is_kept_and_how_to_go_on(stop: BaseException, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finished stages, the one under way, and the same command again."""
    monkeypatch.setattr("sys.argv", ["edgekd", "compress", "my recipe.toml"])

    def it(*, face: Face) -> None:
        with face.watching(Path("runs/a")) as emit:
            emit(StageStarted(stage="teach"))
            emit(StageFinished(stage="teach", seconds=1))
            emit(StageStarted(stage="distill/resnet8"))
            raise stop

    result = runner.invoke(app_of(it), ["it", "-q"])
    assert result.exit_code == code
    assert result.stderr == (
        "edgekd: Stopped. Finished and kept in runs/a: teach. distill/resnet8 goes on from its last checkpoint. "
        "To go on: edgekd compress 'my recipe.toml'\n"
    )


@pytest.mark.parametrize("stage", ["assist/big", "alone/small", "alone-on-subset/small", "co-teach/other"])
def test_whatever_learns_goes_on(stage: str) -> None:
    """Assistants and students alone keep checkpoints as well."""

    def it(*, face: Face) -> None:
        with face.watching(Path("runs/a")) as emit:
            emit(StageStarted(stage=stage))
            raise KeyboardInterrupt

    assert f"{stage} goes on from its last checkpoint." in runner.invoke(app_of(it), ["it", "-q"]).stderr


def test_an_interrupt_late_in_a_run_stays_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many finished stages a few are named; a stage without checkpoints begins again."""
    monkeypatch.setattr("sys.argv", ["edgekd", "compress"])

    def it(*, face: Face) -> None:
        with face.watching(Path("runs/a")) as emit:
            for number in range(40):
                emit(StageFinished(stage=f"evaluate/{number}", seconds=1))
            emit(StageStarted(stage="bench"))
            raise KeyboardInterrupt

    said = runner.invoke(app_of(it), ["it", "-q"]).stderr
    assert "evaluate/4 and 35 more. bench begins again." in said
    assert len(said) < 300


@pytest.mark.parametrize("option", [["--format", "json"], ["--json"]])
def test_whoever_asks_for_json_gets_errors_in_it(option: list[str]) -> None:
    """Both ways to ask for it."""

    def it(*, format: Annotated[str, typer.Option("--format", metavar="text|json", help="How.")] = "text", face: Face) -> None:
        raise UsageError("the rule")

    assert json.loads(runner.invoke(app_of(it), ["it", *option]).stdout)["error"]["message"] == "the rule"


def test_a_terminal_says_at_once_that_it_is_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the command speaks, then the line is gone; neither under --quiet nor where questions are put."""

    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    def it(*, face: Face) -> None:
        assert ("starting …" in screen.getvalue()) == told
        face.result("done", {})

    plain = {"quiet": False, "verbose": False, "json": False, "debug": False}
    for asks, options in ((False, {}), (False, {"quiet": True}), (False, {"json": True}), (True, {})):
        screen, told = Screen(), not (asks or options)
        monkeypatch.setattr("sys.stderr", screen)
        command(it, needs="train", asks=asks)(**{**plain, **options})
        assert screen.getvalue().split("\r")[-1] == ""


def test_an_interrupt_without_a_run_says_that_nothing_was_written() -> None:
    """Bare files leave nothing behind."""

    def it(*, face: Face) -> None:
        with face.watching():
            raise KeyboardInterrupt

    assert "Stopped. Nothing was written." in runner.invoke(app_of(it), ["it"]).stderr

"""The command line as a whole: help everywhere, and a quick start."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from edgekd import __version__
from edgekd.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = [
    "init",
    "compress",
    "teach",
    "label",
    "distill",
    "export",
    "evaluate",
    "robustness",
    "bench",
    "predict",
    "pack",
    "check",
    "report",
    "watch",
    "recipe",
    "taps",
    "doctor",
    "selftest",
    "budget",
    "baseline",
    "targets",
]
runner = CliRunner()


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by its name, those of groups too."""
    root: Any = typer.main.get_command(app)
    for name, command in root.commands.items():
        yield name, command
        for inner, below in getattr(command, "commands", {}).items():
            yield f"{name} {inner}", below


def test_the_commands_stand_in_the_order_of_the_story() -> None:
    """None is lost, none is new without a test."""
    assert [name for name, _ in commands() if " " not in name] == COMMANDS


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_each_command_and_each_option_has_help(name: str, command: Any) -> None:
    """A sentence for the command, whole in the list of commands, and one for each option and argument."""
    assert command.help, name
    assert len(command.help.split(".")[0].splitlines()[0]) <= 64, f"{name}: the first sentence is cut in the list"
    assert [parameter.name for parameter in command.params if not parameter.help] == []


@pytest.mark.parametrize("name", [name for name, command in commands() if not getattr(command, "commands", {}) or command.invoke_without_command])
def test_each_command_can_be_quiet_and_speak_json(name: str) -> None:
    """The same switches everywhere, and help within 80 columns."""
    result = runner.invoke(app, [*name.split(), "--help"])
    assert all(switch in result.stdout for switch in ("--quiet", "--verbose", "--json", "--debug"))
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_the_version() -> None:
    """One line."""
    assert runner.invoke(app, ["--version"]).stdout == f"edgekd {__version__}\n"


def test_an_option_that_nobody_knows_is_wrong_usage() -> None:
    """Exit code 2, with the nearest ones."""
    result = runner.invoke(app, ["compress", "--teacher-weigths", "x"])
    assert result.exit_code == 2
    assert result.stderr.startswith("edgekd: error: No such option: --teacher-weigths")
    assert "--teacher-weights" in result.stderr
    assert result.stderr.endswith("compress --help.\n")
    assert result.stdout == ""


@pytest.mark.parametrize(
    "typed",
    [["compress", "--nonsense"], ["compress", "--epochs", "many"], ["report"], ["budget", "nonsense"], ["nonsense"]],
)
def test_wrong_usage_under_json_is_one_document(typed: list[str]) -> None:
    """Also where the command was never reached; --json may stand anywhere."""
    for arguments in ([*typed, "--json"], [typed[0], "--json", *typed[1:]]):
        result = runner.invoke(app, arguments)
        found = json.loads(result.stdout)
        assert (found["exit_code"], found["error"]["kind"]) == (2, "UsageError")
        assert result.exit_code == 2


def test_without_a_command_it_shows_its_help() -> None:
    """And that is wrong usage."""
    result = runner.invoke(app, [])
    assert result.exit_code == 2
    assert "Commands:" in result.stderr


def test_help_takes_no_time() -> None:
    """Three times the CPU that loading typer takes, the best of three; rich, msgspec and all the rest stay unloaded."""
    code = "import sys, atexit\n"
    code += "atexit.register(lambda: print([m for m in ('rich', 'msgspec', 'numpy', 'torch', 'pydantic') if m in sys.modules], file=sys.stderr))\n"
    code += "from edgekd.cli import main\nmain()"
    helped, loaded = [], []
    for _ in range(3):
        taken, done = cpu_seconds(code, "--help")
        assert (done.returncode, done.stderr) == (0, "[]\n")
        helped.append(taken)
        loaded.append(cpu_seconds("import typer.main")[0])
    assert min(helped) < 3 * min(loaded)


def cpu_seconds(code: str, *arguments: str) -> "tuple[float, subprocess.CompletedProcess[str]]":
    """What a Python of its own took for it, and what it said."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done


def test_it_runs_as_a_module() -> None:
    """`python -m edgekd` is `edgekd`."""
    done = subprocess.run([sys.executable, "-m", "edgekd", "--version"], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == f"edgekd {__version__}\n"

"""Code on the site and in the README holds: recipes read, Python compiles, each `edgekd` line is one that its command takes, marked ones run."""

import functools
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from edgekd import target
from edgekd.cli.app import app
from edgekd.gate.limits import read_budget
from edgekd.recipefile import decode_recipe
from edgekd.toml import decode
from tests.compress.jobs import workplace
from tests.docs.blocks import DOCS, PAGES, Block, asked, blocks, blocks_of
from tests.needs import ROOT
from tests.toys import brightness

TINY = [
    "--data", "npz:images.npz", "--teacher", "nets.py:wide", "--student", "nets.py:thin", "--out", "runs/digits", "--epochs", "1",
    "--set", "train.teacher_epochs=1", "--set", "train.views=1", "--set", "train.precision=fp32", "--set", "train.channels_last=false",
    "--set", "train.threads=1", "--set", "export.precisions=['fp32']", "--quiet",
]  # fmt: skip
"""What a marked `edgekd compress` is given besides, so that it takes seconds."""


def name(block: Block) -> str:
    """A block in a test's name."""
    return str(block)


@pytest.mark.parametrize("block", blocks("toml"), ids=name)
def test_toml_reads_as_what_it_is(block: Block, tmp_path: Path) -> None:
    """A recipe, but where its title names a budget or a target."""
    file = tmp_path / (block.title or "recipe.toml")
    file.write_text(block.text)
    if file.name in ("budget.toml", "pyproject.toml"):
        assert read_budget(file).budget.limit
    elif 'runtime = "' in block.text:
        assert target.load(str(file)).name == file.stem
    else:
        decode_recipe(block.text, str(block))


@pytest.mark.parametrize("block", blocks("python"), ids=name)
def test_python_compiles(block: Block) -> None:
    """Whatever it imports."""
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", blocks("yaml"), ids=name)
def test_yaml_parses(block: Block) -> None:
    """To a table."""
    assert isinstance(yaml.safe_load(block.text), dict)


@pytest.mark.parametrize("block", [block for block in blocks("sh") if list(asked(block.text))], ids=name)
def test_each_line_is_one_that_its_command_takes(block: Block) -> None:
    """Command, options and arguments exist; nothing is run."""
    for call in asked(block.text):
        understood(call.words)


program = functools.cache(functools.partial(typer.main.get_command, app))


def understood(words: list[str]) -> None:
    """Read words as `edgekd` would; the error is Typer's own where it would not."""
    command: Any = program()
    rest = list(words)
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    assert not getattr(command, "commands", {}) or (command.invoke_without_command and not rest), f"no command: {' '.join(words)}"
    command.make_context("edgekd", rest)


@pytest.mark.parametrize("words", [["comprss"], ["compress", "--epoch", "3"], ["watch"], ["budget"], ["report", "run", "--format"]], ids=" ".join)
def test_a_line_that_no_command_takes_is_seen(words: list[str]) -> None:
    """A misspelt command or option, a missing argument, half a command, a missing value."""
    with pytest.raises(Exception, match=r"no command|No such option|Missing parameter|requires an argument"):
        understood(words)


def test_calls_are_found_in_lines_of_a_shell() -> None:
    """Behind `uv run` and `&&`, over two lines, with a comment, into a file; not in a comment or a word of another program."""
    text = (
        "pip install uv && uv run edgekd compress --set 'a=\"b c\"' \\\n  --alone   # edgekd x\nedgekd recipe > r.toml\n# edgekd y\ncat edgekd | wc\n"
    )
    assert [(call.words, call.into) for call in asked(text)] == [(["compress", "--set", 'a="b c"', "--alone"], None), (["recipe"], "r.toml")]


def test_no_fence_is_missed() -> None:
    """Every line that opens or closes a block belongs to one that was found."""
    for page in PAGES:
        fences = sum(line.startswith("```") for line in page.read_text(encoding="utf-8").splitlines())
        assert fences == 2 * len(list(blocks_of(page))), page


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small images and networks, and a bare file."""
    folder = workplace(tmp_path_factory.mktemp("reader"))
    brightness(folder / "model.onnx")
    return folder


@pytest.mark.timeout(600)
@pytest.mark.parametrize("block", [block for block in blocks("sh") if block.run], ids=name)
def test_marked_lines_run(block: Block, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, as a reader types them; compress takes the tiny set-up."""
    monkeypatch.chdir(place)
    for call in asked(block.text):
        words = [*call.words, *(TINY if call.words == ["compress"] else [])]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, f"{call.words}: {done.output}"
        assert done.stdout
        if call.into:
            Path(call.into).write_text(done.stdout)


@pytest.mark.parametrize("block", [block for block in blocks("python") if block.run], ids=name)
def test_marked_python_runs(block: Block, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder where the file that it speaks of is."""
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "path", [*sys.path])
    exec(compile(block.text, str(block), "exec"), {})


def test_every_page_is_in_the_navigation() -> None:
    """And every entry of the navigation is a page."""

    def pages(entries: list[dict[str, Any]]) -> list[str]:
        found = [value for entry in entries for value in entry.values()]
        return [page for value in found for page in ([value] if isinstance(value, str) else pages(value))]

    listed = pages(decode((ROOT / "zensical.toml").read_bytes(), "zensical.toml")["project"]["nav"])
    assert sorted(listed) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))

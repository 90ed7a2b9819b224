"""edgekd recipe, targets and doctor."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgekd import target
from edgekd.cli.app import app
from edgekd.cli.doctor import swap_lines
from edgekd.phases import FEW_TERMS, MANY_TERMS
from edgekd.recipe import Recipe
from edgekd.recipefile import decode_recipe

runner = CliRunner()


def test_the_recipe_in_force_reads_back() -> None:
    """What is printed is a recipe, flags included."""
    assert decode_recipe(runner.invoke(app, ["recipe"]).stdout) == Recipe()
    printed = runner.invoke(app, ["recipe", "--seed", "3", "--set", "train.batch=64"]).stdout
    assert (decode_recipe(printed).seed, decode_recipe(printed).train.batch) == (3, 64)


def test_the_recipe_in_force_says_what_it_leaves_open() -> None:
    """The terms that its phases get, which read back as they stand; nothing where all phases name theirs."""
    printed = runner.invoke(app, ["recipe", "--set", 'phase.1.terms=[{loss="kd"}]']).stdout
    assert "# transfer names no terms; the data decide." in printed
    comment = "\n".join(line.removeprefix("#") for line in printed.splitlines() if line.startswith("#"))
    found = [f"terms = {rest.partition(']')[0]}]" for rest in comment.split("terms = ")[1:]]
    kept = [decode_recipe(f'[[phase]]\nname = "one"\nepochs = 1\n{terms}').phase[0].terms for terms in found]
    assert kept == [FEW_TERMS, MANY_TERMS]
    both = runner.invoke(app, ["recipe", "--set", 'phase.0.terms=[{loss="kd"}]', "--set", 'phase.1.terms=[{loss="kd"}]']).stdout
    assert "#" not in both


def test_the_recipe_of_a_file(tmp_path: Path) -> None:
    """A file's recipe with the flags put in."""
    file = tmp_path / "r.toml"
    file.write_text("seed = 5\n")
    assert json.loads(runner.invoke(app, ["recipe", str(file), "--json"]).stdout)["seed"] == 5


def test_the_schema_is_json_schema() -> None:
    """It names the recipe's keys."""
    schema = json.loads(runner.invoke(app, ["recipe", "--schema"]).stdout)
    assert set(schema["$defs"]["Recipe"]["properties"]) == set(Recipe.__struct_fields__)


def test_a_recipe_that_is_not_there() -> None:
    """The message says how to begin one."""
    result = runner.invoke(app, ["recipe", "nope.toml"])
    assert result.exit_code == 2
    assert "`edgekd recipe > nope.toml` writes one" in result.stderr


def test_targets_are_listed_within_80_columns() -> None:
    """Each by name; those that never ran are marked."""
    text = runner.invoke(app, ["targets"]).stdout
    assert all(name in text for name in target.names())
    assert "jetson-orin-nano *" in text
    assert "cpu *" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert [each["name"] for each in json.loads(runner.invoke(app, ["targets", "--json"]).stdout)] == target.names()


def test_a_target_is_shown_as_its_file() -> None:
    """With the comments and sources in it."""
    result = runner.invoke(app, ["targets", "show", "jetson-orin-nano"])
    assert "never run on real hardware" in result.stdout
    assert "description" in result.stdout
    assert json.loads(runner.invoke(app, ["targets", "show", "cpu", "--json"]).stdout)["runtime"] == "onnxruntime"


def test_a_target_that_nobody_knows() -> None:
    """The nearest is named, and stdout holds nothing of the list."""
    result = runner.invoke(app, ["targets", "show", "cpuu"])
    assert result.exit_code == 2
    assert "Did you mean 'cpu'?" in result.stderr
    assert result.stdout == ""


def test_doctor_tells_about_this_machine() -> None:
    """Processor, INT8 instructions, runtimes, what is missing and how to get it."""
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 0, result.output
    for word in ("processor", "INT8", "CUDA", "ONNX Runtime", "providers", "CPUExecutionProvider", "never run on real hardware", "jetson-orin-nano"):
        assert word in result.stdout
    document = json.loads(runner.invoke(app, ["doctor", "--json"]).stdout)
    assert document["machine"]["cores"] >= 1
    assert "cpu" not in document["untested"]


@pytest.mark.parametrize(
    ("installed", "lines"),
    [
        ([], []),
        (["onnxruntime-gpu"], []),
        (["onnxruntime"], ["pip uninstall -y onnxruntime", "pip install onnxruntime-gpu"]),
        (["onnxruntime", "onnxruntime-openvino"], ["pip uninstall -y onnxruntime onnxruntime-openvino", "pip install onnxruntime-gpu"]),
    ],
)
def test_the_two_lines_that_swap_the_runtime(installed: list[str], lines: list[str]) -> None:
    """Builds of ONNX Runtime share one folder, so the old one goes first."""
    assert swap_lines(installed) == lines

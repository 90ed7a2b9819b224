"""edgekd recipe."""

import json
from pathlib import Path

from typer.testing import CliRunner

from edgekd.cli.app import app
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
    even = runner.invoke(app, ["recipe", "--set", "train.prior=uniform"]).stdout
    assert even.count("logit_adjustment = 1.0") == 2
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

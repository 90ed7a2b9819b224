"""A recipe ⇄ TOML, and single settings put in from the command line.

A recipe reads with every key known: a misspelt one is refused by name with the nearest known one.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from edgekd.errors import MissingError, RecipeError
from edgekd.explain import explain
from edgekd.phases import MANY_CLASSES, usual_terms
from edgekd.recipe import Recipe
from edgekd.terms import Term
from edgekd.toml import decode


def decode_recipe(text: str | bytes, name: str = "recipe.toml") -> Recipe:
    """The recipe in a TOML text.

    Raises:
        RecipeError: not TOML, an unknown key (the nearest known one is named), a value of the wrong kind.
    """
    return convert_recipe(decode(text, name), name)


def convert_recipe(table: dict[str, Any], name: str = "recipe.toml") -> Recipe:
    """The recipe in a table as TOML gives it; raises as `decode_recipe`."""
    try:
        return msgspec.convert(table, Recipe)
    except msgspec.ValidationError as error:
        raise RecipeError(f"{name}: {explain(error, Recipe, table)}") from None


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file; raises as `decode_recipe`, and MissingError where there is none."""
    try:
        return decode_recipe(path.read_bytes(), str(path))
    except OSError as error:
        name = path.name if path.suffix == ".toml" else "recipe.toml"
        raise MissingError(f"no recipe at {path}: {error.strerror}. `edgekd recipe > {name}` writes one to start from.") from None


def recipe_table(recipe: Recipe) -> dict[str, Any]:
    """A recipe as plain tables, without the keys that are None (TOML has no word for them)."""
    return _table(recipe)


def encode_recipe(recipe: Recipe) -> str:
    """A recipe as TOML that reads back equal. Of a term's options only those that are set stand there: terms are tables of one line."""
    table = recipe_table(recipe)
    for phase, written in zip(recipe.phase, table["phase"], strict=True):
        written["terms"] = [_differing(term) for term in phase.terms]
        if not phase.terms:
            del written["terms"]
    return tomli_w.dumps(table)


def left_open(recipe: Recipe) -> str:
    """What phases that name no terms teach by, as a comment in TOML; empty where all name some. Which terms they get, the data decide."""
    names = [phase.name for phase in recipe.phase if not phase.terms]
    if not names:
        return ""
    even = recipe.train.prior == "uniform" and recipe.previous is None
    lines = [
        f"{' and '.join(names)} name{'s' if len(names) == 1 else ''} no terms; the data decide.",
        f"Fewer than {MANY_CLASSES} classes:",
        *_listed(usual_terms(many=False, even=even)),
        f"{MANY_CLASSES} classes and more:",
        *_listed(usual_terms(many=True, even=even)),
        "More than 1,000 classes, or several labels an image: kd and label, of logits",
        "as they are.",
    ]
    return "\n" + "\n".join(f"# {line}" for line in lines)


def _listed(terms: Sequence[Term]) -> list[str]:
    """Terms as lines of TOML, one each."""
    return [f"  {line}" for line in tomli_w.dumps({"terms": [_differing(term) for term in terms]}, indent=2).splitlines()]


def _differing(term: Term) -> dict[str, Any]:
    """A term's loss, its weight, and the options that differ from their defaults."""
    defaults = _table(type(term)())
    return {name: value for name, value in _table(term).items() if name in ("loss", "weight") or value != defaults.get(name)}


def _table(struct: msgspec.Struct) -> dict[str, Any]:
    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: clean(item) for key, item in value.items() if item is not None}
        return [clean(item) for item in value] if isinstance(value, (list, tuple)) else value

    table = clean(msgspec.to_builtins(struct))
    assert isinstance(table, dict)
    return table


def override(recipe: Recipe, settings: list[str]) -> Recipe:
    """The recipe with `KEY=VALUE` settings put in, as in `phase.0.epochs=30`; VALUE is TOML, or bare text.

    Raises:
        RecipeError: no `=`, a list index that is not there, or what `convert_recipe` raises.
    """
    table = recipe_table(recipe)
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise RecipeError(f"--set takes KEY=VALUE, got {setting!r}, as in --set phase.0.epochs=30")
        _put(table, path.strip().split("."), _value(text.strip()), setting)
    return convert_recipe(table, "--set")


def _value(text: str) -> Any:
    """A TOML value, or the text itself where it is none: `--set teacher.model=resnet56` needs no quotes."""
    try:
        return decode(f"value = {text}", "--set")["value"]
    except RecipeError:
        return text


def _put(table: Any, keys: list[str], value: Any, setting: str) -> None:
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        if isinstance(table, list):
            if not table:
                where = ".".join(keys[:depth])
                raise RecipeError(f"--set {setting}: {where} has no entries of its own here. Give it whole, as in --set '{where}=[{{ ... }}]'")
            if not key.isdigit() or int(key) >= len(table):
                raise RecipeError(f"--set {setting}: {'.'.join(keys[:depth])} has entries 0 to {len(table) - 1}, got {key!r}")
            slot: Any = int(key)
        elif isinstance(table, dict):
            slot = key
        else:
            raise RecipeError(
                f"--set {setting}: {'.'.join(keys[:depth])} is a plain value and has no {key!r} in it. "
                f"Where a table may stand, give it whole, as in --set '{'.'.join(keys[:depth])}={{ {key} = ... }}'"
            )
        if last:
            table[slot] = value
        else:
            table = table.setdefault(slot, {}) if isinstance(table, dict) else table[slot]

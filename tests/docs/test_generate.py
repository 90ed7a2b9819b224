"""The generated pages: as the code is now, and with every command, option, recipe key and name of a choice explained."""

import itertools
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
import yaml
from typer.testing import CliRunner

from docs.generate import __main__ as generate
from docs.generate import commands, figures, recipes, ways, words
from edgekd import errors, target
from edgekd.cli.app import app
from tests.docs.blocks import DOCS
from tests.needs import ROOT


def sections(page: str) -> dict[str, str]:
    """What stands under each heading of a page."""
    parts = re.split(r"^## (.+)$", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(text: str) -> dict[str, list[str]]:
    """A table's rows by their first cell, without its code marks."""
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("| `")]
    return {first.strip("` "): rest for first, *rest in cells}


# The pages are fresh --------------------------------------------------------------------------------------------------


def test_the_pages_are_as_the_code_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where this fails, run `python -m docs.generate`."""
    monkeypatch.setattr(sys, "argv", ["generate", "--check"])
    assert generate.main() == 0, capsys.readouterr().out


def test_a_stale_page_is_named_and_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """--check changes nothing and fails; without it the page is written, and what stands around the part stays."""
    docs = tmp_path / "docs"
    docs.mkdir()
    shutil.copy(DOCS / "targets.md", docs)
    page = docs / "targets.md"
    whole = page.read_text()
    page.write_text(whole.replace("**no**", "yes"))
    monkeypatch.setattr(generate, "DOCS", docs)
    monkeypatch.setattr(sys, "argv", ["generate", "--check"])
    assert generate.main() == 1
    assert capsys.readouterr().out == "stale docs/targets.md\n"
    assert page.read_text() != whole
    monkeypatch.setattr(sys, "argv", ["generate"])
    assert generate.main() == 0
    assert page.read_text() == whole


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- generated: nothing -->\n<!-- end of nothing -->", "nothing writes that"),
        ("<!-- generated: terms -->\n", "without its beginning or its end"),
        ("<!-- end of terms -->\n", "without its beginning or its end"),
        ("<!-- generated: terms -->\n<!-- end of targets -->\n", "without its beginning or its end"),
    ],
)
def test_a_part_that_cannot_be_written_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    """And no page is left half generated."""
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(SystemExit, match=message):
        generate.filled(page)


# Commands -------------------------------------------------------------------------------------------------------------


def paths(command: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command and group, by the words that call it."""
    return [path, *itertools.chain(*(paths(child, (*path, name)) for name, child in getattr(command, "commands", {}).items()))]


@pytest.mark.parametrize("path", paths(typer.main.get_command(app)), ids=" ".join)
def test_every_command_and_option_is_documented(path: tuple[str, ...]) -> None:
    """All that its --help lists stands in its section, or in one of those that it links to."""
    told = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200"}).stdout
    found = sections("commands.md")
    section = found.get(" ".join(("edgekd", *path)))
    if section is None:
        assert "Commands:" in told, f"edgekd {' '.join(path)} has no section"
        assert any(title.startswith(" ".join(("edgekd", *path, ""))) for title in found)
        return
    shared = [title for title, _ in commands.SHARED.values() if f"(#{commands.slug(title)})" in section]
    text = section + "".join(found[title] for title in shared)
    options = set(re.findall(r"^ +(?:-\w, )?(--[\w-]+)", told, re.MULTILINE)) - {"--help"}
    assert options
    missing = {option for option in options if f"`{option}`" not in text}
    assert not missing
    undescribed = [name for name, cells in rows(text).items() if not cells[0]]
    assert not undescribed


def test_every_exit_code_is_told() -> None:
    """Those of the errors, and those of a process that was stopped or left by its reader."""
    told = set(re.findall(r"\d+", " ".join(re.findall(r"^\| ([\d, ]+) \|", sections("commands.md")["How a command ends"], re.MULTILINE))))
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.EdgekdError)]
    assert told == {str(kind.exit_code) for kind in kinds} | {"0", "1", "130", "141", "143"}


# Recipes --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The structs of a recipe as `edgekd recipe --schema` gives them to editors."""
    found: dict[str, Any] = json.loads(CliRunner().invoke(app, ["recipe", "--schema"]).stdout)["$defs"]
    return found


def test_every_recipe_key_is_explained(schema: dict[str, Any]) -> None:
    """Each struct has a section with its keys, no fewer and no more, and each key has a sentence."""
    tables = [rows(text) for text in sections("recipe-keys.md").values()]
    for name, struct in schema.items():
        assert any(set(table) == set(struct["properties"]) for table in tables), f"{name} has no section with its keys"
    assert len(tables) == len(schema)
    for table in tables:
        for key, cells in table.items():
            assert cells[0].endswith((".", "?", "!")), f"{key} has no sentence"
            assert len(cells) == 3, key


def test_every_name_of_a_choice_is_explained(schema: dict[str, Any]) -> None:
    """Terms, subsets and shapes of the temperature: in the recipe's keys, and on the page about learning."""
    page = (DOCS / "methods.md").read_text(encoding="utf-8")
    keys = sections("recipe-keys.md")
    terms = [struct["properties"]["loss"]["enum"][0] for struct in schema.values() if "loss" in struct["properties"]]
    told = rows(page)
    assert len(terms) >= 4
    assert all(told[term][0] for term in terms)
    for struct, key, section in (("Subset", "by", "phase.subset"), ("Temperature", "shape", "phase.temperature")):
        for name in schema[struct]["properties"][key]["enum"]:
            assert f"`{name}`: " in rows(keys[section])[key][0], name
            assert re.search(rf"^\| .*`{name}`.* \| \S", page, re.MULTILINE), name


class Odd(msgspec.Struct):
    """A struct that is explained in part."""

    silent: int = 0
    told: int = 0
    """Below its field."""


@pytest.mark.parametrize(("key", "ours", "how"), [("silent", {}, "nowhere"), ("told", {"Odd.told": "Here too."}, "twice")])
def test_a_key_is_explained_once(monkeypatch: pytest.MonkeyPatch, key: str, ours: dict[str, str], how: str) -> None:
    """Neither passed over nor in two places."""
    monkeypatch.setattr(recipes, "KEYS", ours)
    with pytest.raises(SystemExit, match=rf"Odd\.{key} is explained {how}"):
        recipes.explanation(Odd, key)


def test_no_explanation_is_left_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of keys and choices that are gone."""
    there = {f"{kind.__name__}.{field.name}" for kind in recipes.structs() for field in recipes.info(kind).fields}
    assert not {key for key in words.KEYS if not key.startswith("*.")} - there
    assert not set(words.CHOICES) - there
    name = next(iter(words.CHOICES["Subset.by"]))
    monkeypatch.setitem(words.CHOICES, "Subset.by", {name: "alone."})
    with pytest.raises(SystemExit, match=r"Subset\.by takes "):
        recipes.keys()


# Figures, targets, CI -------------------------------------------------------------------------------------------------


def test_every_target_says_whether_it_was_ever_run() -> None:
    """In the table, from its file."""
    told = rows(figures.targets())
    assert {name: cells[-1].strip("*") == "yes" for name, cells in told.items()} == {name: target.load(name).tested for name in target.names()}


def test_measured_tables_hold_what_was_measured() -> None:
    """A mean over the seeds, the range, the paired difference with its interval, and where it comes from."""
    found = json.loads((ROOT / "benchmarks" / "results" / "cifar10.json").read_text())
    text = figures.ways()
    accuracies = [row["test_accuracy"] for row in found["rows"] if (row["student"], row["way"]) == ("resnet8", "two_phase")]
    assert f"| {len(accuracies)} | {sum(accuracies) / len(accuracies):.2f} | {min(accuracies):.2f} to {max(accuracies):.2f} |" in text
    assert f"{found['figures']['two_phase_minus_kd']:+.2f} points over plain KD" in text
    assert found["commit"] in text
    assert len(figures.search().splitlines()) == 2 + len(json.loads((ROOT / "benchmarks" / "results" / "phase2_search.json").read_text())["rows"])


def test_the_actions_inputs_are_all_told() -> None:
    """And no other."""
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    assert set(rows(sections("budgets.md")["GitHub"])) == set(action["inputs"])


def test_a_way_is_the_mean_of_its_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order that the page has; a way without rows has no line, and what it was not asked about stays empty."""
    host = {"cpu": "X", "cores": 2}
    rows = [{"way": "lwf", "old": old, "old_among_old": 80.0, "new": 90.0, "all": 45.5} for old in (1.0, 2.0)]
    rows.append({"way": "before", "old": 81.25, "old_among_old": 81.25})
    result = {"command": "python -m x", "commit": "abc", "date": "2026-11-27", "host": host, "rows": rows, "figures": {}}
    monkeypatch.setattr("benchmarks.render.results", lambda: {"forgetting": result})
    assert ways.forgetting().splitlines() == [
        "`python -m x`, commit abc, 2026-11-27, on X, 2 cores.",
        "",
        "| way | seeds | old classes, % | among old ones alone | new classes, % | all, % |",
        "|---|---|---|---|---|---|",
        "| before | 1 | 81.25 | 81.25 |  |  |",
        "| `keep`, labels among the new classes | 2 | 1.5 | 80 | 90 | 45.5 |",
    ]

"""Tests of benchmarks/render.py, result.py and the recipes of record: what is published is what was measured."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import render, result
from edgekd.recipefile import read_recipe

RECIPES = sorted((result.ROOT / "recipes").glob("*.toml"))


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_the_recipes_of_record_read(file: Path) -> None:
    """Every key is known, and their paths start at their own folder."""
    recipe = read_recipe(file)
    assert recipe.data.startswith("npz:../data/")


def test_many_classes_get_their_line_once_seeds_are_enough() -> None:
    """For an interval it takes two; what is gained over each of both."""
    one = {"cifar100, teacher": 66.4, "cifar100, two phases, dist": 55.17}
    one |= {"cifar100, two phases, dist minus alone": 10.24, "cifar100, two phases, dist minus kd": 8.55}
    assert "CIFAR-100" not in render.headline({"methods": {"figures": one}})
    (line,) = [
        line
        for line in render.headline({"methods": {"figures": {**one, "cifar100, two phases, dist minus kd, low": 7.5}}}).splitlines()
        if "CIFAR-100" in line
    ]
    assert "two phases: +10.24 points over alone, +8.55 over plain KD | 55.17 % (the teacher 66.40 %) |" in line


def test_the_long_tail_gets_its_line_once_it_is_measured() -> None:
    """With what two phases gain over each of the three; a teacher alone says nothing yet."""
    figures = {"two_phase": 71.0, "two_phase_minus_kd": 11.0, "two_phase_minus_alone_balanced": 5.5, "two_phase_minus_teacher": 9.0}
    (line,) = [line for line in render.headline({"longtail": {"figures": figures}}).splitlines() if "long tail" in line]
    assert "+11.00 points over plain KD, +5.50 over labels on the same images, +9.00 over the teacher | 71.00 %" in line
    assert "long tail" not in render.headline({"longtail": {"figures": {"teacher": 62.0}}})


def test_results_are_saved_in_the_agreed_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are numbers, and script, host, date and commit stand beside them."""
    monkeypatch.setattr(result, "RESULTS", tmp_path)
    document = json.loads(result.save("some", figures={"a": 1.23456}, rows=[{"b": 2}], seconds=1.0).read_text())
    assert (document["schema"], document["figures"], document["rows"]) == (1, {"a": 1.2346}, [{"b": 2}])
    assert set(document) == {"schema", "script", "command", "commit", "date", "seconds", "host", "figures", "rows"}


def test_what_was_not_run_says_so() -> None:
    """By name, with the command and what it takes; what was, does not."""
    assert "## cifar100\n\nnot run: `python -m benchmarks.gpu` teaches by the literature's protocol" in render.page({})
    host = {"cpu": "a CPU", "cores": 2}
    done = {"command": "c", "commit": "d", "date": "e", "seconds": 1.0, "host": host, "figures": {"resnet20b": 72.0}, "rows": []}
    assert "not run: `python -m benchmarks.gpu` teaches" not in render.page({"cifar100": done})


def test_what_is_published_is_what_was_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """benchmarks/README.md and the table in README.md are as render.py writes them."""
    monkeypatch.setattr(sys, "argv", ["render", "--check"])
    assert render.main() == 0, capsys.readouterr().out


def test_the_quantised_phase_gets_its_line_once_it_is_measured() -> None:
    """What it gains over the same steps without it, and what int8 still loses."""
    figures = {"quantised_int8": 80.1, "quantised_fp32": 80.3, "quantised_minus_longer": 0.4, "quantised_minus_post_training": 1.5}
    figures |= {"quantised_minus_longer_low": -0.1, "quantised_minus_longer_high": 0.9}
    (line,) = [line for line in render.headline({"qat": {"figures": figures}}).splitlines() if "int8" in line]
    assert "+0.40 points over the same steps without it (−0.10 to +0.90), +1.50 over two phases | 80.10 % (80.30 % in fp32)" in line
    assert "quantised" not in render.headline({"qat": {"figures": {}}})

"""The scripts that published figures come from: their recipes read, their results render, and what stands in the README is what they wrote."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import cifar10, kills, phase2_search, render, result
from edgekd.recipe import Recipe
from edgekd.recipefile import read_recipe

RECIPES = sorted((result.ROOT / "recipes").glob("*.toml"))


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_the_recipes_of_record_read(file: Path) -> None:
    """Every key is known, and their paths start at their own folder."""
    recipe = read_recipe(file)
    assert recipe.data.startswith("npz:../data/")


def test_the_measured_two_phases_are_the_default_ones() -> None:
    """The same temperatures, subset, terms and shares of the epochs."""
    measured, default = read_recipe(result.ROOT / "recipes" / "two-phase.toml").phase, Recipe().phase
    for ours, theirs in zip(cifar10.scaled(measured, 8), cifar10.scaled(default, 8), strict=True):
        assert ours == theirs


def test_every_way_takes_the_same_steps() -> None:
    """Alone, plain KD and two phases differ in what is asked of a step, and in nothing else."""
    ways = cifar10.ways(read_recipe(result.ROOT / "recipes" / "two-phase.toml"), 8.0)
    assert set(ways) == set(cifar10.WAYS)
    assert {sum(phase.epochs for phase in phases) for phases in ways.values()} == {8.0}
    assert not any(phase.soft for phase in ways["alone"])


def test_gains_are_paired_by_seed() -> None:
    """A mean of differences over the seeds that all ways have, with an interval."""
    rows = [
        {"student": "resnet8", "way": way, "seed": seed, "test_accuracy": accuracy}
        for way, found in {"two_phase": [82.0, 84.0, 99.0], "kd": [81.5, 84.5], "alone": [80.0, 80.0]}.items()
        for seed, accuracy in enumerate(found)
    ]
    figures = cifar10.figures(rows)
    assert figures["two_phase_minus_alone"] == pytest.approx(3.0)
    assert figures["two_phase"] == pytest.approx(83.0)
    assert figures["two_phase_minus_kd"] == pytest.approx(0.0)
    assert figures["two_phase_minus_kd_low"] < 0 < figures["two_phase_minus_kd_high"]


def test_candidates_share_the_first_phase() -> None:
    """All last one epoch of eight, so that each goes on from the same checkpoint."""
    assert {second.epochs for second in phase2_search.seconds(1.0, cifar10.TERMS).values()} == {1.0}


def test_a_broken_file_is_seen(tmp_path: Path) -> None:
    """Half a JSON under a final name is named; an unfinished one is passed over."""
    (tmp_path / "stage.json").write_text('{"a"')
    (tmp_path / ".part-1-report.json").write_text('{"a"')
    assert [text.split(":")[0] for text in kills.broken(tmp_path)] == ["stage.json"]


def test_results_are_saved_in_the_agreed_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are numbers, and script, host, date and commit stand beside them."""
    monkeypatch.setattr(result, "RESULTS", tmp_path)
    document = json.loads(result.save("some", figures={"a": 1.23456}, rows=[{"b": 2}], seconds=1.0).read_text())
    assert (document["schema"], document["figures"], document["rows"]) == (1, {"a": 1.2346}, [{"b": 2}])
    assert set(document) == {"schema", "script", "command", "commit", "date", "seconds", "host", "figures", "rows"}


def test_what_is_published_is_what_was_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """benchmarks/README.md and the table in README.md are as render.py writes them."""
    monkeypatch.setattr(sys, "argv", ["render", "--check"])
    assert render.main() == 0, capsys.readouterr().out

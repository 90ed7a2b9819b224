"""edgekd taps: what stands inside a network, at the command line."""

import json

import pytest
from typer.testing import CliRunner

from edgekd.cli.app import app


@pytest.fixture(scope="module")
def listed() -> str:
    """What is printed of two small networks."""
    result = CliRunner().invoke(app, ["taps", "resnet8", "--teacher", "wrn-16-2"])
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def test_places_are_listed_with_their_shapes(listed: str) -> None:
    """Names that mean the same in any network first, then every module, in 80 columns."""
    lines = listed.splitlines()
    assert lines[0].split() == ["stem", "bn1", "16", "×", "32", "×", "32"]
    assert lines[4].split() == ["pooled", "linear", "64"]
    assert ["layer2.0.conv1", "32", "×", "16", "×", "16"] in [line.split() for line in lines]
    assert max(map(len, lines)) <= 80


def test_pairs_are_suggested_as_a_recipe_takes_them(listed: str) -> None:
    """The line can be put into a term, as the next one says."""
    *_, pairs, where = listed.splitlines()
    assert pairs == 'pairs = [["stage1", "stage1"], ["stage2", "stage2"], ["stage3", "stage3"]]'
    assert where.startswith("of a term, as {")


def test_json_has_it_all() -> None:
    """One document: landmarks, taps, pairs; without a teacher there are no pairs."""
    result = CliRunner().invoke(app, ["taps", "resnet8", "--size", "16", "--json"])
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert found["landmarks"][2] == {"name": "stage2", "module": "layer2", "shape": [32, 8, 8]}
    assert found["taps"][-1] == {"module": "linear", "shape": [10]}
    assert (found["pairs"], found["heads_pairs"]) == ([], [])


def test_a_transformers_attention_layers_are_listed() -> None:
    """What each is given, and how many heads it has; as text in 80 columns, and in the document."""
    text = CliRunner().invoke(app, ["taps", "cifar-deit-1-128"]).stdout.splitlines()
    assert text[3].split(maxsplit=2) == ["heads1", "blocks.0.attn", "65 × 128, 2 heads"]
    assert max(map(len, text)) <= 80
    found = json.loads(CliRunner().invoke(app, ["taps", "cifar-deit-1-128", "--json"]).stdout)
    assert found["landmarks"][3] == {"name": "heads1", "module": "blocks.0.attn", "shape": [65, 128], "heads": 2}


def test_two_transformers_have_pairs_of_attention_layers() -> None:
    """Beside their stages, for the terms that compare heads and values."""
    text = CliRunner().invoke(app, ["taps", "cifar-deit-1-64", "--teacher", "cifar-deit-2-64"]).stdout.splitlines()
    assert text[-1] == 'pairs = [["heads1", "heads2"]]  for heads and values'


def test_windows_are_no_pair_of_all_tokens() -> None:
    """What training would refuse is not suggested."""
    result = CliRunner().invoke(app, ["taps", "vit_b_16", "--teacher", "swin_t", "--size", "224", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["heads_pairs"] == []


def test_an_unknown_network_is_a_usage_error() -> None:
    """Exit 2, and what a model may be."""
    result = CliRunner().invoke(app, ["taps", "nope"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no network is called 'nope'" in result.stderr


@pytest.mark.parametrize(("typed", "words"), [(["--classes", "0"], "from 1 on, got 0"), (["--channels", "2"], "takes 1 (grey) or 3 (colour), got 2")])
def test_numbers_that_no_network_has(typed: list[str], words: str) -> None:
    """Refused as what was typed."""
    result = CliRunner().invoke(app, ["taps", "resnet8", *typed])
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())

"""phases: what is read off a phase, and what one that names nothing new keeps."""

from pathlib import Path

import msgspec
import pytest

from edgekd import recipefile
from edgekd.phases import DEFAULT, features_first

NAME = '"a"'
PHASE = '[[phase]]\nname = "a"\nepochs = 1\nterms = [{ loss = "kd" }]\n'


def test_a_phase_of_labels_only_is_not_soft() -> None:
    """It needs no teacher."""
    assert not recipefile.decode_recipe(PHASE.replace('"kd"', '"label"')).phase[0].soft


def test_a_phase_that_does_not_name_rounding_keeps_its_bytes() -> None:
    """Stages of older recipes keep their keys; the last phases may be rounded, and what says so is written and read."""
    plain, rounded = (recipefile.decode_recipe(PHASE + more) for more in ("", "quantised = true"))
    assert b"quantised" not in msgspec.json.encode(plain)
    assert "quantised" not in recipefile.encode_recipe(plain)
    assert (plain.phase[0].is_quantised, rounded.phase[0].is_quantised) == (False, True)
    assert recipefile.decode_recipe(recipefile.encode_recipe(rounded)) == rounded
    marks = (("'a'", "false"), ("'b'", "true"), ("'c'", "true"))
    told = recipefile.decode_recipe("".join(f"{PHASE.replace(NAME, name)}quantised = {mark}\n" for name, mark in marks))
    assert [phase.is_quantised for phase in told.phase] == [False, True, True]


def test_features_first_is_what_was_measured() -> None:
    """The terms and the temperature of the recipe that benchmarks/methods.py measured, in a third of the epochs; the others keep all else."""
    measured = recipefile.read_recipe(Path(__file__).parents[1] / "benchmarks" / "recipes" / "features-first.toml").phase[0]
    inside, *others = features_first(DEFAULT)
    assert (inside.name, inside.terms, inside.temperature) == (measured.name, measured.terms, measured.temperature)
    assert inside.epochs == pytest.approx(sum(phase.epochs for phase in others) / 2)
    assert [msgspec.structs.replace(phase, epochs=0.1) for phase in others] == [msgspec.structs.replace(phase, epochs=0.1) for phase in DEFAULT]
    assert sum(phase.epochs for phase in (inside, *others)) == pytest.approx(sum(phase.epochs for phase in DEFAULT))

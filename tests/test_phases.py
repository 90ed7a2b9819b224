"""phases: what is read off a phase, and what one that names nothing new keeps."""

import msgspec

from edgekd import recipefile

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

"""Tests of edgekd/report/origins.py."""

import msgspec

from edgekd.measurements import State
from edgekd.recipefile import decode_recipe
from edgekd.record import Parity, Report
from edgekd.report.origins import origins
from tests.report.pages import Page
from tests.report.sample import sample_report

REPORT = sample_report()
PAGE = Page(origins(REPORT))
replace = msgspec.structs.replace


def test_all_that_a_second_run_needs_is_there() -> None:
    """Versions, seed, data with its fingerprint, the machine, each file's hash."""
    said = PAGE.inside("bdi")
    assert "0.1.0, seed 7, 2026-11-20T12:00:00Z" in said
    assert f"npz:animals.npz, sha256 {'5f' * 32}" in said
    assert "3: cat, dog, deer; 6000 to 6000 training images each" in said
    assert "Example Four 4000, x86_64, 4 cores, 16.0 GB, avx2 avx512_vnni, Linux 6.1, governor performance, onnxruntime 1.32.0" in said
    assert PAGE.inside("code").count("ab" * 32) == len(REPORT.artifacts)


def test_the_recipe_can_be_run_again() -> None:
    """What stands in the page reads back as a recipe."""
    (text,) = [code for code in PAGE.inside("code") if "npz:animals.npz" in code]
    assert decode_recipe(text).on == {"cpu": "local"}


def test_networks_say_how_they_came_by_their_weights() -> None:
    """One row each, without a time for what was brought."""
    assert PAGE.inside("td")[:7] == ["brought", "853k", "125M", "–", "–", "0", "93.6 %"]
    assert {"distilled", "alone", "6 min 52 s"} <= set(PAGE.inside("td"))


def test_the_state_of_the_machine_is_told() -> None:
    """From the lowest to the highest of what was seen."""
    states = [State(when="before", clock_mhz=[800.0], temperature_c={"cpu": 41.0}, throttled=False), State(when="during", clock_mhz=[3400.0])]
    told = Page(origins(replace(REPORT, measurements=[replace(REPORT.measurements[0], states=states)]))).inside("td")
    assert told[-4:] == ["800 to 3400", "41.0", "–", "no"]


def test_an_empty_report_still_says_how_it_was_made() -> None:
    """Version, seed and time, and no empty tables."""
    page = Page(origins(Report(edgekd="0.1.0", name="empty", created="2026-11-20T12:00:00Z")))
    assert page.inside("caption") == ["What it was made of"]


def test_how_far_a_file_is_from_the_step_before() -> None:
    """The largest difference; mean, cosine and agreement where the report has them."""
    artifact = REPORT.artifacts[0]
    told = Page(origins(replace(REPORT, artifacts=[replace(artifact, parity={"1": 0.001, "7": 0.002})]))).inside("td")
    assert "0.00200" in told
    figures = [Parity(batch=7, images=16, largest=0.002, mean=0.0003, cosine=0.99998, agreement=0.9375)]
    told = Page(origins(replace(REPORT, artifacts=[replace(artifact, parity={"7": 0.002}, parities=figures)]))).inside("td")
    assert "0.00200 (mean 0.000300, cosine 0.999980, 93.8 % of 16 images the same answer)" in told

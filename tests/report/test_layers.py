"""Tests of edgekd/report/layers.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd import units
from edgekd.report.layers import layers, squared
from tests.report.pages import Page, drawn_report
from tests.report.sample import SHIPPED, sample_report


@given(st.lists(st.floats(1, 1e9), min_size=1, max_size=60))
def test_tiles_fill_the_frame_in_the_ratio_of_sizes(sizes: list[float]) -> None:
    """Nothing is left over, nothing sticks out."""
    sizes.sort(reverse=True)
    tiles = squared(sizes, (0.0, 0.0, 640.0, 240.0))
    for size, (left, top, width, height) in zip(sizes, tiles, strict=True):
        assert width * height == pytest.approx(size / sum(sizes) * 640 * 240, rel=1e-3, abs=1e-3)
        assert -1e-6 <= left <= left + width <= 640 + 1e-3
        assert -1e-6 <= top <= top + height <= 240 + 1e-3


def test_equal_parts_are_squares() -> None:
    """Four in a square frame are its quarters."""
    assert sorted(squared([1.0] * 4, (0.0, 0.0, 2.0, 2.0))) == [(0, 0, 1, 1), (0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 1, 1)]


def test_every_layer_has_a_tile_that_says_its_bytes() -> None:
    """Of the file that ships, and of no other."""
    ((name, picture),) = layers(drawn_report())
    assert name == SHIPPED
    said = Page(picture).inside("title")[1:]
    assert said == [f"{layer.name}: {units.bytes_text(layer.bytes)}" for layer in reversed(drawn_report().artifact(SHIPPED).layers)]


def test_a_report_without_layers_has_no_picture() -> None:
    """As those that were made before layers were kept."""
    assert layers(sample_report()) == []

"""Tests of edgekd/report/layers.py."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd import units
from edgekd.measurements import LayerTime
from edgekd.report.layers import layers, squared, timed
from tests.report.pages import Page, bare_report, drawn_report
from tests.report.sample import SHIPPED, sample_report

replace = msgspec.structs.replace


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
    said = Page(picture).inside("title")[1:9]
    assert said == [f"{layer.name}: {units.bytes_text(layer.bytes)}" for layer in reversed(drawn_report().artifact(SHIPPED).layers)]


def test_every_operator_has_a_tile_that_says_its_time() -> None:
    """Called after its layer where that is known, the longest first, in the layer's colour."""
    ((_, picture),) = layers(drawn_report())
    page = Page(picture)
    assert page.inside("title")[9] == f"Time by layer: {SHIPPED} on cpu"
    assert page.inside("title")[10:] == [
        *(f"conv{7 - at}: {units.ms_text(0.24 - 0.02 * at)}" for at in range(8)),
        "Reorder0: 12.0 µs",
        "Reorder1: 12.0 µs",
    ]
    kinds = [attributes["class"] for attributes in page.named("rect") if attributes.get("class") in ("tile low", "tile own")]
    assert kinds == ["tile low"] * 9 + ["tile low"] * 8 + ["tile own"] * 2 + ["tile low", "tile own"]


def test_a_name_alone_makes_no_layer() -> None:
    """What the runtime calls after a layer, and nobody knows to be it, is the runtime's own."""
    report = drawn_report()
    times = [LayerTime(name="conv7", op="Cast", us=[5.0])]
    ((_, picture),) = layers(replace(report, measurements=[replace(each, layer_times=times) for each in report.measurements]))
    assert [attributes["class"] for attributes in Page(picture).named("rect")][-2:] == ["tile own", "tile own"]


def test_bytes_and_times_stand_beside_each_other() -> None:
    """Where there are both."""
    report = drawn_report()
    assert timed(report)
    ((_, picture),) = layers(report)
    assert Page(picture).named("div")[0] == {"class": "beside"}
    unprofiled = replace(report, measurements=[replace(each, layer_times=[]) for each in report.measurements])
    assert not timed(unprofiled)
    ((_, picture),) = layers(unprofiled)
    assert "beside" not in [attributes["class"] for attributes in Page(picture).named("div")]


def test_bare_files_are_drawn_too() -> None:
    """Each of them, as none of them ships."""
    assert [name for name, _ in layers(bare_report())] == ["file/old/fp32", "file/new/fp16"]


def test_times_without_a_size() -> None:
    """A file whose layers are not known, and operators that took no time."""
    report = drawn_report()
    artifacts = [replace(each, layers=[]) for each in report.artifacts]
    ((_, picture),) = layers(replace(report, artifacts=artifacts))
    assert len(Page(picture).inside("title")) == 1 + 10
    nothing = [LayerTime(name="a", op="Conv", us=[0.0]), LayerTime(name="b", op="Relu", us=[])]
    measurements = [replace(each, layer_times=nothing) for each in report.measurements]
    assert layers(replace(report, artifacts=artifacts, measurements=measurements)) == []


def test_a_report_without_layers_has_no_picture() -> None:
    """As those that were made before layers were kept."""
    assert layers(sample_report()) == []

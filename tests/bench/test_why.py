"""bench/why.py: shares of a file's layers, and changes from one file to another, by hand-made times."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd import target
from edgekd.bench import why as measured
from edgekd.bench.why import Part, Why, changes, why
from edgekd.measurements import LayerTime
from edgekd.record import Artifact, Layer

LAYERS = [
    Layer(name="stem", op="Conv", params=100, bytes=400, macs=9000, precision="fp32"),
    Layer(name="head", op="Gemm", params=300, bytes=1200, macs=1000, precision="fp32"),
    Layer(name="odd", op="Einsum", params=0, bytes=0, macs=None, precision=""),
]


def artifact(layers: list[Layer] = LAYERS) -> Artifact:
    return Artifact(
        role="file", network="f", precision="as-is", path="f.onnx", sha256="", size=2000, params=400, macs=10_000, opset=20, layers=layers
    )


def test_layers_and_the_runtimes_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by its largest share; medians; what no layer is has times alone, and a layer that ran as nobody has none."""
    times = [
        LayerTime(name="stem_nchwc", op="Conv", us=[100, 700, 300], layer="stem"),
        LayerTime(name="Reorder", op="ReorderOutput", us=[100]),
        LayerTime(name="head", op="Gemm", us=[600], layer="head"),
    ]
    monkeypatch.setattr(measured, "_timed", lambda *args: times)
    found = why(artifact(), Path("f.onnx"), target.load("cpu"))
    assert [part.name for part in found.parts] == ["stem", "head", "Reorder", "odd"]
    stem, head, own, odd = found.parts
    assert (stem.ms, stem.bytes_share, stem.macs_share, head.bytes_share) == (0.3, 0.25, 0.9, 0.75)
    assert [stem.ms_share, head.ms_share, own.ms_share] == pytest.approx([0.3, 0.6, 0.1])
    assert (own.own, own.bytes) == (True, 0)
    assert (odd.macs_share, odd.ms, odd.ms_share) == (None, None, None)
    assert found.ms == pytest.approx(1.0)
    assert (found.bytes, found.size, found.macs) == (1600, 2000, 10_000)
    part_known = why(msgspec.structs.replace(artifact(), macs=None), Path("f.onnx"), target.load("cpu"))
    assert [part.macs_share for part in part_known.parts] == [None] * 4


def made(*parts: Part) -> Why:
    return Why(file="f", target="cpu", size=0, params=0, bytes=0, macs=0, ms=0.0, untimed=None, parts=list(parts))


def test_changes_by_name_and_by_kind() -> None:
    """A layer that grew, one that is new, one that is gone; the runtime's own are summed, and what is equal is left out."""
    then = made(
        Part(name="a", op="Conv", bytes=100, ms=1.0),
        Part(name="same", op="Conv", bytes=7, ms=1.0),
        Part(name="gone", op="Conv", bytes=10, ms=0.0),
        Part(name="x1", op="Add", own=True, ms=0.5),
        Part(name="x2", op="Add", own=True, ms=0.5),
    )
    now = made(
        Part(name="a", op="Conv", bytes=400, ms=1.0),
        Part(name="same", op="Conv", bytes=7, ms=1.0),
        Part(name="new", op="Gemm", bytes=0, macs=50, ms=0.1),
        Part(name="y", op="Add", own=True, ms=0.25),
    )
    found = {each.name: each for each in changes(now, then)}
    assert set(found) == {"a", "new", "gone", "all Add of the runtime"}
    assert found["new"].before is None
    assert found["gone"].after is None
    own = found["all Add of the runtime"]
    assert own.before is not None
    assert own.after is not None
    assert (own.before.ms, own.after.ms) == (1.0, 0.25)
    assert changes(now, now) == []


parts = st.lists(
    st.builds(
        Part,
        name=st.sampled_from(["a", "b", "c"]),
        op=st.just("Conv"),
        own=st.booleans(),
        bytes=st.integers(0, 9),
        macs=st.none() | st.integers(0, 9),
        ms=st.none() | st.floats(0, 9),
    ),
    max_size=5,
)


@given(parts, parts)
def test_nothing_is_lost_between_two_files(now: list[Part], then: list[Part]) -> None:
    """The differences add up to that of the wholes, in either direction."""
    found = changes(made(*now), made(*then))
    weights = sum(measured.difference(each, lambda part: part.bytes) for each in found)
    assert weights == sum(part.bytes for part in now) - sum(part.bytes for part in then)
    assert {each.name for each in found} == {each.name for each in changes(made(*then), made(*now))}

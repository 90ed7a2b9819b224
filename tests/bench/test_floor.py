"""bench/floor.py: the computed bound, worked by hand."""

from typing import Any

import msgspec
import pytest

from edgekd import target
from edgekd.bench.floor import floor, floors
from edgekd.record import Artifact, Layer
from edgekd.target import Chip, Target

CHIP = Chip(memory=1, bandwidth=100e9, peak_fp32=1e12, peak_fp16=4e12, peak_int8=16e12, source="a data sheet")


def aim(chip: Chip = CHIP, **other: Any) -> Target:
    """A target with such a chip."""
    return msgspec.structs.replace(target.load("l4"), name="there", chip=chip, **other)


def file(*layers: tuple[str, int, int | None], precision: Any = "fp16") -> Artifact:
    """An artifact of layers (precision, bytes, MACs)."""
    made = [Layer(name=f"l{at}", op="Conv", params=1, bytes=size, macs=macs, precision=kind) for at, (kind, size, macs) in enumerate(layers)]
    return Artifact(role="file", network="net", precision=precision, path="", sha256="", size=9, params=1, macs=None, opset=20, layers=made)


def test_memory_and_arithmetic() -> None:
    """The longer of both: 2 MB at 100 GB/s, or 2 × 50 M operations at each layer's own peak."""
    heavy = floor(file(("fp16", 2_000_000, 1000)), aim())
    assert heavy is not None
    assert heavy.ms == pytest.approx(0.02)
    assert (heavy.by, heavy.batch, heavy.source) == ("memory", 1, "a data sheet")
    busy = floor(file(("fp16", 10, 50_000_000), ("int8", 10, 80_000_000)), aim(batch=4))
    assert busy is not None
    assert busy.ms == pytest.approx(4 * (0.025 + 0.01))
    assert (busy.by, busy.batch) == ("arithmetic", 4)


def test_float32_counts_as_tensor_cores_may_take_it() -> None:
    """At half the rate of float16 where that is more: a bound must lie below what runtimes are allowed to do."""
    found = floor(file(("fp32", 0, 1_000_000_000)), aim())
    assert found is not None
    assert found.ms == pytest.approx(1.0)


def test_what_is_not_known_counts_for_nothing() -> None:
    """Layers without MACs, precisions without a peak, chips without data, files that were not looked into."""
    assert floor(file(("fp16", 0, None)), aim()) is None
    assert floor(file(), aim()) is None
    assert floor(file(("fp16", 10, 10)), aim(Chip())) is None
    unstated = aim(Chip(bandwidth=1e11, peak_fp32=1e13))
    fewer = floor(file(("fp16", 100_000, 1_000_000_000), ("int8", 0, 1_000_000_000)), unstated)
    assert fewer is not None
    assert fewer.ms == pytest.approx(0.001)
    assert fewer.by == "memory"
    other = floor(file(("fp8", 0, 16_000_000)), aim())
    assert other is not None
    assert other.ms == pytest.approx(0.002)


def test_each_file_that_a_target_takes() -> None:
    """And none on a target that says nothing of its chip, as any CPU."""
    files = [file(("fp16", 10, 10)), file(("int8", 10, 10), precision="int8-cpu")]
    assert [each.artifact for each in floors(files, [aim(), target.load("cpu")])] == ["file/net/fp16"]


def test_every_target_that_ships_has_a_floor_or_says_nothing() -> None:
    """Whatever its data sheet states."""
    found = floors([file(("fp16", 1000, 1000))], map(target.load, target.names()))
    assert {each.target for each in found} >= {"jetson-orin-nano", "rtx-4090", "h100"}
    assert all(each.ms > 0 and each.source for each in found)

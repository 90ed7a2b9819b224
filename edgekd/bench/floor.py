"""How fast a file could be at best on a target, from the maker's data: a computed bound, never a measurement.

In: an artifact with its layers, a target with its chip. Out: a `Floor`, or None where the chip's data say nothing. Weights have to be read once, and
multiplications done at the chip's peak rate, each layer in its own precision; whichever takes longer is the floor. It is lower than what any runtime
reaches: activations, launches and everything else count for nothing. Weights that stay in a cache from one inference to the next can undercut what
memory sets.
"""

from collections.abc import Iterable, Sequence

from edgekd.bench.where import fits
from edgekd.measurements import Floor
from edgekd.record import Artifact, Layer
from edgekd.target import Chip, Target


def floors(artifacts: Sequence[Artifact], targets: Iterable[Target]) -> list[Floor]:
    """The floor of each artifact on each target that takes its precision and whose chip is known."""
    found = (floor(artifact, what) for what in targets for artifact in artifacts if fits(artifact, what))
    return [each for each in found if each is not None]


def floor(artifact: Artifact, what: Target) -> Floor | None:
    """The least time of a batch; None where neither bandwidth nor a peak is known, or the file was not looked into."""
    memory = _memory_ms(artifact.layers, what.chip)
    arithmetic = _arithmetic_ms(artifact.layers, what.chip, what.batch)
    ms = max(memory, arithmetic)
    if ms <= 0:
        return None
    return Floor(
        artifact=artifact.name,
        target=what.name,
        ms=ms,
        by="memory" if memory >= arithmetic else "arithmetic",
        batch=what.batch,
        source=what.chip.source,
    )


def _memory_ms(layers: Sequence[Layer], chip: Chip) -> float:
    return 1e3 * sum(layer.bytes for layer in layers) / chip.bandwidth if chip.bandwidth else 0.0


def _arithmetic_ms(layers: Sequence[Layer], chip: Chip, batch: int) -> float:
    """Two operations a multiply-accumulate; layers whose MACs or whose peak rate are not known count for nothing."""
    seconds = 0.0
    for layer in layers:
        peak = _peak(layer.precision, chip)
        seconds += 2 * batch * layer.macs / peak if layer.macs is not None and peak else 0.0
    return 1e3 * seconds


def _peak(precision: str, chip: Chip) -> float:
    """Operations a second, 0 where the maker says nothing of it; of other precisions than these three, the fastest ones.

    A chip's fewer bits may go several times as fast as what is stated of its float32, so that nothing can be told from that.
    """
    fp32, fp16, int8 = chip.peak_fp32 or 0.0, chip.peak_fp16 or 0.0, chip.peak_int8 or 0.0
    # Tensor cores take float32 rounded to 19 bits at half the rate of float16, and runtimes let them.
    known = {"fp32": max(fp32, fp16 / 2), "fp16": fp16, "int8": int8}
    return known[precision] if precision in known else max(fp32, fp16, int8)

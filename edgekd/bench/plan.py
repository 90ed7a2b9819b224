"""How much is measured and how, and what it comes to."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgekd.measurements import Host, Measurement, Ratio


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured where time allows. Blocks go on for `block_ms` and `block_runs` inferences, after `warm_ms` that are dropped.

    Where files are compared, `duels` launches hold them all and run them in turn, `duel_ms` for each two of them.
    """

    launches: int = 5
    rounds: int = 4
    block_ms: float = 200.0
    block_runs: int = 20
    warm_ms: float = 20.0
    flow_ms: float = 1000.0
    duels: int = 16
    duel_ms: float = 300.0


FULL = Plan()
QUICK = Plan(launches=4, rounds=3, block_ms=60.0, block_runs=10, warm_ms=10.0, flow_ms=300.0, duels=14, duel_ms=200.0)
"""Eight small files in half a minute or so, process starts included; two in a quarter."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """How files are run: at a camera's pace of `fps` images a second or one after another, open axes at the sizes in `dims`; whether `layers` are
    timed one by one in a pass of their own; and the `batches` that throughput is measured at, (): one that does well on CPUs."""

    fps: float | None = None
    dims: Mapping[str, int] = field(default_factory=dict)
    layers: bool = False
    batches: tuple[int, ...] = ()


@dataclass(frozen=True)
class Bench:
    """What was measured, by `ARTIFACT on TARGET` why something could not be, and by host why nothing could be there."""

    measurements: list[Measurement]
    ratios: list[Ratio]
    hosts: dict[str, Host]
    failures: dict[str, str]
    lost: dict[str, str] = field(default_factory=dict)

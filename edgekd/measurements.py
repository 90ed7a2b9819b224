"""How fast files run, on which machine and in which state of it, as frozen structs of a report.

Part of `record`, whose report holds them; `bench` makes them. Raw samples are kept, and statistics computed from them. Times in ms, memory in bytes.
"""

from typing import Literal

from edgekd.scores import Struct

VNNI = frozenset({"avx512_vnni", "avx_vnni"})
"""Instructions of an x86 whose products of 8 bits do not overflow."""


class Host(Struct, frozen=True, kw_only=True):
    """Which machine measured: what must be equal before absolute times may be compared."""

    cpu: str
    architecture: str
    cores: int
    memory: int
    instructions: list[str] = []
    gpu: str | None = None
    system: str = ""
    power_mode: str | None = None
    governor: str | None = None
    driver: str | None = None
    runtimes: dict[str, str] = {}
    """Versions of what ran the files, as in {"onnxruntime": "1.32.0"}."""
    clocks_locked: bool | None = None
    """Of a Jetson: whether jetson_clocks holds its clocks."""


class State(Struct, frozen=True, kw_only=True):
    """How the machine was at a moment. Goes with every measurement, feeds doubts, and is never compared."""

    when: Literal["before", "during", "after"]
    clock_mhz: list[float] = []
    temperature_c: dict[str, float] = {}
    load: float | None = None
    """Runnable processes over one minute."""
    throttled: bool | None = None
    gpu_mhz: float | None = None
    memory_mhz: float | None = None
    """The clock of the GPU's memory; of a Jetson's, which all share."""
    memory_free: int | None = None
    """Bytes."""
    gpu_memory_free: int | None = None
    held: list[str] = []
    """What held the chip back since the first look, as in "the GPU was held back by its power limit"."""
    foreign: int | None = None
    """Programs other than edgekd's that computed on the GPU; None where it does not tell."""
    power_mode: str | None = None
    clocks_locked: bool | None = None
    raw: str | None = None
    """The line of a Jetson's own monitor, tegrastats, as it was."""


class Launch(Struct, frozen=True, kw_only=True):
    """One process's life with one artifact: load and first inference once, then warm samples by round; all ms per batch."""

    load_ms: float
    first_ms: float
    rounds: list[list[float]]


class Timing(Struct, frozen=True, kw_only=True):
    """Every raw sample of an artifact on a target, launch by launch. Round r of launch l of two artifacts were taken in turn."""

    launches: list[Launch]

    @property
    def samples(self) -> list[float]:
        """All warm samples in the order they were taken, ms per batch."""
        return [ms for launch in self.launches for block in launch.rounds for ms in block]


class LayerTime(Struct, frozen=True, kw_only=True):
    """What one operator, as the runtime calls it, took: µs by profiled run. `layer` of the artifact it is, as far as names tell."""

    name: str
    op: str
    us: list[float]
    layer: str | None = None


class Moment(State, frozen=True, kw_only=True):
    """A second or so of sustained load: its end in seconds from the start, the median of its inferences in ms per batch, the machine then."""

    at_s: float
    ms: float
    inferences: int


class Flow(Struct, frozen=True, kw_only=True):
    """Offline throughput at one batch size: images a second, with so many batches in flight."""

    batch: int
    images_per_s: float
    streams: int


class EngineRun(Struct, frozen=True, kw_only=True):
    """The engine that a file ran as on its device: what it was built by, and what an inference of it is made of.

    Copies and work are ms of each of some inferences by the GPU's own events; of trtexec, by its own account.
    """

    library: str
    version: str
    by: str
    """Who built and ran it: "python", the library's bindings, or "trtexec"."""
    gpu: str
    sha256: str
    size: int
    batches: list[int]
    """The least, usual and largest batch that it was built for."""
    build_s: float
    cached: bool = False
    """Whether it stood on the device from an earlier session."""
    cuda_graph: bool = False
    graph_reason: str | None = None
    """Why it is no CUDA graph although one was wanted."""
    spin_wait: bool = False
    to_gpu_ms: list[float] = []
    compute_ms: list[float] = []
    from_gpu_ms: list[float] = []


class Measurement(Struct, frozen=True, kw_only=True):
    """How fast one artifact ran on one target of one host."""

    artifact: str
    target: str
    host: str
    """Key into `Report.hosts`."""
    runtime: str
    provider: str
    batch: int
    threads: int
    timing: Timing
    fps: float | None = None
    """Inferences begun a second, as frames come from a camera; None: one after another."""
    throughput: float | None = None
    """Images per second, many in flight where the runtime can; else None. The largest of `flows`."""
    flows: list[Flow] = []
    """Throughput by batch size; older reports have none."""
    memory: int | None = None
    """Peak resident bytes of a process that loads and runs only this artifact, less those of one that loads none."""
    energy: float | None = None
    """Joules per image; None with a reason in `energy_reason`."""
    energy_above_rest: float | None = None
    """The same less what the machine takes at rest in that time."""
    energy_rail: str | None = None
    """What was metered: energies of other rails or boards do not compare."""
    energy_reason: str | None = None
    engine: EngineRun | None = None
    """Where the runtime runs engines."""
    layer_times: list[LayerTime] = []
    sustained: list[Moment] = []
    untold: str | None = None
    """What the machine does not tell of itself in `sustained`, and why."""
    states: list[State] = []
    doubts: list[str] = []


class Floor(Struct, frozen=True, kw_only=True):
    """The least time that a batch could take on a target: computed from the maker's data, never measured."""

    artifact: str
    target: str
    ms: float
    by: Literal["memory", "arithmetic"]
    """What sets it: reading the weights, or multiplying."""
    batch: int
    source: str
    """Where the chip's data are from."""


class Ratio(Struct, frozen=True, kw_only=True):
    """A quantity of one artifact over another's, measured in turn in one session: `value` in [`low`, `high`] at `confidence`.

    `launches` holds the ratio of each process that ran both, which the interval is drawn from; older reports have none.
    """

    artifact: str
    against: str
    target: str
    quantity: Literal["latency", "throughput", "energy"]
    value: float
    low: float
    high: float
    confidence: float
    method: str
    seed: int | None = None
    launches: list[float] = []
    against_target: str | None = None
    """The target that `against` ran on, by another runtime of the same machine; None: `target`."""

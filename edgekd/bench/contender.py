"""A file while it is measured: its agent of the moment, and all that is known of it so far."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekd.device.process import Agent
from edgekd.errors import DeviceError
from edgekd.measurements import EngineRun, Flow, Launch, LayerTime
from edgekd.record import Artifact


@dataclass
class Contender:
    """An artifact while it is measured, with its agent of the moment."""

    artifact: Artifact
    path: Path
    agent: Agent | None = None
    opened: dict[str, Any] = field(default_factory=dict)
    batch: int = 1
    """Images that one inference took."""
    first_ms: float = 0.0
    rounds: list[list[float]] = field(default_factory=list)
    launches: list[Launch] = field(default_factory=list)
    clocks: list[float] = field(default_factory=list)
    """MHz of the fastest core at the end of each block."""
    gpu_clocks: list[float] = field(default_factory=list)
    """MHz of the GPU that did the work, at the same moments; 0 where none did, or it does not tell."""
    memory: int | None = None
    flows: list[Flow] = field(default_factory=list)
    energy: float | None = None
    energy_above_rest: float | None = None
    energy_rail: str | None = None
    energy_reason: str | None = None
    built: Mapping[str, Any] | None = None
    """The table of the engine that it runs as, on a target that runs engines."""
    engine: EngineRun | None = None
    layer_times: list[LayerTime] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    failure: str | None = None

    def ask(self, job: str, timeout_s: float, **wishes: Any) -> dict[str, Any]:
        """Ask the agent of the moment; raises as `Agent.ask`."""
        assert self.agent is not None
        return self.agent.ask(job, timeout_s, **wishes)

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Keep a failure as this contender's own: the others go on."""
        try:
            yield
        except DeviceError as error:
            self.failure = str(error)

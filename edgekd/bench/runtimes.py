"""One file by several CPU runtimes of one machine: how long each takes over the first, inference by inference in one process (`duel`)."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from edgekd.bench.duel import Duel, by, quotients, ratio
from edgekd.bench.plan import Bench, Plan, Way
from edgekd.device.session import Session
from edgekd.errors import DeviceError
from edgekd.events import Emit, Note
from edgekd.record import Artifact
from edgekd.target import Target

MOST_S = 20.0
"""How long one runtime is held against another, in seconds."""


def beside_each_other(
    result: Bench,
    session: Session,
    targets: Sequence[Target],
    files: Sequence[tuple[Artifact, Path]],
    *,
    plan: Plan,
    way: Way,
    emit: Emit,
) -> None:
    """Put into `result` the latency of each file by a runtime over its latency by the first, as far as both were measured at one batch."""
    on_cpu = [what for what in targets if what.on_cpu]
    for first, other in zip(on_cpu[:1] * len(on_cpu), on_cpu, strict=True):
        if other.runtime == first.runtime or other.batch != first.batch:
            continue
        measured = [{each.artifact for each in result.measurements if each.target == what.name} for what in (first, other)]
        both = {artifact.name: path for artifact, path in files if all(artifact.name in names for names in measured)}
        if not both:
            continue
        try:
            held = Duel(session, first, plan=plan, way=way, max_s=MOST_S, rival=other)
            held.hold(both, emit=emit)
        except DeviceError as error:
            result.failures[f"{other.name} beside {first.name}"] = str(error)
            emit(Note(text=f"{other.name} is not held against {first.name}: {error}", level="warning"))
            continue
        for name in both:
            found = ratio(name, name, other.name, quotients(held.launches, by(other, name), name))
            result.ratios.append(msgspec.structs.replace(found, against_target=first.name))

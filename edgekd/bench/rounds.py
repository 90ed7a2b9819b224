"""Files against each other on every target, in balanced rounds: `bench`.

On each host every file gets an agent process of its own; all are loaded first, then take turns in rounds of blocks. That is done again in several
launches, since where a process happens to lie in memory changes its speed. Memory, throughput and energy come from a pass of their own with one agent
at work, and ratios from launches that hold all files that are compared (`duel`).
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekd.bench.bout import Bout, Contender
from edgekd.bench.duel import duel, quotients, ratio
from edgekd.bench.plan import FULL, Bench, Plan, Way
from edgekd.bench.where import check, fits, resolve
from edgekd.device.host import Session, connect
from edgekd.errors import DeviceError, UsageError
from edgekd.events import Emit, Note, silent
from edgekd.record import Artifact
from edgekd.target import Target

PART = 0.6
"""Of the time, what the files' own latencies get where some are also compared."""


def bench(
    files: Sequence[tuple[Artifact, Path]],
    targets: Mapping[str, str],
    *,
    pairs: Sequence[tuple[str, str]] = (),
    max_s: float = 60.0,
    fps: float | None = None,
    dims: Mapping[str, int] | None = None,
    layers: bool = False,
    plan: Plan = FULL,
    python: Sequence[str] = (),
    base: Path = Path(),
    emit: Emit = silent,
) -> Bench:
    """Measure every file on every target that has a host and takes its precision; the whole in about `max_s` seconds.

    `pairs` name artifact and what it is compared with: the ratio is the first's latency over the second's, taken in launches of their own. `fps`
    starts inferences at a camera's pace instead of one after another. `dims` gives open axes of bare files their size, by the axis's name or as
    `INPUT.AXIS`; an open first axis is the batch. `layers` also times what each layer takes, in a pass of its own. `python` is the
    command that starts Python on other machines; (): the first there that has ONNX Runtime. `base` is the folder that the paths of targets are
    relative to. A file that fails is left out, with a warning and its reason in `failures`.

    Raises:
        UsageError, MissingError: as `resolve`, no such file, two files of one name, a pair that names none, or no file that any target takes.
        DeviceError: not a single file could be measured. MissingExtra: there is no runtime.
    """
    where = resolve(targets, base)
    check(files, pairs)
    for name in sorted(set(targets) - {what.name for what, _ in where} - {name for name, host in targets.items() if host}):
        emit(Note(text=f"{name} has no host: it is not measured"))
    way = Way(fps=fps, dims=dims or {}, layers=layers)
    result = Bench([], [], {}, {})
    for what, host in where:
        fitting = [Contender(artifact, path) for artifact, path in files if fits(artifact, what)]
        if fitting:
            with connect(host, python) as session:
                end = time.monotonic() + max_s / len(where)
                Bout(session, what, fitting, plan, max_s / len(where) * (PART if pairs else 1), way, emit).measure(result)
                _compare(result, session, what, fitting, pairs, plan=plan, way=way, deadline=end, emit=emit)
    if where and not result.measurements:
        reasons = "; ".join(f"{name}: {why}" for name, why in result.failures.items())
        if reasons:
            raise DeviceError(f"nothing could be measured. {reasons}")
        raise UsageError(f"no file has a precision that {', '.join(what.name for what, _ in where)} takes. Name another target.")
    return result


def _compare(
    result: Bench,
    session: Session,
    what: Target,
    fitting: Sequence[Contender],
    pairs: Sequence[tuple[str, str]],
    *,
    plan: Plan,
    way: Way,
    deadline: float,
    emit: Emit,
) -> None:
    """Put the ratios of these pairs into `result`, as far as both were measured."""
    measured = {each.artifact for each in result.measurements if each.target == what.name}
    there = [pair for pair in pairs if measured.issuperset(pair)]
    files = {each.artifact.name: each.path for each in fitting if any(each.artifact.name in pair for pair in there)}
    if not there:
        return
    try:
        launches = duel(session, what, files, plan=plan, way=way, deadline=deadline, emit=emit)
    except DeviceError as error:
        result.failures[f"ratios on {what.name}"] = str(error)
        emit(Note(text=f"nothing is compared on {what.name}: {error}", level="warning"))
        return
    result.ratios.extend(ratio(*pair, what.name, quotients(launches, *pair)) for pair in there)

"""Files against each other on every target, in balanced rounds: `bench`.

On each host every file gets an agent process of its own; all are loaded first, then take turns in rounds of blocks, so that what slows the machine
for a while slows all alike and leaves their ratios. That is done again in several launches, since where a process happens to lie in memory changes
its speed. Memory, throughput and energy come from a pass of their own with one agent at work.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edgekd import stats
from edgekd.bench.bout import Bout, Contender
from edgekd.bench.plan import FULL, Bench, Plan, Way
from edgekd.bench.where import check, fits, resolve
from edgekd.device.host import connect
from edgekd.errors import DeviceError, UsageError
from edgekd.events import Emit, Note, silent
from edgekd.record import Artifact, Measurement, Ratio

METHOD = "median over median; bootstrap of launches, then rounds, drawn in pairs; 1000 resamples"


def bench(
    files: Sequence[tuple[Artifact, Path]],
    targets: Mapping[str, str],
    *,
    pairs: Sequence[tuple[str, str]] = (),
    seed: int = 0,
    max_s: float = 60.0,
    fps: float | None = None,
    dims: Mapping[str, int] | None = None,
    layers: bool = False,
    plan: Plan = FULL,
    base: Path = Path(),
    emit: Emit = silent,
) -> Bench:
    """Measure every file on every target that has a host and takes its precision; the whole in about `max_s` seconds.

    `pairs` name artifact and what it is compared with: the ratio is the first's latency over the second's. `fps` starts inferences at a camera's
    pace instead of one after another. `dims` gives open axes of bare files their size, by the axis's name or as `INPUT.AXIS`; an open first axis is
    the batch. `layers` also times what each layer takes, in a pass of its own. `base` is the folder that the paths of targets are relative to. A file
    that fails is left out, with a warning and its reason in `failures`.

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
            with connect(host) as session:
                Bout(session, what, fitting, plan, max_s / len(where), way, emit).measure(result)
            result.ratios.extend(_ratios(result.measurements, what.name, pairs, seed))
    if where and not result.measurements:
        reasons = "; ".join(f"{name}: {why}" for name, why in result.failures.items())
        if reasons:
            raise DeviceError(f"nothing could be measured. {reasons}")
        raise UsageError(f"no file has a precision that {', '.join(what.name for what, _ in where)} takes. Name another target.")
    return result


def _ratios(measurements: Sequence[Measurement], name: str, pairs: Sequence[tuple[str, str]], seed: int) -> Iterator[Ratio]:
    found = {each.artifact: [launch.rounds for launch in each.timing.launches] for each in measurements if each.target == name}
    for artifact, against in pairs:
        if artifact in found and against in found:
            value, low, high = stats.ratio_of_medians(found[artifact], found[against], seed=seed)
            yield Ratio(
                artifact=artifact,
                against=against,
                target=name,
                quantity="latency",
                value=value,
                low=low,
                high=high,
                confidence=0.95,
                method=METHOD,
                seed=seed,
            )

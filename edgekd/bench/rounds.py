"""Files against each other on every target, in balanced rounds: `bench`.

On each host every file gets an agent process of its own; all are loaded first, then take turns in rounds of blocks. That is done again in several
launches, since where a process happens to lie in memory changes its speed. Memory, throughput and energy come from a pass of their own with one agent
at work, and ratios from launches that hold all files that are compared (`duel`), one now and then between the others' work. Hosts are measured side
by side (`hosts`), the targets of one host one after another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgekd.bench import opening
from edgekd.bench.bout import Bout
from edgekd.bench.contender import Contender
from edgekd.bench.duel import Duel, quotients, ratio
from edgekd.bench.hosts import at_once
from edgekd.bench.plan import FULL, Bench, Plan, Way
from edgekd.bench.questions import Questions
from edgekd.bench.runtimes import beside_each_other
from edgekd.bench.where import check, fits, resolve
from edgekd.device.host import Connect, connect
from edgekd.device.settings import UNCHANGED, Settings, applied
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
    batches: Sequence[int] = (),
    settings: Settings = UNCHANGED,
    plan: Plan = FULL,
    python: Sequence[str] = (),
    base: Path = Path(),
    beside: bool = False,
    line: Connect | None = None,
    emit: Emit = silent,
) -> Bench:
    """Measure every file on every target that has a host and takes its precision; the whole in about `max_s` seconds.

    `pairs` name artifact and what it is compared with: the ratio is the first's latency over the second's, taken in launches of their own. `fps`
    starts inferences at a camera's pace instead of one after another. `dims` gives open axes of bare files their size, by the axis's name or as
    `INPUT.AXIS`; an open first axis is the batch. `layers` also times what each layer takes, in a pass of its own. `batches` are those that
    throughput is measured at. `settings` stand on the hosts while they measure, and are put back. `python` is the command that starts Python on other
    machines; (): the first there that has ONNX Runtime. `base` is the folder that the paths of targets are relative to. `beside` also holds several
    CPU runtimes of one host against the first of them, file by file. `line` is what opens a session in the place of `connect`. A file that fails is
    left out, with a warning and its reason in `failures`; of several hosts one that fails is left out likewise, with its reason in `lost`.

    Raises:
        UsageError, MissingError: as `resolve`, settings without a host, no such file, two files of one name, a pair that names none, or no file that
            any target takes.
        DeviceError: not a single file could be measured, or the settings not be applied. MissingExtra: there is no runtime.
    """
    where = resolve(targets, base)
    check(files, pairs)
    for name in sorted(set(targets) - {what.name for what, _ in where} - {name for name, host in targets.items() if host}):
        emit(Note(text=f"{name} has no host: it is not measured"))
    if settings and not where:
        raise UsageError("--power-mode and --lock-clocks change the hosts that measure, and no target has one. Write --on TARGET=HOST.")
    way = Way(fps=fps, dims=dims or {}, layers=layers, batches=tuple(batches))
    result = Bench([], [], {}, {})
    hosts = {host: [what for what, its in where if its == host] for _, host in where}
    if hosts:
        turns = len(hosts.get("local", ())) + max((len(its) for host, its in hosts.items() if host != "local"), default=0)
        sitting = _Sitting(files, hosts, pairs, max_s / turns, way, settings, plan, python, beside)
        found, lost = at_once(list(hosts), sitting.on, line or connect, emit)
        result = _together(list(found.values()), lost)
    if where and not result.measurements:
        reasons = "; ".join(f"{name}: {why}" for name, why in (result.failures | result.lost).items())
        if reasons:
            raise DeviceError(f"nothing could be measured. {reasons}")
        raise UsageError(f"no file has a precision that {', '.join(what.name for what, _ in where)} takes. Name another target.")
    return result


@dataclass(frozen=True)
class _Sitting:
    """What is done on every host; `share_s` seconds for each of its targets."""

    files: Sequence[tuple[Artifact, Path]]
    targets: Mapping[str, Sequence[Target]]
    pairs: Sequence[tuple[str, str]]
    share_s: float
    way: Way
    settings: Settings
    plan: Plan
    python: Sequence[str]
    beside: bool

    def on(self, host: str, line: Connect, emit: Emit) -> Bench:
        """All targets of one host, in one session; none is opened where no file fits."""
        result = Bench([], [], {}, {})
        fitting = {what.name: [each for each in self.files if fits(each[0], what)] for what in self.targets[host]}
        if not any(fitting.values()):
            return result
        with line(host, self.python) as session, applied(session, self.settings, emit) as moved:
            for what in self.targets[host]:
                contenders = [Contender(artifact, path) for artifact, path in fitting[what.name]]
                if contenders:
                    for each in contenders if what.by_engine else ():
                        with each.trying():
                            each.built = opening.build(session, what, each.path, self.way, emit)
                    end, part = session.now() + self.share_s, PART if self.pairs else 1.0
                    held = Duel(session, what, plan=self.plan, way=self.way, max_s=self.share_s * (1 - part))
                    compared = _Comparison(contenders, self.pairs, held, emit)
                    asked = Questions(session, what, self.plan, self.way, self.share_s * part)
                    Bout(asked, contenders, emit, compared.go_on).measure(result)
                    compared.end(result, what.name, end - session.now())
            if self.beside:
                beside_each_other(result, session, self.targets[host], self.files, plan=self.plan, way=self.way, emit=emit)
        _doubt(result, moved)
        return result


def _together(found: Sequence[Bench], lost: Mapping[str, str]) -> Bench:
    """What all hosts came to."""
    return Bench(
        [each for part in found for each in part.measurements],
        [each for part in found for each in part.ratios],
        {name: host for part in found for name, host in part.hosts.items()},
        {name: why for part in found for name, why in part.failures.items()},
        dict(lost),
    )


def _doubt(result: Bench, doubts: Sequence[str]) -> None:
    """Put doubts beside all that was measured."""
    for at, each in enumerate(result.measurements):
        if doubts:
            result.measurements[at] = msgspec.structs.replace(each, doubts=[*each.doubts, *doubts])


class _Comparison:
    """The launches that hold what is compared on one target, some after each part of the rest, so that they see the machine as it is all along."""

    def __init__(self, contenders: Sequence[Contender], pairs: Sequence[tuple[str, str]], held: Duel, emit: Emit) -> None:
        self._contenders, self._pairs, self._duel, self._emit = contenders, pairs, held, emit
        self._failure: str | None = None

    def go_on(self, share: float, *, emit: Emit = silent) -> float:
        """Hold this share of the launches of those that have not failed; the CPU seconds that they took until now."""
        there = {each.artifact.name: each.path for each in self._contenders if each.failure is None}
        paired = {name for pair in self._pairs if there.keys() >= set(pair) for name in pair}
        if paired and self._failure is None:
            try:
                self._duel.hold({name: path for name, path in there.items() if name in paired}, share, emit=emit)
            except DeviceError as error:
                self._failure = str(error)
        return self._duel.cpu_s

    def end(self, result: Bench, target: str, left_s: float) -> None:
        """Hold the rest in the time that is left; put the ratios into `result`, as far as both files were measured."""
        self._duel.max_s = self._duel.spent_s + max(0.0, left_s)
        self.go_on(1.0, emit=self._emit)
        if self._failure is not None:
            result.failures[f"ratios on {target}"] = self._failure
            self._emit(Note(text=f"nothing is compared on {target}: {self._failure}", level="warning"))
            return
        measured = {each.artifact for each in result.measurements if each.target == target}
        there = [pair for pair in self._pairs if measured.issuperset(pair)]
        result.ratios.extend(ratio(*pair, target, quotients(self._duel.launches, *pair)) for pair in there)

"""How fast a run's files are on each of its targets, and which of them ships there.

In: an open `Story` and its artifacts, the teacher's first. Out: measurements, ratios, hosts and what ships in its report. All files' times are one
stage, which stands as long as the files, targets and this machine are the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from edgekd import target, units
from edgekd.bench import FULL, QUICK
from edgekd.bench import bench as measure
from edgekd.bench.floor import floors
from edgekd.budget import choose
from edgekd.budget.growth import PACE
from edgekd.compress.story import Story
from edgekd.device.agent import machine
from edgekd.device.host import connect
from edgekd.device.settings import UNCHANGED, Settings
from edgekd.errors import DeviceError, EdgekdError
from edgekd.measurements import Host, Measurement, Ratio
from edgekd.recipe import Recipe
from edgekd.record import Artifact
from edgekd.reportfile import read_report

QUICK_IMAGES = 2000
"""A data set of no more images is a try-out: its files are timed in a shorter bench."""


@dataclass(frozen=True)
class Wishes:
    """What a command asks of measuring beyond its recipe.

    Attributes:
        anew: time again what was timed.
        sustained_s: seconds to load each file that ships; 0: none.
        batches: what throughput is measured at; (): one that does well on CPUs.
        settings: what to change on the hosts meanwhile.
        python: the command that starts Python on other machines; (): the first there that has ONNX Runtime.
    """

    anew: bool = False
    sustained_s: float = 0.0
    batches: Sequence[int] = ()
    settings: Settings = UNCHANGED
    python: Sequence[str] = ()


NO_WISHES = Wishes()


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """All files' on all targets."""

    measurements: list[Measurement]
    ratios: list[Ratio]
    hosts: dict[str, Host]
    failures: dict[str, str]
    lost: dict[str, str] = {}


def reach(recipe: Recipe, *, every: bool, python: Sequence[str] = ()) -> None:
    """Open a line to each other machine that files are to be timed on, before anything is trained: `every` one, or one of all hosts at least.

    Raises:
        UsageError, MissingError, DeviceError: as `connect`.
    """
    hosts = list(dict.fromkeys(host for host in recipe.on.values() if host))
    failed = []
    for host in hosts:
        try:
            if host != "local":
                with connect(host, python):
                    pass
        except DeviceError as error:
            failed.append(error)
            if every or len(failed) == len(hosts):
                raise


def bench(story: Story, artifacts: Sequence[Artifact], *, do: bool, wishes: Wishes = NO_WISHES) -> Mapping[str, str]:
    """Time every file on every target that has a host, all in turn: anew where that is wished, or settings are. Of each target whose chip is known,
    how fast it could be at best stands beside. What comes back is why hosts were lost, by host; where one was, the next time begins anew."""
    story.add(floors=floors(artifacts, [target.load(name, story.base) for name in story.recipe.on]))
    if not any(story.recipe.on.values()):
        if do:
            story.note("no target has a host: nothing is timed")
        return {}
    pairs = _pairs(story, artifacts)
    key = {
        "files": {artifact.name: artifact.sha256 for artifact in artifacts},
        **where(story),
        "pairs": pairs,
    }
    if not do and not story.run.stands("bench", key):
        _as_reported(story, artifacts)
        return {}
    stage = story.run.stage("bench", key, anew=do and (wishes.anew or bool(wishes.settings)))
    if do and stage.done and stage.result(Times).lost:
        stage = story.run.stage("bench", key, anew=True)
    if not stage.done:
        found = measure(
            [(artifact, story.run.folder / artifact.path) for artifact in artifacts],
            story.recipe.on,
            **asked(story, artifacts),
            batches=wishes.batches,
            settings=wishes.settings,
            python=wishes.python,
            base=story.base,
            beside=True,
            emit=story.run.emit,
        )
        times = Times(measurements=found.measurements, ratios=found.ratios, hosts=found.hosts, failures=found.failures, lost=found.lost)
        stage.finish(times)
    times = stage.result(Times)
    story.add(
        measurements=times.measurements,
        ratios=times.ratios,
        hosts=times.hosts,
        doubts=[*story.report.doubts, *(f"{name} was not measured: {why}" for name, why in (times.failures | times.lost).items())],
    )
    return times.lost


def where(story: Story) -> dict[str, Any]:
    """What times depend on beside the files: the targets that have a host (beside one without, the times of the others stand), and this machine."""
    facts = machine.facts()
    return {
        "on": {name: [host, target.load(name, story.base)] for name, host in story.recipe.on.items() if host},
        "machine": {what: facts[what] for what in ("cpu", "cores", "system")},
    }


def _as_reported(story: Story, artifacts: Sequence[Artifact]) -> None:
    """Put what the run's report has of files that are still the same, on targets that are still asked for, into the new one: other files were made
    since, as for a device that no line reaches, and their times make no stage together."""
    try:
        before = read_report(story.run.folder)
    except EdgekdError:
        return
    hashes = {artifact.name: artifact.sha256 for artifact in before.artifacts}
    same = {artifact.name for artifact in artifacts if hashes.get(artifact.name) == artifact.sha256}
    on = {target.load(name, story.base).name for name in story.recipe.on}
    measurements = [each for each in before.measurements if each.artifact in same and each.target in on]
    ratios = [each for each in before.ratios if {each.artifact, each.against} <= same and {each.target, each.against_target or each.target} <= on]
    hosts = {each.host: before.hosts[each.host] for each in measurements}
    story.add(measurements=measurements, ratios=ratios, hosts=hosts)


def asked(story: Story, artifacts: Sequence[Artifact]) -> dict[str, Any]:
    """How long and how much of a run's files is measured, and which are compared, as arguments of `edgekd.bench.bench`."""
    quick = len(story.images.train) <= QUICK_IMAGES
    return {
        "pairs": _pairs(story, artifacts),
        "max_s": 10.0 + 2.0 * len(artifacts) if quick else 15.0 * len(artifacts),
        "layers": True,
        "plan": QUICK if quick else FULL,
    }


def _pairs(story: Story, artifacts: Sequence[Artifact]) -> list[tuple[str, str]]:
    """Every file against the teacher's own, and against what a limit names."""
    first = artifacts[0].name
    pairs = [(artifact.name, first) for artifact in artifacts if artifact.name != first]
    for limit in story.recipe.limit:
        if limit.against is None or (limit.speedup is None and limit.relative.keys().isdisjoint(PACE)):
            continue
        for artifact in artifacts:
            other = choose.against(story.report, artifact, limit.against)
            if not isinstance(other, str) and other.name != artifact.name:
                pairs.append((artifact.name, other.name))
    return list(dict.fromkeys(pairs))


def ship(story: Story) -> None:
    """On each target, each student's fastest file whose loss on validation images to its own fp32 file is within `max_drop`, of equally fast ones the
    target's first choice; of a teacher alone likewise. Nothing ships that was not scored."""
    report, allowed = story.report, units.parse_fraction(story.recipe.max_drop)
    role = "student" if any(artifact.role == "student" for artifact in report.artifacts) else "teacher"
    orders = {what.name: what.precisions for what in (target.load(spec, story.base) for spec in story.recipe.on)}
    shipped = {}
    for name in dict.fromkeys(measurement.target for measurement in report.measurements) if report.scores else ():
        for network in dict.fromkeys(artifact.network for artifact in report.artifacts if artifact.role == role):
            files = [artifact for artifact in report.artifacts if (artifact.role, artifact.network) == (role, network)]
            lost = choose.losses(report, files[0])
            precisions = {artifact.name: artifact.precision for artifact in files if choose.within(lost[artifact.name], allowed)}
            times = choose.paces(report, name, list(precisions))
            if times:
                shipped[f"{name}/{network}"] = choose.fastest(times, precisions, orders.get(name, []))
    story.add(shipped=shipped)

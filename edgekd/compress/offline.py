"""A run's files on a device that no line reaches: a folder with them and test images, and what the device answered.

In: an open `Story` whose files are made. Out: the folder; later its answers in the report: times as over a line, and how each file answered images
over there. What was collected is a stage of its own, which stands as long as the files do, one device beside another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekd.bench import offline, opening
from edgekd.bench.offline import Asked, Written
from edgekd.bench.plan import Way
from edgekd.bench.where import fits
from edgekd.compress import timing
from edgekd.compress.story import Story
from edgekd.device.host import connect
from edgekd.device.predict import open_predict
from edgekd.device.session import Session
from edgekd.errors import DeviceError
from edgekd.evaluate import Images, Labels
from edgekd.evaluate import evaluate as score
from edgekd.measurements import Host, Measurement, Ratio
from edgekd.record import Artifact
from edgekd.report import words
from edgekd.scores import Score
from edgekd.target import Target

IMAGES = 1000
"""Test images that go along at most, evenly over all: as the files take them they are four times as large as on the disk."""

BATCH = 64
"""Images that are answered at a time, where no engine says how many."""


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """What came back from one device."""

    measurements: list[Measurement]
    ratios: list[Ratio]
    hosts: dict[str, Host]
    failures: dict[str, str]
    scores: list[Score]
    notes: list[str]


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What came back from all, by what each is called."""

    devices: dict[str, Device]


@dataclass(frozen=True)
class Some:
    """Some of a split's images, by their positions."""

    images: Images
    places: NDArray[np.int64]

    @property
    def labels(self) -> Labels:
        """Theirs."""
        return self.images.labels[self.places]

    def __len__(self) -> int:
        return len(self.places)

    def read(self, positions: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """uint8 (n, h, w, c)."""
        return self.images.read(self.places[positions])


def write(story: Story, artifacts: Sequence[Artifact], folder: Path, *, on: Mapping[str, str], batches: Sequence[int] = ()) -> Written:
    """Write a folder for those of the targets `on` without a host, or for all where each has one; raises as `bench.offline.write`."""
    return offline.write(
        folder,
        _placed(story, artifacts),
        offline.aimed(on),
        Asked(**timing.asked(story, artifacts), batches=list(batches)),
        base=story.base,
        also=lambda session, targets: _answered(story, artifacts, session, targets, compared=False),
        emit=story.run.emit,
    )


def take_up(story: Story, artifacts: Sequence[Artifact], folder: Path | None) -> None:
    """Read the answers in a folder, if there is one; put what was collected so far into the report, in the place of other times on those targets.

    Raises:
        UsageError, DeviceError: as `bench.offline.collect`.
    """
    key = {"data": story.images.sha256, "files": {artifact.name: artifact.sha256 for artifact in artifacts}}
    if folder is None and not story.run.stands("offline", key):
        return
    devices = story.run.stage("offline", key).result(Collected).devices if story.run.stands("offline", key) else {}
    if folder is not None:
        # Before what was collected earlier is given up.
        devices = {**devices, offline.device_of(folder): _collected(story, artifacts, folder)}
        story.run.stage("offline", key, anew=True).finish(Collected(devices=devices))
    for device in devices.values():
        _add(story, device)


def _collected(story: Story, artifacts: Sequence[Artifact], folder: Path) -> Device:
    def answered(session: Session, targets: Sequence[Target]) -> tuple[list[Score], list[str]]:
        return _answered(story, artifacts, session, targets, compared=True)

    found, (scores, notes) = offline.collect(folder, _placed(story, artifacts), base=story.base, also=answered, emit=story.run.emit)
    return Device(
        measurements=found.measurements, ratios=found.ratios, hosts=found.hosts, failures=found.failures, scores=scores, notes=notes
    )  # fmt: skip


def _add(story: Story, device: Device) -> None:
    report = story.report
    there = {each.target for each in device.measurements}
    known = {each.artifact for each in report.scores if each.split == "test"}
    story.add(
        measurements=[*(each for each in report.measurements if each.target not in there), *device.measurements],
        ratios=[*(each for each in report.ratios if each.target not in there), *device.ratios],
        hosts={**report.hosts, **device.hosts},
        # Behind those of this machine, which are what a report is judged by.
        scores=[*report.scores, *(each for each in device.scores if each.artifact in known)],
        doubts=[*report.doubts, *(f"{name} was not measured: {why}" for name, why in device.failures.items())],
    )
    for note in device.notes:
        story.note(note)


def _placed(story: Story, artifacts: Sequence[Artifact]) -> list[tuple[Artifact, Path]]:
    return [(artifact, story.run.folder / artifact.path) for artifact in artifacts]


def _answered(
    story: Story, artifacts: Sequence[Artifact], session: Session, targets: Sequence[Target], *, compared: bool
) -> tuple[list[Score], list[str]]:
    """How each file answers test images over there, and in words; `compared` with what it answers here."""
    test = story.images.test
    if len(test) < 2:
        return [], []
    images = Some(test, np.linspace(0, len(test) - 1, min(len(test), IMAGES)).round().astype(np.int64))
    scores, notes = [], []
    for artifact in artifacts:
        what = next((each for each in targets if fits(artifact, each)), None)
        if what is None:
            continue
        file = story.run.folder / artifact.path
        wishes: dict[str, Any] = {"artifact": artifact.name, "split": "test", "classes": story.classes, "thresholds": artifact.thresholds}
        try:
            here, logits = None, None
            if compared:
                with connect("local") as local, open_predict(local, file) as answer:
                    here, logits = score(answer, images, host="local", **wishes)
            how = opening.wishes(what, Way(), shape=False)
            batch = opening.batches(what, Way())[-1] if what.by_engine else BATCH
            with open_predict(session, file, provider=how.pop("provider"), batch=batch, how=how) as answer:
                found, _ = score(
                    answer, images, host=session.host, teacher_logits=logits, teacher_thresholds=artifact.thresholds, groups=story.groups, **wishes
                )  # fmt: skip
        except DeviceError as error:
            notes.append(f"{artifact.name} answered no images on {session.host}: {error}")
            continue
        scores.append(found)
        if here is not None:
            notes.append(words.two_machines(found, here))
    return scores, notes

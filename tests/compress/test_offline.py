"""compress/offline.py: a run's files and test images on their way to a device and back, into the report."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edgekd.bench import Plan
from edgekd.compress import offline, timing
from edgekd.compress.story import Story
from edgekd.device.agent.folder import ANSWERS
from edgekd.device.host import connect
from edgekd.device.predict import open_predict
from edgekd.errors import UsageError
from edgekd.evaluate import evaluate as score
from edgekd.files import sha256_file, write_atomic
from edgekd.measurements import Host, Launch, Measurement, Timing
from edgekd.recipe import Recipe
from edgekd.record import Report
from edgekd.reportfile import encode_report
from edgekd.run import Run
from tests.device.nets import artifact
from tests.device.processes import PATIENCE_S
from tests.toys import brightness

TINY = Plan(launches=1, rounds=2, block_ms=4, block_runs=3, warm_ms=1, flow_ms=120, duels=2, duel_ms=20)
CLASSES = ["dark", "bright"]
TEACHER = "teacher/a/fp32"


@dataclass
class Split:
    """Grey images of both classes in turn."""

    labels: NDArray[np.int64]
    pixels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Those at these places."""
        return self.pixels[positions]


def split(n: int) -> Split:
    """So many."""
    labels = np.arange(n) % 2
    return Split(labels, np.full((n, 4, 4, 1), 20, np.uint8) + (200 * labels[:, None, None, None]).astype(np.uint8))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A run of a teacher that is right about every image; it has a target on this machine, and one without a host."""
    base = tmp_path_factory.mktemp("run")
    run = Run.open(base, origin="here", recipe_toml="", emit=lambda event: None)
    brightness(base / "a.onnx")
    known = artifact(base / "a.onnx", "fp32")[0]
    made = [msgspec.structs.replace(known, role="teacher", path="a.onnx", sha256=sha256_file(base / "a.onnx"))]
    (base / "board.toml").write_text(
        'description = "a board"\nruntime = "onnxruntime"\nprovider = "CPUExecutionProvider"\nprecisions = ["fp32"]\nint8 = "int8-cpu"\nthreads = 1\n'
    )
    images = SimpleNamespace(train=split(10), test=split(9), sha256="ab" * 32)
    recipe = Recipe(on={"cpu": "local", "board.toml": ""})
    with run:
        found = SimpleNamespace(run=run, recipe=recipe, base=base, images=images, classes=CLASSES, groups=None)
        found.report = Report(edgekd="1", name="run", created="", artifacts=made)
        found.add = lambda **parts: setattr(found, "report", msgspec.structs.replace(found.report, **parts))
        found.note = lambda text: found.add(notes=[*found.report.notes, text])
        with connect("local") as session, open_predict(session, base / "a.onnx") as answer:
            one, _ = score(answer, images.test, artifact=TEACHER, split="test", classes=CLASSES, host="local")
        found.add(scores=[one])
        yield cast(Story, found)


@pytest.fixture(scope="module")
def folder(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, carried out by the packed agent in another process; of nine images five went along."""
    place = tmp_path_factory.mktemp("stick") / "orin"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(offline, "IMAGES", 5)
        patch.setattr(timing, "QUICK", TINY)
        written = offline.write(story, story.report.artifacts, place, on=story.recipe.on)
    assert written.files == 2  # the network and its images
    command = [sys.executable, str(place / "agent.pyz"), str(place)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=4 * PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return place


def collected(story: Story, folder: Path | None) -> Report:
    """The report after the folder was read."""
    before = story.report
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(offline, "IMAGES", 5)
            offline.take_up(story, story.report.artifacts, folder)
        return story.report
    finally:
        story.report = before


def test_times_and_answers_come_back(story: Story, folder: Path) -> None:
    """Times on the target without a host; how each file answered there beside how it does here, those of this machine first."""
    report = collected(story, folder)
    assert [(each.artifact, each.target, each.host) for each in report.measurements] == [(TEACHER, "board", "orin")]
    assert report.measurements[0].layer_times
    assert list(report.hosts) == ["orin"]
    assert [(each.artifact, each.host, each.n) for each in report.scores] == [(TEACHER, "local", 9), (TEACHER, "orin", 5)]
    assert report.scores[1].against["agreement"].value == 1.0
    assert report.notes == [f"{TEACHER} on orin, 5 test images: 100.0 % of its answers as here, accuracy 100.0 % (100.0 % here)"]


def test_what_was_collected_stays(story: Story, folder: Path) -> None:
    """The next report of the same files has it without the folder; files that changed since have none of it."""
    assert [each.host for each in collected(story, None).measurements] == ["orin"]
    before = story.report
    try:
        # A report is judged by scores of this machine: there are none in the place of them.
        story.report = msgspec.structs.replace(before, scores=[])
        assert collected(story, None).scores == []
        story.report = msgspec.structs.replace(before, artifacts=[msgspec.structs.replace(each, sha256="cd" * 32) for each in before.artifacts])
        assert collected(story, None).measurements == []
        with pytest.raises(UsageError, match=rf"was written for other files, or they changed since: {TEACHER}\."):
            collected(story, folder)
    finally:
        story.report = before


def test_what_the_report_has_of_the_same_files_stays(story: Story) -> None:
    """A file that was made since, as for another device, leaves the times of the others; of one that has changed there is none."""
    before, (known,) = story.report, story.report.artifacts
    newer = msgspec.structs.replace(known, precision="int8-trt", sha256="ef" * 32)
    timing_ = Timing(launches=[Launch(load_ms=1, first_ms=1, rounds=[[1.0] * 3])] * 3)
    times = [
        Measurement(
            artifact=TEACHER, target=where, host="here", runtime="onnxruntime", provider="CPUExecutionProvider", batch=1, threads=1, timing=timing_
        )
        for where in ("cpu", "elsewhere")
    ]
    host = Host(cpu="a", architecture="x86_64", cores=2, memory=1)
    try:
        story.report = msgspec.structs.replace(before, measurements=times, hosts={"here": host})
        write_atomic(story.run.folder / "report.json", encode_report(story.report))
        for sha256, left in ((known.sha256, ["cpu"]), ("cd" * 32, [])):
            made = [msgspec.structs.replace(known, sha256=sha256), newer]
            story.report = msgspec.structs.replace(before, artifacts=made)
            timing.bench(story, made, do=False)
            assert [each.target for each in story.report.measurements] == left
            assert list(story.report.hosts) == ["here"] * len(left)
    finally:
        story.report = before
        (story.run.folder / "report.json").unlink()


def test_images_that_changed_are_refused(story: Story, folder: Path) -> None:
    """Answers to others would be scored as answers to these."""
    images = cast(SimpleNamespace, story.images)
    before = images.test
    images.test = Split(before.labels, before.pixels + 1)
    try:
        with pytest.raises(UsageError, match="was written for other files: the images changed since"):
            collected(story, folder)
    finally:
        images.test = before
    assert (folder / ANSWERS).is_file()

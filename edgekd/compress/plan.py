"""What a recipe would do, in words, without doing it: networks, steps, memory, time, sizes, and how fast each target could be at best.

The images are read and the networks built; a few steps of each are timed. Nothing is written.
"""

import math
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from edgekd import target, units
from edgekd.compress import files, students
from edgekd.compress import teacher as teachers
from edgekd.compress.story import Story
from edgekd.distill import asks_teacher
from edgekd.distill.defaults import all_steps, filled
from edgekd.distill.pace import choose_pace
from edgekd.distill.teacher import BATCH, answer_all
from edgekd.models.load import Network, OnnxTeacher, macs, parameters
from edgekd.recipe import Phase, Recipe
from edgekd.target import Target

BYTES = {"fp32": 4.0, "fp16": 2.0, "int8": 1.0}
"""Of one parameter; a file's graph comes on top."""
_TRAINING_COPIES = 3
"""Weights, gradients and the optimiser's state."""
_ANSWERS = 3
"""Batches that the teacher answers to be timed; the first is slow."""


def plan(recipe: Recipe, *, base: Path) -> list[str]:
    """The lines of a dry run.

    Raises:
        EdgekdError: what the run itself would refuse before training.
    """
    files.check(recipe, base)
    with tempfile.TemporaryDirectory() as folder, Story.opened(recipe, Path(folder) / "plan", "plan", base, lambda event: None) as story:
        return list(_lines(story))


def _lines(story: Story) -> Iterator[str]:
    recipe, images = story.recipe, story.images
    height, width, channels = story.shape
    counts = f"{len(images.train)} train, {len(images.valid)} validation and {len(images.test)} test images"
    yield f"data      {images.spec}: {counts} of {height}x{width}x{channels}"
    yield f"          {len(images.classes)} classes; training on {story.device}"
    teacher, phases = teachers.planned(story)
    seconds = 0.0
    learners = students.planned(story, teacher)
    for role, network, taught in [("teacher", teacher, phases), *(("student", learner, students.phases_of(story)) for learner in learners)]:
        yield f"{role:9} {network.name}: {units.count_text(parameters(network))} parameters, {units.count_text(macs(network, story.shape))} MACs"
        yield f"          files of about {_sizes(recipe, network)}"
        if taught is not None and not isinstance(network, OnnxTeacher):
            times = 1 + (len(students.ways_alone(taught)) if recipe.alone and role == "student" else 0)
            took, line = _training(story, network, taught)
            seconds += took * times
            yield f"          {line}{', and again alone' if times > 1 else ''}"
        if role == "teacher" and learners and asks_teacher(students.phases_of(story)):
            took, line = _answering(story, network, len(learners))
            seconds += took
            yield f"          {line}"
        yield from (f"          {line}" for line in _floors(story, network))
    yield f"memory    {_memory(story, teacher)}"
    yield f"time      about {units.seconds_text(seconds)} of training, answers included, then export, scores and times of every file"
    yield from (f"note      {note}" for note in story.report.notes)


def _sizes(recipe: Recipe, network: Network) -> str:
    return ", ".join(f"{units.bytes_text(BYTES[p] * parameters(network), 2)} ({p})" for p in recipe.export.precisions)


def _training(story: Story, network: Network, phases: tuple[Phase, ...]) -> tuple[float, str]:
    """Seconds of all steps by a few timed ones, and the line that says so."""
    train, data = story.recipe.train, story.batches("train")
    batch = filled(train, images=len(data), shape=story.shape, flip=True, brought=False).batch
    assert batch is not None
    steps = all_steps(phases, len(data), batch)
    pixels, labels, _ = data.plain(data.index.new_tensor(range(min(batch, len(data)))))
    pace = choose_pace(network.to(story.device), pixels, labels, precision=train.precision or "fp32", channels_last=None)
    step = min(pace.seconds.values())
    names = " → ".join(f"{phase.name} {phase.epochs:g}" for phase in phases)
    return steps * step, f"{steps} steps ({names} epochs) of about {units.ms_text(1e3 * step, 2)}: {units.seconds_text(steps * step)}"


def _answering(story: Story, teacher: Network, learners: int) -> tuple[float, str]:
    """Seconds in which the teacher answers what its students ask of it, by a few timed batches, and the line that says so.

    Remembered: once for each view and once for the plain images, for all students together. Live: in every step of each.
    """
    data, views = story.batches("train"), story.recipe.train.views
    passes = views + 1 if views else learners * sum(phase.epochs for phase in students.phases_of(story) if phase.soft)
    pixels = data.plain(data.index.new_tensor(range(min(BATCH, len(data)))))[0]
    times = []
    for _ in range(_ANSWERS):
        begun = time.perf_counter()
        next(answer_all(teacher.to(story.device), iter([pixels]))).cpu()
        times.append(time.perf_counter() - begun)
    seconds = passes * len(data) / len(pixels) * min(times)
    how = f"remembered on {views} views and the plain images" if views else "asked in every step, as train.views is 0"
    return seconds, f"its answers, {how}: {units.seconds_text(seconds)}"


def _memory(story: Story, teacher: Network) -> str:
    images, views = story.images.train, story.recipe.train.views
    remembered = 2 * len(images) * len(story.images.classes) * (views + 1)
    weights = 4 * _TRAINING_COPIES * parameters(teacher)
    held = f"{units.bytes_text(images.nbytes)} of images, {units.bytes_text(remembered)} of remembered answers"
    return f"{held}, {units.bytes_text(weights)} for the teacher's training"


def _floors(story: Story, network: Network) -> Iterator[str]:
    """How fast each target could be at best, computed from its chip's data."""
    count = macs(network, story.shape)
    for name in story.recipe.on:
        what = target.load(name, story.base)
        found = math.inf if count is None else floor_ms(what, parameters(network), count)
        if math.isfinite(found):
            yield f"no faster than {units.ms_text(found, 2)} on {name} (fp16; computed from its data sheet)"


def floor_ms(what: Target, params: int, count: int) -> float:
    """The least time of one image in fp16, ms: weights over bandwidth, or operations over peak, whichever is longer; infinite where neither is
    known."""
    chip = what.chip
    parts = [2 * params / chip.bandwidth] if chip.bandwidth else []
    parts += [2 * count / chip.peak_fp16] if chip.peak_fp16 else []
    return 1e3 * max(parts) if parts else math.inf

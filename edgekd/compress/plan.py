"""What a recipe would do, in words, without doing it: networks, steps, memory, time, sizes, and how fast each target could be at best.

The images are read and the networks built; a few steps of each are timed. Nothing is written. What is predicted of a network before anything was
made (`counted`, `predicted_sizes`, `floors`) is `suggest`'s too.
"""

import contextlib
import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from edgekd import graph, target, units
from edgekd.compress import checks, continued, files, previous, students, tracking
from edgekd.compress import teacher as teachers
from edgekd.compress.oldimages import Archive
from edgekd.compress.story import Story
from edgekd.distill import asks_teacher, leading
from edgekd.distill.asking import OFTEN, choose_asking
from edgekd.distill.defaults import all_steps, filled
from edgekd.distill.keeping import DEARER
from edgekd.distill.pace import choose_pace
from edgekd.distill.quantised import unrounded
from edgekd.distill.teacher import BATCH
from edgekd.events import Emit, Event, Note, Progress, silent
from edgekd.models.folded import folded
from edgekd.models.load import Network, OnnxTeacher, macs, parameters
from edgekd.phases import Phase
from edgekd.recipe import Recipe
from edgekd.target import Target

BYTES = {"fp32": 4.0, "fp16": 2.0, "int8": 1.0}
"""Of one parameter; a file's graph comes on top."""
_TRAINING_COPIES = 3
"""Weights, gradients and the optimiser's state."""
_TARGET = 4 / 3
"""Of a step's time, for a domain's images beside the data's: the student's own part again, and its self-teacher's answer, a third of that."""
_WITH_FILES = ("teacher", "student")
"""Roles whose networks become files."""

_AGAIN = ("", ", and again alone", ", and again alone, on all images and on the phases' subsets")
"""By how often a student is also taught without the teacher."""

Begun = tuple[Network, tuple[Phase, ...] | None]
"""A network as it would begin, and the phases that it would be taught in; None: not at all."""


Work = Literal["compress", "distill", "teach"]
"""How far a run goes: to its files, to its students, to its teacher."""


def plan(
    recipe: Recipe, *, base: Path, work: Work = "compress", folder: Path | None = None, log: Sequence[str] = (), emit: Emit = silent
) -> list[str]:
    """The lines of a dry run of so much work, which would go into `folder` and to the trackers of `log`; `emit` hears how the images are read.

    Raises:
        EdgekdError: what the run itself would refuse before training.
    """
    tracking.refuse(log)
    warned: list[str] = []

    def hear(event: Event) -> None:
        if isinstance(event, Progress):
            emit(event)
        elif isinstance(event, Note) and event.level == "warning":
            warned.append(event.text)

    if recipe.previous is not None and folder is not None:
        previous.refuse_within(base / recipe.previous.run, folder)
    with looking(recipe, base, hear) as story:
        lines = list(_lines(story, work))
        return [*lines, *(f"warning   {text}" for text in warned if text not in story.report.notes)]


@contextlib.contextmanager
def looking(recipe: Recipe, base: Path, emit: Emit = silent) -> Iterator[Story]:
    """A run of the recipe, open with its images, whose folder is gone afterwards; raises as `plan`."""
    files.check(recipe, base)
    with tempfile.TemporaryDirectory() as folder, Story.opened(recipe, Path(folder) / "plan", "plan", base, emit) as story:
        yield story


def _lines(story: Story, work: Work) -> Iterator[str]:
    if work == "compress":
        files.check_images(story)
    checks.check(story)
    recipe, images = story.recipe, story.images
    height, width, channels = story.shape
    counts = f"{len(images.train)} train, {len(images.valid)} validation and {len(images.test)} test images"
    yield f"data      {images.spec}: {counts} of {height}x{width}x{channels}"
    yield f"          {len(images.classes)} classes; training on {story.device}"
    if story.target is not None:
        tested = 0 if story.target.test is None else len(story.target.test)
        yield f"domain    {story.target.spec}: {len(story.target.images)} images without labels, {tested or 'no'} labelled test images"
    old = continued.opened(story) if story.previous is not None else None
    if old is not None:
        again = f"{len(old.replayed)} old images are shown again" if old.replayed is not None else "no old images are shown again"
        yield f"from      {old.options.run}, which knew {len(old.old.classes)} classes; {again}"
    seconds, with_files = 0.0, _WITH_FILES if work == "compress" else ()
    planned = _planned(story, old, work)
    for role, (network, taught), learners in planned:
        count = counted(network, story.shape)
        yield f"{role:9} {network.name}: {units.count_text(count.params)} parameters, {units.count_text(count.macs)} MACs"
        if role in with_files:
            yield f"          {'its own file of' if isinstance(network, OnnxTeacher) else 'files of about'} {_sizes(recipe, network, count)}"
        if taught is not None and not isinstance(network, OnnxTeacher):
            times = 1 + (len(students.ways_alone(taught)) if recipe.alone and role == "student" else 0)
            took, line = _training(story, network, taught)
            seconds += took * times
            yield f"          {line}{_AGAIN[times - 1]}"
            if role == "student" and old is not None and (old.options.weight != 0 or old.replayed is not None):
                more = (DEARER[old.replayed is not None] - 1) * took
                seconds += more
                beside = "its old self's answers" if old.replayed is None else "old images, and its old self's answers,"
                yield f"          {beside} beside them: about {units.seconds_text(more)} more"
            if role == "student" and story.target is not None:
                seconds += _TARGET * took
                yield f"          as many images of the domain beside them: about {units.seconds_text(_TARGET * took)} more"
        if learners and asks_teacher(students.phases_of(story)):
            took, line = _answering(story, network, learners)
            seconds += took
            yield f"          {line}"
        if role in with_files:
            yield from (f"          {floor_text(name, floor)}" for name, floor in floors(story, count).items())
    if planned:
        yield f"memory    {_memory(story, planned, answering=sum(learners > 0 for _, _, learners in planned))}"
    rest = ", then export, scores and times of every file" if with_files else ""
    yield f"time      about {units.seconds_text(seconds)} of training{'' if work == 'teach' else ', answers included'}{rest}"
    yield from (f"note      {note}" for note in story.report.notes)


def _planned(story: Story, old: Archive | None, work: Work) -> list[tuple[str, Begun, int]]:
    """Every network in the order in which it learns: its role, itself, and how many learn from it."""
    if old is not None and story.recipe.teacher is None:
        phases = continued.phases_of(story, taught=False)
        return [] if work == "teach" else [("student", (one, phases), 0) for one in continued.planned(story, old)]
    first = None if story.recipe.by_answers else teachers.planned(story)
    if work == "teach":
        return [*([] if first is None else [("teacher", first, 0)]), *(("with", begun, 0) for begun in teachers.planned_beside(story))]
    of = None if first is None else first[0]
    phases, learners = students.phases_of(story), students.planned(story, of) if old is None else continued.planned(story, old)
    assistants = students.planned_between(story)
    taught = 1 if assistants else len(learners)
    return [
        *([] if first is None else [("teacher", first, taught)]),
        *(("with", begun, taught) for begun in teachers.planned_beside(story)),
        *(("assistant", (one, unrounded(phases)), 1 if number + 1 < len(assistants) else len(learners)) for number, one in enumerate(assistants)),
        *(("student", (one, phases), 0) for one in learners),
    ]


def _sizes(recipe: Recipe, network: Network, count: "Count") -> str:
    if isinstance(network, OnnxTeacher):
        return units.bytes_text(count.size)
    return sizes_text(predicted_sizes(count.params, recipe.export.precisions))


def _training(story: Story, network: Network, phases: tuple[Phase, ...]) -> tuple[float, str]:
    """Seconds of all steps by a few timed ones, and the line that says so."""
    train, data = story.recipe.train, story.batches("train")
    batch = filled(train, images=len(data), shape=story.shape, flip=True, brought=False).batch
    assert batch is not None
    steps = all_steps(phases, len(data), batch)
    pixels, labels, _ = data.plain(data.index.new_tensor(range(min(batch, len(data)))))
    pace = choose_pace(network.to(story.device), pixels, labels, precision=train.precision or "fp32", channels_last=None)
    step = min(pace.seconds.values())
    names = " → ".join(f"{phase.name} {phase.epochs:g}{' quantised' if phase.is_quantised else ''}" for phase in phases)
    return steps * step, f"{steps} steps ({names} epochs) of about {units.ms_text(1e3 * step, 2)}: {units.seconds_text(steps * step)}"


def _answering(story: Story, teacher: Network, learners: int) -> tuple[float, str]:
    """Seconds in which the teacher answers what its students ask of it, by a few timed batches, and the line that says so.

    Remembered: once for each view and once for the plain images, for all students together. Live: in every step of each that asks so.
    """
    data, views, phases = story.batches("train"), story.recipe.train.views, students.phases_of(story)
    live = learners * sum(phase.epochs for phase in phases if phase.compares_insides or (phase.soft and not views))
    remembered = views + 1 if views and any(phase.soft and not phase.compares_insides for phase in phases) else 0
    pixels = data.plain(data.index.new_tensor(range(min(BATCH, len(data)))))[0]
    asks = (live + remembered) * len(data)
    asking = choose_asking(folded(teacher.to(story.device), silent), pixels, often=asks >= OFTEN)
    seconds = asks * asking.seconds[str(asking)]
    why = "as train.views is 0" if not views else "of phases that compare features"
    ways = [f"remembered on {views} views and the plain images"] if remembered else []
    ways += [f"asked in every step{',' if not views else ''} {why}"] if live else []
    return seconds, f"its answers, {' and '.join(ways)}: {units.seconds_text(seconds)}"


def _memory(story: Story, planned: Sequence[tuple[str, Begun, int]], *, answering: int) -> str:
    taught = [(parameters(network), role) for role, (network, phases), _ in planned if phases]
    most, learner = max(taught, default=(0, ""))
    images, views = story.images.train, story.recipe.train.views
    one = leading.answer_bytes(len(story.images.classes), few=students.largest_alone(story))
    remembered = (max(1, answering) if planned[0][0] == "teacher" else 0) * one * len(images) * (views + 1)
    held = f"{units.bytes_text(images.nbytes)} of images, {units.bytes_text(remembered)} of remembered answers"
    return f"{held}, {units.bytes_text(4 * _TRAINING_COPIES * most)} for the {learner}'s training" if taught else held


# What can be said of a network before anything was made ---------------------------------------------------------------


class Count(NamedTuple):
    """What a network holds, does for one image (None: cannot be counted), and takes as a file in the precision that it has, in bytes."""

    params: int
    macs: int | None
    size: int


def counted(network: Network, shape: tuple[int, int, int]) -> Count:
    """Counts of a network for images of (height, width, channels); an ONNX file's stand in its graph."""
    if isinstance(network, OnnxTeacher):
        facts = graph.summary(network.path)
        return Count(facts.params, facts.macs, facts.size)
    params = parameters(network)
    return Count(params, macs(network, shape), round(BYTES["fp32"] * params))


def predicted_sizes(params: int, precisions: Sequence[str]) -> dict[str, int]:
    """Bytes of a network's parameters by precision; a file's graph comes on top."""
    return {precision: round(BYTES[precision] * params) for precision in precisions}


def sizes_text(sizes: dict[str, int]) -> str:
    """As "1.1 MB (fp32), 540 kB (fp16)"."""
    return ", ".join(f"{units.bytes_text(size, 2)} ({precision})" for precision, size in sizes.items())


def floors(story: Story, count: Count) -> dict[str, float]:
    """How fast each target could be at best, in ms, where its chip's data say it."""
    found = {name: floor_ms(target.load(name, story.base), count.params, count.macs) for name in story.recipe.on}
    return {name: floor for name, floor in found.items() if math.isfinite(floor)}


def floor_text(name: str, floor: float) -> str:
    """A floor in words."""
    return f"no faster than {units.ms_text(floor, 2)} on {name} (fp16; computed from its data sheet)"


def floor_ms(what: Target, params: int, count: int | None) -> float:
    """The least time of one image in fp16, ms: weights over bandwidth, or operations over peak, whichever is longer; infinite where neither is
    known, or the operations are not."""
    chip = what.chip
    if count is None:
        return math.inf
    parts = [2 * params / chip.bandwidth] if chip.bandwidth else []
    parts += [2 * count / chip.peak_fp16] if chip.peak_fp16 else []
    return 1e3 * max(parts) if parts else math.inf

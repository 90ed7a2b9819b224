"""The teacher of a run: brought and checked, or taught.

In: an open `Story`. Out: its `Learner`. A teacher that came with weights is looked at on validation images before anything is built on it.
"""

from pathlib import Path

import msgspec
import numpy as np
import torch

from edgekd import stats, units
from edgekd.compress.lesson import Learner, Lesson, Outcome, built, code_of, learnt, settled, tell
from edgekd.compress.story import Story, brings
from edgekd.data.source import class_counts
from edgekd.distill import supervised
from edgekd.errors import UsageError
from edgekd.events import Note
from edgekd.models.check import IMAGES, check_brought
from edgekd.models.load import Network, fingerprint, reorder
from edgekd.models.zoo import published_classes
from edgekd.recipe import Phase, Teacher, Train
from edgekd.record import Training
from edgekd.run import Stage
from edgekd.tasks.classify import chance

SMALL_TEACHER, LARGE_TEACHER = "resnet8x4", "resnet50"
"""Where no teacher is named: up to 64 px, and above."""
DIGITS_EPOCHS = 4.0
"""Enough to teach the default teacher the digits; the whole default run is to take under two minutes on two cores."""


def learnt_or_brought(story: Story) -> Learner:
    """The teacher, checked where it was brought, else taught."""
    spec, network, epochs = _start(story)
    key = {"data": story.images.sha256, "teacher": spec, "start": fingerprint(network), **code_of(story, spec)}
    if epochs is None:
        stage = story.run.stage("teach", key)
        outcome = stage.result(Outcome) if stage.done else _brought(story, network, stage)
    else:
        train = settled(story, _teacher_settings(story.recipe.train), brought=brings(spec))
        lesson = Lesson(phases=supervised(epochs), train=train, how="taught")
        outcome = learnt(story, story.run.stage("teach", {**key, "lesson": lesson, "seed": story.recipe.seed}), network, lesson)
        _doubt_chance(story, network, outcome)
    tell(story, "teacher", network, outcome)
    return Learner("teacher", network, code_of(story, spec))


def _doubt_chance(story: Story, network: Network, outcome: Outcome) -> None:
    """Say aloud that a teacher learnt nothing: a student can only imitate that."""
    valid, right = len(story.images.valid), outcome.valid_accuracy
    if right is None:
        return
    guessing = chance(class_counts(story.images.valid.labels, len(story.classes)).tolist())
    _, low, _ = stats.proportion(round(right * valid), valid)
    if low <= guessing:
        text = (
            f"the teacher {network.name} has {units.percent_text(right)} of {valid} validation images right, hardly more than the commonest class "
            f"alone gives ({units.percent_text(guessing)}): teach it longer with --set train.teacher_epochs=N"
        )
        story.run.emit(Note(text=text, level="warning"))
        story.add(doubts=[*story.report.doubts, text])


def _start(story: Story) -> tuple[Teacher, Network, float | None]:
    """The teacher's spec, the network as it begins, and for how many epochs it is taught (None: not at all)."""
    spec = story.recipe.teacher or _default_teacher(story)
    epochs = _epochs(story) if _is_taught(story, spec) else None
    network = built(story, spec, replace_head=epochs is not None)
    names = _class_names(spec, story.base)
    if names is not None and epochs is None:
        reorder(network, names, story.classes)
    return spec, network, epochs


def planned(story: Story) -> tuple[Network, tuple[Phase, ...] | None]:
    """The teacher as it would begin, and the phases in which it would be taught."""
    _, network, epochs = _start(story)
    return network, None if epochs is None else supervised(epochs)


def _default_teacher(story: Story) -> Teacher:
    small = max(story.shape[:2]) <= 64
    model = SMALL_TEACHER if small else LARGE_TEACHER
    story.note(
        f"no teacher is named: {model} is taught on this data{'' if small else ', from its published weights'}. Bring your own with --teacher."
    )
    return Teacher(model=model, weights=None if small else "pretrained")


def _is_taught(story: Story, spec: Teacher) -> bool:
    """Whether it learns here: it has no weights, more epochs were asked for, or published weights know other classes."""
    if spec.model.endswith(".onnx"):
        return False
    if spec.weights == "pretrained" and published_classes(spec.model) not in (None, len(story.classes)):
        return True
    return not brings(spec) or story.recipe.train.teacher_epochs is not None or story.recipe.teacher is None


def _epochs(story: Story) -> float:
    if story.recipe.train.teacher_epochs is not None:
        return story.recipe.train.teacher_epochs
    if story.recipe.teacher is None and story.recipe.data == "digits":
        return DIGITS_EPOCHS
    return sum(phase.epochs for phase in story.recipe.phase)


def _class_names(spec: Teacher, base: Path) -> list[str] | None:
    """The teacher's own class names, in the order of its outputs.

    Raises:
        UsageError: the file of names does not read.
    """
    if spec.classes is None or isinstance(spec.classes, list):
        return spec.classes
    try:
        text = (base / spec.classes).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the teacher's classes stand in a text file, one a line; {base / spec.classes} does not read: {error}.") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _brought(story: Story, network: Network, stage: Stage) -> Outcome:
    """A teacher that came with weights, looked at on validation images before anything is built on it."""
    images = story.images.valid if len(story.images.valid) else story.images.train
    chosen = np.random.default_rng(0).permutation(len(images))[:IMAGES]
    pixels = torch.from_numpy(images.read(chosen)).permute(0, 3, 1, 2).float() / 255
    accuracy = check_brought(network, pixels, torch.from_numpy(images.labels[chosen]), story.classes)
    seen = accuracy if len(story.images.valid) else None
    outcome = Outcome(training=Training(how="brought"), valid_accuracy=seen, notes=network.notes)
    stage.finish(outcome)
    return outcome


def _teacher_settings(train: Train) -> Train:
    """The training settings with the teacher's own optimiser; it learns on fresh views, as nobody has to remember them."""
    return msgspec.structs.replace(train, optimizer=train.teacher_optimizer, views=0, prior="data", teacher_epochs=None, teacher_optimizer=None)

"""The teacher and the students of a run: brought, taught or distilled, each a stage that goes on where it was stopped.

In: an open `Story`. Out: `Learner`s, networks with their weights and what is told of them. How a network learns is `distill`'s.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch

from edgekd import graph, units
from edgekd.compress.story import Story, brings
from edgekd.data.source import class_counts
from edgekd.distill import alone, filled, supervised
from edgekd.distill import distill as learn
from edgekd.distill.checkpoint import NAME as CHECKPOINT
from edgekd.distill.defaults import BATCH
from edgekd.distill.subset import NEEDS_TEACHER
from edgekd.errors import UsageError
from edgekd.evaluate import evaluate as score
from edgekd.events import Note
from edgekd.models.check import IMAGES, check_brought
from edgekd.models.load import (
    Network,
    OnnxTeacher,
    build,
    fingerprint,
    load_weights,
    macs,
    parameters,
    pick_student,
    reorder,
    save_weights,
)
from edgekd.models.small import factory
from edgekd.recipe import Phase, Student, Subset, Teacher, Train
from edgekd.record import Metric, Preprocess, Role, Training
from edgekd.record import Network as Told
from edgekd.run import Stage
from edgekd.tasks.classify import check_losses

WEIGHTS = "weights.safetensors"
SMALL_TEACHER, LARGE_TEACHER = "resnet8x4", "resnet50"
"""Where no teacher is named: up to 64 px, and above."""
DIGITS_EPOCHS = 5.0
"""Enough to teach the default teacher the digits; the whole default run is to take under two minutes on two cores."""
_SAMPLE = 5000
"""Training images that mean and std are computed from."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a learning stage comes to."""

    training: Training
    valid_accuracy: float | None = None
    test_accuracy: Metric | None = None


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """How a network is to learn, with every default stated: part of its stage's key."""

    phases: tuple[Phase, ...]
    train: Train
    how: str
    teacher: str | None = None
    """Fingerprint of who answers."""
    frequencies: list[float] | None = None
    """Of the classes in the teacher's own training, to be taken off its answers."""
    wanted: list[float] | None = None
    """Of the classes on the device; None: all alike."""


@dataclass
class Learner:
    """A network with its weights."""

    role: Role
    network: Network


# The teacher ----------------------------------------------------------------------------------------------------------


def teacher(story: Story) -> Learner:
    """The teacher, checked where it was brought, else taught."""
    spec, network, epochs = _start(story)
    key = {"data": story.images.sha256, "teacher": spec, "start": fingerprint(network)}
    if epochs is None:
        stage = story.run.stage("teach", key)
        outcome = stage.result(Outcome) if stage.done else _brought(story, network, stage)
    else:
        train = _filled(story, _teacher_settings(story.recipe.train), brought=brings(spec))
        lesson = Lesson(phases=supervised(epochs), train=train, how="taught")
        outcome = _learnt(story, story.run.stage("teach", {**key, "lesson": lesson, "seed": story.recipe.seed}), network, lesson)
    _tell(story, "teacher", network, outcome)
    return Learner("teacher", network)


def _start(story: Story) -> tuple[Teacher, Network, float | None]:
    """The teacher's spec, the network as it begins, and for how many epochs it is taught (None: not at all)."""
    spec = story.recipe.teacher or _default_teacher(story)
    epochs = _epochs(story) if _is_taught(story, spec) else None
    network = _built(story, spec, replace_head=epochs is not None)
    names = _class_names(spec, story.base)
    if names is not None and epochs is None:
        reorder(network, names, story.classes)
    return spec, network, epochs


def planned_teacher(story: Story) -> tuple[Network, tuple[Phase, ...] | None]:
    """The teacher as it would begin, and the phases in which it would be taught."""
    _, network, epochs = _start(story)
    return network, None if epochs is None else supervised(epochs)


def _default_teacher(story: Story) -> Teacher:
    small = max(story.shape[:2]) <= 64
    model = SMALL_TEACHER if small else LARGE_TEACHER
    story.note(f"no teacher is named: {model} is taught on this data{'' if small else ', from its published weights'}. Bring your own with --teacher.")
    return Teacher(model=model, weights=None if small else "pretrained")


def _is_taught(story: Story, spec: Teacher) -> bool:
    """Whether it learns here: it has no weights, more epochs were asked for, or published weights know other classes."""
    if spec.model.endswith(".onnx"):
        return False
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
    for text in network.notes:
        story.note(text)
    outcome = Outcome(training=Training(how="brought"), valid_accuracy=accuracy if len(story.images.valid) else None)
    stage.finish(outcome)
    return outcome


def _teacher_settings(train: Train) -> Train:
    """The training settings with the teacher's own optimiser; it learns on fresh views, as nobody has to remember them."""
    return msgspec.structs.replace(train, optimizer=train.teacher_optimizer, views=0, teacher_epochs=None, teacher_optimizer=None)


# Students -------------------------------------------------------------------------------------------------------------


def students(story: Story, of: Learner, *, do: bool) -> list[Learner]:
    """Every student, distilled, and taught alone beside it where the recipe asks for that; [] where they do not stand and nothing is to be done."""
    phases = phases_of(story)
    check_losses({type(term).__name__.lower() for phase in phases for term in phase.terms}, len(story.classes))
    found: list[Learner] = []
    for spec in _named(story, of, quiet=not do):
        network = _built(story, spec, replace_head=True)
        if any(network.name == other.network.name for other in found):
            raise UsageError(f"students need names of their own, and two are called {network.name}. Leave one out, or rename its function.")
        lesson = _lesson(story, spec, of, phases)
        key = {"data": story.images.sha256, "student": spec, "start": fingerprint(network), "lesson": lesson, "seed": story.recipe.seed}
        name = f"distill/{network.name}"
        if not do and not story.run.stands(name, key):
            return []
        outcome = _learnt(story, story.run.stage(name, key), network, lesson, of.network)
        _tell(story, "student", network, outcome)
        found.append(Learner("student", network))
        if story.recipe.alone and do:
            _alone(story, spec, lesson)
    return found


def planned_students(story: Story, teacher: Network) -> list[Network]:
    """The students as they would begin."""
    return [_built(story, spec, replace_head=True) for spec in _named(story, Learner("teacher", teacher), quiet=False)]


def _named(story: Story, of: Learner, *, quiet: bool) -> list[Student]:
    """The recipe's students, or one that edgekd picks for the teacher, with the reason."""
    if story.recipe.student is not None:
        return list(story.recipe.student)
    count = graph.summary(of.network.path).macs if isinstance(of.network, OnnxTeacher) else macs(of.network, story.shape)
    if count is None:
        raise UsageError("a student is picked by the teacher's MACs, and this teacher's cannot be counted. Name one with --student MODEL.")
    name, reason = pick_student(count, story.shape, len(story.classes))
    if not quiet:
        story.note(f"no student is named: {reason}. Choose another with --student.")
    return [Student(model=name)]


def _lesson(story: Story, spec: Student, of: Learner, phases: tuple[Phase, ...]) -> Lesson:
    train = msgspec.structs.replace(story.recipe.train, teacher_epochs=None, teacher_optimizer=None)
    train = _filled(story, train, brought=brings(spec))
    frequencies, wanted = _priors(story)
    return Lesson(phases=phases, train=train, how="distilled", teacher=fingerprint(of.network), frequencies=frequencies, wanted=wanted)


def _alone(story: Story, spec: Student, lesson: Lesson) -> None:
    """The same student by the labels alone; once more on the phases' own subsets where choosing them needs no teacher."""
    subsets = [phase.subset for phase in lesson.phases if phase.subset is not None]
    both = [False, True] if subsets and not any(subset.by in NEEDS_TEACHER for subset in subsets) else [False]
    for keep in both:
        network = _built(story, spec, replace_head=True)
        alike = Lesson(phases=alone(lesson.phases, keep_subsets=keep), train=lesson.train, how="alone")
        key = {"data": story.images.sha256, "student": spec, "start": fingerprint(network), "lesson": alike, "seed": story.recipe.seed}
        role = "alone-on-subset" if keep else "alone"
        _tell(story, role, network, _learnt(story, story.run.stage(f"{role}/{network.name}", key), network, alike))


def phases_of(story: Story) -> tuple[Phase, ...]:
    """The recipe's phases; under another prior than the data's the last one sees as many images of each class."""
    phases = story.recipe.phase
    last = phases[-1]
    if story.recipe.train.prior == "data" or (last.subset is not None and last.subset.by == "balanced"):
        return phases
    fraction = last.subset.fraction if last.subset is not None else 0.5
    return (*phases[:-1], msgspec.structs.replace(last, subset=Subset(by="balanced", fraction=fraction)))


def _priors(story: Story) -> tuple[list[float] | None, list[float] | None]:
    """Class frequencies of the teacher's training and of the device; None, None where the answers stay as they are."""
    prior = story.recipe.train.prior
    own = story.recipe.teacher.prior if story.recipe.teacher is not None else None
    if prior == "data":
        return None, None
    counts = class_counts(story.images.train.labels, len(story.classes))
    frequencies = [1.0] * len(counts) if own == "uniform" else _by_class(own, story, "teacher.prior") if own else [float(n) for n in counts]
    return frequencies, None if prior == "uniform" else _by_class(prior, story, "train.prior")


def _by_class(table: dict[str, float], story: Story, where: str) -> list[float]:
    if set(table) != set(story.classes):
        raise UsageError(f"{where} names each class of the data once ({', '.join(story.classes)}); got {', '.join(table)}.")
    return [table[name] for name in story.classes]


# What both share ------------------------------------------------------------------------------------------------------


def _built(story: Story, spec: Teacher | Student, *, replace_head: bool) -> Network:
    """A network as its spec says, at random where it comes without weights: then the same for the same seed."""
    torch.manual_seed(story.recipe.seed)
    return build(
        spec.model,
        classes=len(story.classes),
        shape=story.shape,
        weights=spec.weights,
        weights_key=spec.weights_key,
        preprocess=spec.preprocess or (None if brings(spec) else own_preprocess(story, spec.model)),
        base=story.base,
        replace_head=replace_head,
    )


def _filled(story: Story, train: Train, *, brought: bool) -> Train:
    """The training settings with their defaults; a batch that had to shrink is said."""
    full = filled(train, images=len(story.images.train), shape=story.shape, flip=story.images.flip, brought=brought)
    if train.batch is None and full.batch != BATCH:
        text = f"{len(story.images.train)} training images are few: the batch shrinks from {BATCH} to {full.batch}, so that a pass has steps enough"
        if text not in story.report.notes:
            story.note(text)
    return full


def own_preprocess(story: Story, model: str) -> Preprocess:
    """The training images' own mean and standard deviation, for a network that starts at random."""
    images = story.images.train
    some = images.read(np.linspace(0, len(images) - 1, min(len(images), _SAMPLE)).round().astype(np.int64))
    mean, std = some.mean(axis=(0, 1, 2)) / 255, some.std(axis=(0, 1, 2)) / 255
    grey = images.shape[2] == 1 and factory(model) is not None
    return Preprocess(
        mean=tuple(round(float(value), 4) for value in mean),
        std=tuple(round(max(float(value), 0.01), 4) for value in std),
        colour="grey" if grey else "rgb",
    )


def _learnt(story: Story, stage: Stage, network: Network, lesson: Lesson, teacher: Network | None = None) -> Outcome:
    """Teach a network in its stage, or give it the weights that stand there."""
    file = stage.folder / WEIGHTS
    if stage.done:
        load_weights(network, file)
        return stage.result(Outcome)
    for text in network.notes:
        story.note(text)
    training = learn(
        network,
        teacher,
        data=story.batches("train"),
        data_sha256=story.images.sha256,
        valid=story.batches("valid"),
        phases=lesson.phases,
        train=lesson.train,
        folder=stage.folder,
        memory=story.run.folder / "remembered",
        how=lesson.how,
        seed=story.recipe.seed,
        frequencies=lesson.frequencies,
        wanted=lesson.wanted,
        emit=story.run.emit,
        checkpoint_s=story.recipe.checkpoint_s,
        kept=stage.keep_seconds,
    )
    network.cpu()
    outcome = Outcome(
        training=training,
        valid_accuracy=_accuracy(story, network, "valid"),
        test_accuracy=_test_accuracy(story, network) if lesson.how == "alone" else None,
    )
    save_weights(network, file)
    stage.finish(outcome)
    (stage.folder / CHECKPOINT).unlink(missing_ok=True)
    return outcome


def _accuracy(story: Story, network: Network, split: str) -> float | None:
    images = getattr(story.images, split)
    if len(images) < 2:
        return None
    return score(network.predict, images, artifact=network.name, split="valid", classes=story.classes)[0].metrics["accuracy"].value


def _test_accuracy(story: Story, network: Network) -> Metric:
    """Of a network that gets no file; the others' files are tested themselves."""
    return score(network.predict, story.images.test, artifact=network.name, split="test", classes=story.classes)[0].metrics["accuracy"]


def _tell(story: Story, role: str, network: Network, outcome: Outcome) -> None:
    told = Told(
        role=role,  # type: ignore[arg-type]
        name=network.name,
        params=parameters(network),
        macs=macs(network, story.shape),
        training=outcome.training,
        valid_accuracy=outcome.valid_accuracy,
        test_accuracy=outcome.test_accuracy,
    )
    story.add(networks=[*story.report.networks, told])
    if outcome.valid_accuracy is not None:
        story.run.emit(Note(text=f"{role} {network.name}: {units.percent_text(outcome.valid_accuracy)} of validation images right"))

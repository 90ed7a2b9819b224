"""The teachers of a run: brought and checked, or taught.

In: an open `Story`. Out: a `Learner`. A teacher that came with weights is looked at on validation images before anything is built on it. How several
of them answer together is `ensemble`'s.
"""

from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import torch

from edgekd import stats, units
from edgekd.compress.images import brings
from edgekd.compress.lesson import Learner, Lesson, Outcome, built, code_of, learnt, settled, tell
from edgekd.compress.story import Story
from edgekd.data.source import Images, class_counts, of_pictures
from edgekd.distill import supervised
from edgekd.errors import UsageError
from edgekd.evaluate import evaluate
from edgekd.evaluate.severally import guessing
from edgekd.events import Note
from edgekd.models.check import IMAGES, check_brought
from edgekd.models.load import Network, OnnxTeacher, fingerprint, reorder
from edgekd.models.settle import probe_learning
from edgekd.models.zoo import published_classes
from edgekd.phases import Phase, Train
from edgekd.recipe import Teacher
from edgekd.record import Training
from edgekd.stage import Stage
from edgekd.tasks import several
from edgekd.tasks.classify import chance

SMALL_TEACHER, LARGE_TEACHER = "resnet8x4", "resnet50"
"""Where no teacher is named: up to 64 px, and above."""
TELLING = 0.9
"""Where guessing may have so much mean average precision, images are too few to tell who knows them."""
DIGITS_EPOCHS = 4.0
"""Enough to teach the default teacher the digits; the whole default run is to take under two minutes on two cores."""


def learnt_or_brought(story: Story) -> Learner:
    """The teacher, checked where it was brought, else taught."""
    learner, outcome = _found(story, "teacher", story.recipe.teacher or _default_teacher(story), story.recipe.seed)
    tell(story, "teacher", learner.network, outcome)
    return learner


def co_teacher(story: Story, place: int) -> tuple[Learner, Outcome]:
    """The co-teacher at a place in the recipe, checked or taught; not told yet, as its score is to come."""
    learner, outcome = _found(story, "co-teacher", story.recipe.co_teacher[place], _seed(story, place))
    (height, width), held = learner.network.preprocess.size or story.shape[:2], story.shape
    if of_pictures(story.recipe.data) and (height > held[0] or width > held[1]):
        story.note(
            f"the co-teacher {learner.network.name} wants images of {height}x{width}, and they are held at {held[0]}x{held[1]}, so that it sees them "
            f"enlarged. Set size = [{height}, {width}] to hold them as it wants them.",
            warning=True,
        )
    return learner, outcome


def check(story: Story) -> None:
    """Refuse co-teachers that cannot be built, before the teacher is taught; raises as `build`."""
    for place, spec in enumerate(story.recipe.co_teacher):
        _start(story, spec, _seed(story, place))


def _seed(story: Story, place: int) -> int:
    """One for each co-teacher, so that two of one kind that are taught here differ from each other and from the teacher."""
    return story.recipe.seed + place + 1


def _found(story: Story, role: Literal["teacher", "co-teacher"], spec: Teacher, seed: int) -> tuple[Learner, Outcome]:
    """A teacher with its weights, from the stage that it was checked or taught in."""
    network, epochs = _start(story, spec, seed)
    name = "teach" if role == "teacher" else f"co-teach/{network.name}"
    key = {"data": story.images.sha256, "teacher": spec, "start": fingerprint(network), **code_of(story, spec)}
    if epochs is None:
        stage = story.run.stage(name, key)
        outcome = stage.result(Outcome) if stage.done else _brought(story, spec, network, stage, f"the {role}")
    else:
        train = settled(story, _teacher_settings(story.recipe.train), network, brought=brings(spec))
        lesson = Lesson(phases=supervised(epochs), train=train, how="taught")
        outcome = learnt(story, story.run.stage(name, {**key, "lesson": lesson, "seed": seed}), network, lesson, seed=seed)
        doubt_chance(story, f"the {role} {network.name}", outcome.valid_accuracy, longer="--set train.teacher_epochs=N")
    return Learner("teacher", network, code_of(story, spec)), outcome


def doubt_chance(story: Story, who: str, right: float | None, *, longer: str, by_prior: bool = False) -> None:
    """Say aloud that who is to teach others learnt nothing: they can only imitate that. `longer` is how it would be taught longer; `by_prior`: it was
    taught for the device's class frequencies and names the commonest class no oftener than others where these say so."""
    valid = len(story.images.valid)
    if right is None:
        return
    if several(story.images.valid.labels):
        if right < TELLING and right <= (guessed := guessing(story.images.valid.labels)) < TELLING:
            _doubt(
                story,
                f"{who} has a mAP of {units.percent_text(right)} on {valid} validation images, hardly more than guessing may give "
                f"({units.percent_text(guessed)}): teach it longer with {longer}",
            )
        return
    alike = by_prior and story.recipe.train.prior != "data"
    by_chance = 1 / len(story.classes) if alike else chance(class_counts(story.images.valid.labels, len(story.classes)).tolist())
    _, low, _ = stats.proportion(round(right * valid), valid)
    if low <= by_chance:
        _doubt(
            story,
            f"{who} has {units.percent_text(right)} of {valid} validation images right, hardly more than "
            f"{'guessing' if alike else 'the commonest class alone'} gives ({units.percent_text(by_chance)}): teach it longer with {longer}",
        )


def _doubt(story: Story, text: str) -> None:
    story.run.emit(Note(text=text, level="warning"))
    story.add(doubts=[*story.report.doubts, text])


def _start(story: Story, spec: Teacher, seed: int) -> tuple[Network, float | None]:
    """The network as it begins, and for how many epochs it is taught (None: not at all)."""
    epochs = _epochs(story) if is_taught(story, spec) else None
    network = built(story, spec, replace_head=epochs is not None, seed=seed)
    if epochs is not None:
        probe_learning(network)
    names = _class_names(spec, story.base)
    if names is not None and epochs is None:
        reorder(network, names, story.classes)
    return network, epochs


def planned(story: Story) -> tuple[Network, tuple[Phase, ...] | None]:
    """The teacher as it would begin, and the phases in which it would be taught."""
    return _planned(story, story.recipe.teacher or _default_teacher(story), story.recipe.seed)


def planned_beside(story: Story) -> list[tuple[Network, tuple[Phase, ...] | None]]:
    """The same of each co-teacher."""
    return [_planned(story, spec, _seed(story, place)) for place, spec in enumerate(story.recipe.co_teacher)]


def _planned(story: Story, spec: Teacher, seed: int) -> tuple[Network, tuple[Phase, ...] | None]:
    if story.recipe.teacher is None and spec.weights is not None:  # nobody has asked for its weights yet, and it is as large without them
        return built(story, msgspec.structs.replace(spec, weights=None), replace_head=True, seed=seed), supervised(_epochs(story))
    network, epochs = _start(story, spec, seed)
    return network, None if epochs is None else supervised(epochs)


def _default_teacher(story: Story) -> Teacher:
    small = max(story.shape[:2]) <= 64
    model = SMALL_TEACHER if small else LARGE_TEACHER
    story.note(
        f"no teacher is named: {model} is taught on this data{'' if small else ', from its published weights'}. Bring your own with --teacher."
    )
    return Teacher(model=model, weights=None if small else "pretrained")


def is_taught(story: Story, spec: Teacher) -> bool:
    """Whether it learns here: it has no weights, more epochs were asked for, or published weights know other classes."""
    if spec.model.endswith(".onnx"):
        return False
    if spec.weights == "pretrained" and published_classes(spec.model) not in (None, len(story.classes)):
        return True
    default = story.recipe.teacher is None and spec not in story.recipe.co_teacher
    return not brings(spec) or story.recipe.train.teacher_epochs is not None or default


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
        text = (base / spec.classes).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the teacher's classes stand in a text file, one a line; {base / spec.classes} does not read: {error}.") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _brought(story: Story, spec: Teacher, network: Network, stage: Stage, who: str) -> Outcome:
    """A teacher that came with weights, looked at on validation images before anything is built on it."""
    held_out = len(story.images.valid) > 1
    images = story.images.valid if held_out else story.images.train
    chosen = np.random.default_rng(0).permutation(len(images))[:IMAGES]
    if several(images.labels):
        accuracy, doubts = _precise(network, images.take(chosen), story, who)
    else:
        pixels = torch.from_numpy(images.read(chosen)).permute(0, 3, 1, 2).float() / 255
        labels, stated = torch.from_numpy(images.labels[chosen]), _class_names(spec, story.base)
        accuracy, doubts = check_brought(network, pixels, labels, story.classes, stated=stated, who=who), []
    seen = accuracy if held_out else None
    outcome = Outcome(training=Training(how="brought"), valid_accuracy=seen, notes=[*network.notes, *doubts])
    stage.finish(outcome)
    return outcome


def _precise(network: Network, images: Images, story: Story, who: str) -> tuple[float, list[str]]:
    """The mean average precision of a network that came with weights, and what is to be doubted of it.

    Raises:
        UsageError: it answers probabilities and not logits, or ranks the images no better than chance.
    """
    scored, logits = evaluate(network.predict, images, artifact=network.name, split="valid", classes=story.classes)
    if isinstance(network, OnnxTeacher) and (network.box.softmax or (logits.min() >= 0 and logits.max() <= 1)):
        raise UsageError(
            f"with several labels an image a teacher answers logits, a number a label before any sigmoid; {network.name} answers probabilities. "
            "Export it without its last activation."
        )
    guessed = guessing(images.labels)
    if guessed >= TELLING:
        few = f"{len(images)} images are too few to tell whether {who} {network.name} knows the data: guessing may give a mAP of"
        return scored.lead.value, [f"{few} {units.percent_text(guessed)}"]
    if scored.lead.value <= guessed:
        raise UsageError(
            f"{who} {network.name} must know the data; its mAP is {units.percent_text(scored.lead.value)} on {len(images)} images, and guessing may "
            f"give {units.percent_text(guessed)}. Check its weights, and the preprocess and classes beside its model."
        )
    return scored.lead.value, []


def _teacher_settings(train: Train) -> Train:
    """The training settings with the teacher's own optimiser; it learns on fresh views, as nobody has to remember them."""
    return msgspec.structs.replace(train, optimizer=train.teacher_optimizer, views=0, prior="data", teacher_epochs=None, teacher_optimizer=None)

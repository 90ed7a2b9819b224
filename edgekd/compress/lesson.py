"""What teaching any network of a run takes: how it begins, how it is to learn, the stage that it learns in, what is told of it.

In: an open `Story`, a network's spec, a `Lesson`. Out: the network with its weights, and an `Outcome`. How a network learns is `distill`'s; who
learns from whom is `teacher`'s and `students`'.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
import torch

from edgekd import units
from edgekd.compress.images import brings, weights_preprocess
from edgekd.compress.story import Story
from edgekd.device.predict import LUMA
from edgekd.distill import Job, distill, filled
from edgekd.distill.checkpoint import NAME as CHECKPOINT
from edgekd.distill.defaults import BATCH
from edgekd.distill.job import Beside
from edgekd.distill.mixture import Ensemble
from edgekd.distill.quantised import told as told_of_rounding
from edgekd.distill.teacher import StoredAnswers
from edgekd.evaluate import evaluate
from edgekd.events import Note
from edgekd.models.attention import attends
from edgekd.models.load import Network, build, load_weights, macs, parameters, save_weights
from edgekd.models.small import factory
from edgekd.phases import Phase, Train
from edgekd.preprocess import Preprocess
from edgekd.recipe import Student, Teacher
from edgekd.record import How, Role, Training
from edgekd.record import Network as Told
from edgekd.scores import Metric, NetworkRole, Score
from edgekd.stage import Stage
from edgekd.tasks import several
from edgekd.userfile import code_hash, is_userfile

WEIGHTS = "weights.safetensors"
_SAMPLE = 5000
"""Training images that mean and std are computed from."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a learning stage comes to."""

    training: Training
    valid_accuracy: float | None = None
    test_accuracy: Metric | None = None
    test_balanced: Metric | None = None
    correct: str = ""
    notes: list[str] = []
    """What was decided when the network was built, and what is to be known of how it learnt."""


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """How a network is to learn, with every default stated: part of its stage's key."""

    phases: tuple[Phase, ...]
    train: Train
    how: How
    teacher: str | None = None
    """Fingerprint of who answers, or of the answers."""
    frequencies: list[float] | None = None
    """Of the classes in the teacher's own training, to be taken off its answers."""
    wanted: list[float] | None = None
    """Of the classes on the device; None: all alike."""


@dataclass
class Learner:
    """A network with its weights. `code` is the hash of the person's own file that it is built by, where one is."""

    role: Role
    network: Network
    code: dict[str, str]


def built(story: Story, spec: Teacher | Student, *, replace_head: bool, seed: int | None = None) -> Network:
    """A network as its spec says, at random where it comes without weights: then the same for the same seed (None: the recipe's). It says of pictures
    that they are cut as those that it learns from and is scored on are, whatever its own weights were taught on."""
    torch.manual_seed(story.recipe.seed if seed is None else seed)
    network = build(
        spec.model,
        classes=len(story.classes),
        shape=story.shape,
        weights=spec.weights,
        weights_key=spec.weights_key,
        preprocess=weights_preprocess(spec, story.base) if brings(spec) else own_preprocess(story, spec),
        base=story.base,
        replace_head=replace_head,
    )
    cut = story.cut or Preprocess()
    return network.with_preprocess(msgspec.structs.replace(network.preprocess, resize=cut.resize, crop=cut.crop))


def code_of(story: Story, spec: Teacher | Student) -> dict[str, str]:
    """What a stage's key must know of a network beside its spec and weights: the person's own code, where it is built by such."""
    return {"code": code_hash(spec.model, story.base)} if is_userfile(spec.model) else {}


def settled(story: Story, train: Train, network: Network, *, brought: bool) -> Train:
    """The training settings with their defaults for a network; a batch that had to shrink is said."""
    images = story.images
    full = filled(train, images=len(images.train), shape=story.shape, flip=images.flip, brought=brought, attends=attends(network))
    if train.batch is None and full.batch != BATCH:
        text = f"{len(story.images.train)} training images are few: the batch shrinks from {BATCH} to {full.batch}, so that a pass has steps enough"
        story.note(text)
    return full


def own_preprocess(story: Story, spec: Teacher | Student) -> Preprocess:
    """For a network that starts at random: what the recipe states, and the training images' own mean and standard deviation."""
    images = story.images.train
    some = images.read(np.linspace(0, len(images) - 1, min(len(images), _SAMPLE)).round().astype(np.int64))
    stated = None if spec.preprocess is None else spec.preprocess.colour
    if images.shape[2] == 3:  # in the colours that the network is given
        some = some[..., ::-1] if stated == "bgr" else (some @ np.array(LUMA, np.float32))[..., None] if stated == "grey" else some
    mean, std = some.mean(axis=(0, 1, 2)) / 255, some.std(axis=(0, 1, 2)) / 255
    grey = images.shape[2] == 1 and factory(spec.model) is not None
    own = Preprocess(
        mean=tuple(round(float(value), 4) for value in mean),
        std=tuple(round(max(float(value), 0.01), 4) for value in std),
        colour="grey" if grey else "rgb",
    )
    return own if spec.preprocess is None else spec.preprocess.over(own)


def learnt(
    story: Story,
    stage: Stage,
    network: Network,
    lesson: Lesson,
    teacher: Network | Ensemble | StoredAnswers | None = None,
    *,
    seed: int | None = None,
    tested: bool = False,
    beside: Beside | None = None,
    said: Callable[[], list[str]] = list,
) -> Outcome:
    """Teach a network in its stage, or give it the weights that stand there.

    Args:
        tested: it gets no file, so it is scored on the test images here.
        beside: what it learns beside the lesson's terms.
        said: asked once it has learnt: what the report's notes are to tell of it.
    """
    file = stage.folder / WEIGHTS
    if stage.done:
        load_weights(network, file)
        return stage.result(Outcome)
    if changed := stage.changed():
        story.run.emit(Note(text=f"{stage.name} stood with other {', '.join(changed)}, and is taught anew"))
    training = distill(
        network,
        teacher,
        Job(
            phases=lesson.phases,
            train=lesson.train,
            folder=stage.folder,
            how=lesson.how,
            seed=story.recipe.seed if seed is None else seed,
            checkpoint_s=story.recipe.checkpoint_s,
            kept=stage.keep_seconds,
            beside=beside,
            ranks=story.ranks,
        ),
        data=story.batches("train"),
        data_sha256=story.images.sha256,
        valid=story.batches("valid"),
        memory=story.run.folder / "remembered",
        frequencies=lesson.frequencies,
        wanted=lesson.wanted,
        emit=story.run.emit,
    )
    network.cpu()
    score = _tested(story, network) if tested else None
    outcome = Outcome(
        training=training,
        valid_accuracy=_validated(story, network),
        test_accuracy=None if score is None else score.lead,
        test_balanced=None if score is None else score.metrics.get("balanced_accuracy"),
        correct="" if score is None else score.correct,
        notes=[*network.notes, *told_of_rounding(network.name, lesson.phases), *said()],
    )
    save_weights(network, file)
    stage.finish(outcome)
    (stage.folder / CHECKPOINT).unlink(missing_ok=True)
    return outcome


def _validated(story: Story, network: Network) -> float | None:
    images = story.images.valid
    if len(images) < 2:
        return None
    return evaluate(network.predict, images, artifact=network.name, split="valid", classes=story.classes)[0].lead.value


def _tested(story: Story, network: Network) -> Score:
    """Of a network that gets no file; the others' files are tested themselves."""
    return evaluate(network.predict, story.images.test, artifact=network.name, split="test", classes=story.classes)[0]


def tell(story: Story, role: NetworkRole, network: Network, outcome: Outcome) -> None:
    """Put a network into the report, and say how it did."""
    told = Told(
        role=role,
        name=network.name,
        params=parameters(network),
        macs=macs(network, story.shape),
        training=outcome.training,
        valid_accuracy=outcome.valid_accuracy,
        test_accuracy=outcome.test_accuracy,
        test_balanced=outcome.test_balanced,
        correct=outcome.correct,
    )
    story.add(networks=[*story.report.networks, told])
    for text in outcome.notes:
        story.note(text)
    if outcome.valid_accuracy is not None:
        how = "mAP on validation images" if several(story.images.valid.labels) else "of validation images right"
        story.run.emit(Note(text=f"{role} {network.name}: {units.percent_text(outcome.valid_accuracy)} {how}"))

"""What a recipe's `domain` comes to in a run: the lesson that its students learn on the target, and how well files do on source and target.

In: an open `Story`, a student as it begins and its lesson; then the files. Out: a `SelfTeaching`; the domain's scores in the report, each file's a
stage of its own. What is learnt on the target is `distill.domain`'s.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from edgekd.compress.ensemble import priors
from edgekd.compress.lesson import Lesson
from edgekd.compress.story import Story
from edgekd.data.batches import Batches
from edgekd.data.source import class_counts
from edgekd.device.host import connect
from edgekd.device.predict import open_predict
from edgekd.distill.defaults import all_steps
from edgekd.distill.domain import SelfTeaching
from edgekd.evaluate import Images, Predict
from edgekd.evaluate import evaluate as score
from edgekd.evaluate.auc import macro_auc
from edgekd.models.load import Network
from edgekd.record import Artifact
from edgekd.scores import DomainScore, Metric
from edgekd.tasks.classify import Frequencies

_SCORED = 1
"""What a domain's score holds; raised where that grows."""
_METRICS = ("accuracy", "balanced_accuracy")


def key(story: Story) -> dict[str, Any]:
    """What the key of a student's stage must know of the domain; {} where there is none, so that older stages stand."""
    options, target = story.recipe.domain, story.target
    if options is None or target is None:
        return {}
    return {"domain": msgspec.structs.replace(options, target=target.sha256, test=None)}


def self_teaching(story: Story, student: Network, lesson: Lesson) -> SelfTeaching | None:
    """What a student learns on the target beside its terms; None where the recipe has no domain."""
    options, target, train = story.recipe.domain, story.target, lesson.train
    if options is None or target is None:
        return None
    assert train.batch is not None, "the defaults are not filled in"
    assert train.augment is not None, "the defaults are not filled in"
    images = len(story.images.train)
    return SelfTeaching(
        student,
        Batches(target.images, device=story.device),
        options,
        content=target.sha256,
        wanted=_wanted(story),
        augment=train.augment,
        view_seed=train.view_seed,
        batch=min(train.batch, images),
        seed=story.recipe.seed,
        steps=all_steps(lesson.phases, images, train.batch),
    )


def told(student: Network, there: SelfTeaching | None) -> list[str]:
    """What the report's notes tell of how a student learnt on the target."""
    return [] if there is None else [f"{student.name}: {there.told()}"]


def _wanted(story: Story) -> Frequencies:
    """How often each class is met on the device, as `train.prior` says."""
    if story.recipe.train.prior == "data":
        return class_counts(story.images.train.labels, len(story.classes))
    wanted = priors(story, story.recipe.teacher)[1]
    return [1.0] * len(story.classes) if wanted is None else wanted


def scored(story: Story, artifacts: Sequence[Artifact], *, do: bool) -> None:
    """Score each network's first file on the test images of source and target; where nothing is to be done, tell what stands."""
    target, about = story.target, story.report.domain
    if target is None or about is None:
        return
    first: dict[tuple[str, str], Artifact] = {}
    for artifact in artifacts:
        first.setdefault((artifact.role, artifact.network), artifact)
    scores = []
    for artifact in first.values():
        inputs = {"data": story.images.sha256, "target": target.tested, "file": artifact.sha256, "scored": _SCORED}
        name = f"domain/{artifact.role}-{artifact.network}"
        if not do and not story.run.stands(name, inputs):
            return
        stage = story.run.stage(name, inputs)
        if not stage.done:
            stage.finish(_answered(story, artifact))
        scores.append(stage.result(DomainScore))
    story.add(domain=msgspec.structs.replace(about, scores=scores))


def _answered(story: Story, artifact: Artifact) -> DomainScore:
    """One file's scores, answered by the file itself in a process of its own."""
    held = None if story.target is None else story.target.test
    with connect("local") as session, open_predict(session, story.run.folder / artifact.path) as answer:
        source = _metrics(story, artifact, answer, story.images.test)
        return DomainScore(artifact=artifact.name, source=source, target={} if held is None else _metrics(story, artifact, answer, held))


def _metrics(story: Story, artifact: Artifact, answer: Predict, images: Images) -> dict[str, Metric]:
    found, logits = score(answer, images, artifact=artifact.name, split="test", classes=story.classes, host="local", emit=story.run.emit)
    area = macro_auc(logits, images.labels)
    return {name: found.metrics[name] for name in _METRICS} | ({} if area is None else {"macro_auc": area})

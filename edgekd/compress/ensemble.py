"""Who answers the first students of a run: its teacher, the teacher and its co-teachers together, weighed and scored as one, or stored answers.

In: an open `Story` and the teacher, where one is there. Out: an `Answerer`. Co-teachers are brought or taught as the teacher is; the ensemble is a
stage of its own, in which each of them is asked for validation and test images once. How answers are mixed is `distill.mixture`'s.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekd import units
from edgekd.compress import teacher
from edgekd.compress.lesson import Learner, tell
from edgekd.compress.story import Story
from edgekd.data.images import Integers
from edgekd.data.source import class_counts
from edgekd.distill.mixture import Ensemble, alike, by_accuracy, by_confidence, check_terms
from edgekd.distill.teacher import StoredAnswers
from edgekd.errors import UsageError
from edgekd.evaluate import Split, evaluate, score
from edgekd.events import Note
from edgekd.files import sha256_json
from edgekd.models.load import Network, fingerprint, macs, parameters
from edgekd.recipe import ANSWERS, Teacher
from edgekd.record import Network as Told
from edgekd.record import Training
from edgekd.scores import Metric


@dataclass
class Answerer:
    """Who a student learns from, and what the key of its stage must know of that."""

    network: Network | Ensemble | StoredAnswers
    fingerprint: str
    key: dict[str, Any]
    frequencies: list[float] | None = None
    """Of the classes in its own training, to be taken off its answers; an ensemble's are its members'."""
    wanted: list[float] | None = None


class Together(msgspec.Struct, frozen=True, kw_only=True):
    """What an ensemble comes to."""

    weights: list[float] | None
    """Of each member; None: they differ by sample."""
    shares: list[float]
    """Each member's mean weight over the validation images; none where there are none."""
    members: list[Metric]
    """Each member's accuracy on the test images."""
    test_accuracy: Metric
    valid_accuracy: float | None = None


def check(story: Story) -> None:
    """Refuse co-teachers that cannot be built or cannot teach these phases, answers that are not there, and priors about other classes, before
    anything is taught.

    Raises:
        UsageError: as `build` and `check_terms`, nothing to weigh them by, or no answers.
    """
    recipe = story.recipe
    for spec in (recipe.teacher, *recipe.co_teacher):
        priors(story, spec)
        if spec is not None and spec.prior is not None and recipe.train.prior == "data":
            story.note(f'the prior of {spec.model} is not used: train.prior = "data" leaves its answers as they are', warning=True)
    if recipe.by_answers:
        check_terms(recipe.phase)
        _kept(story)
    if not recipe.co_teacher:
        return
    check_terms(recipe.phase)
    if recipe.mixture == "accuracy" and len(story.images.valid) < 2:
        raise UsageError(
            'mixture = "accuracy" weighs teachers by the validation images that they have right, and there are none '
            f'(train.validation is {recipe.train.validation}). Hold some out, as in --set train.validation="10 %", or set mixture = "mean".'
        )
    teacher.check(story)


def single(learner: Learner, frequencies: list[float] | None = None, wanted: list[float] | None = None) -> Answerer:
    """One network that has learnt, as who answers the next."""
    key = {"answered": learner.network.preprocess, **{f"teacher's {k}": v for k, v in learner.code.items()}}
    return Answerer(learner.network, fingerprint(learner.network), key, frequencies, wanted)


def answering(story: Story, first: Learner | None) -> Answerer:
    """The teacher, alone or with its co-teachers; those are told in the report with their scores, and the ensemble with its own. Without a teacher:
    the stored answers."""
    recipe = story.recipe
    frequencies, wanted = priors(story, recipe.teacher)
    if first is None:
        answers = StoredAnswers(_kept(story))
        story.note(_told_of_answers(story, answers))
        return Answerer(answers, answers.sha256, {}, frequencies, wanted)
    if not recipe.co_teacher:
        return single(first, frequencies, wanted)
    found = [teacher.co_teacher(story, place) for place in range(len(recipe.co_teacher))]
    learners = [first, *(learner for learner, _ in found)]
    every = (frequencies, *(priors(story, spec)[0] for spec in recipe.co_teacher))
    ensemble = Ensemble(tuple(learner.network for learner in learners), None, every, wanted)
    about = {
        "teachers": [{"network": fingerprint(one.network), "preprocess": one.network.preprocess, **one.code} for one in learners],
        "frequencies": every,
        "wanted": wanted,
    }
    stage = story.run.stage("ensemble", {"data": story.images.sha256, "mixture": recipe.mixture, **about})
    if not stage.done:
        stage.finish(_together(story, ensemble))
    together = stage.result(Together)
    for (learner, outcome), right in zip(found, together.members[1:], strict=True):
        tell(story, "co-teacher", learner.network, msgspec.structs.replace(outcome, test_accuracy=right))
    _tell(story, ensemble, together)
    ensemble = replace(ensemble, weights=None if together.weights is None else tuple(together.weights))
    return Answerer(ensemble, sha256_json({**about, "weights": together.weights}), about)


def _kept(story: Story) -> NDArray[np.float16]:
    """The answers beside the training images.

    Raises:
        UsageError: there are none.
    """
    logits = story.images.train.logits
    if logits is None:
        raise UsageError(
            f'teacher.model = "{ANSWERS}" takes the answers from beside the training images, and {story.images.spec} has none. `edgekd label` writes '
            "them, and so does whoever puts logits_train (images, classes) into an npz file."
        )
    return logits


def _told_of_answers(story: Story, answers: StoredAnswers) -> str:
    """What the students are taught by, in words; and how good it is, where the labels are somebody else's."""
    images, agreed = story.images.train, ""
    if images.labels.ndim == 1 and not images.by_teacher:
        agreed = f"; their first choice is the label of {units.percent_text(float(np.mean(answers.logits.argmax(axis=1) == images.labels)))}"
    return f"students learn from the answers that stand beside {len(images)} training images, one an image for all of its views{agreed}"


def _together(story: Story, ensemble: Ensemble) -> Together:
    """How the members are weighed, and how many images they have right, each and together."""
    members, mixture = ensemble.members, story.recipe.mixture
    validated = len(story.images.valid) > 1
    answers = _asked(story, members, "valid")[1] if validated else []
    weights = None
    if mixture != "confidence":
        weights = alike(len(members)) if mixture == "mean" else by_accuracy(_right(story, ensemble, answers))
    ensemble = replace(ensemble, weights=weights)
    shares = list(weights or (by_confidence(ensemble.moved(answers)).mean(dim=1).tolist() if validated else []))
    tested, shown = _asked(story, members, "test")
    return Together(
        weights=None if weights is None else list(weights),
        shares=shares,
        members=tested,
        test_accuracy=_accuracy(story, ensemble, shown, "test"),
        valid_accuracy=_accuracy(story, ensemble, answers, "valid").value if validated else None,
    )


def _asked(story: Story, members: Sequence[Network], split: Split) -> tuple[list[Metric], list[Tensor]]:
    """Each member's accuracy on a split and its logits (n, classes)."""
    images = story.images.valid if split == "valid" else story.images.test
    found = [evaluate(member.predict, images, artifact=member.name, split=split, classes=story.classes, emit=story.run.emit) for member in members]
    return [scored.metrics["accuracy"] for scored, _ in found], [torch.from_numpy(logits) for _, logits in found]


def _right(story: Story, ensemble: Ensemble, answers: Sequence[Tensor]) -> list[float]:
    """What share of the validation images each member has right as students are told it; of every class alike where classes are met alike."""
    lead = "accuracy" if story.recipe.train.prior == "data" else "balanced_accuracy"
    labels = story.images.valid.labels
    told = [score(logits.numpy(), labels, artifact=ensemble.name, split="valid", classes=story.classes) for logits in ensemble.moved(answers)]
    return [each.metrics[lead].value for each in told]


def _accuracy(story: Story, ensemble: Ensemble, answers: Sequence[Tensor], split: Split) -> Metric:
    """Of what the members say together to the students: moved to the device's class frequencies, where these are other ones."""
    labels = (story.images.valid if split == "valid" else story.images.test).labels
    logits = ensemble.mixed(ensemble.moved(answers)).numpy()
    return score(logits, labels, artifact=ensemble.name, split=split, classes=story.classes).metrics["accuracy"]


def _tell(story: Story, ensemble: Ensemble, together: Together) -> None:
    """Put the ensemble and its first member's score into the report, and say how it did and who counts for how much."""
    counts, params = [macs(member, story.shape) for member in ensemble.members], list(map(parameters, ensemble.members))
    told = Told(
        role="ensemble",
        name=ensemble.name,
        params=sum(params) if all(params) else 0,
        macs=None if None in counts else sum(count for count in counts if count is not None),
        training=Training(how="mixed"),
        valid_accuracy=together.valid_accuracy,
        test_accuracy=together.test_accuracy,
    )
    own = [msgspec.structs.replace(one, test_accuracy=together.members[0]) if one.role == "teacher" else one for one in story.report.networks]
    story.add(networks=[*own, told])
    if together.shares:
        counted = ", ".join(f"{member.name} {units.percent_text(share)}" for member, share in zip(ensemble.members, together.shares, strict=True))
        story.note(f"teachers are mixed by {story.recipe.mixture}, and count for: {counted}")
    if together.valid_accuracy is not None:
        story.run.emit(Note(text=f"ensemble {ensemble.name}: {units.percent_text(together.valid_accuracy)} of validation images right"))


# Class frequencies ----------------------------------------------------------------------------------------------------


def priors(story: Story, spec: Teacher | None) -> tuple[list[float] | None, list[float] | None]:
    """Class frequencies of a teacher's training and of the device; None, None where its answers stay as they are.

    Raises:
        UsageError: they are about other classes than the data's.
    """
    prior = story.recipe.train.prior
    own = spec.prior if spec is not None else None
    if prior == "data":
        return None, None
    counts = class_counts(story.images.train.labels, len(story.classes))
    where = "teacher.prior" if spec is story.recipe.teacher else "co_teacher.prior"
    frequencies = [1.0] * len(counts) if own == "uniform" else _by_class(own, story, where) if own else _as_shown(counts)
    return frequencies, None if prior == "uniform" else _by_class(prior, story, "train.prior")


def _as_shown(counts: Integers) -> list[float]:
    """Counts as frequencies. Nothing is known of a class that no training image shows: its answers stay where they are among the others', as those of
    the geometric mean do."""
    shown = statistics.geometric_mean(counts[counts > 0].tolist())
    return [float(n) or shown for n in counts]


def _by_class(table: dict[str, float], story: Story, where: str) -> list[float]:
    if set(table) != set(story.classes):
        raise UsageError(f"{where} names each class of the data once ({', '.join(story.classes)}); got {', '.join(table)}.")
    low = [name for name, value in table.items() if not 0 < value < math.inf]
    if low:
        raise UsageError(
            f"{where} gives each class a finite frequency above 0; got {table[low[0]]:g} for {low[0]!r}. "
            "Give what hardly ever occurs a small one, as 0.001."
        )
    return [table[name] for name in story.classes]

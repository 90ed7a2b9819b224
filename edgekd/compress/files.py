"""The files of a run: exported and scored.

In: an open `Story` and its learners, the teacher first. Out: artifacts and scores in its report. Each network's files and each file's scores are
stages of their own, which stand as long as what they are made from. How fast files are is `timing`'s.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekd import budget, target, units
from edgekd.bench import resolve
from edgekd.compress import inherit
from edgekd.compress.lesson import Learner
from edgekd.compress.story import Story, named_limits
from edgekd.data.images import Images
from edgekd.data.source import Source
from edgekd.device.host import connect
from edgekd.device.predict import open_predict
from edgekd.errors import UsageError
from edgekd.evaluate import evaluate as score
from edgekd.evaluate.calibration import with_unscaled
from edgekd.evaluate.quality import quality
from edgekd.evaluate.severally import fit_thresholds
from edgekd.export import HeldOut
from edgekd.export import export as write
from edgekd.export.int8 import Flavour
from edgekd.export.openvino import openvino_is_here
from edgekd.export.parity import FEWEST
from edgekd.files import atomic_path
from edgekd.models.load import fingerprint
from edgekd.recipe import Recipe
from edgekd.record import Artifact, Report
from edgekd.scores import Score
from edgekd.tasks import several
from edgekd.tasks.multilabel import THRESHOLD

_PARITY = 64
"""Real images on which each file is held to the step before."""
_HELD_OUT, LEAST_HELD_OUT = 2000, 100
"""Validation images that int8 is judged on at most, and the fewest that accuracy is judged on at all."""
_LOGITS = "logits.npz"
_SCORED = 3
"""What a score holds; raised where that grows, so that older ones are made again. 2: bins of confidence, confusion, disagreements.
3: recall of head, middle and tail."""
DISAGREEMENTS = 24
"""Test images that teacher and student call differently, kept of each student's file."""


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """What an export comes to."""

    artifacts: list[Artifact]


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """One file's, on validation (where there are images) and test."""

    scores: list[Score]


def check(recipe: Recipe, base: Path) -> None:
    """Refuse targets, hosts and limits that could not be measured or judged, before anything is trained; raises as `bench.resolve` and `judge`."""
    resolve(recipe.on, base)
    _check_compared(recipe)
    budget.judge(Report(edgekd="", name="", created=""), named_limits(recipe, base))
    try:
        units.parse_fraction(recipe.max_drop, one=False)
    except UsageError as error:
        raise UsageError(f"max_drop: {error}") from None


def _check_compared(recipe: Recipe) -> None:
    """Refuse limits that compare with a teacher where there is none."""
    if not (recipe.by_answers or (recipe.previous is not None and recipe.teacher is None)):
        return
    for limit in recipe.limit:
        found = [name for name in ("speedup", "accuracy_drop", "agreement", "flips") if getattr(limit, name) is not None]
        found += ["relative"] if limit.relative else []
        if found and limit.against is None:
            raise UsageError(
                f"a limit on {found[0]} compares with the teacher, and no network teaches in this run. Name a file that it is to be held against "
                "(against = ...), or leave it out."
            )


def check_images(story: Story) -> None:
    """Refuse so few images that no file could be checked on them, and say where there are none to score on.

    Raises:
        UsageError: there are too few.
    """
    images = story.images
    if len(_parity(images)) < FEWEST:
        raise UsageError(f"a file is checked on {FEWEST} training images or more, and {images.spec} has {len(images.train)}. Give more images.")
    if len(images.test) < 2:
        few = "there is one test image" if len(images.test) else "there are no test images"
        story.note(f"{few}, so that no file will be scored: name more with --test", warning=True)


def doubt(story: Story) -> None:
    """Say which limits this run cannot judge, as nothing will be measured or scored that they are about."""
    on = [target.load(spec, story.base).name for spec in story.recipe.on]
    for limit in named_limits(story.recipe, story.base):
        if limit.target is not None and limit.target not in on:
            known = ", ".join(on) or "no target"
            story.note(f"a limit is on {limit.target}, and this run measures on {known}: add it under [on], or with --on", warning=True)
        if unknown := [name for name in limit.recall if name not in story.classes]:
            story.note(f"a limit is on the recall of {', '.join(unknown)}, which is no class of {story.images.spec}", warning=True)


# Export ---------------------------------------------------------------------------------------------------------------


def export(story: Story, learners: Sequence[Learner], *, do: bool) -> list[Artifact]:
    """Every learner's files, the teacher's first; [] where they do not all stand and nothing is to be done."""
    found: list[Artifact] = []
    for learner in learners:
        network = learner.network
        key = {
            "data": story.images.sha256,
            "network": fingerprint(network),
            "preprocess": network.preprocess,
            "order": getattr(getattr(network, "box", None), "order", None),
            # What was left out changes no key: runs of before it could be asked for stand.
            "export": {key: value for key, value in msgspec.to_builtins(story.recipe.export).items() if value is not None},
            "flavours": _flavours(story),
            "max_drop": story.recipe.max_drop,
            **({"openvino": True} if _wants_openvino(story) else {}),
            **({"balanced": True} if story.recipe.train.prior != "data" else {}),  # what int8 is held to
            **learner.code,
        }
        name = f"export/{learner.role}-{network.name}"
        if not do and not story.run.stands(name, key):
            return []
        stage = story.run.stage(name, key)
        if not stage.done:
            stage.finish(Files(artifacts=_written(story, learner, stage.folder)))
        found += stage.result(Files).artifacts
    story.add(artifacts=found)
    return found


def _written(story: Story, learner: Learner, folder: Path) -> list[Artifact]:
    images, settings = story.images, story.recipe.export
    real = _parity(images)
    artifacts = write(
        learner.network.cpu(),
        folder,
        role=learner.role,
        name=learner.network.name,
        classes=story.classes,
        settings=settings,
        calibration=images.train.read(_spread(len(images.train), settings.calibration_images)),
        parity=real.read(_spread(len(real), _PARITY)),
        held_out=_held_out(story),
        flavours=_flavours(story),
        max_drop=units.parse_fraction(story.recipe.max_drop),
        temperature=inherit.temperature(story, learner.network),
        thresholds=_thresholds(story, learner),
        openvino=_wants_openvino(story),
        emit=story.run.emit,
    )
    where = folder.relative_to(story.run.folder)
    return [msgspec.structs.replace(artifact, path=(where / artifact.path).as_posix()) for artifact in artifacts]


def _parity(images: Source) -> Images:
    """What files are held against each other on: validation images, where there are enough, else training images."""
    return images.valid if len(images.valid) >= _PARITY else images.train


def _held_out(story: Story) -> HeldOut | None:
    """Validation images that int8 is chosen and held to `max_drop` by; None where they are too few for that."""
    images = story.images.valid
    if len(images) < LEAST_HELD_OUT:
        return None
    places = _spread(len(images), _HELD_OUT)
    return HeldOut(images.read(places), quality(images.labels[places], balanced=story.recipe.train.prior != "data"))


def _wants_openvino(story: Story) -> bool:
    """Whether files are to run in OpenVINO, and it is here to be asked."""
    return openvino_is_here() and any(target.load(name, story.base).runtime == "openvino" for name in story.recipe.on)


def _flavours(story: Story) -> list[Flavour]:
    """The flavours of int8 that the recipe's targets want."""
    return list(dict.fromkeys(target.load(name, story.base).int8 for name in story.recipe.on)) or ["int8-cpu"]


def _thresholds(story: Story, learner: Learner) -> list[float] | None:
    """Where an image may have several labels, from which probability on each is said to be there, in all its files: fitted on validation images."""
    images = story.images.valid
    if not several(story.images.train.labels):
        return None
    if len(images) < 2:
        return [THRESHOLD] * len(story.classes)
    _, logits = score(learner.network.predict, images, artifact=learner.network.name, split="valid", classes=story.classes, emit=story.run.emit)
    return fit_thresholds(logits, images.labels)


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """At most so many positions, evenly over all."""
    return np.linspace(0, count - 1, min(count, max(1, most))).round().astype(np.int64)


# Scores ---------------------------------------------------------------------------------------------------------------


def evaluate(story: Story, artifacts: Sequence[Artifact], *, do: bool) -> None:
    """Score every file on validation and test images, paired with the teacher's own; then choose what ships."""
    first = artifacts[0]
    teacher: Mapping[str, NDArray[np.float32]] = {}
    scores: list[Score] = []
    for artifact in artifacts:
        key = {"data": story.images.sha256, "file": artifact.sha256, "teacher": first.sha256, "scored": _SCORED}
        name = f"evaluate/{artifact.role}-{artifact.network}-{artifact.precision}"
        if not do and not story.run.stands(name, key):
            if artifact is first:
                return
            continue  # a file that was made since, as for another device, has none yet; the others' stand
        stage = story.run.stage(name, key)
        if not stage.done:
            found, logits = _scored(story, artifact, {} if artifact is first else teacher, first.thresholds)
            if artifact is first and artifact.role == "teacher":
                _keep(stage.folder / _LOGITS, logits)
            stage.finish(Scores(scores=found))
        if artifact is first and artifact.role == "teacher":
            teacher = _kept(stage.folder / _LOGITS)
        scores += stage.result(Scores).scores
    story.add(scores=scores)


def _scored(
    story: Story, artifact: Artifact, teacher: Mapping[str, NDArray[np.float32]], thresholds: Sequence[float]
) -> tuple[list[Score], dict[str, NDArray[np.float32]]]:
    """One file's scores and logits by split, answered by the file itself in a process of its own."""
    scores, logits = [], {}
    with connect("local") as session, open_predict(session, story.run.folder / artifact.path) as answer:
        for split in ("valid", "test"):
            images = story.images.valid if split == "valid" else story.images.test
            if len(images) < 2:
                continue
            kept = DISAGREEMENTS if split == "test" and artifact.role == "student" else 0
            found, logits[split] = score(
                answer, images, artifact=artifact.name, split=split, classes=story.classes, host="local",
                teacher_logits=teacher.get(split), thresholds=artifact.thresholds, teacher_thresholds=thresholds,
                groups=story.groups, disagreements=kept, emit=story.run.emit,
            )  # fmt: skip
            if artifact.temperature is not None:
                found = with_unscaled(found, logits[split], images.labels, story.classes, artifact.temperature)
            scores.append(found)
    return scores, logits


def _keep(file: Path, logits: Mapping[str, NDArray[np.float32]]) -> None:
    with atomic_path(file) as part, part.open("wb") as out:
        np.savez(out, allow_pickle=False, **logits)


def _kept(file: Path) -> dict[str, NDArray[np.float32]]:
    with np.load(file, allow_pickle=False) as archive:
        return {split: archive[split] for split in archive.files}

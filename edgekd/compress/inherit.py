"""What the networks of a run inherit beyond accuracy: each asked about corrupted and moved images, and one temperature fitted to each.

In: an open `Story` whose networks have learnt. Out: the report's `robustness`, a stage a network, done when it is asked for; what stands of an
earlier time is taken up as long as the networks are the same. The temperature that `export.calibrate` folds into files comes from here, too. What is
asked is `evaluate.robustness`'.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import msgspec

from edgekd import units
from edgekd.compress.lesson import Learner
from edgekd.compress.story import Story
from edgekd.device.host import connect
from edgekd.device.predict import open_predict
from edgekd.errors import UsageError
from edgekd.evaluate import Predict, evaluate
from edgekd.evaluate import robustness as asking
from edgekd.evaluate.calibration import COLDEST, HOTTEST, fitted
from edgekd.models.load import Network, OnnxTeacher, fingerprint
from edgekd.recipe import Recipe
from edgekd.record import Artifact
from edgekd.scores import Inheritance, NetworkRole

_STAGES = "robustness"
"""What their names begin with."""
_ASKED = 1
"""What an `Exam` asks; raised where that changes, so that older answers are asked again."""


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """What one network's stage comes to, and of how many changed images."""

    images: int
    found: Inheritance


def check(story: Story) -> None:
    """Refuse a temperature that cannot be fitted, before anything is taught.

    Raises:
        UsageError: no validation images, or several labels an image.
    """
    if not story.recipe.export.calibrate:
        return
    if story.recipe.task != "classify":
        raise UsageError("export.calibrate divides the logits of one label an image by a temperature; with several labels an image leave it out.")
    if len(story.images.valid) < 2:
        raise UsageError(
            f"export.calibrate fits a temperature on validation images, and there are {len(story.images.valid)} "
            f'(train.validation is {story.recipe.train.validation}). Hold some out, as in --set train.validation="10 %", or leave calibrate out.'
        )


# The temperature of files ---------------------------------------------------------------------------------------------


def temperature(story: Story, network: Network) -> float | None:
    """What the logits of a network's files are to be divided by; None where that was not asked for, or a file is copied as it came."""
    if not story.recipe.export.calibrate or isinstance(network, OnnxTeacher):
        return None
    images = story.images.valid
    _, logits = evaluate(network.predict, images, artifact=network.name, split="valid", classes=story.classes, emit=story.run.emit)
    return fitted(logits, images.labels)


def note_temperatures(story: Story, artifacts: Sequence[Artifact]) -> None:
    """Say what was folded into which network's files, and where nothing could be."""
    if not story.recipe.export.calibrate:
        return
    for name, found in {f"{each.role}/{each.network}": each.temperature for each in artifacts}.items():
        if found is None:
            story.note(f"{name} came as a file, which is copied as it is: no temperature is folded into it")
            continue
        doubt = "" if 1.01 * COLDEST < found < HOTTEST / 1.01 else "; T stopped at its bound, so that they say little"
        if any(f"{each.role}/{each.name}" == name and each.valid_accuracy == 1 for each in story.report.networks):
            doubt = "; all of them are right, so that how many they are sets T, and how sure the network may be stays open"
        fit = f"T = {units.number_text(found)}, fitted on {len(story.images.valid)} validation images"
        story.note(f"in its files the logits of {name} are divided by {fit}{doubt}", warning=bool(doubt))


# Who is asked ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Asked:
    """A network, or a file that ships and is no network's own precision; `key` is what its answers depend on."""

    name: str
    role: NetworkRole | Literal["file"]
    key: dict[str, Any]
    network: Network | None = None
    file: Artifact | None = None


def refuse_untold(recipe: Recipe) -> None:
    """Refuse what cannot be measured, before anything is done for it.

    Raises:
        UsageError: images may have several labels, or no teacher stands beside the students.
    """
    if recipe.task != "classify":
        raise UsageError("robustness counts images whose one label is told; with several labels an image it is not measured.")
    if recipe.by_answers or (recipe.previous is not None and recipe.teacher is None):
        why = "its students learn from stored answers" if recipe.by_answers else "its students go on from another's"
        raise UsageError(
            f"robustness is told beside the teacher's, and this run has none: {why}. Ask its files instead, as edgekd robustness FILE.onnx "
            "--teacher TEACHER.onnx --data SPEC, or distil from a teacher."
        )


def measure(story: Story, learners: Sequence[Learner], *, images: int = 0) -> None:
    """Ask every network about so many changed test images, as far as that was not done; 0 takes up what stands.

    Raises:
        UsageError: fewer images than 2.
    """
    if story.recipe.task != "classify":
        return
    if not images and not (story.run.folder / _STAGES).is_dir():
        return  # it was never asked for, and weights are not hashed for nothing
    if not learners or learners[0].role != "teacher":
        return
    room = _Room(story, learners[0].network, images)
    results = [(asked, room.result(asked)) for asked in _everyone(story, learners)]
    found = [(asked, result) for asked, result in results if result is not None]
    if not found or found[0][0].role != "teacher":
        return
    count = found[0][1].images
    alike = [result.found for _, result in found if result.images == count]
    missing = [asked.name for asked, result in results if result is None]
    again = [f"not asked since it was made anew: {', '.join(missing)}; edgekd robustness {story.run.folder} asks"] if missing else []
    story.add(robustness=asking.together(room.exam(count), alike, [*_notes(story, learners[0].network), *again]))


def _everyone(story: Story, learners: Sequence[Learner]) -> Iterator[_Asked]:
    """The teacher, each student, each of them alone, then files that ship in another precision which this machine runs."""
    networks: list[tuple[NetworkRole, Network]] = [(learner.role, learner.network) for learner in learners if learner.role != "file"]
    teacher = fingerprint(learners[0].network)
    for role, network in [*networks, *story.alone]:
        box = getattr(network, "box", None)
        key = {"network": fingerprint(network), "preprocess": network.preprocess, "softmax": getattr(box, "softmax", None), "teacher": teacher}
        yield _Asked(f"{role}/{network.name}", role, key, network=network)
    for name in dict.fromkeys(story.report.shipped.values()):
        artifact = story.report.artifact(name)
        if artifact.precision in ("fp16", "int8-cpu"):
            yield _Asked(name, "file", {"file": artifact.sha256, "teacher": teacher}, file=artifact)


def _notes(story: Story, teacher: Network) -> list[str]:
    found = ["networks are asked themselves, as their fp32 files are held to answer alike; FGSM takes the gradient of the network"]
    if not teacher.trainable:
        found.append("the teacher is an ONNX file, which has no gradient: nobody is shown images that it would have moved")
    if len(story.images.valid) < 2:
        found.append("there are no validation images, so that no temperature is fitted")
    return found


# Asking ---------------------------------------------------------------------------------------------------------------


class _Room:
    """Where the exam takes place; the teacher's answers are there once somebody is compared with them."""

    def __init__(self, story: Story, teacher: Network, images: int) -> None:
        self._story, self._teacher, self._images = story, teacher, images

    def exam(self, images: int) -> asking.Exam:
        """About so many changed images."""
        source = self._story.images
        return asking.Exam(source.valid, source.test, source.classes, images=images)

    @cached_property
    def _answers(self) -> asking.Answers:
        teacher, emit = self._teacher, self._story.run.emit
        with self._on_device(teacher):
            network = teacher if teacher.trainable else None
            return asking.answers(self.exam(self._images), teacher.predict, name=f"teacher/{teacher.name}", network=network, emit=emit)

    def result(self, asked: _Asked) -> Examined | None:
        """What stands, or is now found; None where nothing stands and nothing is to be done."""
        run, name = self._story.run, f"{_STAGES}/{asked.name.replace('/', '-')}"
        key = {"data": self._story.images.sha256, "asked": _ASKED, **asked.key}
        if not self._images and not run.stands(name, key):
            return None
        stage = run.stage(name, key)
        if self._images and stage.done and stage.result(Examined).images != self._images:
            stage = run.stage(name, key, anew=True)
        if not stage.done:
            stage.finish(Examined(images=self._images, found=self._examined(asked)))
        return stage.result(Examined)

    def _examined(self, asked: _Asked) -> Inheritance:
        teacher = None if asked.role == "teacher" else self._answers
        network = asked.network if asked.network is not None and asked.network.trainable else None
        with self._predict(asked) as predict:
            return asking.examined(
                self.exam(self._images), predict, name=asked.name, role=asked.role, network=network, teacher=teacher, emit=self._story.run.emit
            )

    @contextlib.contextmanager
    def _predict(self, asked: _Asked) -> Iterator[Predict]:
        if asked.network is not None:
            with self._on_device(asked.network):
                yield asked.network.predict
            return
        assert asked.file is not None
        with connect("local") as session, open_predict(session, self._story.run.folder / asked.file.path) as predict:
            yield predict

    @contextlib.contextmanager
    def _on_device(self, network: Network) -> Iterator[None]:
        """The network on the training device for a while."""
        network.to(self._story.device)
        try:
            yield
        finally:
            network.cpu()

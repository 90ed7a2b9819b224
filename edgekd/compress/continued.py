"""The students that go on from another run: taught what is new, kept at what they knew, and measured on both.

In: an open `Story` with its previous run, and who else answers, if anybody does. Out: a `Learner` each, and what each kept in the report. Without a
teacher the labels alone teach what is new. How old answers and old images enter a step is `distill.keeping`'s, which images these are `oldimages`'.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekd import units
from edgekd.compress import students
from edgekd.compress.ensemble import Answerer
from edgekd.compress.images import brings
from edgekd.compress.lesson import Learner, Lesson, built, code_of, learnt, settled, tell
from edgekd.compress.oldimages import Archive, shared
from edgekd.compress.story import Story
from edgekd.data.batches import Batches
from edgekd.data.images import Images
from edgekd.data.source import class_counts
from edgekd.distill import alone
from edgekd.distill.keeping import SHARE, Keeping, Replay, gentler
from edgekd.errors import UsageError
from edgekd.evaluate import Predict, compare, evaluate
from edgekd.events import Note
from edgekd.files import sha256_json
from edgekd.models.heads import take_over
from edgekd.models.load import Network, fingerprint
from edgekd.phases import Phase
from edgekd.recipe import Student
from edgekd.scores import Held, Kept, Score

_NEVER = 100.0
"""How far below its least logit an old student is taken to answer a class that it does not know."""
_NAMES = 8
"""Classes that are listed."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What a student kept, and what there is to doubt of that."""

    kept: Kept
    doubts: list[str]


def opened(story: Story) -> Archive:
    """The old images, once it is sure that the students can go on; what they go on from is said.

    Raises:
        UsageError: a teacher would be taught without some of the classes, or other old images do not fit. MissingError: those are not there.
    """
    recipe, archive = story.recipe, Archive(story)
    counts = class_counts(story.images.train.labels, len(story.classes))
    unseen = [name for name, count in zip(story.classes, counts.tolist(), strict=True) if not count]
    if recipe.teacher is not None and not brings(recipe.teacher) and unseen:
        raise UsageError(
            f"a teacher knows all classes, old and new; {recipe.teacher.model} would be taught on {recipe.data}, which has none of {_some(unseen)}. "
            "Bring one with weights, or leave it out: then labels teach what is new."
        )
    if archive.share is None:
        _ = archive.replayed
    known = archive.old.classes
    again, new = [name for name in known if name not in unseen], story.classes[len(known) :]
    story.note(
        f"students go on from {archive.options.run}, which knew {len(known)} classes. Of these {recipe.data} shows "
        f"{_some(again) if again else 'none'}; new: {_some(new) if new else 'none'}"
    )
    if unseen and archive.share == 0:
        story.note(
            f"no image of {_some(unseen)} is shown, so that others will be answered in their stead, however well they are told from each other. "
            "Show old images again with --replay.",
            warning=True,
        )
    return archive


def planned(story: Story, archive: Archive) -> list[Network]:
    """The students as they would begin."""
    return [_begun(story, _spec(model, was), was) for model, was in archive.old.students.items()]


def distilled(story: Story, archive: Archive, answerer: Answerer | None, *, do: bool) -> list[Learner]:
    """Every student, taught on; [] where they do not stand and nothing is to be done."""
    found: list[Learner] = []
    for model, was in archive.old.students.items():
        spec = _spec(model, was)
        network = _taught_on(story, archive, spec, was, answerer, do=do)
        if network is None:
            return []
        found.append(Learner("student", network, code_of(story, spec)))
        _tell_kept(story, archive, was, network, do=do)
    return found


def phases_of(story: Story, *, taught: bool) -> tuple[Phase, ...]:
    """The recipe's phases; of nobody who is taught by a teacher, the labels alone, on the phases' own subsets where choosing them needs none."""
    phases = students.phases_of(story)
    return phases if taught else alone(phases, keep_subsets=len(students.ways_alone(phases)) > 1)


def _spec(model: str, was: Network) -> Student:
    return Student(model=model, preprocess=was.preprocess)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


# Learning -------------------------------------------------------------------------------------------------------------


def _begun(story: Story, spec: Student, was: Network) -> Network:
    """The student as it begins: as it was, with outputs at random for what is new."""
    network = built(story, spec, replace_head=True)
    take_over(network.body, was.body)
    network.name = was.name
    return network


def _taught_on(story: Story, archive: Archive, spec: Student, was: Network, answerer: Answerer | None, *, do: bool) -> Network | None:
    """A student with what it learnt on, as a stage; None where it does not stand and nothing is to be done."""
    network = _begun(story, spec, was)
    lesson = _lesson(story, network, answerer)
    options = msgspec.structs.replace(archive.options, run="-", replay=0.0)
    previous = {"was": fingerprint(was), "classes": archive.old.classes, "options": options, "replay": archive.identity}
    key = {
        "data": story.images.sha256,
        "student": spec,
        "start": fingerprint(network),
        "lesson": lesson,
        "seed": story.recipe.seed,
        "previous": previous,
        **code_of(story, spec),
        **({} if answerer is None else answerer.key),
    }
    name = f"distill/{network.name}"
    if not do and not story.run.stands(name, key):
        return None
    stage = story.run.stage(name, key)
    keeping = None if stage.done else _keeping(story, archive, was, lesson, sha256_json(previous))
    outcome = learnt(story, stage, network, lesson, None if answerer is None else answerer.network, beside=keeping)
    tell(story, "student", network, outcome)
    return network


def _lesson(story: Story, network: Network, answerer: Answerer | None) -> Lesson:
    """How a student learns on. Without a teacher, who would have to remember them, it sees fresh views in every pass."""
    train = msgspec.structs.replace(story.recipe.train, teacher_epochs=None, teacher_optimizer=None)
    train = settled(story, train if answerer is not None else msgspec.structs.replace(train, views=0), network, brought=False)
    return Lesson(
        phases=phases_of(story, taught=answerer is not None),
        train=gentler(train, story.recipe.train.optimizer),
        how="distilled",
        teacher=None if answerer is None else answerer.fingerprint,
        frequencies=None if answerer is None else answerer.frequencies,
        wanted=None if answerer is None else answerer.wanted,
    )


def _keeping(story: Story, archive: Archive, was: Network, lesson: Lesson, key: str) -> Keeping | None:
    """The lesson on what the student knew; None where it is held to nothing."""
    options, images, train = archive.options, archive.replayed, lesson.train
    if images is None and not options.weight:
        return None
    assert train.batch is not None, "the defaults are not filled in"
    assert train.augment is not None, "the defaults are not filled in"
    replay = None
    if images is not None:
        shown = Batches(images, device=story.device)
        replay = Replay(shown, max(1, train.batch // SHARE), augment=train.augment, view_seed=train.view_seed, seed=story.recipe.seed)
    return Keeping(was.to(story.device), weight=options.weight, temperature=options.temperature, replay=replay, key=key)


# Measuring ------------------------------------------------------------------------------------------------------------


def _tell_kept(story: Story, archive: Archive, was: Network, network: Network, *, do: bool) -> None:
    """Put what a student kept into the report: from its stage, or measured now. What cannot be measured is told anew each time."""
    key = {
        "data": story.images.sha256,
        "old": archive.old.identity,
        "was": fingerprint(was),
        "now": fingerprint(network),
        "replay": archive.identity,
    }
    name = f"keep/{network.name}"
    if story.run.stands(name, key):
        measured = story.run.stage(name, key).result(Measured)
    elif not do:
        return
    elif archive.found.gone:
        measured = _measured(story, archive, was, network)
    else:
        stage = story.run.stage(name, key)
        if not stage.done:
            stage.finish(_measured(story, archive, was, network))
        measured = stage.result(Measured)
    story.add(kept=[*story.report.kept, measured.kept], doubts=[*story.report.doubts, *measured.doubts])
    for held in measured.kept.tests:
        before = "" if held.before is None else f"{units.percent_text(held.before.value)} before, "
        story.run.emit(Note(text=f"{network.name} on the {held.images} test images: {before}{units.percent_text(held.after.value)} now"))


def _measured(story: Story, archive: Archive, was: Network, network: Network) -> Measured:
    """Both students on both runs' test images."""
    old, replayed = archive.found.split("test"), archive.replayed
    untold, doubts, tests = list(archive.found.gone), [], []
    if old is not None and len(old) >= 2:
        tests.append(_held(story, archive, old, "old", was, network))
        doubts = _doubts(archive, shared(old, [story.images.train, *([] if replayed is None else [replayed])]), len(old))
    elif not untold:
        untold.append("it has no test images")
    if len(story.images.test) >= 2:
        tests.append(_held(story, archive, story.images.test, "new", was, network))
    kept = Kept(
        student=network.name,
        run=archive.options.run,
        classes=archive.old.classes,
        replayed=0 if replayed is None else len(replayed),
        tests=tests,
        untold=untold,
    )
    return Measured(kept=kept, doubts=doubts)


def _doubts(archive: Archive, seen: int, tested: int) -> list[str]:
    doubts = []
    if seen:
        doubts.append(
            f"{seen} of {tested} old test images are also among those that the students learnt from now: what is kept looks like more than it is"
        )
    if archive.found.changed:
        where = " and ".join(archive.found.changed)
        doubts.append(f"the images of {where} are not those of that run any more: some old test images may be among those that it learnt from")
    return doubts


def _held(story: Story, archive: Archive, images: Images, which: Literal["old", "new"], was: Network, network: Network) -> Held:
    """How a student does on some test images, and how it did before where it knew a class of theirs."""

    def scored(predict: Predict) -> Score:
        return evaluate(predict, images, artifact=network.name, split="test", classes=story.classes, emit=story.run.emit)[0]

    after = scored(network.predict)
    known = len(archive.old.classes)
    if not (images.labels < known).any():
        return Held(images=which, after=after.metrics["accuracy"], recall=after.recall)
    before = scored(_widened(was.cpu(), len(story.classes) - known))
    return Held(
        images=which,
        before=before.metrics["accuracy"],
        after=after.metrics["accuracy"],
        lost=compare(before, after),
        recall_before={name: metric for name, metric in before.recall.items() if name in archive.old.classes},
        recall=after.recall,
    )


def _widened(was: Network, more: int) -> Predict:
    """An old student that never answers any of the classes that it does not know."""

    def predict(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        logits = was.predict(arrays)["logits"]
        return {"logits": np.concatenate([logits, np.full((len(logits), more), logits.min() - _NEVER, logits.dtype)], axis=1)}

    return predict

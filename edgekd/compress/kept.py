"""What a student that went on kept of what it knew: before and now, on the test images of the old run and of the new one.

In: an open `Story`, the old images as far as they are there, the student as it was and as it is. Out: a `Kept` in the report, and what there is to
doubt.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekd import units
from edgekd.compress.oldimages import Archive
from edgekd.compress.story import Story
from edgekd.data.images import Images, class_counts, shared
from edgekd.evaluate import Predict, compare, evaluate
from edgekd.events import Note
from edgekd.models.load import Network, fingerprint
from edgekd.scores import Held, Kept, Score

FAR = 0.5
"""Below this part of what a student knew of old classes, it has learnt little of the new ones."""
_NEVER = 100.0
"""How far below its least logit an old student is taken to answer a class that it does not know."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What a student kept, and what there is to doubt of that."""

    kept: Kept
    doubts: list[str]


def tell_kept(story: Story, archive: Archive, was: Network, network: Network, *, do: bool) -> None:
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
    if said := little_learnt(measured.kept):
        story.note(said, warning=True)


def little_learnt(kept: Kept) -> str | None:
    """What to do where a student knows the new classes far less well than it knew the old ones; None where it does not, or nothing tells."""
    new = [metric.value for held in kept.tests if held.images == "new" for name, metric in held.recall.items() if name not in kept.classes]
    before = [held.before.value for held in kept.tests if held.images == "old" and held.before is not None]
    if not new or not before or (learnt := sum(new) / len(new)) >= FAR * before[0]:
        return None
    return (
        f"{kept.student} tells {units.percent_text(learnt)} of the images of a new class, and told {units.percent_text(before[0])} of the old ones: "
        "more epochs (--epochs) teach more of what is new, and so does a smaller weight of what it knew (--set previous.weight=1)"
    )


def _measured(story: Story, archive: Archive, was: Network, network: Network) -> Measured:
    """Both students on both runs' test images."""
    old, replayed = archive.found.split("test"), archive.replayed
    untold, doubts, tests = list(archive.found.gone), [], []
    if old is not None and len(old) >= 2:
        tests.append(_held(story, archive, old, "old", was, network))
        doubts = _doubts(archive, shared(old, [story.images.train, *([] if replayed is None else [replayed])]), len(old))
    elif not untold:
        untold.append("it has no test images")
    learnt = class_counts(story.images.train.labels, len(story.classes)) > 0
    new = story.images.test.take(np.flatnonzero(learnt[story.images.test.labels]))  # --test may name images of old classes, too
    if len(new) >= 2:
        tests.append(_held(story, archive, new, "new", was, network))
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
        doubts.append(
            f"the images of {where} are not those of that run any more: what is told of before, and shown again, is of these, and some old test "
            "images may be among those that it learnt from"
        )
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

"""The images of the run that students go on from: those shown again, those that tell what was kept, and whether the two are apart.

In: an open `Story` with its previous run. Out: an `Archive` of `Images` whose labels go by the story's classes. Each run's images are looked for
where its own recipe has them; what is gone is told, and left out.
"""

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal

import msgspec
import numpy as np
import torch

from edgekd import units
from edgekd.compress.images import cut_before, load_images
from edgekd.compress.previous import Old
from edgekd.compress.story import Story
from edgekd.data.images import Images, Integers, Pixels
from edgekd.data.known import renumbered
from edgekd.data.source import Source
from edgekd.distill.subset import Pool, choose
from edgekd.errors import EdgekdError, UsageError
from edgekd.events import Note
from edgekd.phases import Subset
from edgekd.recipe import Previous


class Archive:
    """Old images, each read once."""

    def __init__(self, story: Story) -> None:
        assert story.previous is not None, "no run to go on from"
        assert story.recipe.previous is not None, "no run to go on from"
        self.story = story
        self.old: Old = story.previous
        self.options: Previous = story.recipe.previous
        self.share = share_of(self.options.replay)
        """Of old images that is shown again; None where a spec names others."""

    @functools.cached_property
    def found(self) -> "Found":
        """The images of the previous run, and of those before it."""
        known = Found([], [], [])
        _look(self.story, self.old, known)
        return known

    @property
    def identity(self) -> list[object]:
        """What the key of a student's stage must know of what is shown again; a share of images that are gone has one, too."""
        if self.share is None:
            return [self._named.sha256]
        return [self.share, *self.old.identity] if self.share else []

    @functools.cached_property
    def replayed(self) -> Images | None:
        """What is shown again; None where nothing is. Of a share, as many of each class, chosen by the seed.

        Raises:
            UsageError: the images are not there, or show other classes.
        """
        if self.share is None:
            return self._named.train
        if self.share == 0:
            return None
        images = self.found.split("train")
        if images is None:
            raise UsageError(f"old images were to be shown again, and {'; '.join(self.found.gone)} Name others with --replay SPEC, or leave it out.")
        for reason in self.found.gone:
            self.story.note(f"its images are not shown again: {reason}", warning=True)
        pool = Pool(labels=torch.from_numpy(images.labels), seed=self.story.recipe.seed)
        return images.take(choose(Subset(by="balanced", fraction=self.share), pool).numpy())

    @functools.cached_property
    def _named(self) -> Source:
        """The images of a spec; its test images, named or cut off, are left out."""
        story, spec = self.story, str(self.options.replay)
        train = msgspec.structs.replace(story.recipe.train, validation="0 %")
        asked = msgspec.structs.replace(story.recipe, data=spec, test=None, imbalance=1.0, label_noise=0.0, train=train)
        source = renumbered(load_images(asked, story.base, story.run.emit, cut=story.cut, like=self.old), story.classes)
        others = source.classes[len(story.classes) :]
        if others:
            raise UsageError(
                f"images that are shown again are of classes that the run knows, old or new; {spec} also has {', '.join(others)}. "
                "Leave these out, or add them to --data."
            )
        return source


def share_of(replay: float | str) -> float | None:
    """The share of old images that is shown again; None where a spec names others.

    Raises:
        UsageError: no share, or not from 0 to 1.
    """
    if isinstance(replay, str) and (":" in replay or replay == "digits"):
        return None
    with contextlib.suppress(UsageError):
        share = units.parse_fraction(replay)
        if 0 <= share <= 1:
            return share
    raise UsageError(f"old images are shown again (--replay) by a share from 0 to 100 %, as 10 %, or by a spec, as folder:old; got {replay!r}.")


# Where they are -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Found:
    """What is there of old images: one source a run, the latest first; `gone` says what is not and why, `changed` whose are others now."""

    sources: list[Source]
    gone: list[str]
    changed: list[str]

    def split(self, name: Literal["train", "test"]) -> Images | None:
        """One split of all of them; None where no run's are there."""
        return joined([getattr(source, name) for source in self.sources]) if self.sources else None


def _look(story: Story, old: Old, known: Found) -> None:
    """Add a run's images, and those of the runs before it, to what is known."""
    try:
        source = load_images(old.recipe, old.base, story.run.emit, cut=cut_before(old), like=old)
    except EdgekdError as error:
        known.gone.append(f"the images of {old.folder} are not there any more: {error}")
    else:
        numbered = renumbered(source, old.classes)
        if old.data.sha256 not in (source.sha256, numbered.sha256):
            known.changed.append(str(old.folder))
            text = f"the images of {old.folder} are not those of that run any more: what is shown again, and told of before, is of these"
            story.run.emit(Note(text=text, level="warning"))
        known.sources.append(_of_known(numbered, len(old.classes)))
    if old.before is not None:
        _look(story, old.before, known)
    elif old.recipe.previous is not None:
        known.gone.append(f"the run that {old.folder} went on from is not there any more: {old.recipe.previous.run}.")


def _of_known(source: Source, classes: int) -> Source:
    """Without images of classes that were added to the data since."""

    def kept(images: Images) -> Images:
        return images if (images.labels < classes).all() else images.take(np.flatnonzero(images.labels < classes))

    return replace(source, train=kept(source.train), valid=kept(source.valid), test=kept(source.test))


def joined(parts: Sequence[Images]) -> Images:
    """Several splits as one, in their order; the index counts through them."""
    if len(parts) == 1:
        return parts[0]
    ends = np.array(list(accumulate(len(part) for part in parts)))

    def read(index: Integers) -> Pixels:
        pixels = np.empty((len(index), *parts[0].shape), np.uint8)
        owner = np.searchsorted(ends, index, side="right")
        for place, part in enumerate(parts):
            here = np.flatnonzero(owner == place)
            if len(here):
                pixels[here] = part.read(index[here] - (ends[place] - len(part)))
        return pixels

    return Images(np.concatenate([part.labels for part in parts]), np.arange(int(ends[-1])), parts[0].shape, reader=read)

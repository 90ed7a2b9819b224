"""What the steps of one run share: the open run folder, the images, the device, and the report as it grows.

`Story.opened` loads the data and takes the lock; `told` judges, writes report.json, report.md, report.html and the manifest. Which steps there are is
`__init__`'s.
"""

import contextlib
import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import torch

from edgekd import __version__, budget, target, units
from edgekd.budget.rules import claims
from edgekd.compress import previous
from edgekd.compress.images import brings, cut_of, load_images, target_images
from edgekd.compress.previous import Old
from edgekd.compress.where import ranks_and_device
from edgekd.data import source
from edgekd.data.batches import Batches
from edgekd.data.images import Integers
from edgekd.data.known import renumbered
from edgekd.data.noise import is_flipped
from edgekd.data.source import class_counts
from edgekd.data.target import Target
from edgekd.distill.ranks import ALONE, Ranks
from edgekd.evaluate.groups import grouped
from edgekd.events import Emit, Note, Wrote
from edgekd.files import write_atomic
from edgekd.following import Following
from edgekd.limit import Limit
from edgekd.models.load import Network
from edgekd.preprocess import Preprocess
from edgekd.recipe import Recipe
from edgekd.recipefile import encode_recipe, recipe_table
from edgekd.record import OWN_SPLIT, DataSummary, Report
from edgekd.report.html import html
from edgekd.report.markdown import markdown
from edgekd.reportfile import encode_report
from edgekd.run import Run
from edgekd.scores import ClassGroups, DomainSummary, NetworkRole
from edgekd.tasks.multilabel import THRESHOLD

UNBALANCED = 3.0
"""Images of the commonest class over those of the rarest, from which on class frequencies are worth a word."""


@dataclass
class Story:
    """One run, open. `report` grows with each step."""

    run: Run
    recipe: Recipe
    base: Path
    images: source.Source
    device: torch.device
    report: Report
    cut: Preprocess | None = None
    """How pictures were cut when they were read; None where nothing said how, and they were not."""
    target: Target | None = None
    previous: Old | None = None
    """The run that the students go on from."""
    ranks: Ranks = ALONE
    """The processes that teach together."""
    alone: list[tuple[NetworkRole, Network]] = field(default_factory=list)
    """Students that were taught alone, which get no files."""
    _batches: dict[str, Batches] = field(default_factory=dict)

    @classmethod
    @contextlib.contextmanager
    def opened(cls, recipe: Recipe, folder: Path, origin: str, base: Path, emit: Emit) -> Iterator["Story"]:
        """A story with its folder locked and its images loaded.

        Raises:
            EdgekdError: the folder is another run's or in use, the data is not as it should be, or there is no such device.
        """
        ranks, device = ranks_and_device(recipe)
        older = previous.read(recipe, base, folder) if recipe.previous is not None else None
        with _run(folder, origin, recipe, ranks, emit) as run:
            if recipe.train.threads is not None:
                torch.set_num_threads(recipe.train.threads)
            cut = cut_of(recipe, base, older)
            images = load_images(recipe, base, run.emit, cut=cut, like=older)
            if older is not None:
                images = renumbered(images, older.classes)
            report = Report(
                edgekd=__version__,
                name=folder.resolve().name,
                created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                seed=recipe.seed,
                recipe=recipe_table(msgspec.structs.replace(recipe, limit=named_limits(recipe, base))),
            )
            target = target_images(recipe, base, images, run.emit, cut=cut)
            story = cls(run, recipe, base, images, device, report, cut, target, older, ranks)
            story.add(data=story._summary(), domain=story._domain())
            yield story

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels of the images."""
        return self.images.train.shape

    @property
    def classes(self) -> list[str]:
        """The data's class names, by label."""
        return list(self.images.classes)

    @property
    def groups(self) -> ClassGroups | None:
        """Head, middle and tail of the classes, where they are unbalanced."""
        return self.report.data.groups if self.report.data is not None else None

    def batches(self, split: str) -> Batches:
        """A split on the training device."""
        if split not in self._batches:
            self._batches[split] = Batches(getattr(self.images, split), device=self.device)
        return self._batches[split]

    def note(self, text: str, *, warning: bool = False) -> None:
        """Say a decision now, and keep it for the report; one that more than one step comes to is said once."""
        if text in self.report.notes:
            return
        self.run.emit(Note(text=text, level="warning" if warning else "info"))
        self.add(notes=[*self.report.notes, text])

    def add(self, **parts: Any) -> None:
        """Put parts into the report in place of what stood there."""
        self.report = msgspec.structs.replace(self.report, **parts)

    def _limits(self) -> list[Limit]:
        """What a run is held to by itself: its recipe's limits without those on growth, for which there is no baseline here."""
        limits = named_limits(self.recipe, self.base)
        if any(limit.growth for limit in limits):
            self.note("limits on growth are held where there is a baseline: `edgekd check RUN --baseline FILE`")
        without = [msgspec.structs.replace(limit, growth={}) for limit in limits]
        return [rest for limit, rest in zip(limits, without, strict=True) if not limit.growth or any(claims(rest))]

    def told(self) -> Report:
        """Judge the report, write it in its forms, and the manifest."""
        if self.report.artifacts:
            self.add(verdicts=budget.judge(self.report, self._limits()))
        if not self.run.main:
            return self.report
        write_atomic(self.run.folder / "report.json", encode_report(self.report))
        write_atomic(self.run.folder / "report.md", markdown(self.report))
        write_atomic(self.run.folder / "report.html", html(self.report))
        self.run.emit(Wrote(path=str(self.run.folder / "report.json"), what="report"))
        self.run.write_manifest(seed=self.recipe.seed)
        return self.report

    def _note_frequencies(self, counts: Integers) -> bool:
        """Say what is to be known of how often classes occur, and tell whether they are unbalanced."""
        images, recipe, present = self.images, self.recipe, counts[counts > 0]
        if recipe.task == "multilabel":
            if unknown := float((images.train.labels < 0).mean()):
                self.note(f"{units.percent_text(unknown)} of the training labels are not known, and teach nothing; scores leave such labels out")
            if len(images.valid) < 2:
                self.note(f"without validation images each label is said to be there from a probability of {THRESHOLD:g} on", warning=True)
            return False
        unbalanced = bool(present.max() >= UNBALANCED * present.min())
        if recipe.imbalance > 1:
            self.note(
                f"the data is cut to a long tail of {recipe.imbalance:g}:1: {len(images.train)} training images, {counts[0]} of the first class "
                f"down to {counts[-1]} of the last, and {len(images.valid)} validation images cut alike; the {len(images.test)} test images stay"
            )
        if share := units.parse_fraction(recipe.label_noise):
            wrong = int(is_flipped(images.train.index, share).sum())
            self.note(
                f"the labels of {wrong} of {len(images.train)} training images are flipped to another class on purpose (label_noise); those of "
                "validation and test images stay"
            )
        if unbalanced and recipe.train.prior == "data":
            self.note(
                f"the commonest class has {present.max()} training images, the rarest {present.min()}. If the device meets all classes alike, "
                "--set train.prior=uniform takes the frequencies off the teacher's answers and balances the last phase.",
                warning=True,
            )
        untold = [spec.model for spec in (recipe.teacher, *recipe.co_teacher) if spec is not None and brings(spec) and spec.prior is None]
        if untold and recipe.train.prior != "data":
            self.note(
                f"{untold[0]} came with weights, and is taken to have been taught on this data's class frequencies, which its answers lose. "
                'If it was taught on others, say so: prior = "uniform" beside its model, or a table.',
                warning=True,
            )
        return unbalanced

    def _domain(self) -> DomainSummary | None:
        """The target in the report, and a word on what is done with its images."""
        target = self.target
        if target is None:
            return None
        tested = 0 if target.test is None else len(target.test)
        assert self.recipe.domain is not None, "it names the target"
        named = self.recipe.domain.test
        where = "other images of it" if named is None else f"images of {named}"
        scored = (
            f"{tested} {where}, with labels, are only scored"
            if tested
            else "none of them has a label, so that only the source can be scored (domain.test names labelled ones)"
        )
        self.note(f"students also learn from {len(target.images)} images of {target.spec}, without labels; {scored}")
        return DomainSummary(target=target.spec, sha256=target.sha256, images=len(target.images), test=tested)

    def _summary(self) -> DataSummary:
        images, counts = self.images, class_counts(self.images.train.labels, len(self.images.classes))
        unbalanced = self._note_frequencies(counts)
        brought = any(spec is not None and brings(spec) for spec in (self.recipe.teacher, *self.recipe.co_teacher))
        return DataSummary(
            spec=images.spec,
            sha256=images.sha256,
            classes=list(images.classes),
            train=len(images.train),
            valid=len(images.valid),
            test=len(images.test),
            shape=images.train.shape,
            task=self.recipe.task,
            class_counts=counts.tolist(),
            crop_fraction=1.0 if self.cut is None else self.cut.crop_fraction,
            groups=grouped(counts.tolist(), images.classes) if unbalanced else None,
            unreadable=list(images.unreadable),
            notes=[note for note in images.notes if brought or note != OWN_SPLIT],
        )


def _run(folder: Path, origin: str, recipe: Recipe, ranks: Ranks, emit: Emit) -> Run:
    """The run's folder: the main rank's own, which the others follow."""
    if not ranks.main:
        return Following(folder, ranks.agreed)
    run = Run.open(folder, origin=origin, recipe_toml=encode_recipe(recipe), emit=emit, agree=ranks.agreed)
    if ranks.count > 1:
        run.emit(Note(text=f"{ranks.count} processes teach together, each on its part of every batch"))
    return run


def named_limits(recipe: Recipe, base: Path) -> tuple[Limit, ...]:
    """The recipe's limits, each with its target by name, as measurements have it: `FILE.toml` gives way to what that file calls its target.

    Raises:
        MissingError, UsageError: as `target.load`, for a target that is not among those of [on] either.
    """
    known = {target.load(spec, base).name for spec in recipe.on}

    def named(limit: Limit) -> Limit:
        if limit.target is None or limit.target in known:
            return limit
        return msgspec.structs.replace(limit, target=target.load(limit.target, base).name)

    return tuple(map(named, recipe.limit))

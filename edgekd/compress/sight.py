"""What is there before anything was made: the images, the teacher, the targets and the networks that could be its students.

In: an open `Story`. Out: `Sight`, which `suggest` draws conclusions from and a person reads. Sizes, MACs and floors are
computed from the networks' own layers and the targets' data sheets; nothing is timed here.
"""

import csv
from pathlib import Path
from statistics import median

import msgspec
from PIL import Image

from edgekd import target, units
from edgekd.compress import students
from edgekd.compress import teacher as teachers
from edgekd.compress.plan import Count, counted, floors, predicted_sizes
from edgekd.compress.story import Story
from edgekd.data.folders import ENDINGS
from edgekd.data.images import TestFrom
from edgekd.data.source import OWN_TEST_SHARE
from edgekd.errors import UsageError
from edgekd.models.load import OnnxTeacher
from edgekd.models.pick import candidates, choose
from edgekd.recipe import Student

LOOKED_AT = 2000
"""Picture files whose headers are read, evenly over all."""


class Pictures(msgspec.Struct, frozen=True, kw_only=True):
    """Picture files as they lie there: how many were looked at and how many sizes they have; heights and widths in pixels."""

    looked_at: int
    sizes: int
    least: tuple[int, int]
    most: tuple[int, int]
    shorter_side: int
    """The middle one of the shorter sides."""


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """The images as a run would hold them. `shape` is height, width, channels; `counts` are training images by class."""

    spec: str
    train: int
    valid: int
    test: int
    test_from: str
    shape: tuple[int, int, int]
    pictures: Pictures | None
    flip: bool
    classes: list[str]
    counts: list[int]
    unreadable: list[str]
    notes: list[str]

    @property
    def extremes(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """The commonest class and the rarest that has any training images, with their number."""
        present = [(name, count) for name, count in zip(self.classes, self.counts, strict=True) if count]
        return max(present, key=lambda pair: pair[1]), min(present, key=lambda pair: pair[1])

    @property
    def imbalance(self) -> float:
        """Training images of the commonest class over those of the rarest."""
        (_, most), (_, least) = self.extremes
        return most / least


class Teacher(msgspec.Struct, frozen=True, kw_only=True):
    """The teacher as it would begin: bytes of its FP32 file, or of `own_file`, where it is one; whether it is `taught` on these images first."""

    model: str
    params: int
    macs: int | None
    size: int
    own_file: bool
    taught: bool
    floors_ms: dict[str, float]


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A network that could be the student: bytes of its files by precision, how many times fewer MACs than the teacher's, floors by target."""

    model: str
    params: int
    macs: int | None
    sizes: dict[str, int]
    fewer_macs: float | None
    floors_ms: dict[str, float]
    chosen: bool


class Aim(msgspec.Struct, frozen=True, kw_only=True):
    """A target; an empty host is none."""

    target: str
    description: str
    host: str
    precisions: list[str]


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `reason` says why the chosen student is it, where edgekd chose."""

    data: Data
    teacher: Teacher
    students: list[Offer]
    reason: str | None
    targets: list[Aim]


def looked(story: Story, pictures: Pictures | None) -> Sight:
    """What a story has.

    Raises:
        EdgekdError: a network cannot be built, no student can be picked, or there is no teacher to pick it by.
    """
    if story.recipe.by_answers:
        raise UsageError(
            "what is proposed goes by the teacher's network, and stored answers are none. Write a recipe with "
            'teacher = { model = "answers" } and a [[student]] yourself.'
        )
    network, phases = teachers.planned(story)
    count = counted(network, story.shape)
    offers, reason = _offers(story, network.name, count) if story.recipe.student is None and count.macs is not None else ([], None)
    if not offers:
        named = students.planned(story, network)
        offers = [_offer(story, count, learner.name, counted(learner, story.shape), chosen=True) for learner in named]
    teacher = Teacher(
        model=network.name,
        params=count.params,
        macs=count.macs,
        size=count.size,
        own_file=isinstance(network, OnnxTeacher),
        taught=phases is not None,
        floors_ms=floors(story, count),
    )
    aims = [_aim(story, name, host) for name, host in story.recipe.on.items()]
    return Sight(data=_data(story, pictures), teacher=teacher, students=offers, reason=reason, targets=aims)


def picked(sight: Sight) -> tuple[Student, ...]:
    """The chosen students as a recipe has them."""
    return tuple(Student(model=offer.model) for offer in sight.students if offer.chosen)


def pictures_of(spec: str, base: Path) -> Pictures | None:
    """The sizes of the picture files that a spec names; None where it names no files, or none that opens."""
    kind, _, rest = spec.partition(":")
    files = _in_folder(base / rest) if kind == "folder" else _listed(base / rest) if kind == "csv" else []
    step = max(1, len(files) // LOOKED_AT)
    seen = [size for file in files[::step] if (size := _size(file)) is not None]
    if not seen:
        return None
    heights, widths = zip(*seen, strict=True)
    return Pictures(
        looked_at=len(seen),
        sizes=len(set(seen)),
        least=(min(heights), min(widths)),
        most=(max(heights), max(widths)),
        shorter_side=round(median(map(min, seen))),
    )


def _data(story: Story, pictures: Pictures | None) -> Data:
    summary, images = story.report.data, story.images
    assert summary is not None
    return Data(
        spec=summary.spec,
        train=summary.train,
        valid=summary.valid,
        test=summary.test,
        test_from=_test_from(story.recipe.test, images.test_from),
        shape=summary.shape,
        pictures=pictures,
        flip=images.flip,
        classes=summary.classes,
        counts=summary.class_counts,
        unreadable=summary.unreadable,
        notes=summary.notes,
    )


def _test_from(stated: str | None, found: TestFrom) -> str:
    """Where the test images come from, in words."""
    if stated is not None:
        return f"from {stated}"
    return {
        "own": "the data's own",
        "validation": "the data's validation images; validation is cut from train",
        "cut": f"{units.percent_text(OWN_TEST_SHARE, 0)} of all, cut off as there is no test split",
    }[found]


def _offers(story: Story, teacher: str, count: Count) -> tuple[list[Offer], str]:
    """The candidates that do less than the teacher, the chosen one first, and why it was chosen."""
    assert count.macs is not None
    found = candidates(story.shape, len(story.classes))
    name, reason = choose(found, count.macs, story.shape)
    kept = [one for one in found if one.name == name or (one.macs < count.macs and one.name != teacher)]
    offers = [_offer(story, count, one.name, Count(one.params, one.macs, 0), chosen=one.name == name) for one in kept]
    return sorted(offers, key=lambda offer: not offer.chosen), reason


def _offer(story: Story, teacher: Count, name: str, count: Count, *, chosen: bool) -> Offer:
    return Offer(
        model=name,
        params=count.params,
        macs=count.macs,
        sizes=predicted_sizes(count.params, story.recipe.export.precisions),
        fewer_macs=teacher.macs / count.macs if teacher.macs and count.macs else None,
        floors_ms=floors(story, count),
        chosen=chosen,
    )


def _aim(story: Story, name: str, host: str) -> Aim:
    what = target.load(name, story.base)
    return Aim(target=name, description=what.description, host=host, precisions=list(what.precisions))


def _in_folder(directory: Path) -> list[Path]:
    return sorted(file for file in directory.glob("*/**/*") if file.suffix.lower() in ENDINGS and not file.name.startswith("."))


def _listed(file: Path) -> list[Path]:
    """The paths that a csv lists; none where it does not read: that is for its reader to say."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = [{(key or "").strip().lower(): value for key, value in row.items()} for row in csv.DictReader(stream)]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    return [file.parent / path.strip() for row in rows if isinstance(path := row.get("path"), str) and path.strip()]


def _size(file: Path) -> tuple[int, int] | None:
    """Height and width, from the file's header."""
    try:
        with Image.open(file) as picture:
            return picture.height, picture.width
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return None

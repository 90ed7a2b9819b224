"""label: a teacher names what images without labels show; what it is sure of becomes data for distill and compress."""

import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekd.cli.face import Face
from edgekd.cli.options import Flags

if TYPE_CHECKING:
    from edgekd.label import Labelled, Rules
    from edgekd.report.cells import Table

Data = Annotated[str, typer.Argument(metavar="DATA", help="folder:DIR (every picture below it), or npz:FILE (an array x of uint8 images).")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="The folder of the result.  [default: runs/label- and the data's name]")]
Known = Annotated[
    str | None, typer.Option("--known", metavar="SPEC", help="Images with labels: the teacher is scored on them first, and its settings are checked.")
]
Confidence = Annotated[str, typer.Option("--confidence", metavar="SHARE", help="Least probability of a label.")]
Agreement = Annotated[str, typer.Option("--agreement", metavar="SHARE", help="Least share of an image's other views with the same label.")]
Views = Annotated[int, typer.Option("--views", metavar="K", help="How many other views of each image the teacher is asked about; 0: none.")]
NoFlip = Annotated[bool, typer.Option("--no-flip", help="Mirroring changes what these images mean, as of digits and text: no view is mirrored.")]
PerClass = Annotated[
    str | None,
    typer.Option("--per-class", metavar="N|balance", help="Most images of a class, the surest first; balance: as many as the rarest class has."),
]
Duplicates = Annotated[
    str, typer.Option("--duplicates", metavar="BITS|off", help="Leave out an image that looks like a kept one: so few of 64 bits differ.")
]

WIDTH = 80
SHOWN = 20
"""Classes that the table lists; of more, the commonest and the rarest."""


@dataclass(frozen=True)
class Labeller:
    """The teacher and the images by flags, as the recipe's `Flags` have them."""

    teacher: Annotated[str | None, typer.Option("--teacher", metavar="MODEL", help="Who labels: as a recipe names it, or FILE.onnx.")] = None
    teacher_weights: Annotated[str | None, typer.Option("--teacher-weights", metavar="pretrained|FILE", help="Its weights.")] = None
    weights_key: Annotated[str | None, typer.Option("--weights-key", metavar="KEY", help="Where in that file they stand.")] = None
    teacher_mean: Annotated[str | None, typer.Option("--teacher-mean", metavar="M,M,M", help="What it subtracts, per channel in [0, 1].")] = None
    teacher_std: Annotated[str | None, typer.Option("--teacher-std", metavar="S,S,S", help="What it divides by, per channel in [0, 1].")] = None
    teacher_size: Annotated[str | None, typer.Option("--teacher-size", metavar="HxW", help="Pixels at which it wants its images.")] = None
    teacher_colour: Annotated[str | None, typer.Option("--teacher-colour", metavar="rgb|bgr|grey", help="Its channels and their order.")] = None
    teacher_classes: Annotated[
        str | None,
        typer.Option("--teacher-classes", metavar="FILE|A,B,…", help="Its class names in the order of its outputs, where its file has none."),
    ] = None
    size: Annotated[str | None, typer.Option("--size", metavar="HxW", help="Pixels at which images are held, as in 96x512 or 224.")] = None
    channels: Annotated[int | None, typer.Option("--channels", metavar="1|3", help="Grey or colour.")] = None
    device: Annotated[str | None, typer.Option("--device", metavar="NAME", help="Where the teacher answers: cpu, cuda, cuda:1.")] = None


def label(
    data: Data,
    *,
    by: Labeller,
    out: Out = None,
    known: Known = None,
    confidence: Confidence = "80 %",
    agreement: Agreement = "75 %",
    views: Views = 4,
    no_flip: NoFlip = False,
    per_class: PerClass = None,
    duplicates: Duplicates = "2",
    face: Face,
) -> None:
    """Let a teacher label images, and keep what it is sure of.

    The result is data for distill and compress, with the teacher's own answers beside the labels: name it with --data, and test images that
    people labelled with --test. Why an image was left out stands in rejected.jsonl. A killed run goes on where it was; with other rules the
    teacher is not asked again.
    """
    from edgekd.cli.resolve import recipe_from, run_name
    from edgekd.recipe import Recipe

    cwd = Path.cwd()
    recipe = recipe_from(Recipe(), Flags(data=data, **asdict(by)), base=cwd, cwd=cwd)
    folder = out or Path("runs") / f"label-{run_name(None, data)}"
    from edgekd.label import label as work  # after what was typed has been read, as this takes seconds

    rules = _rules(confidence, agreement, views, duplicates, per_class)
    with face.watching(folder) as emit:
        result = work(recipe, rules, folder=folder, known=known, flip=not no_flip, base=cwd, emit=emit)
    face.result(told(result), result)


def told(result: "Labelled") -> str:
    """The result as text of at most 80 columns."""
    from edgekd.report.text import drawn

    command = f"edgekd compress --data {shlex.quote(result.data)} --test SPEC"
    lines = [f"reasons {result.reasons}", f"data    {result.data}", "", f"{command} \\", "  --teacher answers --student MODEL"]
    return "\n".join([drawn([_images(result), _classes(result)], width=WIDTH), "", *lines])


def _images(result: "Labelled") -> "Table":
    from edgekd.label.rules import REASONS
    from edgekd.report.cells import Column, Table
    from edgekd.units import percent_text

    rows = [("kept", result.kept), *((f"{reason}: {REASONS[reason]}", number) for reason, number in result.rejected.items())]
    columns = [
        Column("images", [name for name, _ in rows]),
        Column("number", [f"{number:,}" for _, number in rows]),
        Column("share", [percent_text(number / result.images) for _, number in rows]),
    ]
    return Table(f"{result.images:,} images, labelled by {result.teacher}", "", columns)


def _classes(result: "Labelled") -> "Table":
    from edgekd.report.cells import Column, Table
    from edgekd.units import percent_text

    names = list(result.classes)
    by_count = sorted(names, key=lambda name: -result.classes[name])
    if len(names) > SHOWN:
        names = [*by_count[: SHOWN // 2], *by_count[-SHOWN // 2 :]]
    most, fewest = by_count[0], by_count[-1]
    alike = result.classes[most] == result.classes[fewest]
    note = "as many of each" if alike else f"most: {most} ({result.classes[most]:,}); fewest: {fewest} ({result.classes[fewest]:,})"
    note += f"; the commonest and the rarest of {len(result.classes)} classes" if len(names) < len(result.classes) else ""
    columns = [
        Column("class", names),
        Column("kept", [f"{result.classes[name]:,}" for name in names]),
        Column("mean confidence", [percent_text(result.confidence[name]) for name in names]),
    ]
    return Table("Kept by class", note, columns)


def _rules(confidence: str, agreement: str, views: int, duplicates: str, per_class: str | None) -> "Rules":
    from edgekd.label.rules import Rules

    return Rules(
        confidence=_share(confidence, "--confidence"),
        agreement=_share(agreement, "--agreement"),
        views=views,
        duplicates=None if duplicates == "off" else _whole(duplicates, "--duplicates takes a number of bits, or off"),
        per_class=None if per_class is None else "balance" if per_class == "balance" else _whole(per_class, "--per-class takes a number, or balance"),
    )


def _share(text: str, flag: str) -> float:
    from edgekd.errors import UsageError
    from edgekd.units import parse_fraction

    try:
        return parse_fraction(text)
    except UsageError as error:
        raise UsageError(f"{flag}: {error}") from None


def _whole(text: str, rule: str) -> int:
    from edgekd.errors import UsageError

    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{rule}; got {text!r}") from None

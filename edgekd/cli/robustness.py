"""robustness: how steady the answers of teacher, students and students alone are, of a run's networks or of bare files."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekd.cli.bare import aligned, opened, preprocess_of, several
from edgekd.cli.face import Face
from edgekd.cli.options import Flags

if TYPE_CHECKING:
    from edgekd.scores import Robustness

What = Annotated[list[Path], typer.Argument(metavar="RUN|FILE.onnx", help="A run's folder (or its recipe), or bare files.")]
Data = Annotated[str | None, typer.Option("--data", metavar="SPEC", help="The images that bare files are asked about.")]
Teacher = Annotated[Path | None, typer.Option("--teacher", metavar="FILE.onnx", help="What bare files are compared with.")]
Images = Annotated[int, typer.Option("--images", metavar="N", help="How many test images are corrupted and moved, of each class as many.")]


def robustness(what: What, *, data: Data = None, teacher: Teacher = None, images: Images = 1000, face: Face) -> None:
    """Say how steady the answers of students and teacher are.

    On images that are noisy, blurred, foggy or badly stored, and on images that FGSM has moved; and how well calibrated they are before and after a
    temperature is fitted. Of a run every network, the students taught alone among them, and its report tells it from then on. Bare files need
    --data, and have no gradient to move images along.
    """
    from edgekd.errors import UsageError

    if images < 2:
        raise UsageError(f"--images takes a number of 2 or more, got {images}")
    if all(path.suffix == ".onnx" for path in what):
        _bare(face, what, data, teacher, images)
        return
    if len(what) > 1:
        raise UsageError(f"give one run, or .onnx files only; got {', '.join(map(str, what))}")
    if (data, teacher) != (None, None):
        raise UsageError("--data and --teacher are for bare files: a run has its own. Take them away, or give .onnx files.")
    _run(face, what[0], images)


def _run(face: Face, path: Path, images: int) -> None:
    """Every network of a run; what is missing before that is made first."""
    from edgekd.cli.jobs import job_from
    from edgekd.errors import MissingError

    job = job_from(path, Flags(), None)
    from edgekd import compress  # after what was typed has been read, as this takes seconds

    with face.watching(job.folder) as emit:
        report = compress.robustness(job.recipe, folder=job.folder, origin=job.origin, base=job.base, emit=emit, images=images)
    if report.robustness is None:
        raise MissingError(f"{job.folder} has no network that could be asked. `edgekd compress` makes some.")
    face.result(f"{told(report.robustness)}\n\nreport  {job.folder / 'report.html'}", report.robustness)


def _bare(face: Face, files: Sequence[Path], data: str | None, teacher: Path | None, images: int) -> None:
    """Files that carry their Preprocess, on any images of their classes."""
    from edgekd.data import source
    from edgekd.errors import UsageError
    from edgekd.evaluate import robustness as asking
    from edgekd.gate.bare import bare_report

    if data is None:
        raise UsageError("bare files are asked about images of yours: add --data SPEC, as in --data folder:photos")
    every = [*([] if teacher is None else [teacher]), *files]
    names = [artifact.network for artifact in bare_report(every).artifacts]
    if several(every):
        raise UsageError("robustness is measured of one label an image; several labels an image have no such figures yet.")
    carried = [preprocess_of(file) for file in every]
    # Each file takes images down to its own size: none may see pictures that were made smaller for another.
    largest = max(carried, key=lambda each: math.prod(each.size or (0, 0)))
    found, answers = [], None
    with face.watching() as emit:
        held = source.load(data, size=largest.size, crop_fraction=largest.crop_fraction, emit=emit)
        exam = asking.Exam(held.valid, held.test, held.classes, images=images)
        for file, name in zip(every, names, strict=True):
            with opened(file) as answer:
                predict = aligned(answer, file, held.classes)
                if file is teacher:
                    found.append(asking.examined(exam, predict, name=f"teacher/{name}", role="teacher", emit=emit))
                    answers = asking.answers(exam, predict, name=f"teacher/{name}", emit=emit)
                else:
                    found.append(asking.examined(exam, predict, name=f"file/{name}", role="file", teacher=answers, emit=emit))
    notes = ["a file has no gradient: FGSM takes the networks of a run, as in `edgekd robustness RUN`", *held.notes]
    result = asking.together(exam, found, notes)
    face.result(told(result), result)


def told(robustness: "Robustness") -> str:
    """The figures as text of at most 80 columns."""
    from edgekd.record import Report
    from edgekd.report.columns import tables
    from edgekd.report.text import drawn

    return drawn(tables(Report(edgekd="", name="", created="", robustness=robustness)))

"""predict: what pictures show by a bare file, with its teacher's answer beside it."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekd.cli.bare import class_names, metadata, opened, preprocess_of
from edgekd.cli.face import Face

if TYPE_CHECKING:
    from edgekd.events import Emit

File = Annotated[Path, typer.Argument(metavar="FILE.onnx", help="A classifier that carries its Preprocess, as edgekd exports it.")]
Pictures = Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Picture files of any size.")]
TeacherFile = Annotated[
    Path | None, typer.Option("--teacher", metavar="FILE.onnx", help="Another file to answer beside it.  [default: its run's teacher]")
]

TOP = 5


def predict(file: File, image: Pictures, *, teacher: TeacherFile = None, face: Face) -> None:
    """Say what pictures show, with the teacher's answer beside it."""
    with face.watching() as emit:
        other = teacher or _teacher_of(file, emit)
    files = [file] if other is None else [file, other]
    with contextlib.ExitStack() as stack:
        networks = [stack.enter_context(_answering(path)) for path in files]
        answers = [[network(path) for network in networks] for path in image]
    names = [str(path) for path in files]
    text = "\n\n".join(_beside(str(path), names, told) for path, told in zip(image, answers, strict=True))
    face.result(text, [{"image": str(path), **dict(zip(("top", "teacher"), told, strict=False))} for path, told in zip(image, answers, strict=True)])


@contextlib.contextmanager
def _answering(file: Path) -> Iterator[Any]:
    """A function from a picture's path to its likeliest classes with their probabilities, by one file; of several labels to those that it shows."""
    import numpy as np

    from edgekd.record import carried_thresholds
    from edgekd.tasks.multilabel import probabilities

    preprocess, names, thresholds = preprocess_of(file), class_names(file), carried_thresholds(metadata(file), file)
    with opened(file) as answer:

        def top(path: Path) -> list[dict[str, Any]]:
            logits = answer({"images": read_picture(path, preprocess)[None]})["logits"][0].astype(np.float64)
            shares = np.exp(logits - logits.max())
            shares /= shares.sum()
            likeliest = np.argsort(-shares, kind="stable")[:TOP].tolist()
            if thresholds is not None:
                shares = probabilities(logits)
                likeliest = [k for k in np.argsort(-shares, kind="stable").tolist() if shares[k] >= thresholds[k]]
            return [{"class": names[k] if names else str(k), "probability": float(shares[k])} for k in likeliest]

        yield top


def read_picture(path: Path, preprocess: Any) -> Any:
    """One picture as uint8 (h, w, c), the part that the network wants at the size that it wants.

    Raises:
        UsageError: it cannot be read as a picture.
    """
    from PIL import Image

    from edgekd.data.pictures import fit
    from edgekd.errors import UsageError

    channels = 1 if preprocess.colour == "grey" else 3
    try:
        with Image.open(path) as picture:
            size = preprocess.size or (picture.height, picture.width)
            return fit(picture, (*size, channels), preprocess.crop_fraction)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or "not a picture, or a broken one"
        raise UsageError(f"{path} cannot be read: {reason}. Give PNG, JPEG or another format that Pillow reads.") from None


def _teacher_of(file: Path, emit: "Emit") -> Path | None:
    """The teacher's fp32 file of the run that a file lies in; None for a teacher's own, for files of no run, and for what an earlier recipe made."""
    from edgekd.events import Note
    from edgekd.reportfile import read_report

    folder = next((folder for folder in file.resolve().parents if (folder / "report.json").is_file()), None)
    if folder is None:
        return None
    artifacts = read_report(folder).artifacts
    if file.resolve() not in [(folder / artifact.path).resolve() for artifact in artifacts]:
        emit(Note(text=f"{file} is none of the files that the report of {folder.name} tells of: its teacher is not known. Name one with --teacher."))
        return None
    found = [folder / artifact.path for artifact in artifacts if artifact.role == "teacher" and artifact.precision in ("fp32", "as-is")]
    return next((path for path in found if path.is_file() and path.resolve() != file.resolve()), None)


def _beside(image: str, names: Sequence[str], answers: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    """One picture's answers as text, a column a file."""
    from edgekd.units import percent_text

    columns = []
    for name, answer in zip(names, answers, strict=True):
        head = name if len(name) <= 36 else f"…{name[-35:]}"
        wide = max((len(str(each["class"])) for each in answer), default=0)
        lines = [f"{each['class']:{wide}} {percent_text(each['probability']):>8}" for each in answer]
        columns.append([head, *(lines or ["none of its labels"])])
    height = max(len(column) for column in columns)
    padded = [[cell.ljust(max(map(len, column))) for cell in column + [""] * (height - len(column))] for column in columns]
    return "\n".join([image, *("  " + "    ".join(row).rstrip() for row in zip(*padded, strict=True))])

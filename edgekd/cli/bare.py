"""Bare files as those commands take them that ask for answers: what a file carries of itself, and the file answering by it."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekd.evaluate import Predict
    from edgekd.events import Emit
    from edgekd.preprocess import Preprocess


def aligned(answer: "Predict", file: Path, classes: Sequence[str]) -> "Predict":
    """The file's logits in the order of the data's classes, where the file names its own.

    Raises:
        UsageError: it was made for other classes.
    """
    from edgekd.errors import UsageError

    own = class_names(file)
    if own is None or own == list(classes):
        return answer
    if sorted(own) != sorted(classes):
        told = f"{file} tells {', '.join(own[:10])} apart, the data has {', '.join(classes[:10])}"
        if set(classes) < set(own):
            raise UsageError(f"{told}. Give images of all its classes; of a run that learnt on, `edgekd evaluate RUN` takes those that it has.")
        raise UsageError(f"{told}. Give the data that it was made for.")
    order = [own.index(name) for name in classes]
    return lambda arrays: {"logits": answer(arrays)["logits"][:, order]}


def several(files: Sequence[Path]) -> bool:
    """Whether these files tell several labels of an image, as they carry thresholds.

    Raises:
        UsageError: some do and some do not.
    """
    from edgekd.errors import UsageError
    from edgekd.record import carried_thresholds

    found = {file: carried_thresholds(metadata(file), file) is not None for file in files}
    if len(set(found.values())) > 1:
        one, many = (next(file for file, has in found.items() if has is wanted) for wanted in (False, True))
        raise UsageError(f"files are compared on one task, and {many} tells several labels of an image, {one} one. Evaluate them apart.")
    return any(found.values())


def thresholds_for(file: Path, classes: Sequence[str]) -> list[float]:
    """The file's thresholds in the order of the data's labels; none where it tells one label of an image."""
    from edgekd.record import carried_thresholds

    found, own = carried_thresholds(metadata(file), file) or [], class_names(file) or list(classes)
    return [found[own.index(name)] for name in classes] if found else []


def metadata(file: Path) -> Mapping[str, str]:
    """What a file says of itself."""
    from edgekd.graph import summary

    return summary(file).metadata


def class_names(file: Path) -> list[str] | None:
    """The names of its classes, in the order of its outputs; None where it names none."""
    import msgspec

    text = metadata(file).get("edgekd.classes")
    return None if text is None else msgspec.json.decode(text, type=list[str])


def preprocess_of(file: Path) -> "Preprocess":
    """The file's Preprocess.

    Raises:
        UsageError: it carries none, or one that does not read.
    """
    from edgekd.errors import UsageError
    from edgekd.preprocess import carried_preprocess

    found = carried_preprocess(metadata(file), file)
    if found is None:
        raise UsageError(
            f"{file} does not say how it wants its images. Bring it once with "
            f"edgekd compress --no-student --teacher {file} --teacher-mean M,M,M --teacher-std S,S,S --teacher-size HxW --data SPEC; its export does."
        )
    return found


@contextlib.contextmanager
def opened(file: Path, host: str = "local", python: Sequence[str] = (), emit: "Emit | None" = None) -> "Iterator[Predict]":
    """A file that answers, here by ONNX Runtime, on another machine by what runs it there; `emit` is told of that."""
    from edgekd.bench import answering
    from edgekd.device.host import connect
    from edgekd.device.predict import open_predict
    from edgekd.events import silent

    with connect(host, python) as session:
        with open_predict(session, file) if host == "local" else answering(session, file, emit or silent) as answer:
            yield answer

"""A file as a Predict on a machine, by what that machine's own target runs it by: the very engine that is timed, where it is one.

In: a session and a file. Out: a `Predictor`, and a word about what answers. What the answers are worth is `evaluate`'s.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.bench import opening
from edgekd.bench.plan import Way
from edgekd.bench.where import fitting
from edgekd.device.session import Session
from edgekd.events import Emit, Note

if TYPE_CHECKING:
    from edgekd.device.predict import Predictor


def answering(session: Session, file: Path, emit: Emit) -> "Predictor":
    """Open a file as its machine would run it; an engine is built there unless it stands. Where only trtexec runs engines, which answers no images,
    the CPU answers, and that is said.

    Raises:
        UsageError, DeviceError, MissingExtra: as `open_predict` and `opening.build`.
    """
    from edgekd.device.predict import open_predict  # numpy

    what, who, lacks = fitting(session)
    if not what.by_engine:
        emit(Note(text=f"{who}: {what.runtime} answers{lacks}"))
        return open_predict(session, file, provider=what.provider)
    built = opening.build(session, what, file, Way(), emit)
    if built["by"] != "python":
        emit(Note(text=f"{who}, where {built['by']} runs engines and answers no images: ONNX Runtime answers, on the CPU"))
        return open_predict(session, file)
    emit(Note(text=f"{who}: an engine of {built['library']} {built['version']} answers"))
    how = opening.wishes(what, Way(), shape=False)
    return open_predict(session, file, provider=how.pop("provider"), batch=opening.batches(what, Way())[-1], how=how)

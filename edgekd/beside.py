"""An ONNX model as all its files: those of external data lie beside the one that is named, and belong to it."""

from collections.abc import Sequence
from pathlib import Path, PurePath

from edgekd.device.agent import onnxfile
from edgekd.device.agent.protocol import RefusedError
from edgekd.errors import MissingError, UsageError


def external_names(path: Path) -> list[str]:
    """The files of external data that a model reads, each once, as it names them: relative to its folder.

    Raises:
        UsageError: the file is no ONNX model.
    """
    try:
        return onnxfile.external(str(path))
    except RefusedError as error:
        raise UsageError(f"{error}. Give a file that torch.onnx.export or edgekd wrote.") from None


def external_files(path: Path) -> list[Path]:
    """The same as paths.

    Raises:
        UsageError: as `external_names`, or a file lies outside the model's folder. MissingError: a file is not there.
    """
    return found(path, external_names(path))


def found(path: Path, names: Sequence[str]) -> list[Path]:
    """The files of these names beside a model; raises as `external_files`."""
    for name in names:
        place = PurePath(name)
        if place.is_absolute() or ".." in place.parts:
            raise UsageError(f"{path} keeps weights outside its own folder, in {name}, where runtimes do not look. Save both in one folder.")
        if not (path.parent / name).is_file():
            raise MissingError(f"{path} keeps its weights in {name}, which is not beside it. Copy both, or export one file.")
    return [path.parent / name for name in names]


def refuse_part(path: Path) -> None:
    """Refuse what is no whole ONNX model, as a download that broke off.

    Raises:
        UsageError: it is none.
    """
    try:
        onnxfile.read(str(path))
    except RefusedError as error:
        raise UsageError(f"{error}. It was cut off, or is something else: get it anew.") from None


def model_sha256(path: Path, names: Sequence[str] | None = None) -> str:
    """What a model is known by: the sha256 of its file, or of that and those of its external data, whose `names` may be known already; raises as
    `external_files`."""
    names = external_names(path) if names is None else names
    found(path, names)
    return onnxfile.digest(str(path), names)

"""An ONNX model as all its files: those of external data lie beside the one that is named, and belong to it."""

from pathlib import Path

from edgekd.device.agent import onnxfile
from edgekd.device.agent.protocol import RefusedError
from edgekd.errors import MissingError, UsageError


def external_files(path: Path) -> list[Path]:
    """The files of external data that a model reads, each once.

    Raises:
        UsageError: the file is no ONNX model. MissingError: a file is not beside it.
    """
    try:
        files = [path.parent / name for name in onnxfile.external(str(path))]
    except RefusedError as error:
        raise UsageError(f"{error}. Give a file that torch.onnx.export or edgekd wrote.") from None
    for file in files:
        if not file.is_file():
            raise MissingError(f"{path} keeps its weights in {file.name}, which is not beside it. Copy both, or export one file.")
    return files


def refuse_part(path: Path) -> None:
    """Refuse what is no whole ONNX model, as a download that broke off.

    Raises:
        UsageError: it is none.
    """
    try:
        onnxfile.read(str(path))
    except RefusedError as error:
        raise UsageError(f"{error}. It was cut off, or is something else: get it anew.") from None


def model_sha256(path: Path) -> str:
    """What a model is known by: the sha256 of its file, or of that and those of its external data; raises as `external_files`."""
    external_files(path)
    return onnxfile.digest(str(path))

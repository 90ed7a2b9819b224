"""An ONNX model as all its files: those of external data lie beside the one that is named, and belong to it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import TypeVar

from edgekd.device.agent import onnxfile
from edgekd.device.agent.onnxfile import Said
from edgekd.device.agent.protocol import RefusedError
from edgekd.errors import MissingError, UsageError

A = TypeVar("A")
_WRITTEN = "Give a file that torch.onnx.export or edgekd wrote."


def external_names(path: Path) -> list[str]:
    """The files of external data that a model reads, each once, as it names them: relative to its folder.

    Raises:
        UsageError: the file is no ONNX model.
    """
    return sorted(external_sizes(path))


def external_sizes(path: Path) -> dict[str, int]:
    """The same, each with the bytes that the model reads of it at least; raises as `external_names`."""
    return _asked(onnxfile.external_sizes, path, _WRITTEN)


def external_files(path: Path) -> list[Path]:
    """The same as paths.

    Raises:
        UsageError: as `external_names`, or a file lies outside the model's folder. MissingError: a file is not there.
    """
    return found(path, external_names(path))


def refuse_cut_off(path: Path, sizes: Mapping[str, int]) -> None:
    """Refuse a model whose external data, which are there, end before its tensors do (`external_sizes`), as after a copy that broke off.

    Raises:
        UsageError: they do.
    """
    for name, least in sizes.items():
        has = (path.parent / name).stat().st_size
        if has < least:
            raise UsageError(f"{path} reads {least:,} bytes of {name}, which has {has:,}. It was cut off: get it anew.")


def found(path: Path, names: Sequence[str]) -> list[Path]:
    """The files of these names beside a model; raises as `external_files`."""
    for name in names:
        if leads_out(name):
            raise UsageError(f"{path} keeps weights outside its own folder, in {name}, where runtimes do not look. Save both in one folder.")
        if not (path.parent / name).is_file():
            raise MissingError(f"{path} keeps its weights in {name}, which is not beside it. Copy both, or export one file.")
    return [path.parent / name for name in names]


def leads_out(name: str) -> bool:
    """Whether a file that a model names may lie outside the model's folder."""
    return PurePath(name).is_absolute() or ".." in PurePath(name).parts


def said(path: Path, remedy: str = _WRITTEN) -> Said:
    """What a model says of itself, read from all of its file.

    Raises:
        UsageError: it is no whole ONNX model, as a download that broke off; `remedy` ends the message.
    """
    return _asked(onnxfile.read, path, remedy)


def _asked(read: Callable[[str], A], path: Path, remedy: str) -> A:
    try:
        return read(str(path))
    except RefusedError as error:
        raise UsageError(f"{error}. {remedy}") from None


def model_sha256(path: Path, names: Sequence[str] | None = None) -> str:
    """What a model is known by: the sha256 of its file, or of that and those of its external data, whose `names` may be known already; raises as
    `external_files`."""
    names = external_names(path) if names is None else names
    found(path, names)
    return onnxfile.digest(str(path), names)

"""Bare .onnx files → a report of nothing but them, for limits that need no run.

Size and hash take the core install only; parameters, MACs, opset, operators and layers the extra `measure`. Nothing is run and no weights are loaded.
"""

import os
from collections.abc import Sequence
from pathlib import Path, PurePath

from edgekd import __version__
from edgekd.errors import MissingError, MissingExtra, UsageError
from edgekd.externaldata import external_sizes, found, model_sha256, refuse_cut_off, said
from edgekd.gate import lfs
from edgekd.record import Artifact, Report

_TAGS = frozenset(bytes([tag]) for tag in (0x08, 0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42, 0x72, 0xA2, 0xCA))
"""How a ModelProto may begin: the tag of one of its fields (onnx.proto)."""


def is_bare(path: Path | str) -> bool:
    """Whether a path names an .onnx file and no report."""
    return PurePath(path).suffix == ".onnx"


def bare_report(files: Sequence[Path], *, deep: bool = True) -> Report:
    """A report of nothing but these files, as artifacts `file/NAME/as-is`."""
    names = short_names(files)
    artifacts = [inspect(file, name, deep=deep) for file, name in zip(files, names, strict=True)]
    return Report(edgekd=__version__, name=", ".join(names), created="", artifacts=artifacts)


def inspect(file: Path, name: str | None = None, *, deep: bool = True) -> Artifact:
    """What can be known of an .onnx file without running it.

    Not `deep`: its size and hash only, and an opset of 0, which says that nothing else was looked at.

    Raises:
        MissingError: no such file, or git LFS has left a pointer in its place. UsageError: it is not an ONNX model.
        MissingExtra: `deep`, and onnx is not installed.
    """
    if not file.is_file():
        raise MissingError(f"no file at {file}. Give the path of an .onnx file.")
    if not file.stat().st_size:
        raise UsageError(f"{file} is empty and no ONNX model. Export it again.")
    lfs.refuse_pointer(file)
    with file.open("rb") as opened:
        if opened.read(1) not in _TAGS:
            raise UsageError(f"{file} is not an ONNX model: it does not begin as one. Something else was saved in its place; get it anew.")
    network, sizes = name or file.stem, external_sizes(file)
    names = sorted(sizes)
    external = found(file, names)
    for beside in external:
        lfs.refuse_pointer(beside)
    refuse_cut_off(file, sizes)
    sha256, size = model_sha256(file, names), sum(each.stat().st_size for each in (file, *external))
    if not deep:
        said(file, "It was cut off, or is something else: get it anew.")
        return Artifact(role="file", network=network, precision="as-is", path=str(file), sha256=sha256, size=size, params=0, macs=None, opset=0)
    try:
        from edgekd.graph import read, summarise
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "onnx", "measure") from None
    graph = summarise(read(file), size)
    return Artifact(
        role="file",
        network=network,
        precision="as-is",
        path=str(file),
        sha256=sha256,
        size=size,
        params=graph.params,
        macs=graph.macs,
        opset=graph.opset,
        quantised=graph.quantised,
        operators=graph.operators,
        layers=graph.layers,
    )


def short_names(files: Sequence[Path]) -> list[str]:
    """The files' stems; where several are equal, as many folders before them as tell them apart: main-model and pr-model. Folders that all files
    lie in are not named: they are called something else in another checkout.

    Raises:
        UsageError: one file given twice.
    """
    common = os.path.commonpath([file.absolute().parent for file in files]) if files else ""
    parts = [file.absolute().relative_to(common).with_suffix("").parts for file in files]
    if len(set(parts)) < len(parts):
        raise UsageError(f"each file once: {', '.join(map(str, files))}")
    names = [own[-1] for own in parts]
    for depth in range(2, max((len(own) for own in parts), default=0) + 1):
        if len(set(names)) == len(names):
            break
        names = ["-".join(own[-depth:]) if names.count(name) > 1 else name for own, name in zip(parts, names, strict=True)]
    return names

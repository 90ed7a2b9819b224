"""What labelling comes to, as files: the kept images with their labels, and each rejected image with its reason.

    labelled.npz     x_train uint8 (n, h, w, c), y_train int64 (n,), logits_train float16 (n, classes), classes, names_train: what `npz:` reads
    rejected.jsonl   one JSON object a line

Pixels are read and written some at a time, so that images which do not fit in memory can be labelled.
"""

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekd.data.arrays import LOGITS, MARK
from edgekd.data.images import Images
from edgekd.events import Emit, Progress
from edgekd.files import atomic_path, write_atomic
from edgekd.label.rules import Decision, Rejected

REJECTED = "rejected.jsonl"
_SOME = 256
"""Images that are read at once."""


def write_labelled(file: Path, images: Images, decision: Decision, names: Sequence[str], classes: Sequence[str], emit: Emit) -> None:
    """Write the kept images as an npz file, the same bytes for the same images and decisions."""
    kept = decision.kept
    small: dict[str, NDArray[Any]] = {
        "y_train": decision.labels[kept],
        LOGITS: decision.logits[kept],
        "classes": np.array(classes, dtype=np.str_),
        MARK: np.array([names[number] for number in kept], dtype=np.str_),
    }
    with atomic_path(file) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "x_train", "|u1", (len(kept), *images.shape), _pixels(images, kept, emit))
        for name, array in small.items():
            _add(archive, name, np.lib.format.dtype_to_descr(array.dtype), array.shape, [array.tobytes()])


def write_rejected(file: Path, rejected: Iterable[Rejected]) -> None:
    """Write the rejected images, a JSON object a line."""
    write_atomic(file, b"".join(msgspec.json.encode(each) + b"\n" for each in rejected))


def _pixels(images: Images, kept: NDArray[np.int64], emit: Emit) -> Iterator[bytes]:
    for start in range(0, len(kept), _SOME):
        chosen = kept[start : start + _SOME]
        yield images.read(chosen).tobytes()
        emit(Progress(what="writing the labelled images", done=start + len(chosen), total=len(kept)))


def _add(archive: zipfile.ZipFile, name: str, kind: Any, shape: tuple[int, ...], data: Iterable[bytes]) -> None:
    """One array of an npz file: an .npy file in a zip archive, without the time of day."""
    entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
    with archive.open(entry, "w", force_zip64=True) as out:
        np.lib.format.write_array_header_1_0(out, {"descr": kind, "fortran_order": False, "shape": shape})
        for block in data:
            out.write(block)

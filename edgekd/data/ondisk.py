"""Pixels that do not fit in memory: at training size in one file that no name leads to, so that nothing of it is left when the process ends.

In: a shape. Out: an array that is read and written like any other, at the pace of the disk and of what the system keeps of it in memory; None where
there is no room.
"""

import contextlib
import math
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from edgekd import units
from edgekd.data.images import Pixels
from edgekd.events import Emit, Note

SHARE = 0.8
"""Of the free space at most: others need some too."""


def reserved(shape: tuple[int, ...], emit: Emit) -> Pixels | None:
    """An array uint8 of that shape in a file whose space is taken at once: a full disk is told here and is not a bus error later."""
    folder, size = place(), math.prod(shape)
    text = units.bytes_text(size)
    try:
        free = shutil.disk_usage(folder).free
        if size > SHARE * free:
            emit(Note(text=f"{folder} has no room for the decoded images ({text} of {units.bytes_text(free)} free): they are decoded in every pass"))
            return None
        with tempfile.TemporaryFile(dir=folder, prefix="edgekd-images-") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            array = np.memmap(file, dtype=np.uint8, mode="r+", shape=shape)
    except OSError as error:
        emit(Note(text=f"{folder} takes no decoded images ({error.strerror}): they are decoded in every pass", level="warning"))
        return None
    emit(Note(text=f"the images are too many to be held in memory: they are decoded once, into {text} below {folder} (TMPDIR says where)"))
    return array


def place() -> Path:
    """Where temporary files may be large: TMPDIR, else /var/tmp, which lies on a disk where /tmp may lie in memory."""
    if os.environ.get("TMPDIR") or sys.platform == "win32":
        return Path(tempfile.gettempdir())
    large = Path("/var/tmp")
    with contextlib.suppress(OSError):
        if os.access(large, os.W_OK):
            return large
    return Path(tempfile.gettempdir())

"""What a page draws of a split's answers: how sure they are, what is mixed up with what, and on which images teacher and student differ.

Arrays in, records out. Which of it is shown, and how, is the report's.
"""

import base64
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.evaluate.metrics import BINS, Labels, Logits, bin_of, log_shares
from edgekd.scores import Bin, Disagreement

LONGEST = 64
"""Pixels of the longer side of a kept picture."""

Read = Callable[[NDArray[np.int64]], NDArray[np.uint8]]
"""Positions → their images, uint8 (n, h, w, c)."""


def reliability(logits: Logits, right: NDArray[np.bool_]) -> list[Bin]:
    """How often answers of each confidence are right, by the bins that the calibration error is taken over."""
    confidence = np.exp(log_shares(logits).max(axis=1))
    place = bin_of(confidence)
    counts, sure, hits = (np.bincount(place, weights, BINS) for weights in (None, confidence, right))
    return [Bin(images=int(n), confidence=float(s / max(n, 1)), accuracy=float(h / max(n, 1))) for n, s, h in zip(counts, sure, hits, strict=True)]


def confusion(labels: Labels, answers: Labels, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many images of a class were called another, by class and answer; only what happened."""
    wrong = labels != answers
    cells, counts = np.unique(labels[wrong] * len(classes) + answers[wrong], return_counts=True)
    found: dict[str, dict[str, int]] = {}
    for cell, count in zip(cells.tolist(), counts.tolist(), strict=True):
        true, answered = divmod(cell, len(classes))
        found.setdefault(classes[true], {})[classes[answered]] = count
    return found


def disagreements(teacher: Logits, student: Logits, labels: Labels, classes: Sequence[str], read: Read, most: int) -> list[Disagreement]:
    """At most so many images that the two call differently, those first of which the less sure of the two is surest."""
    theirs, ours = teacher.argmax(axis=1), student.argmax(axis=1)
    places = np.flatnonzero(theirs != ours)
    before, now = (np.exp(log_shares(logits[places]).max(axis=1)) for logits in (teacher, student))
    first = np.argsort(-np.minimum(before, now), kind="stable")[:most]
    pictures: Iterable[NDArray[np.uint8]] = read(places[first]) if len(first) else ()
    return [
        Disagreement(
            index=int(places[at]),
            label=classes[labels[places[at]]],
            teacher=classes[theirs[places[at]]],
            student=classes[ours[places[at]]],
            teacher_probability=float(before[at]),
            student_probability=float(now[at]),
            png=base64.b64encode(png(shrunk(picture))).decode("ascii"),
        )
        for at, picture in zip(first, pictures, strict=True)
    ]


# Pictures -------------------------------------------------------------------------------------------------------------


def shrunk(picture: NDArray[np.uint8], longest: int = LONGEST) -> NDArray[np.uint8]:
    """A picture (h, w, c) whose longer side has at most so many pixels, each the mean of those it stands for; a small one stays."""
    height, width = picture.shape[:2]
    factor = max(height, width) / longest
    if factor <= 1:
        return picture
    rows, columns = (np.linspace(0, side, max(1, round(side / factor)) + 1).astype(np.int64) for side in (height, width))
    sums: NDArray[Any] = np.add.reduceat(np.add.reduceat(picture.astype(np.int64), rows[:-1], axis=0), columns[:-1], axis=1)
    areas = np.diff(rows)[:, None, None] * np.diff(columns)[None, :, None]
    return np.asarray((sums / areas).round(), np.uint8)


def png(picture: NDArray[np.uint8]) -> bytes:
    """A grey or colour picture (h, w, 1 or 3) as a PNG file: without a filter, as pictures this small gain nothing by one."""
    height, width, channels = picture.shape
    lines = np.zeros((height, 1 + width * channels), np.uint8)  # each line begins with its filter's number
    lines[:, 1:] = picture.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

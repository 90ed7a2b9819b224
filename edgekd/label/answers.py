"""A teacher's answers to all images, each as it is and in other views: asked once, kept in parts, gone on with after a kill.

In: the network, the images, a folder. Out: `Answers`. Each part is an .npz file of the images from the number in its name on, renamed when whole,
written every few seconds and when the process is asked to stop: a kill costs what was asked since. Nothing here judges an answer.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekd.data import views
from edgekd.data.images import Images
from edgekd.events import Emit, Note, Progress
from edgekd.files import atomic_path
from edgekd.label.perceptual import difference_hash
from edgekd.label.rules import Answers
from edgekd.models.load import Network
from edgekd.phases import Augment

BATCH = 64
"""Images that are asked about at once, in each of their views."""
PART_S = 10.0
"""Seconds between two parts."""
VIEW_SEED = 0
FORMAT = 1
"""Version of what a part holds; in the key of the stage."""

Piece = tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.uint64]]
"""The three arrays of `Answers` for some images that follow each other."""


def ask(network: Network, images: Images, folder: Path, *, number: int, augment: Augment, device: torch.device, emit: Emit) -> Answers:
    """The answers to all images in order, each also in views 0 to `number` - 1 that `augment` makes.

    `folder` is for these very answers only: what stands there is not asked again.
    """
    pieces = list(_kept(folder, number, network.classes, len(images), emit))
    start = sum(len(piece[0]) for piece in pieces)
    if start and start < len(images):
        emit(Note(text=f"the teacher's answers to {start} of {len(images)} images stand; it goes on from there"))
    waiting: list[Piece] = []
    network = network.to(device).eval()
    written = time.monotonic()

    def keep() -> None:
        if waiting:
            place = sum(len(piece[0]) for piece in pieces)
            pieces.append(_joined(waiting))
            waiting.clear()
            _write(folder, place, pieces[-1])

    try:
        for done, pixels, hashes in _read_ahead(images, start):
            waiting.append((*_answered(network, pixels, done - len(hashes), number, augment, device), hashes))
            emit(Progress(what="asking the teacher", done=done, total=len(images)))
            if time.monotonic() - written >= PART_S:
                keep()
                written = time.monotonic()
    finally:
        keep()
    return Answers(*_joined(pieces))


def _read_ahead(images: Images, start: int) -> Iterator[tuple[int, Tensor, NDArray[np.uint64]]]:
    """Batches from an image on: where each ends, its pixels uint8 (n, c, h, w), its hashes. The next one is read while this one is used."""

    def read(place: int, end: int) -> tuple[int, Tensor, NDArray[np.uint64]]:
        pixels = images.read(np.arange(place, end))
        hashes = np.array([difference_hash(picture) for picture in pixels], dtype=np.uint64)
        return end, torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), hashes

    edges = list(pairwise([*range(start, len(images), BATCH), len(images)]))
    with ThreadPoolExecutor(1, thread_name_prefix="edgekd-read") as pool:
        coming = pool.submit(read, *edges[0]) if edges else None
        for following in [*edges[1:], None]:
            if coming is not None:
                batch = coming.result()
                coming = pool.submit(read, *following) if following is not None else None
                yield batch


def _answered(
    network: Network, pixels: Tensor, first: int, number: int, augment: Augment, device: torch.device
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Logits (n, classes) of pictures as they are, and the class (n, number) of each other view; -1 where its answer is not finite."""
    there = pixels.to(device)
    index = torch.arange(first, first + len(pixels), device=device)
    votes = np.empty((len(pixels), number), dtype=np.int32)
    with torch.inference_mode():
        logits = network(views.plain(there)).float().cpu().numpy()
        for view in range(number):
            seen = network(views.view(there, index, view, augment, VIEW_SEED)).float()
            votes[:, view] = torch.where(seen.isfinite().all(1), seen.argmax(1), -1).cpu().numpy()
    return logits, votes


# Parts ----------------------------------------------------------------------------------------------------------------


def _joined(pieces: list[Piece]) -> Piece:
    logits, votes, hashes = zip(*pieces, strict=True)
    return np.concatenate(logits), np.concatenate(votes), np.concatenate(hashes)


def _write(folder: Path, place: int, piece: Piece) -> None:
    with atomic_path(folder / f"part-{place:09}.npz") as part, part.open("wb") as out:
        np.savez(out, allow_pickle=False, logits=piece[0], votes=piece[1], hashes=piece[2])


def _kept(folder: Path, number: int, classes: int, total: int, emit: Emit) -> Iterator[Piece]:
    """The parts that stand, one after the other from image 0 on; one that does not read is dropped with what follows it."""
    place = 0
    while place < total:
        file = folder / f"part-{place:09}.npz"
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                logits, votes, hashes = (archive[name] for name in ("logits", "votes", "hashes"))
        except FileNotFoundError:
            return
        except Exception as error:  # zipfile, zlib and numpy raise what they like on a damaged file
            emit(Note(text=f"{file.name} of the teacher's answers does not read ({error}); they are asked anew from there", level="warning"))
            return
        count = len(logits)
        fits = logits.shape == (count, classes) and votes.shape == (count, number) and hashes.shape == (count,) and 0 < count <= total - place
        if not fits:
            emit(Note(text=f"{file.name} of the teacher's answers holds something else; they are asked anew from there", level="warning"))
            return
        yield logits, votes, hashes
        place += count

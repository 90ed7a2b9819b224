"""A teacher that is asked once for each view of an image, and read from files from then on.

The first time a view is needed, all images of that view are answered in order, in fixed batches, into `view-K.npy` (fp16), which is renamed when
whole; training reads only the stored values, so that a first run, a resumed one and a second student see the same numbers. The folder is shared by
all whose key is equal: the students of a run.
"""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgekd import units
from edgekd.data import memory
from edgekd.data.batches import Batches
from edgekd.distill import leading
from edgekd.distill.leading import Answers, Leading
from edgekd.distill.ranks import ALONE, Ranks
from edgekd.distill.teacher import BATCH, answer_all
from edgekd.errors import TrainingError
from edgekd.events import Emit, Note, Progress
from edgekd.files import atomic_path, sha256_json
from edgekd.phases import Augment

FORMAT = 1
"""Version of what a remembered view holds; part of the key, so that a change of views or of what is stored is never mistaken for the old."""
_CHECKED = 65536
"""Images whose stored answers are looked at together."""


class Remembered:
    """Reads the answers of a network that was asked once per view.

    Args:
        network: asked only for views that are not in `folder` yet.
        folder: where views are kept; its name is the key (`memory_key`), so that it holds this teacher's answers on these images only.
        ranks: the processes that share the folder: each asks the network for its part of a view, and the main rank writes it.
        few: keep the largest logits alone (`leading`).
    """

    def __init__(
        self,
        network: nn.Module,
        data: Batches,
        folder: Path,
        *,
        classes: int,
        augment: Augment,
        view_seed: int,
        emit: Emit,
        bf16: bool = False,
        ranks: Ranks = ALONE,
        few: bool = False,
    ) -> None:
        self.network = network
        self.data = data
        self.folder = folder
        self.classes = classes
        self.augment = augment
        self.view_seed = view_seed
        self.emit = emit
        self.bf16 = bf16
        self.ranks = ranks
        self.few = few
        self.at_once: int | None = None
        """How many images the network is asked for at a time; None: `BATCH`."""
        self._held: dict[str, Answers] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def told(self, views: int) -> str:
        """How much so many views and the plain images take on the disk, and how many of them stand there, in words."""
        one, there = math.prod(self._shape) * self._layout.itemsize, views + 1 - self.missing(views)
        return f"answers are remembered on {views} views and the plain images, {units.bytes_text(one)} each: {there} of {views + 1} stand already"

    def missing(self, views: int) -> int:
        """How many of so many views, and of the plain images, do not stand yet."""
        return sum(not (self.folder / f"{name}.npy").is_file() for name in ("plain", *(f"view-{view}" for view in range(views))))

    def answer(self, images: Tensor, positions: Tensor, view: int | None) -> Answers:
        """Stored logits (batch, classes) for view `view` (None: plain) of the images at `positions`."""
        held = self._logits("plain" if view is None else f"view-{view}", view)
        return held.at(positions) if isinstance(held, Leading) else held[positions.to(held.device)].to(self.data.device).float()

    def plain(self) -> Answers:
        """Stored logits (n, classes) for all training images, unaugmented."""
        held = self._logits("plain", None)
        return held.at(torch.arange(len(self.data))) if isinstance(held, Leading) else held.to(self.data.device).float()

    def _logits(self, name: str, view: int | None) -> Answers:
        if name not in self._held:
            file = self.folder / f"{name}.npy"
            array = self._read(file)
            if self.ranks.agreed(array is None):
                self._fill(file, view)
                array = self._read(file)
            assert array is not None, file
            self._held[name] = leading.unpacked(array, self.classes, self.data.device) if self.few else self._near(array)
        return self._held[name]

    def _near(self, array: np.ndarray) -> Tensor:
        """A view's answers on the device where they fit, else in the file: all views of a million images are tens of gigabytes."""
        held = torch.from_numpy(array)
        return held.to(self.data.device) if memory.fits(array.nbytes, self.data.device) else held

    def _read(self, file: Path) -> np.ndarray | None:
        """What a file holds, None where there is none; a file of another shape is dropped and filled anew."""
        try:
            array = np.load(file, mmap_mode="c", allow_pickle=False)  # read as it is asked for; what were written would stay here
        except FileNotFoundError:
            return None
        except (ValueError, EOFError, OSError) as error:
            self.emit(Note(text=f"the remembered teacher's {file.name} does not read ({error}); it is answered anew", level="warning"))
            return None
        sound = array.shape == self._shape and array.dtype == self._layout
        parts = [array[name] for name in ("logits", "rest")] if self.few and sound else [array]
        if not sound or not all(np.isfinite(part[start : start + _CHECKED]).all() for part in parts for start in range(0, len(part), _CHECKED)):
            self.emit(Note(text=f"the remembered teacher's {file.name} holds something else; it is answered anew", level="warning"))
            return None
        return np.asarray(array)

    def _fill(self, file: Path, view: int | None) -> None:
        if self.ranks.main:
            with atomic_path(file) as part, _reserved(part, self._shape, self._layout) as store:
                for start, half in self._halves(view, file.stem):
                    store[start : start + len(half)] = leading.packed(half) if self.few else half.cpu().numpy()
        else:
            for _ in self._halves(view, file.stem):
                pass
        self.ranks.agreed(None)  # the file stands

    @property
    def _shape(self) -> tuple[int, ...]:
        """Of a view's file."""
        return (len(self.data),) if self.few else (len(self.data), self.classes)

    @property
    def _layout(self) -> np.dtype[Any]:
        return leading.LAYOUT if self.few else np.dtype(np.float16)

    def _halves(self, view: int | None, name: str) -> Iterator[tuple[int, Tensor]]:
        """All answers in order, with the position of each piece's first. Ranks take turns at batches, which are the same for any number of them."""
        total = len(self.data)
        batches = [torch.arange(start, min(start + BATCH, total)) for start in range(0, total, BATCH)]
        mine = (self._images(each, view) for each in batches[self.ranks.number :: self.ranks.count])
        own = answer_all(self.network, mine, bf16=self.bf16, at_once=self.at_once)
        for start in range(0, total, BATCH * self.ranks.count):
            full = torch.zeros(BATCH, self.classes, dtype=torch.float16, device=self.data.device)
            if (logits := next(own, None)) is not None:
                full[: len(logits)] = logits
            half = self.ranks.gathered(full)[: total - start]
            if not torch.isfinite(half).all():
                raise TrainingError(
                    f"the teacher's logits must be finite and below 65,504 to be remembered; some in {name} are not. "
                    "Check its weights, or set train.views = 0 to ask it live."
                )
            yield start, half
            self.emit(Progress(what=f"remembering the teacher ({name})", done=start + len(half), total=total))

    def _images(self, positions: Tensor, view: int | None) -> Tensor:
        if view is None:
            return self.data.plain(positions)[0]
        return self.data.view(positions, view, self.augment, self.view_seed)[0]


@contextlib.contextmanager
def _reserved(part: Path, shape: tuple[int, ...], layout: np.dtype[Any]) -> Iterator[np.ndarray]:
    """A new .npy file mapped for writing, its space taken first: a full disk is then an error here and not a bus error later."""
    store = np.lib.format.open_memmap(part, mode="w+", dtype=layout, shape=shape)
    with part.open("r+b") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, part.stat().st_size)
    yield store
    store.flush()


def memory_key(
    *, weights: str, preprocess: object, data: str, augment: Augment, view_seed: int, precision: str, few: bool = False, code: str | None = None
) -> str:
    """What a remembered teacher's folder is called: equal exactly where the stored answers would be, but for rounding on the way to them.

    Args:
        weights: hash of the teacher's weights.
        data: hash of the training images in their order.
        code: hash of the person's own file that the teacher is built by, where one is.
    """
    return sha256_json(
        {
            "format": FORMAT,
            "weights": weights,
            "preprocess": preprocess,
            "data": data,
            "augment": augment,
            "view_seed": view_seed,
            "precision": precision,
            **({"kept": leading.KEPT} if few else {}),
            **({"code": code} if code is not None else {}),
        }
    )[:16]

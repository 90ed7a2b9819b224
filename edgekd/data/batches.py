"""Batches at hardware pace: pixels stay on the training device where they fit, else worker threads read ahead.

In: `Images` and positions in them. Out: float32 (n, c, h, w) in [0, 1], labels and positions, on the device. The order of a
pass is a pure function of (seed, pass). Nothing here decides which images a phase sees or how they are augmented.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise

import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from edgekd.data import memory, views
from edgekd.data.images import Images
from edgekd.phases import Augment

AHEAD = 3
"""Batches that workers read before they are asked for."""
_MOST_AHEAD = 16
"""More than these are not kept: each holds its pixels until it is asked for."""

Batch = tuple[Float32[Tensor, "n c h w"], Int64[Tensor, "n *labels"], Int64[Tensor, " n"]]
"""Images in [0, 1], labels (n,) or, where an image may have several, (n, labels), positions."""


def order(n: int, seed: int, pass_: int) -> Int64[Tensor, " n"]:
    """The order of pass number `pass_` over n images: a permutation of 0 to n - 1, the same on every machine (CPU tensor)."""
    return views.hash_bits(torch.arange(n), pass_, seed).argsort(stable=True)


class Batches:
    """Batches of one split on one device.

    Resident: pixels lie on the device as uint8 (n, c, h, w) when they fit in a quarter of its free memory; a batch is one
    gather. Otherwise batches are read by threads; `prefetch` names the positions that will be asked for next.
    """

    def __init__(self, images: Images, *, device: torch.device | str = "cpu") -> None:
        self.images = images
        self.device = torch.device(device)
        self.labels = torch.from_numpy(images.labels).to(self.device)
        self.index = torch.from_numpy(images.index).to(self.device)
        self._store = self._resident()
        self._pool = None if self.resident else ThreadPoolExecutor(AHEAD, thread_name_prefix="edgekd-batches")
        self._coming: dict[bytes, Future[UInt8[Tensor, "n c h w"]]] = {}

    def __len__(self) -> int:
        return len(self.images)

    @property
    def resident(self) -> bool:
        """Whether the pixels lie on the device."""
        return self._store is not None

    def view(self, positions: Int64[Tensor, " n"], view: int, augment: Augment, view_seed: int) -> Batch:
        """View number `view` of the images at these positions (a tensor on any device)."""
        pixels, there = self._pixels(positions)
        floats = views.view(pixels, self.index[there], view, augment, view_seed)
        return floats, self.labels[there], there

    def plain(self, positions: Int64[Tensor, " n"]) -> Batch:
        """The images at these positions as they are."""
        pixels, there = self._pixels(positions)
        return views.plain(pixels), self.labels[there], there

    def plain_and_view(
        self, positions: Int64[Tensor, " n"], view: int, augment: Augment, view_seed: int
    ) -> tuple[Float32[Tensor, "n c h w"], Float32[Tensor, "n c h w"]]:
        """The images at these positions as they are and in a view, read once for both."""
        pixels, there = self._pixels(positions)
        return views.plain(pixels), views.view(pixels, self.index[there], view, augment, view_seed)

    def plain_batches(self, batch: int) -> Iterator[Batch]:
        """All images as they are, in order, `batch` at a time; the last batch may be smaller."""
        pieces = [torch.arange(start, min(start + batch, len(self))) for start in range(0, len(self), batch)]
        for piece in pieces[:AHEAD]:
            self.prefetch(piece)
        for number, piece in enumerate(pieces):
            yield self.plain(piece)
            if number + AHEAD < len(pieces):
                self.prefetch(pieces[number + AHEAD])

    def prefetch(self, positions: Int64[Tensor, " n"]) -> None:
        """Start reading a batch that `view` or `plain` will soon ask for by the same positions. Free where pixels are resident."""
        if self._pool is None:
            return
        positions = positions.cpu()
        key = positions.numpy().tobytes()
        if key not in self._coming and len(self._coming) < _MOST_AHEAD:
            self._coming[key] = self._pool.submit(self._read, positions)

    def _pixels(self, positions: Int64[Tensor, " n"]) -> tuple[UInt8[Tensor, "n c h w"], Int64[Tensor, " n"]]:
        there = positions.to(self.device, non_blocking=True)
        if self._store is not None:
            return self._store.index_select(0, there), there
        positions = positions.cpu()
        coming = self._coming.pop(positions.numpy().tobytes(), None)
        pixels = self._read(positions) if coming is None else coming.result()
        return pixels.to(self.device, non_blocking=True), there

    def _read(self, positions: Int64[Tensor, " n"]) -> UInt8[Tensor, "n c h w"]:
        return torch.from_numpy(self.images.read(positions.numpy())).permute(0, 3, 1, 2).contiguous()

    def _resident(self) -> UInt8[Tensor, "n c h w"] | None:
        pixels = self.images.pixels
        if pixels is None or not memory.fits(self.images.nbytes, self.device):
            return None
        height, width, channels = self.images.shape
        store = torch.empty((len(self), channels, height, width), dtype=torch.uint8, device=self.device)
        edges = [*range(0, len(self), 4096), len(self)]
        for start, stop in pairwise(edges):  # in pieces, so that no second whole copy is ever held
            store[start:stop] = torch.from_numpy(pixels[start:stop]).permute(0, 3, 1, 2)
        return store

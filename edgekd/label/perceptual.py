"""Do two pictures look alike? A hash that small changes leave nearly as it was, and an index of those seen.

In: uint8 pictures (h, w, c). Out: 64 bits each; two pictures look alike where few of them differ (the Hamming distance). A plain surface has
no edges, so that all plain surfaces hash alike, whatever their colour. Nothing here reads files or knows labels.

The difference hash: N. Krawetz, "Kind of Like That", hackerfactor.com, 2013. The index: bits cut into one part more than may differ, so that one
part at least is the same in both (the pigeonhole principle; as in U. Manber and S. Wu's approximate matching, 1994).
"""

from itertools import pairwise

from PIL import Image

from edgekd.data.images import Pixels
from edgekd.data.pictures import as_picture

BITS = 64
MOST = 8
"""More differing bits than these are not looked for: unrelated pictures come as near, and the index would look at nearly all."""


def difference_hash(picture: Pixels) -> int:
    """64 bits of a uint8 picture (h, w, c): in grey at 8 rows of 9, whether each pixel is brighter than its right neighbour."""
    small = as_picture(picture).convert("L").resize((9, 8), Image.Resampling.BILINEAR).tobytes()
    bits = 0
    for row in range(0, 72, 9):
        for place in range(row, row + 8):
            bits = bits << 1 | (small[place] > small[place + 1])
    return bits


class Seen:
    """Hashes that differ from each other by more than `within` bits, 0 to 8.

    Raises:
        ValueError: `within` is another number.
    """

    def __init__(self, within: int) -> None:
        if not 0 <= within <= MOST:
            raise ValueError(f"within is 0 to {MOST} bits, got {within}")
        self.within = within
        edges = [BITS * part // (within + 1) for part in range(within + 2)]
        self._parts = [(low, (1 << high - low) - 1) for low, high in pairwise(edges)]
        self._by_part: list[dict[int, list[tuple[int, int]]]] = [{} for _ in self._parts]

    def near(self, bits: int) -> tuple[int, int] | None:
        """The number under which the nearest hash was added, and in how many bits it differs; None where all differ by more than `within`."""
        found = (
            ((bits ^ other).bit_count(), number)
            for (low, mask), kept in zip(self._parts, self._by_part, strict=True)
            for other, number in kept.get(bits >> low & mask, ())
        )
        distance, number = min(found, default=(BITS, -1))
        return (number, distance) if distance <= self.within else None

    def add(self, bits: int, number: int) -> None:
        """Remember a hash under a number."""
        for (low, mask), kept in zip(self._parts, self._by_part, strict=True):
            kept.setdefault(bits >> low & mask, []).append((bits, number))

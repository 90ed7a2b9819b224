"""edgekd.label.perceptual: pictures that look alike hash alike, and the index finds what a search through all finds."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgekd.data.images import Pixels
from edgekd.label.perceptual import MOST, Seen, difference_hash


def scene(seed: int, size: int = 64) -> Pixels:
    """Smooth colours, as a photograph has."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC))


def apart(first: Pixels, second: Pixels) -> int:
    """In how many bits two pictures differ."""
    return (difference_hash(first) ^ difference_hash(second)).bit_count()


def test_the_bits_are_falls_from_left_to_right() -> None:
    """A picture that gets darker to the right has all of them, one that gets brighter none; the first bit is the upper left corner's."""
    fall = np.tile(np.linspace(250, 10, 90).astype(np.uint8), (80, 1))[..., None]
    assert difference_hash(fall) == 2**64 - 1
    assert difference_hash(fall[:, ::-1]) == 0
    corner = np.zeros((8, 9, 1), np.uint8)
    corner[0, 0] = 255
    assert difference_hash(corner) == 1 << 63


@pytest.mark.parametrize("seed", range(5))
def test_small_changes_leave_it_nearly_as_it_was(seed: int) -> None:
    """JPEG, another size, brighter, in grey: a few bits. Another scene: many."""
    picture = scene(seed)
    stored = io.BytesIO()
    Image.fromarray(picture).save(stored, "JPEG", quality=60)
    changed = [
        np.asarray(Image.open(stored)),
        np.asarray(Image.fromarray(picture).resize((40, 40))),
        (picture * 0.8 + 30).astype(np.uint8),
        np.asarray(Image.fromarray(picture).convert("L"))[..., None],
    ]
    assert max(apart(picture, other) for other in changed) <= 3
    assert apart(picture, scene(seed + 100)) > 12


def test_a_plain_surface_has_no_edges() -> None:
    """Whatever its colour, in grey or not, of one pixel too: the known weakness, which the docs tell."""
    assert {difference_hash(np.full((size, size, channels), value, np.uint8)) for size in (1, 30) for channels in (1, 3) for value in (0, 255)} == {0}


@given(st.integers(0, MOST), st.lists(st.tuples(st.integers(0, 2**64 - 1), st.sets(st.integers(0, 63), max_size=MOST + 2)), max_size=12))
def test_the_index_finds_what_a_search_through_all_finds(within: int, drawn: list[tuple[int, set[int]]]) -> None:
    """The nearest of those within reach, the first of equally near ones; none beyond."""
    hashes = [bits for origin, flips in drawn for bits in (origin, origin ^ sum(1 << place for place in flips))]
    seen, kept = Seen(within), list[tuple[int, int]]()
    for number, bits in enumerate(hashes):
        nearest = min((((bits ^ other).bit_count(), before) for other, before in kept), default=(65, -1))
        expected = (nearest[1], nearest[0]) if nearest[0] <= within else None
        assert seen.near(bits) == expected
        if expected is None:
            seen.add(bits, number)
            kept.append((bits, number))


@pytest.mark.parametrize("within", [-1, MOST + 1])
def test_a_reach_that_no_index_helps_is_refused(within: int) -> None:
    """As a mistake of the program: the rules refuse it before."""
    with pytest.raises(ValueError, match=f"got {within}"):
        Seen(within)

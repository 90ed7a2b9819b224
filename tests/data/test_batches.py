"""edgekd.data.batches: resident and streamed batches are the same."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from edgekd.data import batches, memory, views
from edgekd.data.batches import Batches, order
from edgekd.data.images import Images, Integers, Pixels
from edgekd.phases import Augment

AUGMENT = Augment(crop=2, flip=True)
GOLDEN_ORDER = [7, 8, 3, 6, 1, 5, 0, 9, 4, 2]


def some_pixels(count: int = 20) -> Pixels:
    """Random images, the same every time."""
    return np.random.RandomState(0).randint(0, 256, (count, 8, 6, 3)).astype(np.uint8)


def resident(count: int = 20) -> Images:
    """Images held in memory; their index is not their position."""
    return Images(np.arange(count) % 3, np.arange(count) + 100, (8, 6, 3), pixels=some_pixels(count))


def streamed(count: int = 20, reads: list[int] | None = None) -> Images:
    """The same images behind a reader, which notes how many were read at a time."""
    pixels = some_pixels(count)

    def read(index: Integers) -> Pixels:
        if reads is not None:
            reads.append(len(index))
        return pixels[index - 100]

    return Images(np.arange(count) % 3, np.arange(count) + 100, (8, 6, 3), reader=read)


@given(n=st.integers(0, 300), seed=st.integers(0, 5), number=st.integers(0, 5))
@settings(max_examples=25)
def test_order_is_a_permutation(n: int, seed: int, number: int) -> None:
    """Every position once, and the same order when asked again."""
    first = order(n, seed, number)
    assert sorted(first.tolist()) == list(range(n))
    assert torch.equal(first, order(n, seed, number))


def test_order_is_what_it_always_was() -> None:
    """Resumed runs depend on these numbers; another seed or pass gives another order."""
    assert order(10, 0, 0).tolist() == GOLDEN_ORDER
    assert order(10, 1, 0).tolist() != GOLDEN_ORDER
    assert order(10, 0, 1).tolist() != GOLDEN_ORDER


def test_streamed_batches_equal_resident_ones() -> None:
    """Where pixels come from changes nothing."""
    held, read = Batches(resident()), Batches(streamed())
    assert held.resident
    assert not read.resident
    positions = torch.tensor([4, 0, 19, 7])
    for one, other in zip(held.view(positions, 3, AUGMENT, 5), read.view(positions, 3, AUGMENT, 5), strict=True):
        assert torch.equal(one, other)
    for one, other in zip(held.plain(positions), read.plain(positions), strict=True):
        assert torch.equal(one, other)


def test_view_goes_by_the_source_index() -> None:
    """An image has the same view in a subset as in the whole."""
    whole = Batches(resident())
    part = Batches(resident().take(np.array([5, 9])))
    assert torch.equal(part.view(torch.tensor([0, 1]), 2, AUGMENT, 0)[0], whole.view(torch.tensor([5, 9]), 2, AUGMENT, 0)[0])


def test_labels_and_positions_come_along() -> None:
    """A batch's labels belong to its positions, and its images are those of `views`."""
    data = resident()
    images, labels, positions = Batches(data).view(torch.tensor([2, 4]), 0, AUGMENT, 0)
    assert labels.tolist() == [2, 1]
    assert positions.tolist() == [2, 4]
    pixels = torch.from_numpy(some_pixels()[[2, 4]]).permute(0, 3, 1, 2)
    assert torch.equal(images, views.view(pixels, torch.tensor([102, 104]), 0, AUGMENT, 0))


@pytest.mark.parametrize("images", [resident(), streamed(), resident().take(np.array([], dtype=np.int64))])
def test_plain_batches_cover_all_in_order(images: Images) -> None:
    """Every position once, in order, the last batch smaller; an empty split gives none."""
    seen = [positions.tolist() for _, _, positions in Batches(images).plain_batches(8)]
    assert [len(piece) for piece in seen] == ([8, 8, 4] if len(images) else [])
    assert [position for piece in seen for position in piece] == list(range(len(images)))


def test_prefetched_batches_are_read_once() -> None:
    """What was announced is not read again, and what is never asked for does not pile up."""
    reads: list[int] = []
    data = Batches(streamed(reads=reads))
    data.prefetch(torch.tensor([1, 2, 3]))
    data.prefetch(torch.tensor([1, 2, 3]))
    assert data.plain(torch.tensor([1, 2, 3]))[2].tolist() == [1, 2, 3]
    assert reads == [3]
    for number in range(20):
        data.prefetch(torch.tensor([number]))
    assert len(data._coming) == batches._MOST_AHEAD


def test_batches_are_read_ahead_all_along() -> None:
    """Also after as many as may be kept: what was handed out is let go."""
    reads: list[int] = []
    data = Batches(streamed(40, reads))
    for number in range(20):
        positions = torch.tensor([2 * number, 2 * number + 1])
        data.prefetch(positions)
        data.plain(positions)
    done = len(reads)
    data.prefetch(torch.tensor([0, 1]))
    data.plain(torch.tensor([0, 1]))
    assert len(reads) == done + 1
    assert not data._coming


def test_two_views_of_an_image_take_one_read() -> None:
    """The image as it is and a view of it, as they are had one after the other."""
    reads: list[int] = []
    data, positions = Batches(streamed(reads=reads)), torch.tensor([4, 0, 19])
    plain, view = data.plain_and_view(positions, 3, AUGMENT, 5)
    assert reads == [3]
    assert torch.equal(plain, data.plain(positions)[0])
    assert torch.equal(view, data.view(positions, 3, AUGMENT, 5)[0])


def test_what_does_not_fit_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images too large for a quarter of the device's free memory are not copied there."""
    monkeypatch.setattr(memory, "free_bytes", lambda device: 4 * 20 * 8 * 6 * 3 - 1)
    data = Batches(resident())
    assert not data.resident
    monkeypatch.setattr(memory, "free_bytes", lambda device: 4 * 20 * 8 * 6 * 3)
    assert Batches(resident()).resident
    assert torch.equal(data.plain(torch.tensor([3]))[0], Batches(resident()).plain(torch.tensor([3]))[0])


def test_free_memory_is_told() -> None:
    """This machine has some memory free, and less than an exabyte."""
    assert 2**20 < memory.free_bytes() < 2**60


@pytest.mark.gpu
def test_batches_on_a_gpu_equal_those_here() -> None:
    """The device changes nothing."""
    here, there = Batches(resident()), Batches(resident(), device="cuda")
    for one, other in zip(here.view(torch.tensor([3, 1]), 1, AUGMENT, 0), there.view(torch.tensor([3, 1]), 1, AUGMENT, 0), strict=True):
        assert torch.equal(one, other.cpu())

"""edgekd.data.views: the same view of the same image, in any batch."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from edgekd.data import views
from edgekd.phases import Augment

SMALL = Augment(crop=4, flip=True)
LARGE = Augment(flip=True, scale=0.35, colour=0.2)
GOLDEN_BITS = [-4835952492219681278, 8025876446053617558, 7085285690327131078, 8539513389096600087]


def some_images(count: int = 6, channels: int = 3, height: int = 16, width: int = 12) -> Tensor:
    """Random bytes, the same every time."""
    return torch.randint(0, 256, (count, channels, height, width), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_hash_is_what_it_always_was() -> None:
    """Stored teacher answers depend on these numbers: they may never change."""
    assert views.hash_bits(torch.tensor([0, 1, 2, 49_999]), view=3, view_seed=7).tolist() == GOLDEN_BITS


def test_shifts_are_what_they_always_were() -> None:
    """Down, across and mirrored of the first four images' view 0: the streams keep their order."""
    bits = views.hash_bits(torch.arange(4), view=0, view_seed=0)
    drawn = [views._below(bits, stream, bound).tolist() for stream, bound in ((views._DOWN, 9), (views._ACROSS, 9), (views._MIRROR, 2))]
    assert drawn == [[1, 1, 7, 3], [4, 8, 6, 5], [1, 0, 1, 1]]


def test_hash_agrees_with_plain_python() -> None:
    """The tensor arithmetic wraps as 64-bit integers do."""
    key = views._mix_number(views._mix_number(7 + views._GAMMA) + 3 * views._GAMMA)
    expected = [views._signed(views._mix_number(index ^ key)) for index in range(50)]
    assert views.hash_bits(torch.arange(50), view=3, view_seed=7).tolist() == expected


def test_mixing_step_is_splitmix64() -> None:
    """The generator's published first outputs for seed 0."""
    outputs = [views._mix_number(step * views._GAMMA) for step in (1, 2, 3)]
    assert outputs == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_numbers_are_even_and_independent() -> None:
    """Shifts take each value equally often, and streams do not follow each other."""
    bits = views.hash_bits(torch.arange(90_000), view=0, view_seed=0)
    counts = torch.bincount(views._below(bits, views._DOWN, 9), minlength=9)
    assert counts.min() > 9_600
    assert counts.max() < 10_400
    pair = torch.stack([views._unit(bits, stream) for stream in range(10)])
    correlation = torch.corrcoef(pair) - torch.eye(10)
    assert correlation.abs().max() < 0.02


@pytest.mark.parametrize("augment", [SMALL, LARGE, Augment(crop=2, flip=True, scale=0.5, colour=0.4)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_view_does_not_depend_on_its_batch(augment: Augment, channels: int) -> None:
    """Permuting, splitting and repeating a batch gives bit for bit the same images."""
    images, index = some_images(7, channels), torch.arange(100, 107)
    whole = views.view(images, index, 5, augment, 11)
    order = torch.tensor([3, 1, 6, 0, 5, 2, 4])
    assert torch.equal(views.view(images[order], index[order], 5, augment, 11), whole[order])
    assert torch.equal(torch.cat([views.view(images[i : i + 1], index[i : i + 1], 5, augment, 11) for i in range(7)]), whole)
    assert torch.equal(views.view(images, index, 5, augment, 11), whole)


def test_large_images_are_seen_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fits in a cache at once: the same bits."""
    images, index = torch.randint(0, 256, (7, 3, 16, 16), dtype=torch.uint8), torch.arange(7)
    augment = Augment(scale=0.4, colour=0.3)
    whole = views.view(images, index, 2, augment, 0)
    monkeypatch.setattr(views, "_CACHE", 2 * 4 * 3 * 16 * 16)
    parts = views.view(images, index, 2, augment, 0)
    assert torch.equal(parts, whole)
    assert parts.is_contiguous()


@given(index=st.integers(0, 2**40), view=st.integers(0, 1000), seed=st.integers(-(2**70), 2**70))
@settings(max_examples=25)
def test_views_stay_in_range_for_any_numbers(index: int, view: int, seed: int) -> None:
    """Any index, view and seed give finite values in [0, 1]."""
    images = some_images(2)
    for augment in (SMALL, LARGE):
        floats = views.view(images, torch.tensor([index, index + 1]), view, augment, seed)
        assert floats.shape == images.shape
        assert floats.dtype == torch.float32
        assert 0 <= float(floats.min()) <= float(floats.max()) <= 1


@pytest.mark.parametrize("augment", [SMALL, LARGE])
def test_view_index_and_seed_all_matter(augment: Augment) -> None:
    """Changing any of the three changes the images."""
    images, index = some_images(6), torch.arange(6)
    first = views.view(images, index, 0, augment, 0)
    assert not torch.equal(first, views.view(images, index, 1, augment, 0))
    assert not torch.equal(first, views.view(images, index + 6, 0, augment, 0))
    assert not torch.equal(first, views.view(images, index, 0, augment, 1))


def test_shifted_crop_is_a_window_of_the_padded_image() -> None:
    """Each view is one of the (2·2 + 1)² windows, mirrored or not, and over many indices all of them occur."""
    image = some_images(1, channels=1, height=5, width=6)
    padded = torch.nn.functional.pad(image, (2, 2, 2, 2))[0, 0]
    windows = {}
    for down in range(5):
        for across in range(5):
            window = padded[down : down + 5, across : across + 6]
            for mirrored, there in ((False, window), (True, window.flip(1))):
                windows[tuple(there.flatten().tolist())] = (down, across, mirrored)
    many = views.view(image.expand(1000, -1, -1, -1), torch.arange(1000), 0, Augment(crop=2, flip=True), 0)
    seen = {windows[tuple((one * 255).round().long().flatten().tolist())] for one in many}
    assert len(seen) == 50


def test_no_flip_where_mirroring_is_off() -> None:
    """With neither crop nor flip a view is the plain image; with a flip it is that or its mirror image, about half and half."""
    images, index = some_images(200), torch.arange(200)
    assert torch.equal(views.view(images, index, 0, Augment(), 0), views.plain(images))
    flipped = views.view(images, index, 0, Augment(flip=True), 0)
    same = (flipped == views.plain(images)).flatten(1).all(dim=1)
    mirrored = (flipped == views.plain(images).flip(3)).flatten(1).all(dim=1)
    assert bool((same ^ mirrored).all())
    assert 70 < int(same.sum()) < 130


def test_resized_crop_keeps_the_stated_share() -> None:
    """On a ramp, a crop's range of values is its width: never less than the least area and aspect allow, and hardly ever all."""
    ramp = torch.arange(0, 256, 2, dtype=torch.uint8).expand(300, 1, 128, 128)
    crops = views.view(ramp, torch.arange(300), 0, Augment(scale=0.35), 0)
    spans = (crops[:, 0, 0, -1] - crops[:, 0, 0, 0]) * 255 / 254
    least = (0.35 * 3 / 4) ** 0.5
    assert spans.min() > least - 0.02
    assert spans.max() <= 1
    assert spans.std() > 0.1


def test_colour_keeps_a_grey_image_grey() -> None:
    """Contrast turns around the image's own mean and saturation around its own grey, so only brightness moves an even grey image."""
    grey = torch.full((50, 3, 4, 4), 100, dtype=torch.uint8)
    tinted = views.view(grey, torch.arange(50), 0, Augment(colour=0.2), 0)
    torch.testing.assert_close(tinted.amax(dim=(1, 2, 3)), tinted.amin(dim=(1, 2, 3)))
    ratio = tinted[:, 0, 0, 0] * 255 / 100
    assert 0.8 <= float(ratio.min()) < 0.85
    assert 1.15 < float(ratio.max()) <= 1.2


@pytest.mark.parametrize("augment", [SMALL, LARGE])
def test_however_bytes_lie_views_lie_as_usual(augment: Augment) -> None:
    """Channels-last bytes, as some readers give them, become the same floats in the usual layout."""
    images, index = some_images(), torch.arange(6)
    found = views.view(images.contiguous(memory_format=torch.channels_last), index, 0, augment, 0)
    assert found.is_contiguous()
    torch.testing.assert_close(found, views.view(images, index, 0, augment, 0), rtol=0, atol=1e-6)


def test_default_augment_follows_the_size() -> None:
    """A shifted crop of an eighth of the shorter side up to 64 px; a resized crop with light colour above."""
    assert views.default_augment((32, 32, 3), True) == Augment(crop=4, flip=True)
    assert views.default_augment((28, 28, 1), False) == Augment(crop=3)
    assert views.default_augment((64, 16, 3), False) == Augment(crop=2)
    assert views.default_augment((96, 512, 3), False) == Augment(scale=0.35, colour=0.2)


@pytest.mark.gpu
def test_views_are_the_same_on_a_gpu() -> None:
    """The hash and the shifted crop are bit for bit the same there; resampling agrees closely."""
    images, index = some_images(), torch.arange(6)
    there = views.view(images.cuda(), index.cuda(), 2, SMALL, 1)
    assert torch.equal(there.cpu(), views.view(images, index, 2, SMALL, 1))
    torch.testing.assert_close(views.view(images.cuda(), index.cuda(), 2, LARGE, 1).cpu(), views.view(images, index, 2, LARGE, 1), rtol=0, atol=1e-4)

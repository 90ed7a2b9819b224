"""Corrupted images: what stays the same about them, that they get worse with the severity, and that sizes do not matter."""

from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgekd.errors import UsageError
from edgekd.evaluate.corruptions import FAMILIES, SEVERITIES, Corruption, corrupt, fitting

NAMES: tuple[Corruption, ...] = get_args(Corruption)


def pictures(count: int, side: int, channels: int, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth fields with a sharp disc in each, uint8 (count, side, side, channels): the same picture at every side."""
    draw = np.random.default_rng(seed)
    place = (np.arange(side) + 0.5) / side
    found = []
    for _ in range(count):
        waves = sum(np.sin(2 * np.pi * (np.add.outer(a * place, b * place) + c)) for a, b, c in draw.uniform(-3, 3, (4, 3)))
        colours = 0.5 + 0.1 * np.asarray(waves)[..., None] * draw.uniform(0.3, 1, channels)
        inside = np.add.outer((place - draw.uniform(0.3, 0.7)) ** 2, (place - draw.uniform(0.3, 0.7)) ** 2) < 0.04
        found.append(np.where(inside[..., None], draw.uniform(0.1, 0.9, channels), colours))
    return np.asarray(np.rint(np.clip(found, 0, 1) * 255), np.uint8)


def numbers(count: int) -> NDArray[np.int64]:
    """Some numbers of images, one beyond 32 bits."""
    return np.array([7, 3, 2**40 + 1, *range(100, 100 + count)][:count], np.int64)


def distance(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """The root of the mean square between images."""
    return float(np.sqrt(((first.astype(float) - second.astype(float)) ** 2).mean()))


def shrunk(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Images at a smaller side, each pixel the mean of those it stands for."""
    count, height, width, channels = images.shape
    return np.asarray(images.reshape(count, side, height // side, side, width // side, channels).mean((2, 4)).round(), np.uint8)


def test_families_name_each_corruption_once() -> None:
    """Twelve in four; grey images have all but the one of colours."""
    assert sorted(name for names in FAMILIES.values() for name in names) == sorted(NAMES)
    assert (len(NAMES), set(FAMILIES)) == (12, {"noise", "blur", "weather", "digital"})
    assert fitting(3) == FAMILIES
    assert {name for names in FAMILIES.values() for name in names} - {name for names in fitting(1).values() for name in names} == {"saturate"}


@settings(max_examples=30)
@given(
    st.sampled_from(NAMES),
    st.sampled_from(SEVERITIES),
    st.integers(1, 4),
    st.integers(5, 40),
    st.integers(5, 40),
    st.sampled_from([1, 3]),
    st.integers(0, 2**40),
)
def test_an_image_is_corrupted_alike_in_any_company(
    name: Corruption, severity: int, count: int, height: int, width: int, channels: int, seed: int
) -> None:
    """The same shape and type, the same again, the same alone and in another order, and the images given stay as they were."""
    if name == "saturate":
        channels = 3
    images = np.random.default_rng(seed).integers(0, 256, (count, height, width, channels)).astype(np.uint8)
    before, index = images.copy(), numbers(count)
    found = corrupt(images, name, severity, index, seed)
    assert (found.shape, found.dtype) == (images.shape, images.dtype)
    assert np.array_equal(images, before)
    assert np.array_equal(corrupt(images, name, severity, index, seed), found)
    assert np.array_equal(corrupt(images[::-1], name, severity, index[::-1], seed)[::-1], found)
    assert np.array_equal(corrupt(images[:1], name, severity, index[:1], seed)[0], found[0])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [32, 96])
@pytest.mark.parametrize("name", NAMES)
def test_each_severity_is_further_from_the_clean_image(name: Corruption, side: int, channels: int) -> None:
    """By a twentieth or more, from something that can be seen on."""
    if name == "saturate" and channels == 1:
        return
    images = pictures(8, side, channels)
    away = [distance(corrupt(images, name, severity, numbers(8)), images) for severity in SEVERITIES]
    assert away[0] > 1
    assert all(later > 1.05 * earlier for earlier, later in pairwise(away)), away


@pytest.mark.parametrize("name", NAMES)
def test_a_severity_means_the_same_at_every_size(name: Corruption) -> None:
    """The same pictures at 160 pixels, corrupted and then shrunk to 32, are about as far from clean as those that were corrupted at 32."""
    large = pictures(8, 160, 3)
    small = shrunk(large, 32)
    for severity in (2, 5):
        there = distance(shrunk(corrupt(large, name, severity, numbers(8)), 32), small)
        here = distance(corrupt(small, name, severity, numbers(8)), small)
        assert 0.6 < there / here < 1.67, severity


@pytest.mark.parametrize("name", ["gaussian-noise", "shot-noise", "impulse-noise", "motion-blur", "fog", "snow"])
def test_what_is_drawn_depends_on_image_corruption_and_seed(name: Corruption) -> None:
    """Two images of one look differ once corrupted, and so do two seeds."""
    images = pictures(1, 32, 3).repeat(2, axis=0)
    found = corrupt(images, name, 3, np.array([1, 2]))
    assert not np.array_equal(found[0], found[1])
    assert not np.array_equal(found, corrupt(images, name, 3, np.array([1, 2]), seed=1))


@pytest.mark.parametrize("name", ["defocus-blur", "motion-blur", "contrast", "pixelate"])
def test_what_only_spreads_light_keeps_it(name: Corruption) -> None:
    """The mean stays, and an image of one colour is not changed."""
    images = pictures(4, 32, 3)
    found = corrupt(images, name, 5, numbers(4))
    assert abs(float(found.mean()) - float(images.mean())) < 3
    plain = np.full((1, 20, 30, 3), 77, np.uint8)
    assert distance(corrupt(plain, name, 5, numbers(1)), plain) <= 1


def test_noise_has_the_spread_that_is_stated() -> None:
    """Of grey in the middle: 8 % of the range at severity 3; shot noise the root of the light times its strength."""
    grey = np.full((2, 64, 64, 1), 128, np.uint8)
    assert float(corrupt(grey, "gaussian-noise", 3, numbers(2)).std()) / 255 == pytest.approx(0.08, rel=0.05)
    assert float(corrupt(grey, "shot-noise", 3, numbers(2)).std()) / 255 == pytest.approx(0.12 * np.sqrt(128 / 255), rel=0.05)
    lost = corrupt(grey, "impulse-noise", 5, numbers(2))
    assert float(np.isin(lost, (0, 255)).mean()) == pytest.approx(0.15, rel=0.15)


def test_brightness_adds_and_saturates_at_white() -> None:
    """A tenth of the range at severity 1."""
    images = np.array([[[[0, 100, 250]]]], np.uint8)
    found = corrupt(images, "brightness", 1, numbers(1))[0, 0, 0]
    assert np.abs(found.astype(int) - [25, 125, 255]).max() <= 1
    assert found[2] == 255


def test_fog_draws_everything_towards_a_light_grey() -> None:
    """Black becomes lighter, white darker, and what is as bright as the fog stays."""
    black, white, haze = (np.full((1, 32, 32, 3), value, np.uint8) for value in (0, 255, 230))
    found = [corrupt(each, "fog", 3, numbers(1)).astype(int) for each in (black, white, haze)]
    assert 0.27 * 0.9 * 255 <= found[0].min() <= found[0].max() <= 0.56 * 0.9 * 255
    assert 230 <= found[1].min() <= found[1].max() < 255
    assert np.abs(found[2] - 230).max() <= 1


def test_no_images_are_no_error() -> None:
    """They come back."""
    assert corrupt(np.zeros((0, 8, 8, 3), np.uint8), "fog", 1, numbers(0)).shape == (0, 8, 8, 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"images": np.zeros((1, 8, 8, 3), np.float32)}, r"images must be uint8 \(n, h, w, 1 or 3\), got float32 \(1, 8, 8, 3\)"),
        ({"images": np.zeros((1, 8, 8), np.uint8)}, r"got uint8 \(1, 8, 8\)"),
        ({"images": np.zeros((1, 8, 0, 3), np.uint8)}, r"got uint8 \(1, 8, 0, 3\)"),
        ({"corruption": "rain"}, "a corruption is one of gaussian-noise, .*, got 'rain'"),
        ({"severity": 6}, "severities are the whole numbers 1 to 5, got 6"),
        ({"severity": 0}, "severities are the whole numbers 1 to 5, got 0"),
        ({"index": np.arange(2)}, r"each image has a number of its own, got 1 images and numbers of shape \(2,\)"),
        ({"images": np.zeros((1, 8, 8, 1), np.uint8), "corruption": "saturate"}, "grey images have no colours to saturate"),
    ],
)
def test_what_cannot_be_corrupted_is_refused(changes: dict[str, object], words: str) -> None:
    """The rule and the value received."""
    given = {"images": np.zeros((1, 8, 8, 3), np.uint8), "corruption": "fog", "severity": 1, "index": np.arange(1)}
    with pytest.raises(UsageError, match=words):
        corrupt(**(given | changes))  # type: ignore[arg-type]

"""evaluate/resizers.py: what other libraries make of images, beside edgekd's own resizing."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgekd.device.predict import prepare
from edgekd.errors import MissingError
from edgekd.evaluate.resizers import LIBRARIES, resized
from edgekd.preprocess import Preprocess

PICTURES = np.random.default_rng(0).integers(0, 256, (3, 24, 18, 3), np.uint8)


@pytest.mark.parametrize("library", ["pil", "torch"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("channels", [1, 3])
def test_they_differ_from_edgekds_own_by_their_rounding(library: str, interpolation: Any, channels: int) -> None:
    """Pillow rounds twice, torch once; picking the nearest pixel rounds nothing."""
    images = PICTURES[..., :channels]
    ways = Preprocess(size=(8, 6), interpolation=interpolation, mean=(0.0,), std=(1.0,), colour="grey" if channels == 1 else "rgb")
    own = 255 * prepare(images, ways).transpose(0, 2, 3, 1)
    found = resized(images, (8, 6), interpolation, library)
    assert found.dtype == np.uint8
    assert found.shape == own.shape
    assert np.abs(found - own).max() <= {"nearest": 1e-3}.get(interpolation, 1.51 if library == "pil" else 1.01)


@pytest.mark.parametrize("channels", [1, 3])
def test_opencv_is_asked_as_it_wants(monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
    """Width before height, its own word for the interpolation; grey images come back without their channel."""
    asked = []

    def resize(image: Any, size: tuple[int, int], interpolation: int) -> Any:
        asked.append((image.shape, size, interpolation))
        return np.zeros((*size[::-1], channels), np.uint8).squeeze()

    monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace(resize=resize, INTER_NEAREST=0, INTER_LINEAR=1, INTER_CUBIC=2))
    assert resized(PICTURES[..., :channels], (8, 6), "bicubic", "opencv").shape == (3, 8, 6, channels)
    assert asked == [((24, 18, channels), (6, 8), 2)] * 3


def test_a_missing_opencv_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line that installs it."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingError, match="pip install opencv-python-headless"):
        LIBRARIES["opencv"](PICTURES, (8, 6), "bilinear")

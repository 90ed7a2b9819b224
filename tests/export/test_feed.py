"""export/feed.py: how a file is fed and opened."""

import numpy as np
import pytest

from edgekd.errors import DeviceError
from edgekd.export.feed import Feed, open_session

IMAGES = np.linspace(0, 1, 2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)


def test_layout_and_type() -> None:
    """Channels last, and uint8 as 255 times the image."""
    fed = Feed(input="x", type="uint8", last=True).fed(IMAGES)["x"]
    assert (fed.dtype.name, fed.shape) == ("uint8", (2, 4, 5, 3))
    assert (fed.min(), fed.max()) == (0, 255)
    assert Feed().fed(IMAGES)["images"] is not None


def test_batches() -> None:
    """An open batch ends short, a fixed one is filled up with the first images."""
    images = np.arange(5, dtype=np.float32).reshape(5, 1, 1, 1)
    assert [some.ravel().tolist() for some in Feed().batches(images, 3)] == [[0, 1, 2], [3, 4]]
    assert [some.ravel().tolist() for some in Feed(batch=4).batches(images, 3)] == [[0, 1, 2, 3], [4, 0, 1, 2]]


def test_a_file_that_does_not_load() -> None:
    """ONNX Runtime's refusal carries its version and what to try."""
    with pytest.raises(DeviceError, match=r"odd\.onnx does not load in ONNX Runtime \d"):
        open_session(b"nothing", "odd.onnx")

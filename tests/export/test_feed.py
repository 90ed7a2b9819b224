"""export/feed.py: how a file is fed and opened."""

import numpy as np
import onnx
import pytest

from edgekd.device.predict import prepare
from edgekd.errors import DeviceError
from edgekd.events import silent
from edgekd.export.feed import Feed, open_session
from edgekd.export.int8 import Quantiser
from tests.export.nets import PREPROCESS, pixels

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


def test_int8_for_tensorrt_is_answered_as_it_is_written(trained: onnx.ModelProto) -> None:
    """Not by biases that the runtime rounds to nothing: the answers are fp32's but for rounding."""
    calibration, images = (prepare(pixels(count, seed), PREPROCESS) for count, seed in ((64, 1), (16, 2)))
    made = Quantiser(trained, calibration, Feed(), "toy", silent).made("int8-trt")
    before, after = (Feed().answer(open_session(model.SerializeToString(), "toy"), images, 16) for model in (trained, made))
    assert np.abs(after - before).mean() < 0.05 * before.std()

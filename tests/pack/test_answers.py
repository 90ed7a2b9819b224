"""A file's own answers, however it is fed: the same as through a Predict, which every score goes through."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from edgekd.device.host import connect
from edgekd.device.predict import open_predict
from edgekd.errors import DeviceError, UsageError
from edgekd.pack.answers import answered, sized
from edgekd.preprocess import Preprocess
from tests.device.nets import classifier, passing

PIXELS = np.random.default_rng(1).integers(0, 256, (5, 6, 4, 3), np.uint8)
WAYS = Preprocess(size=(6, 4), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4), colour="bgr")


@pytest.mark.parametrize(
    ("options", "ways", "feed"),
    [
        ({}, WAYS, ("nchw", "float32", 1, "logits", True)),
        ({"shape": ("batch", 6, 4, 3)}, WAYS, ("nhwc", "float32", 1, "logits", True)),
        ({"shape": (2, 3, 6, 4), "softmax": True}, WAYS, ("nchw", "float32", 2, "probabilities", True)),
        ({"kind": TensorProto.UINT8}, WAYS, ("nchw", "uint8", 1, "logits", False)),
        ({"kind": TensorProto.FLOAT16, "outputs": ("logits", "more")}, WAYS, ("nchw", "float16", 1, "logits", False)),
    ],
)
def test_answers_are_those_of_the_file_as_it_is_fed(tmp_path: Path, options: dict[str, Any], ways: Preprocess, feed: tuple[object, ...]) -> None:
    """In each layout, type and batch; a softmax stays."""
    file = classifier(tmp_path / "m.onnx", **options)
    answers, told = answered(file, PIXELS, ways)
    assert (told.layout, told.type, told.batch, told.answers, told.plain) == feed
    assert (told.input, told.output) == ("images", "logits")
    with connect("local") as session, open_predict(session, file, ways) as predict:
        logits = predict({"images": PIXELS})["logits"]
    np.testing.assert_allclose(np.log(answers) if told.answers == "probabilities" else answers, logits, rtol=1e-4, atol=1e-4)


def test_images_come_in_the_networks_size_and_channels(tmp_path: Path) -> None:
    """Untouched where they have them; colours stay RGB; grey is copied, colour made grey."""
    np.testing.assert_array_equal(sized(PIXELS, WAYS), PIXELS)
    assert sized(PIXELS, Preprocess(size=(9, 8), mean=(0.5,), std=(0.1,))).shape == (5, 9, 8, 3)
    grey = sized(PIXELS, Preprocess(size=(6, 4), colour="grey"))
    np.testing.assert_allclose(grey[..., 0], PIXELS @ np.array([0.299, 0.587, 0.114]), atol=0.51)
    np.testing.assert_array_equal(sized(grey, WAYS), np.repeat(grey, 3, axis=3))


def test_what_no_sample_can_feed_is_refused(tmp_path: Path) -> None:
    """Two inputs, no ONNX at all, another size."""
    two = passing(tmp_path / "two.onnx", {"a": (TensorProto.FLOAT, (1, 3, 6, 4)), "b": (TensorProto.FLOAT, (1, 3, 6, 4))})
    with pytest.raises(UsageError, match=r"a classifier takes one input, images of four axes; two.onnx has a \[1, 3, 6, 4\], b"):
        answered(two, PIXELS, WAYS)
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(DeviceError, match="does not load in ONNX Runtime here"):
        answered(tmp_path / "bad.onnx", PIXELS, WAYS)
    with pytest.raises(UsageError, match=r"m.onnx takes images of shape \[3, 5, 5\], got \[3, 6, 4\]"):
        answered(classifier(tmp_path / "m.onnx", ("batch", 3, 5, 5)), PIXELS, WAYS)

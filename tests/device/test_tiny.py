"""device/tiny.py: the file answers what numpy computes without it."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgekd.device import tiny
from edgekd.device.tries import AGREES


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_file_answers_what_numpy_computes(tmp_path: Path, precision: "tiny.Precision") -> None:
    """Batches of any size, within what the self-test allows; answers are around 1, so that this means something."""
    session = onnxruntime.InferenceSession(str(tiny.write(tmp_path / "t.onnx", precision)), providers=["CPUExecutionProvider"])
    for n in (1, 4):
        batch = tiny.images(n)
        (logits,) = session.run(None, {"images": batch})
        assert np.abs(logits - tiny.answers(batch)).max() < AGREES[precision] / 2
    assert 0.2 < float(np.abs(tiny.answers(tiny.images(4))).mean()) < 5


def test_it_is_the_same_everywhere(tmp_path: Path) -> None:
    """Byte by byte, so that answers of two machines compare; depth and width change it."""
    first, second = (tiny.write(tmp_path / name).read_bytes() for name in ("a.onnx", "b.onnx"))
    assert first == second
    assert len(tiny.write(tmp_path / "deep.onnx", depth=6).read_bytes()) > 2 * len(first)

"""Tests of edgekd/export/openvino.py: files by OpenVINO are held to the step before as they are by ONNX Runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd.errors import EdgekdError
from edgekd.events import silent
from edgekd.export import export
from edgekd.export.feed import open_session
from edgekd.export.openvino import OpenVino, openvino_is_here
from edgekd.recipe import Export
from edgekd.record import Artifact
from tests.export.nets import CLASSES, PREPARED, network, pixels
from tests.needs import need_package


@pytest.fixture(scope="module", autouse=True)
def _library() -> None:
    """OpenVINO itself."""
    need_package("openvino")


def written(folder: Path, **changes: Any) -> list[Artifact]:
    """A toy's files, held to by OpenVINO, too."""
    given: dict[str, Any] = {"classes": CLASSES, "settings": Export(), "calibration": pixels(128, 1), "parity": pixels(16, 2), **changes}
    return export(network(), folder, role="student", name="toy", openvino=True, emit=silent, **given)


def test_files_for_cpus_answer_alike(tmp_path: Path) -> None:
    """In every precision, and with preprocessing inside and a fixed batch; the file for TensorRT is not asked."""
    assert openvino_is_here()
    files = written(tmp_path, settings=Export(batch=4, preprocess="normalise", softmax=True), flavours=("int8-cpu", "int8-trt"))
    assert [file.precision for file in files] == ["fp32", "fp16", "int8-cpu", "int8-trt"]


def test_it_is_asked_as_a_session_is(tmp_path: Path) -> None:
    """The same answers as ONNX Runtime's, by the output's name."""
    file = tmp_path / written(tmp_path, settings=Export(precisions=("fp32",)))[0].path
    (ours,) = OpenVino(file, 2).run(["logits"], {"images": PREPARED[:2]})
    (theirs,) = open_session(file, "toy").run(["logits"], {"images": PREPARED[:2]})
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_who_answers_otherwise_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is kept aside, and the message says whose answers are off."""
    right = OpenVino.run
    monkeypatch.setattr(OpenVino, "run", lambda self, outputs, feeds: [answer + 1 for answer in right(self, outputs, feeds)])
    with pytest.raises(EdgekdError, match=r"student-toy-fp32\.onnx by OpenVINO does not answer as the step before"):
        written(tmp_path)
    assert (tmp_path / "student-toy-fp32.onnx.rejected").is_file()

"""device/agent/onnxfile.py: what a file says of itself, against the onnx package that wrote it."""

from pathlib import Path

import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from edgekd.device.agent import onnxfile
from edgekd.device.agent.onnxrt import Model
from edgekd.device.agent.protocol import RefusedError
from tests.device.nets import Shape, classifier, heavy, passing

KINDS = ["FLOAT", "FLOAT16", "DOUBLE", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "BOOL", "STRING"]


def test_it_says_what_the_runtime_says(tmp_path: Path) -> None:
    """Names, shapes with the names of open axes, types, metadata; weights are no inputs."""
    kinds: dict[str, tuple[int, Shape]] = {f"x{kind}": (int(getattr(TensorProto, kind)), ["n", 3, "h"]) for kind in KINDS}
    for file in (
        classifier(tmp_path / "a.onnx", (4, 3, 6, 4), metadata={"edgekd": "1", "größe": "π"}, outputs=("logits", "pixels")),
        heavy(tmp_path / "b.onnx"),
        passing(tmp_path / "c.onnx", kinds),
        passing(tmp_path / "d.onnx", {"x": (TensorProto.FLOAT, [])}),
    ):
        said, model = onnxfile.read(str(file)), Model(str(file), "CPUExecutionProvider", 1, short_spin=True)
        assert said.inputs == model.inputs
        assert [(put["name"], put["type"]) for put in said.outputs] == [(put["name"], put["type"]) for put in model.outputs]
        assert said.metadata == model.metadata
    assert onnxruntime.__version__


def test_weights_that_are_listed_as_inputs(tmp_path: Path) -> None:
    """As files before IR version 4 have them: nobody feeds them."""
    model = onnx.load(classifier(tmp_path / "f.onnx"))
    for weight in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(weight.name, weight.data_type, list(weight.dims)))
    onnx.save(model, tmp_path / "old.onnx")
    assert [put["name"] for put in onnxfile.read(str(tmp_path / "old.onnx")).inputs] == ["images"]


@pytest.mark.parametrize("data", [b"", b"no model at all", b"\x3a\x7f", b"\x08", b"\xff" * 40, b"\x08\x07"])
def test_what_is_no_onnx_file(tmp_path: Path, data: bytes) -> None:
    """Refused by name."""
    (tmp_path / "f.onnx").write_bytes(data)
    with pytest.raises(RefusedError, match=r"f\.onnx does not read as an ONNX file"):
        onnxfile.read(str(tmp_path / "f.onnx"))


@given(data=st.data())
def test_damage_is_refused_or_read(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever stands in the file, it is no other exception."""
    folder = tmp_path_factory.getbasetemp()
    whole = bytearray(classifier(folder / "whole.onnx", metadata={"a": "b"}).read_bytes())
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    (folder / "torn.onnx").write_bytes(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    try:
        onnxfile.read(str(folder / "torn.onnx"))
    except RefusedError:
        pass

"""graph.py: what a file says of itself, and files that are none."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from edgekd.errors import MissingError, UsageError
from edgekd.graph import Tensor, summary
from tests.graphs import model, qdq, value, weight


def test_a_file(tmp_path: Path) -> None:
    """Size, opset, inputs, outputs and metadata as the file has them."""
    made = qdq()
    helper.set_model_props(made, {"edgekd.task": "classify"})
    file = tmp_path / "toy.onnx"
    onnx.save(made, file)
    graph = summary(file)
    assert (graph.size, graph.opset, graph.metadata) == (file.stat().st_size, 20, {"edgekd.task": "classify"})
    assert graph.inputs == [Tensor(name="x", dtype="float", shape=("n", 2, 5, 5))]
    assert graph.outputs == [Tensor(name="out", dtype="float", shape=("n", 4, 5, 5))]


def test_external_data_counts_into_the_size(tmp_path: Path) -> None:
    """Weights beside the file are part of its size; where they are missing the message names them."""
    made = model([helper.make_node("MatMul", ["x", "w"], ["y"])], [value("x", 1, 40)], [value("y", 1, 30)], [weight("w", 40, 30)])
    file = tmp_path / "toy.onnx"
    onnx.save(made, file, save_as_external_data=True, location="toy.bin", size_threshold=0)
    graph = summary(file)
    assert graph.size == file.stat().st_size + 4800
    assert (graph.params, graph.macs) == (1200, 1200)
    (tmp_path / "toy.bin").unlink()
    with pytest.raises(MissingError, match=r"keeps its weights in toy\.bin, which is not beside it"):
        summary(file)


def test_external_data_of_constant_nodes_counts_too(tmp_path: Path) -> None:
    """Exporters write large tensors as nodes, too."""
    tensor = weight("", 100, 10)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="c.bin")
    (tmp_path / "c.bin").write_bytes(bytes(4000))
    nodes = [helper.make_node("Constant", [], ["w"], value=tensor), helper.make_node("MatMul", ["x", "w"], ["y"])]
    file = tmp_path / "m.onnx"
    file.write_bytes(model(nodes, [value("x", 1, 100)], [value("y", 1, 10)], []).SerializeToString())
    assert summary(file).size == 4000 + file.stat().st_size


def test_no_file(tmp_path: Path) -> None:
    """A path without a file is named."""
    with pytest.raises(MissingError, match=r"no ONNX file can be read at .*nothing\.onnx"):
        summary(tmp_path / "nothing.onnx")


@pytest.mark.parametrize("data", [b"", b"not a model", b"\x08\x07"])
def test_not_a_model(tmp_path: Path, data: bytes) -> None:
    """Anything but an ONNX model is refused as such."""
    file = tmp_path / "file.onnx"
    file.write_bytes(data)
    with pytest.raises(UsageError, match=r"file\.onnx is not an ONNX model"):
        summary(file)

"""edgekd.externaldata: a model's files of external data, and the hash of all of them."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from edgekd.errors import MissingError, UsageError
from edgekd.externaldata import external_files, external_names, model_sha256
from edgekd.files import sha256_file
from tests.graphs import model, value, weight


def _outside(name: str, file: str) -> TensorProto:
    tensor = weight(name, 4, 4)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=file)
    tensor.external_data.add(key="length", value="64")
    return tensor


def test_every_place_that_holds_tensors_is_looked_at(tmp_path: Path) -> None:
    """Initialisers, Constant nodes, and the branches of an If; each file once, and metadata that is called so is none."""
    branch = helper.make_graph([helper.make_node("Constant", [], ["b"], value=_outside("", "in.bin"))], "then", [], [value("b", 4, 4)])
    nodes = [
        helper.make_node("If", ["c"], ["x"], then_branch=branch, else_branch=branch),
        helper.make_node("Constant", [], ["k"], value=_outside("", "node.bin")),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    made = model(nodes, [], [value("y", 4, 4)], [_outside("w", "w.bin")])
    made.metadata_props.add(key="location", value="the lab")
    file = tmp_path / "m.onnx"
    file.write_bytes(made.SerializeToString())
    with pytest.raises(MissingError, match=r"keeps its weights in in\.bin, which is not beside it"):
        external_files(file)
    for name in ("in.bin", "node.bin", "w.bin"):
        (tmp_path / name).write_bytes(bytes(64))
    assert [each.name for each in external_files(file)] == ["in.bin", "node.bin", "w.bin"]


def test_functions_and_sparse_tensors_may_lie_elsewhere_too(tmp_path: Path) -> None:
    """And what was saved otherwise before has entries left that count for nothing."""
    made = model([helper.make_node("Sum", ["x"], ["y"])], [value("x", 1, 4)], [value("y", 1, 4)], [weight("w", 4, 4)])
    made.graph.initializer[0].external_data.add(key="location", value="left.bin")
    body = [helper.make_node("Constant", [], ["c"], value=_outside("", "function.bin"))]
    made.functions.append(helper.make_function("own", "F", [], ["c"], body, [helper.make_opsetid("", 20)]))
    sparse = made.graph.sparse_initializer.add()
    sparse.values.CopyFrom(_outside("s", "sparse.bin"))
    file = tmp_path / "m.onnx"
    file.write_bytes(made.SerializeToString())
    assert external_names(file) == ["function.bin", "sparse.bin"]


@pytest.mark.parametrize("name", ["../up.bin", "/elsewhere/up.bin", "sub/../../up.bin"])
def test_weights_outside_the_models_folder_are_refused(tmp_path: Path, name: str) -> None:
    """As runtimes refuse them; a folder within is fine."""
    for place in (name, "sub/w.bin"):
        made = model([helper.make_node("MatMul", ["x", "w"], ["y"])], [value("x", 1, 4)], [value("y", 1, 4)], [_outside("w", place)])
        (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
        if place == name:
            with pytest.raises(UsageError, match="keeps weights outside its own folder"):
                external_files(tmp_path / "m.onnx")
    with pytest.raises(MissingError, match=r"keeps its weights in sub/w\.bin, which is not beside it"):
        model_sha256(tmp_path / "m.onnx")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.bin").write_bytes(bytes(64))
    assert external_files(tmp_path / "m.onnx") == [tmp_path / "sub" / "w.bin"]


def test_a_model_is_known_by_all_its_files(tmp_path: Path) -> None:
    """By its own hash where it is one file; other weights beside it make another model."""
    made = model([helper.make_node("MatMul", ["x", "w"], ["y"])], [value("x", 1, 40)], [value("y", 1, 30)], [weight("w", 40, 30)])
    one, two = tmp_path / "one.onnx", tmp_path / "two.onnx"
    onnx.save(made, one)
    onnx.save(made, two, save_as_external_data=True, location="two.bin", size_threshold=0)
    assert model_sha256(one) == sha256_file(one)
    before = model_sha256(two)
    assert before == model_sha256(two) != sha256_file(two)
    (tmp_path / "two.bin").write_bytes(bytes(4800))
    assert model_sha256(two) != before


def test_no_model(tmp_path: Path) -> None:
    """Said as every other file that is none."""
    (tmp_path / "m.onnx").write_bytes(b"location of nothing")
    with pytest.raises(UsageError, match=r"does not read as an ONNX file.*torch\.onnx\.export"):
        external_files(tmp_path / "m.onnx")

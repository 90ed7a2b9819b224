"""Bare files: what is read of them, and what they are called."""

import sys
from pathlib import Path

import pytest

from edgekd.errors import MissingError, MissingExtra, UsageError
from edgekd.gate.bare import bare_report, inspect, short_names
from tests.gate.test_origin import pointer
from tests.toys import brightness


def test_files_of_one_name_are_told_apart_by_their_folders() -> None:
    """By as few as it takes."""
    assert short_names([Path("main/model.onnx"), Path("pr/model.onnx")]) == ["main-model", "pr-model"]
    assert short_names([Path("x/a/m.onnx"), Path("y/a/m.onnx"), Path("z/n.onnx")]) == ["x-a-m", "y-a-m", "n"]
    for checkout in ("/home/one", "/srv/two"):
        assert short_names([Path(checkout, "m.onnx"), Path(checkout, "big/m.onnx")]) == ["m", "big-m"]


def test_one_file_twice_is_refused() -> None:
    """Nothing could tell its two rows apart."""
    with pytest.raises(UsageError, match="each file once"):
        short_names([Path("m.onnx"), Path("m.onnx")])


def test_inspecting_a_file(tmp_path: Path) -> None:
    """What the record says of a file is what stands in it."""
    artifact = inspect(brightness(tmp_path / "m.onnx"))
    assert (artifact.name, artifact.params, artifact.macs, artifact.opset) == ("file/m/as-is", 34, 32, 20)
    assert artifact.size == (tmp_path / "m.onnx").stat().st_size
    shallow = inspect(tmp_path / "m.onnx", deep=False)
    assert (shallow.size, shallow.sha256) == (artifact.size, artifact.sha256)


@pytest.mark.parametrize("data", [b"<!DOCTYPE html>", b"not found\n", b'{"error": 404}', b"PK\x03\x04"])
def test_what_was_saved_in_a_models_place(tmp_path: Path, data: bytes) -> None:
    """Small as it is, it passes no limit on size."""
    (tmp_path / "m.onnx").write_bytes(data)
    for deep in (False, True):
        with pytest.raises(UsageError, match=r"m\.onnx is not an ONNX model"):
            inspect(tmp_path / "m.onnx", deep=deep)


def test_bare_files_make_one_report(tmp_path: Path) -> None:
    """In the order they were given."""
    files = [brightness(tmp_path / "b.onnx"), brightness(tmp_path / "a.onnx")]
    assert [artifact.network for artifact in bare_report(files).artifacts] == ["b", "a"]


def test_tensors_in_other_files_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file beside a large one of weights does not pass for small, also where onnx is not there; and other weights are another model."""
    import onnx

    file = brightness(tmp_path / "m.onnx")
    onnx.save(onnx.load(file), file, save_as_external_data=True, location="m.data", size_threshold=0, convert_attribute=False)
    assert inspect(file, deep=False).size == file.stat().st_size + (tmp_path / "m.data").stat().st_size
    before = inspect(file)
    (tmp_path / "m.data").write_bytes(bytes(reversed((tmp_path / "m.data").read_bytes())))
    assert (inspect(file).size, inspect(file).sha256 == before.sha256) == (before.size, False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "edgekd.graph", raising=False)
    assert inspect(file, deep=False).size == before.size
    with pytest.raises(MissingExtra):
        inspect(file)


def test_operators_and_layers_are_read(tmp_path: Path) -> None:
    """And nothing of either where the file was not looked into."""
    artifact = inspect(brightness(tmp_path / "m.onnx"))
    assert artifact.operators == {"Flatten": 1, "Gemm": 1}
    assert [(layer.op, layer.params, layer.precision) for layer in artifact.layers] == [("Gemm", 34, "fp32")]
    assert inspect(tmp_path / "m.onnx", deep=False).operators == {}


def test_a_file_that_was_cut_off_is_not_small(tmp_path: Path) -> None:
    """Half a download would keep to any size."""
    file = brightness(tmp_path / "m.onnx")
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(UsageError, match=r"does not read as an ONNX file: .*It was cut off, or is something else: get it anew"):
        inspect(file, deep=False)
    file.write_bytes(bytes.fromhex("3a045a021200"))  # an input without a name
    with pytest.raises(UsageError, match="does not read as an ONNX file"):
        inspect(file, deep=False)


def test_an_empty_file_is_no_model(tmp_path: Path) -> None:
    """0 bytes would keep to any size."""
    (tmp_path / "m.onnx").touch()
    with pytest.raises(UsageError, match="is empty and no ONNX model"):
        inspect(tmp_path / "m.onnx", deep=False)


def test_a_pointer_of_git_lfs_is_not_judged_as_a_model(tmp_path: Path) -> None:
    """It is small, and names the command that gets the file."""
    (tmp_path / "m.onnx").write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 12345678\n")
    with pytest.raises(MissingError, match=r"git LFS's pointer to it \(12\.3 MB\)\. Get it with: git lfs pull --include m\.onnx"):
        inspect(tmp_path / "m.onnx", deep=False)


def test_a_pointer_in_the_place_of_weights_is_named(tmp_path: Path) -> None:
    """With the command that gets the file, as in the model's own place."""
    import onnx

    file = brightness(tmp_path / "m.onnx")
    onnx.save(onnx.load(file), file, save_as_external_data=True, location="m.data", size_threshold=0, convert_attribute=False)
    (tmp_path / "m.data").write_bytes(pointer((tmp_path / "m.data").read_bytes()))
    with pytest.raises(MissingError, match=r"git lfs pull --include m\.data"):
        inspect(file, deep=False)


def test_weights_that_were_cut_off_are_not_small(tmp_path: Path) -> None:
    """The model says how many bytes it reads of them."""
    import onnx

    file = brightness(tmp_path / "m.onnx")
    onnx.save(onnx.load(file), file, save_as_external_data=True, location="m.data", size_threshold=0, convert_attribute=False)
    (tmp_path / "m.data").write_bytes((tmp_path / "m.data").read_bytes()[:-1])
    with pytest.raises(UsageError, match=r"m\.onnx reads 136 bytes of m\.data, which has 135\. It was cut off: get it anew"):
        inspect(file, deep=False)

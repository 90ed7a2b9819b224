"""Where a baseline comes from: a path, a git ref, git LFS."""

import hashlib
import tempfile
from pathlib import Path

import onnx
import pytest
from onnx import helper

from edgekd.errors import MissingError, UsageError
from edgekd.gate.origin import fetched, is_in_git
from tests.gate.folders import committed, git
from tests.graphs import model, value, weight


def pointer(data: bytes) -> bytes:
    """What git LFS commits in place of a file."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(data).hexdigest()}\nsize {len(data)}\n".encode()


def stored(repository: Path, data: bytes) -> None:
    """The file in git LFS's own store, as a checkout or a push leaves it."""
    digest = hashlib.sha256(data).hexdigest()
    folder = repository / ".git" / "lfs" / "objects" / digest[:2] / digest[2:4]
    folder.mkdir(parents=True)
    (folder / digest).write_bytes(data)


def test_a_path_is_itself(tmp_path: Path) -> None:
    """Files, folders, and what is not there: whoever reads it says so."""
    (tmp_path / "f").write_bytes(b"x")
    for path in (tmp_path / "f", tmp_path, tmp_path / "none"):
        with fetched(path) as found:
            assert found == path


def test_a_name_with_a_colon_may_be_a_path(tmp_path: Path) -> None:
    """Where it is there; a single letter is a drive."""
    (tmp_path / "a:b").write_bytes(b"x")
    assert not is_in_git(tmp_path / "a:b")
    assert not is_in_git("C:report.json")
    assert is_in_git("main:report.json")


def test_a_file_of_another_commit(tmp_path: Path) -> None:
    """Its bytes under its own name, gone afterwards."""
    (tmp_path / "m.bin").write_bytes(b"\x00old\xff")
    committed(tmp_path, "m.bin")
    (tmp_path / "m.bin").write_bytes(b"new")
    with fetched("HEAD:m.bin") as found:
        assert (found.name, found.read_bytes()) == ("m.bin", b"\x00old\xff")
    assert not found.exists()


def test_weights_beside_a_model_come_along(tmp_path: Path) -> None:
    """Those of that commit, also from git LFS."""
    made = model([helper.make_node("MatMul", ["x", "w"], ["y"])], [value("x", 1, 40)], [value("y", 1, 30)], [weight("w", 40, 30)])
    (tmp_path / "models").mkdir()
    onnx.save(made, tmp_path / "models" / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    old = (tmp_path / "models" / "w.bin").read_bytes()
    committed(tmp_path, "models/m.onnx", "models/w.bin")
    (tmp_path / "models" / "w.bin").write_bytes(bytes(len(old)))
    with fetched("HEAD:models/m.onnx") as found:
        assert (found.parent / "w.bin").read_bytes() == old
    (tmp_path / "models" / "w.bin").write_bytes(pointer(old))
    committed(tmp_path, "models/m.onnx", "models/w.bin")
    stored(tmp_path, old)
    with fetched("HEAD:models/m.onnx") as found:
        assert (found.parent / "w.bin").read_bytes() == old


def test_weights_beside_a_model_that_is_named_from_a_folder(tmp_path: Path) -> None:
    """REF:./FILE is of where one stands, and so are its weights: others of their name at the top are not taken for them."""
    made = model([helper.make_node("MatMul", ["x", "w"], ["y"])], [value("x", 1, 40)], [value("y", 1, 30)], [weight("w", 40, 30)])
    (tmp_path / "sub").mkdir()
    onnx.save(made, tmp_path / "sub" / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    own = (tmp_path / "sub" / "w.bin").read_bytes()
    (tmp_path / "w.bin").write_bytes(b"another's")
    committed(tmp_path, "sub/m.onnx", "sub/w.bin", "w.bin")
    for name, folder in (("HEAD:./m.onnx", tmp_path / "sub"), ("HEAD:sub/m.onnx", tmp_path), ("HEAD:./sub/m.onnx", tmp_path)):
        with fetched(name, folder) as found:
            assert (found.parent / "w.bin").read_bytes() == own


def test_weights_that_lead_out_of_the_folder_are_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a model names above its folder would else be put above the passing one."""
    passing, file = tmp_path / "passing", tmp_path / "models" / "m.onnx"
    passing.mkdir()
    file.parent.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(passing))
    made = model([helper.make_node("MatMul", ["x", "w"], ["y"])], [value("x", 1, 40)], [value("y", 1, 30)], [weight("w", 40, 30)])
    onnx.save(made, file, save_as_external_data=True, location="w.bin", size_threshold=0)
    (file.parent / "w.bin").rename(tmp_path / "w.bin")
    made = onnx.load(file, load_external_data=False)
    (place,) = [entry for tensor in made.graph.initializer for entry in tensor.external_data if entry.key == "location"]
    place.value = "../w.bin"
    data = made.SerializeToString()
    git(tmp_path, "init", "--quiet")
    stored(tmp_path, data)
    file.write_bytes(pointer(data))
    with fetched("models/m.onnx", tmp_path) as found:
        assert found.read_bytes() == data
        assert not (passing / "w.bin").exists()


def test_what_git_does_not_have_says_how_to_fetch_it(tmp_path: Path) -> None:
    """A branch that was not fetched, a file that is not in it, no repository."""
    with pytest.raises(MissingError, match="git has no main:x: "), fetched("main:x"):
        pass
    (tmp_path / "f").write_bytes(b"x")
    committed(tmp_path, "f")
    with pytest.raises(MissingError, match=r"git has no main:gone: .*does not exist in 'main'"), fetched("main:gone"):
        pass
    with pytest.raises(MissingError, match=r"git fetch --depth=1 origin \+refs/heads/topic:refs/remotes/origin/topic$"), fetched("origin/topic:f"):
        pass


@pytest.mark.parametrize("source", ["--output=x:f", "main:"])
def test_a_ref_that_is_none_is_refused(source: str) -> None:
    """An option in its place never reaches git."""
    with pytest.raises(UsageError, match="a file in git is named REF:PATH"), fetched(source):
        pass


def test_without_git_a_ref_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says what to give instead."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingError, match="git is needed to read main:f"), fetched("main:f"):
        pass


def test_a_pointer_in_git_is_resolved_from_the_store(tmp_path: Path) -> None:
    """Without git LFS being installed; the same for a pointer on disk."""
    data = b"a large model" * 1000
    (tmp_path / "m.onnx").write_bytes(pointer(data))
    committed(tmp_path, "m.onnx")
    stored(tmp_path, data)
    for source in ("main:m.onnx", tmp_path / "m.onnx"):
        with fetched(source) as found:
            assert (found.name, found.read_bytes()) == ("m.onnx", data)


def test_a_pointer_without_its_file_is_named(tmp_path: Path) -> None:
    """A damaged file in the store is none either."""
    (tmp_path / "m.onnx").write_bytes(pointer(b"other"))
    committed(tmp_path, "m.onnx")
    with pytest.raises(MissingError, match=r"main:m\.onnx is not the file but git LFS's pointer to it \(5 B\)\. Get it with: git lfs fetch"):
        with fetched("main:m.onnx"):
            pass
    stored(tmp_path, b"other")
    (file,) = [path for path in (tmp_path / ".git" / "lfs").rglob("*") if path.is_file()]
    file.write_bytes(b"0ther")
    with pytest.raises(MissingError, match="pointer"), fetched("main:m.onnx"):
        pass


def test_a_small_file_is_no_pointer(tmp_path: Path) -> None:
    """Nor is one that only begins like it."""
    for data in (b"version https://git-lfs.github.com/spec/v1\nsize 3\n", b"{}", pointer(b"x") + b" " * 2000):
        (tmp_path / "f").write_bytes(data)
        with fetched(tmp_path / "f") as found:
            assert found == tmp_path / "f"

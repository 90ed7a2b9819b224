"""userfile: FILE.py:function."""

import sys
from pathlib import Path

import pytest

from edgekd import userfile
from edgekd.errors import MissingError, UsageError
from edgekd.files import sha256_file


@pytest.mark.parametrize(
    ("spec", "expected"),
    [("net.py:make", True), ("a/b c/net.py:make", True), ("net.py", False), ("net.py:", False), ("net.py:a-b", False), ("npz:net", False)],
)
def test_which_specs_name_a_function_of_a_file(spec: str, expected: bool) -> None:
    """Only FILE.py:function does."""
    assert userfile.is_userfile(spec) is expected


def test_a_relative_file_is_anchored_and_an_absolute_one_stays(tmp_path: Path) -> None:
    """Paths in a recipe start at the recipe."""
    assert userfile.anchored("net.py:make", tmp_path) == f"{tmp_path}/net.py:make"
    assert userfile.anchored("/x/net.py:make", tmp_path) == "/x/net.py:make"


def test_it_calls_the_function_with_what_it_is_given(tmp_path: Path) -> None:
    """The file may import its neighbours, and the path is as it was afterwards."""
    (tmp_path / "edgekd_test_neighbour.py").write_text("SCALE = 10\n")
    (tmp_path / "net.py").write_text("from edgekd_test_neighbour import SCALE\n\ndef make(n, plus=0):\n    return SCALE * n + plus\n")
    before = list(sys.path)
    assert userfile.call(f"{tmp_path}/net.py:make", 4, plus=2) == 42
    assert sys.path == before


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    """Nothing is cached between two calls."""
    file = tmp_path / "net.py"
    for value in (1, 22):
        file.write_text(f"def make():\n    return {value}\n")
        assert userfile.call(f"{file}:make") == value


def test_its_hash_is_of_what_it_imports_too(tmp_path: Path) -> None:
    """Neighbours in its folder, through one another and within packages; what it does not import has no say, nor have the names of packages."""
    file, spec = tmp_path / "net.py", "net.py:make"
    file.write_text("import torch\n\ndef make():\n    from nets.blocks import Block\n")
    alone = userfile.code_hash(spec, tmp_path)
    assert alone == sha256_file(file)
    (tmp_path / "nets").mkdir()
    hashes = [alone]
    for name, text in {
        "nets/__init__.py": "",
        "nets/blocks.py": "from . import sizes\nimport shared\n",
        "nets/sizes.py": "",
        "shared.py": "x =",
    }.items():
        (tmp_path / name).write_text(text)
        hashes.append(userfile.code_hash(spec, tmp_path))
        (tmp_path / name).write_text(f"{text}\n")
        hashes.append(userfile.code_hash(spec, tmp_path))
    assert len(set(hashes)) == 9
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "net.py").symlink_to("../net.py")
    assert userfile.code_hash(spec, tmp_path / "project") == hashes[-1]
    (tmp_path / "other.py").write_text("")
    assert userfile.code_hash(spec, tmp_path) == hashes[-1]


def test_a_dataclass_in_the_file_works(tmp_path: Path) -> None:
    """The module stands where dataclasses look for it."""
    (tmp_path / "net.py").write_text("import dataclasses\n\n@dataclasses.dataclass\nclass A:\n    x: 'int' = 3\n\ndef make():\n    return A().x\n")
    assert userfile.call(f"{tmp_path}/net.py:make") == 3


def test_another_form_is_refused() -> None:
    """The rule and the value received."""
    with pytest.raises(UsageError, match=r"named as FILE\.py:function, got 'net\.py'"):
        userfile.call("net.py")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """With the place where relative paths start."""
    with pytest.raises(MissingError, match=r"no file at .*net\.py to call 'make' from"):
        userfile.call(f"{tmp_path}/net.py:make")


def test_a_missing_function_names_the_nearest_or_what_there_is(tmp_path: Path) -> None:
    """Imported functions are not offered."""
    (tmp_path / "net.py").write_text("from os.path import join\n\ndef make_net():\n    pass\n")
    with pytest.raises(MissingError, match=r"has no function 'make_ned'; did you mean 'make_net'\?"):
        userfile.call(f"{tmp_path}/net.py:make_ned")
    with pytest.raises(MissingError, match="has no function 'xyz'; it defines: make_net"):
        userfile.call(f"{tmp_path}/net.py:xyz")


def test_an_error_in_the_file_is_one_line_with_its_place(tmp_path: Path) -> None:
    """The cause stays attached, for --debug."""
    (tmp_path / "net.py").write_text("def make():\n    x = 1\n    return x / 0\n")
    with pytest.raises(UsageError, match=r"net\.py:make failed at line 3: ZeroDivisionError: division by zero") as caught:
        userfile.call(f"{tmp_path}/net.py:make")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    (tmp_path / "net.py").write_text("def make(:\n")
    with pytest.raises(UsageError, match="failed at line 1: SyntaxError"):
        userfile.call(f"{tmp_path}/net.py:make")


def test_edgekd_s_own_errors_pass_unchanged(tmp_path: Path) -> None:
    """A user's code may raise them on purpose."""
    (tmp_path / "net.py").write_text("from edgekd.errors import MissingError\n\ndef make():\n    raise MissingError('no images')\n")
    with pytest.raises(MissingError, match=r"^no images$"):
        userfile.call(f"{tmp_path}/net.py:make")

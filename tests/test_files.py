"""files: whole or absent, whatever happens."""

import contextlib
import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from edgekd import files
from edgekd.errors import EdgekdError, MissingError, RunError
from edgekd.scores import Metric


def test_a_file_is_written_with_its_folder(tmp_path: Path) -> None:
    """Text is UTF-8; nothing else is left beside it."""
    file = tmp_path / "a" / "b.txt"
    files.write_atomic(file, "größer")
    assert file.read_bytes() == "größer".encode()
    files.write_atomic(file, b"\x00")
    assert file.read_bytes() == b"\x00"
    assert os.listdir(file.parent) == ["b.txt"]


def test_the_temporary_path_keeps_the_suffix(tmp_path: Path) -> None:
    """NumPy and ONNX look at it."""
    with files.atomic_path(tmp_path / "x.npy") as temporary:
        assert temporary.suffix == ".npy"
        np.save(temporary, np.arange(3))
    assert np.load(tmp_path / "x.npy").tolist() == [0, 1, 2]
    assert os.listdir(tmp_path) == ["x.npy"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    """Ctrl-C included."""
    file = tmp_path / "x"
    file.write_text("old")

    def fail() -> NoReturn:
        with files.atomic_path(file) as temporary:
            temporary.write_text("ne")
            raise error

    with pytest.raises(error):
        fail()
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["x"]


def test_kill_9_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """A process that rewrites a file over and over is killed at an uneven moment, several times."""
    file = tmp_path / "x"
    code = """
import sys
from pathlib import Path
from edgekd.files import write_atomic
for number in range(10**9):
    write_atomic(Path(sys.argv[1]), bytes([number % 256]) * 3_000_000)
"""
    for round_ in range(4):
        with subprocess.Popen([sys.executable, "-c", code, str(file)]) as process:
            deadline = time.monotonic() + 30
            while not file.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.013 * round_)
            process.send_signal(signal.SIGKILL)
        data = file.read_bytes()
        assert len(data) == 3_000_000
        assert len(set(data)) == 1
        file.unlink()


def _full(*_args: object) -> NoReturn:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_named_with_what_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finished file stays, and the message says how to go on."""
    file = tmp_path / "x"
    files.write_atomic(file, "old")
    monkeypatch.setattr(os, "replace", _full)
    with pytest.raises(RunError, match=r"no room to write .*x: the disk at / has [0-9.]+ MB free\. Free some and run the same command again"):
        files.write_atomic(file, "new")
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["x"]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB; only root can have one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no small disk can be mounted here: that takes root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_really_full(tiny_disk: Path) -> None:
    """np.save hides the error's number and is understood all the same."""
    files.write_atomic(tiny_disk / "small", b"x" * 1000)
    with pytest.raises(RunError, match=f"the disk at {tiny_disk} has"):
        files.write_atomic(tiny_disk / "large", b"x" * 2_000_000)

    def save() -> None:
        with files.atomic_path(tiny_disk / "large.npy") as temporary:
            np.save(temporary, np.zeros(2_000_000, np.uint8))

    with pytest.raises(RunError, match=f"the disk at {tiny_disk} has"):
        save()
    assert os.listdir(tiny_disk) == ["small"]


def test_other_errors_are_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    """A message about the disk would send the user to the wrong place."""
    with pytest.raises(MissingError), files.atomic_path(tmp_path / "x"):
        raise MissingError("something else")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        files.write_atomic(tmp_path / "file" / "x", "")


def test_hashes() -> None:
    """Known answers: sha256 of a file, and of JSON whose keys' order does not matter."""
    assert files.sha256_file(Path(__file__)) == hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    assert files.sha256_json({"b": [1, 2.5], "a": None}) == hashlib.sha256(b'{"a":null,"b":[1,2.5]}').hexdigest()
    assert files.sha256_json({"a": 1, "b": 2}) == files.sha256_json({"b": 2, "a": 1})
    assert files.sha256_json(Metric(value=1, low=0, high=2, n=3)) == files.sha256_json({"value": 1, "low": 0, "high": 2, "n": 3})


def test_a_number_that_is_not_finite_has_no_hash() -> None:
    """It would be hashed as null, like any other."""
    with pytest.raises(EdgekdError, match=r"what is hashed\.lr is nan"):
        files.sha256_json({"lr": float("nan")})


def test_a_link_stays_one(tmp_path: Path) -> None:
    """What it leads to is written anew, as a budget that several projects share."""
    (tmp_path / "shared.toml").write_text("old")
    (tmp_path / "own.toml").symlink_to("shared.toml")
    files.write_atomic(tmp_path / "own.toml", "new")
    assert (tmp_path / "own.toml").is_symlink()
    assert (tmp_path / "shared.toml").read_text() == "new"


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    """A pipe stays a pipe, and its reader gets the whole."""
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE, text=True)
    files.write_atomic(tmp_path / "pipe", "all of it")
    assert reader.communicate(timeout=20)[0] == "all of it"
    assert (tmp_path / "pipe").is_fifo()


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    """Its unfinished part has a shorter one."""
    files.write_atomic(tmp_path / f"{'n' * 250}.json", "{}")
    assert [file.name for file in tmp_path.iterdir()] == [f"{'n' * 250}.json"]


@pytest.mark.parametrize(("number", "passes"), [(errno.EINVAL, True), (errno.ENOTSUP, True), (errno.EIO, False)])
def test_a_file_system_that_syncs_no_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, passes: bool) -> None:
    """The file stands by then; a disk that fails is another matter."""
    sync = os.fsync

    def refuse(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        sync(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    with contextlib.nullcontext() if passes else pytest.raises(OSError, match=os.strerror(number)):
        files.write_atomic(tmp_path / "a.json", "{}")
    assert (tmp_path / "a.json").read_text() == "{}"

"""device/agent/store.py: files come in pieces and count once their hash is right; nothing else is touched."""

import base64
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekd.device.agent.protocol import RefusedError
from edgekd.device.agent.store import Store, default_cache, free_memory


def put(store: Store, data: bytes, size: int, **wishes: str) -> Path:
    """Bring a file in pieces of some bytes, as a host does."""
    digest = hashlib.sha256(data).hexdigest()
    told = store.have(digest, len(data), **wishes)
    for offset in range(told["have"], len(data), size):
        store.put(told["path"], offset, base64.b64encode(data[offset : offset + size]).decode())
    return Path(told["path"]) if told["sealed"] else Path(store.seal(told["path"], digest)["path"])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=1, max_size=2000), size=st.integers(1, 700), cut=st.integers(0, 2000))
def test_a_file_comes_whole(tmp_path: Path, data: bytes, size: int, cut: int) -> None:
    """Whatever its pieces, and wherever it was cut off before."""
    store = Store(tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    digest = hashlib.sha256(data).hexdigest()
    path = Path(store.have(digest, len(data), ".onnx")["path"])
    path.with_name(path.name + ".part").write_bytes(data[:cut])
    assert put(store, data, size, suffix=".onnx").read_bytes() == data
    assert store.have(digest, len(data), ".onnx") == {"path": str(path), "have": len(data), "sealed": True}


def test_a_piece_may_come_twice(tmp_path: Path) -> None:
    """A job that is asked again writes the same bytes at the same place."""
    store, data = Store(tmp_path), b"abcdefgh"
    path = store.have(hashlib.sha256(data).hexdigest(), 8)["path"]
    for _ in range(2):
        assert store.put(path, 0, base64.b64encode(data[:4]).decode()) == {"have": 4}
        assert store.put(path, 4, base64.b64encode(data[4:]).decode()) == {"have": 8}
    assert Path(store.seal(path, hashlib.sha256(data).hexdigest())["path"]).read_bytes() == data


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.lists(st.booleans(), max_size=14))
def test_two_sessions_bring_one_file_at_once(tmp_path: Path, turns: list[bool]) -> None:
    """However their pieces mix, each finds it whole in the end, and nothing is left beside it."""
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    data, digest = b"abcdefgh", hashlib.sha256(b"abcdefgh").hexdigest()

    def bring() -> Iterator[str]:
        store = Store(tmp_path / "cache")
        told = store.have(digest, 8)
        yield ""
        for offset in range(told["have"], 8, 2):
            store.put(told["path"], offset, base64.b64encode(data[offset : offset + 2]).decode())
            yield ""
        yield told["path"] if told["sealed"] else store.seal(told["path"], digest)["path"]

    sessions = [bring(), bring()]
    last = ["", ""]
    for which in [*map(int, turns), *[0, 1] * 8]:
        last[which] = next(sessions[which], last[which])
    for path in last:
        assert Path(path).read_bytes() == data
    assert len(list((tmp_path / "cache" / "files").iterdir())) == 1


def test_a_part_that_is_too_long_begins_anew(tmp_path: Path) -> None:
    """It is another file's."""
    store, digest = Store(tmp_path), hashlib.sha256(b"ab").hexdigest()
    path = Path(store.have(digest, 2)["path"])
    path.with_name(path.name + ".part").write_bytes(b"abc")
    assert store.have(digest, 2)["have"] == 0


def test_damaged_is_refused_and_gone(tmp_path: Path) -> None:
    """The next try begins anew."""
    store, digest = Store(tmp_path), hashlib.sha256(b"right").hexdigest()
    path = store.have(digest, 5)["path"]
    store.put(path, 0, base64.b64encode(b"wrong").decode())
    with pytest.raises(RefusedError, match="the file came damaged"):
        store.seal(path, digest)
    assert store.have(digest, 5) == {"path": path, "have": 0, "sealed": False}


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before anything is written, with the numbers and the way out."""
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=70_000_000))
    with pytest.raises(RefusedError, match=r"too full: .* has 70 MB free, and the file takes 10 MB and leaves 67 MB alone\. .* in EDGEKD_CACHE\."):
        Store(tmp_path).have("0" * 64, 10_000_000)
    assert Store(tmp_path).have("0" * 64, 1_000_000)["have"] == 0


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside", "files/../../outside"])
def test_nothing_outside_is_touched(tmp_path: Path, path: str) -> None:
    """Neither read nor written nor taken away, by whatever way it is named."""
    store = Store(tmp_path / "cache")
    (tmp_path / "outside").write_text("mine")
    where = path if path.startswith("/") else str(tmp_path / "cache" / path)
    wishes: dict[str, tuple[object, ...]] = {"get": (0, 10), "put": (0, ""), "leave": (), "seal": ("0" * 64,)}
    for job, more in wishes.items():
        with pytest.raises(RefusedError, match="lies outside edgekd's own folder"):
            store.jobs()[job](where, *more)
    assert (tmp_path / "outside").read_text() == "mine"


def test_a_link_out_is_not_followed(tmp_path: Path) -> None:
    """What a room's link points to is no room's."""
    store = Store(tmp_path / "cache")
    room = Path(store.room()["path"])
    (room / "link").symlink_to("/etc/passwd")
    with pytest.raises(RefusedError, match="lies outside"):
        store.get(str(room / "link"), 0, 10)


@pytest.mark.parametrize(("digest", "suffix"), [("../x", ""), ("A" * 64, ""), ("0" * 64, ".o/../x"), ("0" * 64, "onnx")])
def test_names_are_hashes(tmp_path: Path, digest: str, suffix: str) -> None:
    """No other name becomes a path."""
    with pytest.raises(RefusedError, match=r"a file is named by its sha256|a suffix is a dot"):
        Store(tmp_path).have(digest, 1, suffix)


def test_rooms_come_and_go(tmp_path: Path) -> None:
    """What lies in one is read in pieces; only a room is taken away whole."""
    store = Store(tmp_path)
    room = store.room()["path"]
    (Path(room) / "out.npy").write_bytes(b"0123456789")
    assert store.get(f"{room}/out.npy", 4, 3) == {"data": base64.b64encode(b"456").decode(), "size": 10}
    file = put(store, b"data", 2, room=room)
    assert file.parent == Path(room)
    store.leave(room)
    assert not Path(room).exists()
    put(store, b"data", 2)
    with pytest.raises(RefusedError, match="is no room"):
        store.leave(str(tmp_path / "files"))


def test_pruning(tmp_path: Path) -> None:
    """First what was not asked for in long, then the oldest until few enough bytes are kept; rooms that were left behind."""
    store = Store(tmp_path)
    ages = {b"a" * 100: 40, b"b" * 100: 3, b"c" * 100: 2, b"d" * 100: 1}
    files = {}
    for data, days in ages.items():
        files[data[:1]] = put(store, data, 50)
        when = time.time() - 86400 * days
        os.utime(files[data[:1]], (when, when))
    left = Path(store.room()["path"])
    os.utime(left, (1, 1))
    assert store.prune(30, 250) == {"removed": 2, "kept": 200}
    assert [name for name, file in files.items() if file.exists()] == [b"c", b"d"]
    assert not left.exists()


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    """EDGEKD_CACHE, else the user's cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert default_cache() == Path("/x/edgekd")
    monkeypatch.setenv("EDGEKD_CACHE", "/mine")
    assert default_cache() == Path("/mine")


def test_a_whole_file_of_another_size_is_brought_again(tmp_path: Path) -> None:
    """A disk may have lost a part of it."""
    store, data = Store(tmp_path), b"abcdefgh"
    path = put(store, data, 8)
    path.write_bytes(b"abc")
    assert put(store, data, 8).read_bytes() == data


def test_a_file_that_memory_does_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before a byte travels, and where it lies there already; where the machine does not tell, it is let through."""
    store, data = Store(tmp_path / "cache"), b"abcdefgh"
    put(store, data, 8)
    monkeypatch.setattr("edgekd.device.agent.store.free_memory", lambda: 7)
    for digest in (hashlib.sha256(data).hexdigest(), "0" * 64):
        with pytest.raises(RefusedError, match=r"the memory there is too full: .* MB are free, and the file alone takes"):
            store.have(digest, 8)
    monkeypatch.setattr("edgekd.device.agent.store.free_memory", lambda: None)
    assert store.have("0" * 64, 8)["sealed"] is False


def test_free_memory_as_linux_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What programs may still have, caches counted; None on a machine that tells nothing."""
    monkeypatch.setattr("edgekd.device.agent.machine.ROOT", tmp_path)
    assert free_memory() is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:   5 kB\n")
    assert free_memory() == 5 * 1024

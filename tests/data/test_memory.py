"""edgekd.data.memory: what is free, by files that stand in for the kernel's."""

import os
from pathlib import Path

import pytest
import torch

from edgekd.data import memory
from edgekd.data.memory import fits, free_bytes

GIB = 2**30


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands in for the root of the file system: 8 GiB are available, and no limit is set."""

    def rooted(path: str) -> Path:
        return tmp_path / path.lstrip("/")

    monkeypatch.setattr(memory, "Path", rooted)
    rooted("/proc").mkdir()
    rooted("/sys/fs/cgroup").mkdir(parents=True)
    text = f"MemTotal: {16 * GIB // 1024} kB\nMemFree: 1 kB\nMemAvailable: {8 * GIB // 1024} kB\n"
    rooted("/proc/meminfo").write_text(text, encoding="ascii")
    return tmp_path


def limit(kernel: Path, most: str, used: int) -> None:
    """Give the container a limit."""
    (kernel / "sys/fs/cgroup/memory.max").write_text(f"{most}\n", encoding="ascii")
    (kernel / "sys/fs/cgroup/memory.current").write_text(f"{used}\n", encoding="ascii")


def test_what_the_kernel_says_is_available(kernel: Path) -> None:
    """Neither all that there is nor only what nothing at all uses, and in bytes."""
    assert free_bytes() == free_bytes(torch.device("cpu")) == 8 * GIB


@pytest.mark.parametrize(
    ("most", "used", "expected"),
    [(str(3 * GIB), GIB, 2 * GIB), (str(64 * GIB), GIB, 8 * GIB), ("max", GIB, 8 * GIB), (str(GIB), 2 * GIB, 0)],
    ids=["container", "machine", "no limit", "overdrawn"],
)
def test_the_tighter_of_machine_and_container_counts(kernel: Path, most: str, used: int, expected: int) -> None:
    """A container's limit holds less what it has used, never below nothing, and not beyond the machine."""
    limit(kernel, most, used)
    assert free_bytes() == expected


def test_a_limit_of_an_older_kernel_counts(kernel: Path) -> None:
    """Control groups of version 1 have files of other names."""
    (kernel / "sys/fs/cgroup/memory").mkdir()
    (kernel / "sys/fs/cgroup/memory/memory.limit_in_bytes").write_text(f"{3 * GIB}\n", encoding="ascii")
    (kernel / "sys/fs/cgroup/memory/memory.usage_in_bytes").write_text(f"{GIB}\n", encoding="ascii")
    assert free_bytes() == 2 * GIB


def test_a_limit_without_its_use_is_none(kernel: Path) -> None:
    """Half of the two files says nothing."""
    limit(kernel, str(GIB), 0)
    (kernel / "sys/fs/cgroup/memory.current").unlink()
    assert free_bytes() == 8 * GIB


@pytest.mark.parametrize("text", [None, f"MemTotal: {16 * GIB // 1024} kB\n"], ids=["no file", "an old kernel's"])
def test_without_the_kernels_word_half_of_all_memory_counts(kernel: Path, monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    """As on systems other than Linux."""
    file = kernel / "proc/meminfo"
    file.unlink() if text is None else file.write_text(text, encoding="ascii")
    sizes = {"SC_PHYS_PAGES": 1_000, "SC_PAGE_SIZE": 4_096}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    monkeypatch.setattr(os, "sysconf_names", {"SC_PHYS_PAGES": 1})
    assert free_bytes() == 2_048_000


def test_where_nothing_is_known_four_gibibytes_are_taken(kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last resort."""
    (kernel / "proc/meminfo").unlink()
    monkeypatch.setattr(os, "sysconf_names", {})
    assert free_bytes() == 4 * GIB


def test_a_gpu_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The free part of the device that is named, not its whole."""
    asked: list[torch.device] = []

    def mem_get_info(device: torch.device) -> tuple[int, int]:
        asked.append(device)
        return 5 * GIB, 80 * GIB

    monkeypatch.setattr(torch.cuda, "mem_get_info", mem_get_info)
    assert free_bytes("cuda:1") == 5 * GIB
    assert asked == [torch.device("cuda:1")]


def test_a_quarter_of_what_is_free_fits(kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the byte, here and on a GPU."""
    assert fits(2 * GIB)
    assert not fits(2 * GIB + 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (400, 1_000))
    assert fits(100, "cuda")
    assert not fits(101, "cuda")

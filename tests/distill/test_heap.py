"""edgekd.distill.heap: blocks that are freed and asked for again."""

import resource

import pytest
import torch

from edgekd.distill import heap
from edgekd.distill.heap import freed_memory_is_kept

PAGES = 8192
"""Of 4 KiB, in a block of 32 MiB."""


def faults(blocks: int = 8) -> int:
    """Pages that the system hands out while blocks are filled and freed, one after another."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(blocks):
        torch.ones(PAGES * 1024)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(not heap._is_glibc(), reason="another C library")
def test_a_block_is_handed_out_once() -> None:
    """Where large blocks come from the system, their pages do, but for those that it hands out many at once; kept, they are an earlier block's."""
    with freed_memory_is_kept():
        faults(40)  # until the pieces that were free before are used up
        assert faults() < PAGES / 4
    assert faults() >= PAGES / 4


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is called in it."""
    monkeypatch.setattr(heap, "_is_glibc", lambda: False)
    monkeypatch.setattr(heap, "ctypes", None)
    with freed_memory_is_kept():
        pass

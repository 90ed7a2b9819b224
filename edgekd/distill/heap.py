"""Freed memory stays with the process while a network learns.

In every step the same large blocks are freed and asked for again: activations, gradients. glibc hands each of them back to the system and takes it
anew, page by page, which on small networks costs a tenth of the step or more (benchmarks/LOG.md). PyTorch has a pool of its own for GPUs, and none
for the CPU. Where the C library is another one, nothing changes.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""mallopt's parameters, as malloc.h numbers them."""
_KEPT = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 64 << 20}
"""No block has a mapping of its own, so that each is freed into the heap; up to 2 GiB lie free at its end; it grows by 64 MiB."""
_DEFAULT = {_MMAP_MAX: 65536, _TRIM_THRESHOLD: 128 << 10, _TOP_PAD: 128 << 10}


@contextmanager
def freed_memory_is_kept() -> Iterator[None]:
    """While it lasts; afterwards what is free goes back to the system, and malloc does as it does by itself."""
    if not _is_glibc():
        yield
        return
    library = ctypes.CDLL(None)
    for parameter, value in _KEPT.items():
        library.mallopt(parameter, value)
    try:
        yield
    finally:
        for parameter, value in _DEFAULT.items():
            library.mallopt(parameter, value)
        library.malloc_trim(0)


def _is_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError, OSError):  # no confstr, or it does not know the name
        return False

"""device/agent/cuda.py: every call of the driver, against a made-up one in C that refuses what a driver refuses."""

import ctypes
import threading
from pathlib import Path

import pytest

from edgekd.device.agent import cuda
from edgekd.device.agent.protocol import RefusedError
from tests.device.agent.gpu import Gpu


def held(fake: Gpu, *, spin: bool = True) -> cuda.Driver:
    """A driver that holds the context."""
    driver = cuda.Driver(fake.path)
    driver.hold(spin=spin)
    return driver


def test_the_gpu_is_named_before_anything_is_held(fake: Gpu) -> None:
    """Its name, its compute capability and the CUDA that the driver speaks; no context."""
    driver = cuda.Driver(fake.path)
    assert (driver.name, driver.capability, driver.version) == ("Fake GPU 8", "8.7", "12.6")
    assert fake.alive == 0
    assert fake.calls[0] == "cuInit"


@pytest.mark.parametrize(("spin", "flags"), [(True, 1), (False, 4)])
def test_how_it_waits_is_set_before_the_context_is(fake: Gpu, spin: bool, flags: int) -> None:
    """Spinning or blocking; and what was taken is given back once."""
    driver = held(fake, spin=spin)
    assert fake.flags == flags
    assert fake.calls[-3:] == ["cuDevicePrimaryCtxSetFlags_v2", "cuDevicePrimaryCtxRetain", "cuCtxSetCurrent"]
    assert fake.alive == 1
    driver.leave()
    driver.leave()
    assert fake.alive == 0


def test_bytes_go_to_the_gpu_and_come_back(fake: Gpu) -> None:
    """Through pinned memory, in a stream's order."""
    driver = held(fake)
    stream, there, here, back = driver.stream(), driver.alloc(8), driver.pin(8), driver.pin(8)
    cuda.bytes_at(here, 8)[:] = [*range(8)]
    driver.to_gpu(there, here, 8, stream)
    driver.from_gpu(back, there, 8, stream)
    driver.wait(stream)
    assert list(cuda.bytes_at(back, 8)) == [*range(8)]
    for end, what in ((driver.unpin, back), (driver.unpin, here), (driver.free, there), (driver.end_stream, stream)):
        end(what)
    driver.leave()
    assert fake.alive == 0


def test_addresses_are_whole_numbers_of_64_bits(fake: Gpu) -> None:
    """A pointer that is cut to 32 bits is memory that the driver never gave out."""
    assert cuda.CALLS["cuMemcpyHtoDAsync_v2"][0] is ctypes.c_uint64
    driver = held(fake)
    with pytest.raises(cuda.CudaError, match=r"cuMemcpyHtoDAsync_v2 failed: invalid argument \(error 1\)"):
        driver.to_gpu(driver.alloc(8) & 0xFFFFFFFF | 1 << 40, driver.pin(8), 8, driver.stream())


def test_events_tell_what_lies_between_them(fake: Gpu) -> None:
    """A copy of the made-up clock takes a quarter of a millisecond."""
    driver = held(fake)
    stream, there, here, begin, end = driver.stream(), driver.alloc(4), driver.pin(4), driver.event(), driver.event()
    driver.record(begin, stream)
    driver.to_gpu(there, here, 4, stream)
    driver.record(end, stream)
    driver.wait(stream)
    assert driver.elapsed_ms(begin, end) == 0.25


def test_what_is_captured_is_done_when_it_is_launched(fake: Gpu) -> None:
    """As often as it is launched, and not before; the graph that was written down is given back at once."""
    driver = held(fake)
    stream, there, here = driver.stream(), driver.alloc(4), driver.pin(4)
    before = fake.alive
    driver.begin_capture(stream)
    driver.from_gpu(here, there, 4, stream)
    graph = driver.end_capture(stream)
    cuda.bytes_at(here, 4)[:] = [9] * 4
    driver.wait(stream)
    assert list(cuda.bytes_at(here, 4)) == [9] * 4
    driver.launch(graph, stream)
    assert list(cuda.bytes_at(here, 4)) == [0] * 4
    driver.end_graph(graph)
    assert fake.alive == before


def test_a_graph_that_cannot_be_made_is_not_left_behind(fake: Gpu) -> None:
    """What was written down is given back when it cannot be launched."""
    driver = held(fake)
    stream = driver.stream()
    before = fake.alive
    driver.begin_capture(stream)
    fake.fail("cuGraphInstantiateWithFlags", 2)
    with pytest.raises(cuda.CudaError, match="cuGraphInstantiateWithFlags failed: out of memory"):
        driver.end_capture(stream)
    assert fake.alive == before


def test_an_error_without_words(fake: Gpu) -> None:
    """Its number stands all the same."""
    driver = held(fake)
    fake.fail("cuMemAlloc_v2", 4711)
    with pytest.raises(cuda.CudaError, match=r"cuMemAlloc_v2 failed: an error that the driver has no words for \(error 4711\)"):
        driver.alloc(1)


def test_a_context_is_a_threads_own(fake: Gpu) -> None:
    """Another thread must say that it uses it."""
    driver = held(fake)
    found: list[object] = []

    def elsewhere() -> None:
        try:
            driver.alloc(1)
        except cuda.CudaError as error:
            found.append(str(error))
        driver.use()
        found.append(driver.alloc(1) > 0)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == ["cuMemAlloc_v2 failed: invalid device context (error 201)", True]


def test_a_machine_without_a_driver(tmp_path: Path) -> None:
    """Neither a driver, nor one that is new enough, nor a GPU: in words, as a refusal."""
    with pytest.raises(RefusedError, match=r"an engine runs on an NVIDIA GPU, and there is no driver here: .*libodd\.so\.1"):
        cuda.Driver("libodd.so.1")
    with pytest.raises(RefusedError, match=r"the NVIDIA driver here lacks cuInit: CUDA 11\.4 or newer is needed\. Update the driver\."):
        cuda.Driver("libc.so.6")


def test_a_driver_that_finds_no_gpu(fake: Gpu) -> None:
    """It says so by an error, or by counting none."""
    fake.devices(0)
    with pytest.raises(RefusedError, match="an engine runs on an NVIDIA GPU, and the driver finds none here"):
        cuda.Driver(fake.path)
    fake.fail("cuInit", 100)
    with pytest.raises(cuda.CudaError, match=r"cuInit failed: no CUDA-capable device is detected \(error 100\)"):
        cuda.Driver(fake.path)


@pytest.mark.parametrize(("shape", "item", "size"), [((2, 3), 4, 24), ((), 4, 4), ((0, 3), 4, 1)])
def test_bytes_of_an_array(shape: tuple[int, ...], item: int, size: int) -> None:
    """A single number is one item; nothing is one byte, since none cannot be had."""
    assert cuda.size_of(shape, item) == size

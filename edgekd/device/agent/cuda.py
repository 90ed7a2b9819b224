"""The CUDA driver by ctypes, as far as running an engine needs it: memory on both sides, streams, events, graphs. No torch, no pycuda.

In: the first GPU of this machine. Out: a `Driver`, each method of which is one call or two. Handles are plain integers. Every failure is a
`CudaError` in the driver's own words. Who takes something gives it back; nothing here does so by itself. Never run on hardware by this project.
"""

import ctypes
from typing import Any, Dict, Optional, Sequence, Tuple

from .protocol import RefusedError

LIBRARY = "libcuda.so.1"
_INT, _UINT, _LONG, _HANDLE, _FLOAT, _TEXT = ctypes.c_int, ctypes.c_uint, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_float, ctypes.c_char_p
_SIZE = ctypes.c_size_t
_TO_INT, _TO_LONG, _TO_HANDLE, _TO_FLOAT, _TO_TEXT = (ctypes.POINTER(kind) for kind in (_INT, _LONG, _HANDLE, _FLOAT, _TEXT))

CALLS: Dict[str, Tuple[Any, ...]] = {
    "cuInit": (_UINT,),
    "cuDriverGetVersion": (_TO_INT,),
    "cuGetErrorString": (_INT, _TO_TEXT),
    "cuDeviceGetCount": (_TO_INT,),
    "cuDeviceGet": (_TO_INT, _INT),
    "cuDeviceGetName": (_TEXT, _INT, _INT),
    "cuDeviceGetAttribute": (_TO_INT, _INT, _INT),
    "cuDevicePrimaryCtxSetFlags_v2": (_INT, _UINT),
    "cuDevicePrimaryCtxRetain": (_TO_HANDLE, _INT),
    "cuDevicePrimaryCtxRelease_v2": (_INT,),
    "cuCtxSetCurrent": (_HANDLE,),
    "cuMemAlloc_v2": (_TO_LONG, _SIZE),
    "cuMemFree_v2": (_LONG,),
    "cuMemAllocHost_v2": (_TO_HANDLE, _SIZE),
    "cuMemFreeHost": (_HANDLE,),
    "cuMemcpyHtoDAsync_v2": (_LONG, _HANDLE, _SIZE, _HANDLE),
    "cuMemcpyDtoHAsync_v2": (_HANDLE, _LONG, _SIZE, _HANDLE),
    "cuStreamCreate": (_TO_HANDLE, _UINT),
    "cuStreamDestroy_v2": (_HANDLE,),
    "cuStreamSynchronize": (_HANDLE,),
    "cuStreamBeginCapture_v2": (_HANDLE, _INT),
    "cuStreamEndCapture": (_HANDLE, _TO_HANDLE),
    "cuEventCreate": (_TO_HANDLE, _UINT),
    "cuEventDestroy_v2": (_HANDLE,),
    "cuEventRecord": (_HANDLE, _HANDLE),
    "cuEventElapsedTime": (_TO_FLOAT, _HANDLE, _HANDLE),
    "cuGraphInstantiateWithFlags": (_TO_HANDLE, _HANDLE, ctypes.c_ulonglong),
    "cuGraphDestroy": (_HANDLE,),
    "cuGraphLaunch": (_HANDLE, _HANDLE),
    "cuGraphExecDestroy": (_HANDLE,),
}
"""What is called, and with what; each answers an int, 0 where it succeeded. As in cuda.h of CUDA 11.4 and newer, by the names in the library."""

_SPIN, _BLOCK = 1, 4
"""How the context waits for the GPU: by spinning, or asleep until it is woken."""
_NON_BLOCKING = 1
"""A stream that does not wait for the default one."""
_THREAD_LOCAL = 1
"""A capture that other threads' calls do not spoil."""
_MAJOR, _MINOR = 75, 76
"""Attributes of a device: its compute capability."""


class CudaError(RuntimeError):
    """A call of the driver that failed: which, and the driver's words."""


class Driver:
    """The first GPU, by the driver's own interface."""

    def __init__(self, library: Optional[str] = None) -> None:
        """Load the driver (`LIBRARY`, or another) and name the GPU; nothing is held yet.

        Raises:
            RefusedError: there is no driver, an older one than CUDA 11.4's, or no GPU. CudaError: it does not start.
        """
        try:
            self._cuda = ctypes.CDLL(library or LIBRARY)
        except OSError as error:
            raise RefusedError("an engine runs on an NVIDIA GPU, and there is no driver here: {}".format(error)) from None
        for name, kinds in CALLS.items():
            function = getattr(self._cuda, name, None)
            if function is None:
                raise RefusedError("the NVIDIA driver here lacks {}: CUDA 11.4 or newer is needed. Update the driver.".format(name))
            function.argtypes, function.restype = list(kinds), _INT
        self._call("cuInit", 0)
        if self._number("cuDeviceGetCount") < 1:
            raise RefusedError("an engine runs on an NVIDIA GPU, and the driver finds none here")
        self._device = self._number("cuDeviceGet", 0)
        text = ctypes.create_string_buffer(256)
        self._call("cuDeviceGetName", text, len(text), self._device)
        self.name = text.value.decode("utf-8", "replace")
        self.capability = "{}.{}".format(*(self._number("cuDeviceGetAttribute", which, self._device) for which in (_MAJOR, _MINOR)))
        version = self._number("cuDriverGetVersion")
        self.version = "{}.{}".format(version // 1000, version % 1000 // 10)
        self._context = 0

    # The context

    def hold(self, *, spin: bool) -> None:
        """Hold the primary context, which the CUDA runtime inside TensorRT shares; `spin`: waiting keeps a core busy and is told sooner."""
        self._call("cuDevicePrimaryCtxSetFlags_v2", self._device, _SPIN if spin else _BLOCK)
        self._context = self._handle("cuDevicePrimaryCtxRetain", self._device)
        self.use()

    def use(self) -> None:
        """Make the context this thread's."""
        self._call("cuCtxSetCurrent", self._context)

    def leave(self) -> None:
        """Give the context back."""
        if self._context:
            self._context = 0
            self._call("cuDevicePrimaryCtxRelease_v2", self._device)

    # Memory

    def alloc(self, size: int) -> int:
        """Bytes on the GPU, by address."""
        address = _LONG()
        self._call("cuMemAlloc_v2", ctypes.byref(address), size)
        return address.value

    def free(self, address: int) -> None:
        """Give bytes on the GPU back."""
        self._call("cuMemFree_v2", address)

    def pin(self, size: int) -> int:
        """Bytes of this machine's memory that the GPU copies from and to by itself, by address."""
        return self._handle("cuMemAllocHost_v2", size)

    def unpin(self, address: int) -> None:
        """Give pinned bytes back."""
        self._call("cuMemFreeHost", address)

    def to_gpu(self, there: int, here: int, size: int, stream: int) -> None:
        """Have bytes copied from pinned memory to the GPU, in the stream's order."""
        self._call("cuMemcpyHtoDAsync_v2", there, here, size, stream)

    def from_gpu(self, here: int, there: int, size: int, stream: int) -> None:
        """Have bytes copied from the GPU to pinned memory, in the stream's order."""
        self._call("cuMemcpyDtoHAsync_v2", here, there, size, stream)

    # Streams and events

    def stream(self) -> int:
        """A stream."""
        return self._handle("cuStreamCreate", _NON_BLOCKING)

    def end_stream(self, stream: int) -> None:
        """Give a stream back."""
        self._call("cuStreamDestroy_v2", stream)

    def wait(self, stream: int) -> None:
        """Wait until all that was put into the stream is done."""
        self._call("cuStreamSynchronize", stream)

    def event(self) -> int:
        """An event that keeps its time."""
        return self._handle("cuEventCreate", 0)

    def end_event(self, event: int) -> None:
        """Give an event back."""
        self._call("cuEventDestroy_v2", event)

    def record(self, event: int, stream: int) -> None:
        """Have the event keep the time at which the stream comes to it."""
        self._call("cuEventRecord", event, stream)

    def elapsed_ms(self, begin: int, end: int) -> float:
        """Milliseconds between two events that have happened."""
        found = _FLOAT()
        self._call("cuEventElapsedTime", ctypes.byref(found), begin, end)
        return found.value

    # Graphs

    def begin_capture(self, stream: int) -> None:
        """From here on what is put into the stream is written down and not done."""
        self._call("cuStreamBeginCapture_v2", stream, _THREAD_LOCAL)

    def end_capture(self, stream: int) -> int:
        """What was written down, as a graph to be launched."""
        graph = self._handle("cuStreamEndCapture", stream, last=True)
        try:
            launchable = _HANDLE()
            self._call("cuGraphInstantiateWithFlags", ctypes.byref(launchable), graph, 0)
        finally:
            self._call("cuGraphDestroy", graph)
        return launchable.value or 0

    def launch(self, graph: int, stream: int) -> None:
        """Put a graph's work into the stream."""
        self._call("cuGraphLaunch", graph, stream)

    def end_graph(self, graph: int) -> None:
        """Give a graph back."""
        self._call("cuGraphExecDestroy", graph)

    # Calls

    def _number(self, call: str, *given: int) -> int:
        found = _INT()
        self._call(call, ctypes.byref(found), *given)
        return found.value

    def _handle(self, call: str, *given: int, last: bool = False) -> int:
        found = _HANDLE()
        self._call(call, *((*given, ctypes.byref(found)) if last else (ctypes.byref(found), *given)))
        return found.value or 0

    def _call(self, name: str, *given: Any) -> None:
        code = getattr(self._cuda, name)(*given)
        if code:
            raise CudaError("{} failed: {} (error {})".format(name, self._words(code), code))

    def _words(self, code: int) -> str:
        text = _TEXT()
        if self._cuda.cuGetErrorString(code, ctypes.byref(text)) or text.value is None:
            return "an error that the driver has no words for"
        return text.value.decode("utf-8", "replace")


def bytes_at(address: int, size: int) -> "ctypes.Array[ctypes.c_uint8]":
    """Pinned memory as a buffer."""
    return (ctypes.c_uint8 * size).from_address(address)


def size_of(shape: Sequence[int], item: int) -> int:
    """Bytes of an array; one at the least, since none cannot be had."""
    count = 1
    for axis in shape:
        count *= axis
    return max(1, count * item)

"""OpenVINO: an ONNX file as an open model that is fed and answers. numpy and the runtime are imported late.

The same files as ONNX Runtime's, in the precision that stands in them: left alone, OpenVINO computes in bfloat16 where a processor can. A shape that
is known when the file is opened is compiled for, which its kernels are faster for.
"""

import time
from functools import partial
from typing import Any, Callable, Dict, List, Optional

from . import feed, onnxfile
from .protocol import RefusedError


def imported() -> Dict[str, Any]:
    """Import the runtime; its version and devices.

    Raises:
        ImportError: numpy or openvino is not installed.
    """
    import numpy  # noqa: F401  # named first where both are missing
    import openvino

    return {"runtimes": {"openvino": openvino.__version__.split("-")[0]}, "providers": list(openvino.Core().available_devices)}


class Model(feed.Model):
    """An ONNX file, compiled for one device."""

    def __init__(
        self,
        path: str,
        device: str,
        threads: int,
        *,
        streams: int = 1,
        batch: Optional[int] = None,
        dims: Optional[Dict[str, int]] = None,
        profile: bool = False,
    ) -> None:
        """`threads` are shared by `streams` inferences at a time. `batch` and `dims` are what it will be fed; None: any shape that the file allows.

        `profile`: each inference keeps its nodes' times, and takes longer for it.
        """
        import openvino

        core = openvino.Core()
        if device.split(".")[0].split(":")[0] not in [name.split(".")[0] for name in core.available_devices]:
            raise RefusedError("OpenVINO has no device {} here; it has {}".format(device, ", ".join(core.available_devices)))
        said = onnxfile.read(path)
        super().__init__(device, said.inputs, said.outputs, said.metadata)
        network = core.read_model(path)
        if batch is not None:
            network.reshape({put["name"]: list(feed.shape(put, batch, {**self.own_size(), **(dims or {})})) for put in said.inputs})
        self._compiled = core.compile_model(network, device, _settings(device, threads, streams, profile))
        self._request = self._compiled.create_infer_request()

    def run(self, feeds: Dict[str, Any]) -> List[Any]:
        """One inference; outputs in the file's order."""
        return list(self._request.infer(feeds, share_inputs=True).values())

    def runner(self, feeds: Dict[str, Any]) -> Callable[[], object]:
        """A request of its own, its inputs set once: the runtime reads them where they lie."""
        import openvino

        request = self._compiled.create_infer_request()
        for name, array in feeds.items():
            request.set_tensor(name, openvino.Tensor(array, shared_memory=True))
        return partial(_again, request, feeds)

    def node_times(self, feeds: Dict[str, Any], wanted: int, max_s: float) -> List[Dict[str, Any]]:
        """Each node's `name`, `op` and `us`, microseconds by run; of a model that was opened with `profile`.

        So many runs at the most after some that are dropped, and none is begun once `max_s` have passed, but for the first two.
        """
        begin = time.perf_counter()
        told: List[List[Any]] = []
        while len(told) < 2 or (len(told) < wanted + wanted // 10 and time.perf_counter() - begin < max_s):
            self._request.infer(feeds, share_inputs=True)
            told.append([node for node in self._request.get_profiling_info() if node.status.name == "EXECUTED"])
        kept = told[max(1, len(told) - wanted) :]
        nodes: Dict[str, Dict[str, Any]] = {}
        for run, each in enumerate(kept):
            for node in each:
                found = nodes.setdefault(node.node_name, {"name": node.node_name, "op": node.node_type, "us": [0.0] * len(kept)})
                found["us"][run] += 1e6 * node.real_time.total_seconds()
        return list(nodes.values())


def _again(request: Any, feeds: Dict[str, Any]) -> object:
    """One more inference; `feeds` are held because the request reads them."""
    return request.infer()


def _settings(device: str, threads: int, streams: int, profile: bool) -> Dict[str, Any]:
    """What a file is compiled with: its own precision, and one inference at a time unless several share the threads."""
    settings: Dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY" if streams == 1 else "THROUGHPUT",
        "EXECUTION_MODE_HINT": "ACCURACY",
        "PERF_COUNT": profile,
    }
    if device == "CPU":
        # Not pinned, as ONNX Runtime's threads are not: what else runs may take a core, and the system moves the thread.
        settings.update(INFERENCE_NUM_THREADS=threads, NUM_STREAMS=streams, ENABLE_CPU_PINNING=False)
    return settings

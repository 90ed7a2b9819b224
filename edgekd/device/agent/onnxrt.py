"""ONNX Runtime: an ONNX file as an open model that is fed and answers. Any inputs; numpy and the runtime are imported late."""

import time
from functools import lru_cache
from typing import Any, Dict, List, Optional

from . import feed
from .protocol import RefusedError

TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(int8)": "int8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
    "tensor(string)": "str",
}

CPU = "CPUExecutionProvider"
ALONE = "session.disable_cpu_ep_fallback"
"""Refuse a file of which a provider leaves nodes to the CPU."""
WRONG = ["WeightBiasQuantization"]
"""What ONNX Runtime 1.32 takes for an optimisation: it rounds the float bias of an int8 convolution by scales in fp16, where their product is lost,
and answers something else altogether to int8 for TensorRT."""
SPIN_US = 2000
"""How long an idle worker thread spins. The runtime's own default, 50 ms and more, would disturb whose turn is next; between two inferences
one after another a thread waits microseconds, and their latency is the same (measured: 0.13 ms and 0.62 ms networks, 4 threads)."""


def imported() -> Dict[str, Any]:
    """Import the runtime; its version and providers.

    Raises:
        ImportError: numpy or onnxruntime is not installed.
    """
    import numpy  # noqa: F401  # named first where both are missing
    import onnxruntime

    # Older builds obey this and not the environment's word.
    if hasattr(onnxruntime, "disable_telemetry_events"):
        onnxruntime.disable_telemetry_events()
    onnxruntime.set_default_logger_severity(4)
    return {"runtimes": {"onnxruntime": onnxruntime.__version__}, "providers": list(onnxruntime.get_available_providers())}


@lru_cache(maxsize=None)
def share_threads(threads: int) -> bool:
    """Give this process one pool of so many threads for all models that share it; False where the runtime is too old for that.

    The runtime takes one number a process and refuses another, and every model that is opened from then on has to share.
    """
    import onnxruntime

    if not hasattr(onnxruntime, "set_global_thread_pool_sizes"):
        return False
    onnxruntime.set_global_thread_pool_sizes(threads, 1)
    return True


class Model(feed.Model):
    """An ONNX file, opened by one provider with so many threads."""

    def __init__(self, path: str, provider: str, threads: int, *, short_spin: bool, shared: bool = False, profile: Optional[str] = None) -> None:
        """`shared`: the threads are the pool's of `share_threads`, which spins as it does.

        `profile`: what the path of a profile begins with, which the runtime then keeps; its times are longer for it.
        """
        import onnxruntime

        there = onnxruntime.get_available_providers()
        if provider not in there:
            raise RefusedError("this onnxruntime has no {}; it has {}".format(provider, ", ".join(there)))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        if shared:
            options.use_per_session_threads = False
        elif short_spin:
            options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_US))
        if profile is not None:
            options.enable_profiling = True
            options.profile_file_prefix = profile
        if provider != CPU and profile is None:
            options.add_session_config_entry(ALONE, "1")
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=[provider], disabled_optimizers=WRONG)
        except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
            if provider == CPU or "CPU EP" not in str(error):
                raise
            options.add_session_config_entry(ALONE, "0")
            begun = time.perf_counter()
            self._session = onnxruntime.InferenceSession(path, options, providers=[provider], disabled_optimizers=WRONG)
            self.partly, self.load_ms = True, 1e3 * (time.perf_counter() - begun)
        taken = self._session.get_providers()[0]
        if taken != provider:
            # The runtime falls back to the CPU with no more than a line on stderr.
            raise RefusedError("{} does not start here, onnxruntime offers {} instead".format(provider, taken))
        inputs, outputs = ([_described(put) for put in puts] for puts in (self._session.get_inputs(), self._session.get_outputs()))
        super().__init__(provider, inputs, outputs, dict(self._session.get_modelmeta().custom_metadata_map))

    def run(self, feeds: Dict[str, Any]) -> List[Any]:
        """One inference; outputs in the file's order."""
        answer: List[Any] = self._session.run(None, feeds)
        return answer

    def profiled(self) -> str:
        """End the profile that was asked for; the path of the file that holds it."""
        path: str = self._session.end_profiling()
        return path


def _described(put: Any) -> feed.Put:
    return {"name": put.name, "shape": list(put.shape or []), "type": TYPES.get(put.type, put.type)}

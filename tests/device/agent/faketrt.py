"""A stand-in for Python's `tensorrt`: the names that its documentation gives for 10 and for 11, on a network that doubles and adds one.

Imported as `tensorrt` by tests and, from a folder on PYTHONPATH, by agents that tests start; so it needs nothing of this project. An "engine" is JSON
of what an ONNX file says. Its work runs in tests/device/agent/fakecuda.c, which `FAKE_CUDA` names the library of. `FAKE_TRT_VERSION` is the version,
"10.3.0" if nothing is said.
"""

import ctypes
import enum
import json
import os
from collections.abc import Sequence
from typing import Any

__version__ = os.environ.get("FAKE_TRT_VERSION", "10.3.0")
_ELEVEN = int(__version__.split(".")[0]) >= 11
CAN_CAPTURE = True
"""Whether an engine's work may be put into a stream that captures."""
STEPS: list[str] = []
"""What the builder came to, by its monitor's phases."""


class ILogger:
    """Base of loggers."""

    class Severity(enum.IntEnum):
        """How grave it is."""

        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
        INFO = 3
        VERBOSE = 4

    def log(self, severity: Any, text: str) -> None:
        """Overridden."""
        raise NotImplementedError


class IProgressMonitor:
    """Base of monitors."""

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        """Overridden."""
        raise NotImplementedError

    def step_complete(self, phase_name: str, step: int) -> bool:
        """Overridden."""
        raise NotImplementedError

    def phase_finish(self, phase_name: str) -> None:
        """Overridden."""
        raise NotImplementedError


class TensorIOMode(enum.Enum):
    """What a tensor is to an engine."""

    NONE = 0
    INPUT = 1
    OUTPUT = 2


class DataType(enum.Enum):
    """Types, by their documented names."""

    FLOAT = 0
    HALF = 1
    INT8 = 2
    INT32 = 3
    BOOL = 4
    UINT8 = 5
    FP8 = 6
    BF16 = 7
    INT64 = 8


class ProfilingVerbosity(enum.Enum):
    """How much an engine keeps of its layers."""

    LAYER_NAMES_ONLY = 0
    NONE = 1
    DETAILED = 2


class LayerInformationFormat(enum.Enum):
    """What an inspector writes."""

    ONELINE = 0
    JSON = 1


class MemoryPoolType(enum.Enum):
    """Pools of memory."""

    WORKSPACE = 0


if _ELEVEN:

    class NetworkDefinitionCreationFlag(enum.IntEnum):
        """11 has one kind of network, and no flag for it."""

        PREFER_AOT_PYTHON_PLUGINS = 3

else:

    class NetworkDefinitionCreationFlag(enum.IntEnum):  # type: ignore[no-redef]
        """As in 10."""

        EXPLICIT_BATCH = 0
        STRONGLY_TYPED = 1


class _Put:
    def __init__(self, name: str, shape: Sequence[int]) -> None:
        self.name, self.shape, self.dtype = name, tuple(shape), DataType.FLOAT


class _Layer:
    def __init__(self, output: _Put) -> None:
        self.name, self.type, self.num_outputs, self._output = f"double {output.name}", "LayerType.ELEMENTWISE", 1, output

    def get_output(self, number: int) -> _Put:
        return self._output


class _Network:
    def __init__(self, flags: int) -> None:
        self.flags = flags
        self.inputs: list[_Put] = []
        self.outputs: list[_Put] = []

    @property
    def num_inputs(self) -> int:
        return len(self.inputs)

    @property
    def num_layers(self) -> int:
        return len(self.outputs)

    def get_input(self, number: int) -> _Put:
        return self.inputs[number]

    def get_layer(self, number: int) -> _Layer:
        return _Layer(self.outputs[number])


class _Error:
    def desc(self) -> str:
        return "no ONNX file"


class OnnxParser:
    """Reads what an ONNX file says of its ends."""

    def __init__(self, network: _Network, log: ILogger) -> None:
        self._network, self.num_errors = network, 0

    def parse(self, data: bytes, path: str) -> bool:
        """Whether it is an ONNX file."""
        import onnx

        try:
            graph = onnx.load_from_string(data).graph
        except Exception:
            graph = None
        if graph is None or not graph.output:
            self.num_errors = 1
            return False
        for puts, found in ((self._network.inputs, graph.input), (self._network.outputs, graph.output)):
            puts += [_Put(put.name, [axis.dim_value or -1 for axis in put.type.tensor_type.shape.dim]) for put in found]
        return True

    def get_error(self, number: int) -> _Error:
        """What was wrong."""
        return _Error()


class _Profile:
    def __init__(self) -> None:
        self.shapes: dict[str, list[list[int]]] = {}

    def set_shape(self, name: str, least: Sequence[int], usual: Sequence[int], largest: Sequence[int]) -> None:
        self.shapes[name] = [list(least), list(usual), list(largest)]


class _Cache:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def serialize(self) -> bytes:
        return self._data + b"timed "


class _Config:
    def __init__(self) -> None:
        self.profiling_verbosity = ProfilingVerbosity.LAYER_NAMES_ONLY
        self.progress_monitor: IProgressMonitor | None = None
        self.profiles: list[_Profile] = []
        self.pools: dict[Any, int] = {}

    def add_optimization_profile(self, profile: _Profile) -> int:
        self.profiles.append(profile)
        return 0

    def set_memory_pool_limit(self, pool: Any, size: int) -> None:
        self.pools[pool] = size

    def create_timing_cache(self, data: bytes) -> _Cache:
        return _Cache(data)

    def set_timing_cache(self, cache: _Cache, ignore_mismatch: bool) -> bool:
        return True


class Builder:
    """Makes "engines"."""

    def __init__(self, log: ILogger) -> None:
        self._log = log

    def create_network(self, flags: int = 0) -> _Network:
        """A network; of 10, a strongly typed one only by its flag."""
        if not _ELEVEN and flags != 1 << NetworkDefinitionCreationFlag["STRONGLY_TYPED"]:
            raise ValueError("the network is not strongly typed")
        return _Network(flags)

    def create_optimization_profile(self) -> _Profile:
        """A profile."""
        return _Profile()

    def create_builder_config(self) -> _Config:
        """A config."""
        return _Config()

    def build_serialized_network(self, network: _Network, config: _Config) -> bytes | None:
        """The "engine", or None where the monitor would have it stop."""
        monitor = config.progress_monitor
        STEPS.clear()
        if monitor is not None:
            monitor.phase_start("Building Engine", None, 3)
            for step in range(3):
                STEPS.append(f"step {step}")
                if not monitor.step_complete("Building Engine", step):
                    self._log.log(ILogger.Severity.ERROR, "cancelled by the monitor")
                    return None
            monitor.phase_finish("Building Engine")
        shapes = {name: shape for profile in config.profiles for name, shape in profile.shapes.items()}
        inputs, outputs = ([[put.name, list(put.shape)] for put in puts] for puts in (network.inputs, network.outputs))
        return json.dumps({"version": __version__, "inputs": inputs, "outputs": outputs, "profile": shapes}).encode()


class Runtime:
    """Opens "engines"."""

    def __init__(self, log: ILogger) -> None:
        self._log = log

    def deserialize_cuda_engine(self, plan: bytes) -> Any:
        """An engine; None where it is none of this version."""
        try:
            said = json.loads(plan)
            if said["version"] == __version__:
                return _Engine(said)
        except (ValueError, KeyError):
            pass
        self._log.log(ILogger.Severity.ERROR, "The engine plan file is not compatible with this version of TensorRT")
        return None


class _Engine:
    def __init__(self, said: dict[str, Any]) -> None:
        self.inputs: dict[str, list[int]] = dict(said["inputs"])
        self.outputs: dict[str, list[int]] = dict(said["outputs"])
        self.profile: dict[str, list[list[int]]] = said["profile"]
        self.types: dict[str, DataType] = {}

    @property
    def num_io_tensors(self) -> int:
        return len(self.inputs) + len(self.outputs)

    def get_tensor_name(self, number: int) -> str:
        return [*self.inputs, *self.outputs][number]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self.inputs else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return self.types.get(name, DataType.FLOAT)

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple({**self.inputs, **self.outputs}[name])

    def get_tensor_profile_shape(self, name: str, number: int) -> list[tuple[int, ...]]:
        return [tuple(shape) for shape in self.profile.get(name, [self.inputs[name]] * 3)]

    def create_execution_context(self) -> "_Context | None":
        return _Context(self)

    def create_engine_inspector(self) -> "_Inspector":
        return _Inspector(self)


class _Inspector:
    def __init__(self, engine: _Engine) -> None:
        self._engine = engine

    def get_engine_information(self, format: LayerInformationFormat) -> str:
        if format != LayerInformationFormat.JSON:
            return "double, add"
        put = {"Name": "y", "Location": "Device", "Dimensions": [1], "Format/Datatype": "Float"}
        rows = [{"Name": f"double {name} + add", "LayerType": "PointWiseV2", "Inputs": [put], "Outputs": [put]} for name in self._engine.outputs]
        return json.dumps({"Layers": rows, "Bindings": [*self._engine.inputs, *self._engine.outputs]})


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self._engine = engine
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._at: dict[str, int] = {}
        self._kernel = ctypes.CDLL(os.environ.get("FAKE_CUDA", "libcuda.so.1")).fake_kernel
        self._kernel.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_size_t]

    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        least, _, largest = self._engine.get_tensor_profile_shape(name, 0)
        self._shapes[name] = tuple(shape)
        return len(shape) == len(least) and all(low <= size <= high for low, size, high in zip(least, shape, largest, strict=True))

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name in self._shapes:
            return self._shapes[name]
        first = next(iter(self._shapes.values()))
        return tuple(first[0] if size == -1 and axis == 0 else size for axis, size in enumerate(self._engine.outputs[name]))

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._at[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        if not CAN_CAPTURE and ctypes.c_int.from_address(stream).value:
            return False
        done = True
        for given, answered in zip(self._engine.inputs, self._engine.outputs, strict=False):
            count = 1
            for size in self.get_tensor_shape(answered):
                count *= size
            done = done and not self._kernel(stream, self._at[given], self._at[answered], count)
        return done

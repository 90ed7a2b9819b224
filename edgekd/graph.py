"""What an ONNX file holds: parameters, multiply-accumulates (MACs), bytes, operators, layers, metadata.

In: a path. Out: `Graph`. Everything is read and inferred, nothing is run, and weights are not loaded where they stand in files beside it.
What counts as a parameter and as a MAC is `nodes`' to say.
"""

from collections import Counter
from pathlib import Path

import msgspec

from edgekd.errors import MissingError, MissingExtra, UsageError
from edgekd.externaldata import external_files
from edgekd.nodes import STANDARD, Nodes, inner_nodes, operator
from edgekd.record import Layer

try:
    import onnx
    from onnx import TensorProto
except ImportError:
    raise MissingExtra("onnx", "measure") from None


class Tensor(msgspec.Struct, frozen=True, kw_only=True):
    """An input or output: its type as ONNX names it ("float", "uint8"), its shape with a name or None where a dimension is open."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...] | None


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """One ONNX file. `size` counts the files of external data, too; `macs` is None where any layer's cannot be known."""

    params: int
    macs: int | None
    size: int
    opset: int
    inputs: list[Tensor]
    outputs: list[Tensor]
    operators: dict[str, int]
    layers: list[Layer]
    metadata: dict[str, str]
    quantised: dict[str, int]
    """Nodes by operator that a runtime can run in integers: integer operators, and those that stand between DequantizeLinear and QuantizeLinear."""


def summary(path: Path) -> Graph:
    """Read an ONNX file.

    Raises:
        MissingError: there is no such file, or external data is not beside it.
        UsageError: it is not an ONNX model.
    """
    model = read(path)
    size = path.stat().st_size + sum(file.stat().st_size for file in external_files(path))
    return summarise(model, size)


def read(path: Path) -> onnx.ModelProto:
    """The model in a file, without its external data; raises as `summary`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MissingError(f"no ONNX file can be read at {path}: {error.strerror}. Give the path of an .onnx file.") from None
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's own classes differ between its back ends
        raise UsageError(f"{path} is not an ONNX model: {error}. Give a file that torch.onnx.export or edgekd wrote.") from None
    if not model.graph.node or opset(model) == 0:
        raise UsageError(f"{path} is not an ONNX model: it has no nodes or no opset. Give a file that torch.onnx.export or edgekd wrote.")
    return model


def opset(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators that a model asks for, 0 where it asks for none."""
    return next((entry.version for entry in model.opset_import if entry.domain in STANDARD), 0)


def summarise(model: onnx.ModelProto, size: int) -> Graph:
    """`summary` of a model in memory, whose file has `size` bytes."""
    graph = model.graph
    nodes = Nodes(model)
    layers = nodes.layers()
    macs = [layer.macs for layer in layers]
    initialisers = {tensor.name for tensor in graph.initializer}
    return Graph(
        params=sum(layer.params for layer in layers),
        macs=None if nodes.uncounted or None in macs else sum(count for count in macs if count is not None),
        size=size,
        opset=opset(model),
        inputs=[_tensor(value) for value in graph.input if value.name not in initialisers],
        outputs=[_tensor(value) for value in graph.output],
        operators=dict(sorted(Counter(operator(node) for node in inner_nodes(graph)).items())),
        layers=[layer for layer in layers if layer.params or layer.macs != 0],
        metadata={entry.key: entry.value for entry in model.metadata_props},
        quantised=dict(sorted(Counter(operator(node) for node in graph.node if nodes.quantised(node)).items())),
    )


def _tensor(value: onnx.ValueInfoProto) -> Tensor:
    kind = value.type.tensor_type
    dims = tuple(dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else dim.dim_param or None for dim in kind.shape.dim)
    return Tensor(name=value.name, dtype=TensorProto.DataType.Name(kind.elem_type).lower(), shape=dims if kind.HasField("shape") else None)

"""What an ONNX file says of itself, read without a package: inputs, outputs and metadata, for runtimes that forget some of it.

In: a file. Out: `Said`. Only the outermost tables of the protocol buffer are read (field numbers as in onnx.proto); weights are stepped over.
"""

from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Set, Tuple, Union

from .feed import Put
from .protocol import RefusedError

KINDS = {
    **{1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "str", 9: "bool", 10: "float16", 11: "float64"},
    **{12: "uint32", 13: "uint64", 16: "bfloat16"},
}
"""TensorProto.DataType in numpy's words."""
_GRAPH, _METADATA = 7, 14
_INITIALIZER, _INPUT, _OUTPUT = 5, 11, 12
_TENSOR_NAME = 8

Value = Union[int, memoryview]


class Said(NamedTuple):
    """Inputs and outputs in the file's order, and its metadata."""

    inputs: List[Put]
    outputs: List[Put]
    metadata: Dict[str, str]


def read(path: str) -> Said:
    """What a file says; raises RefusedError where it is no ONNX file."""
    inputs: List[Put] = []
    outputs: List[Put] = []
    metadata: Dict[str, str] = {}
    try:
        for number, value in _fields(memoryview(Path(path).read_bytes())):
            if number == _GRAPH:
                inputs, outputs = _puts(_bytes(value))
            elif number == _METADATA:
                entry = dict(_fields(_bytes(value)))
                metadata[_text(entry.get(1, memoryview(b"")))] = _text(entry.get(2, memoryview(b"")))
    except (ValueError, IndexError, TypeError) as error:
        raise RefusedError("{} does not read as an ONNX file: {}".format(path, error)) from None
    if not outputs:
        raise RefusedError("{} does not read as an ONNX file: it has no graph with an output".format(path))
    return Said(inputs, outputs, metadata)


def _puts(graph: memoryview) -> Tuple[List[Put], List[Put]]:
    """A graph's inputs, without those that are weights, and its outputs."""
    inputs: List[Put] = []
    outputs: List[Put] = []
    weights: Set[str] = set()
    for number, value in _fields(graph):
        if number == _INPUT:
            inputs.append(_put(_bytes(value)))
        elif number == _OUTPUT:
            outputs.append(_put(_bytes(value)))
        elif number == _INITIALIZER:
            weights.update(_text(found) for at, found in _fields(_bytes(value)) if at == _TENSOR_NAME)
    return [put for put in inputs if put["name"] not in weights], outputs


def _put(info: memoryview) -> Put:
    """A ValueInfoProto: name (1), type (2) → tensor (1) → kind (1), shape (2)."""
    about = dict(_fields(info))
    tensor = dict(_fields(_bytes(dict(_fields(_bytes(about[2]))).get(1, memoryview(b""))))) if 2 in about else {}
    axes = [_axis(_bytes(value)) for number, value in _fields(_bytes(tensor[2])) if number == 1] if 2 in tensor else []
    kind = tensor.get(1, 0)
    return {"name": _text(about[1]), "shape": axes, "type": KINDS.get(kind, "type {}".format(kind)) if isinstance(kind, int) else "unknown"}


def _axis(dimension: memoryview) -> Union[int, str, None]:
    """A dimension's size (1), its name (2), or None."""
    about = dict(_fields(dimension))
    size = about.get(1)
    if isinstance(size, int):
        return size
    return _text(about[2]) if 2 in about else None


def _fields(data: memoryview) -> Iterator[Tuple[int, Value]]:
    """Each field's number and value; what is neither a number nor bytes is stepped over."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
        elif wire == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError("it ends in the middle of a field")
            yield number, data[at : at + size]
            at += size
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise ValueError("a field of kind {}".format(wire))


def _varint(data: memoryview, at: int) -> Tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a table belongs")
    return value


def _text(value: Value) -> str:
    return bytes(_bytes(value)).decode("utf-8")

"""What an ONNX file says of itself, read without a package: inputs, outputs and metadata, for runtimes that forget some of it.

In: a file. Out: `Said`; the files beside it that hold its weights; its hash. Only tables of the protocol buffer are read (field numbers as in
onnx.proto); weights are stepped over.
"""

import hashlib
import mmap
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

from .feed import Put
from .protocol import RefusedError
from .store import sha256_of

KINDS = {
    **{1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "str", 9: "bool", 10: "float16", 11: "float64"},
    **{12: "uint32", 13: "uint64", 16: "bfloat16"},
}
"""TensorProto.DataType in numpy's words."""
_GRAPH, _METADATA, _FUNCTION = 7, 14, 25
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _SPARSE = 1, 5, 11, 12, 15
_FUNCTIONS_NODE = 7
_ATTRIBUTE, _TENSORS, _GRAPHS, _SPARSES = 5, (5, 10), (6, 11), (22, 23)
_TENSOR_NAME, _EXTERNAL, _LOCATION = 8, 13, 14
_OPEN = 1 << 63
"""Sizes from here on are negative, as some exporters write open axes."""

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
        for number, value in _fields(_mapped(path)):
            if number == _GRAPH:
                inputs, outputs = _puts(_bytes(value))
            elif number == _METADATA:
                entry = dict(_fields(_bytes(value)))
                metadata[_text(entry.get(1, memoryview(b"")))] = _text(entry.get(2, memoryview(b"")))
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise RefusedError("{} does not read as an ONNX file: {}".format(path, error)) from None
    if not outputs:
        raise RefusedError("{} does not read as an ONNX file: it has no graph with an output".format(path))
    return Said(inputs, outputs, metadata)


def external(path: str) -> List[str]:
    """The files of external data that a model names, as it names them, each once; raises RefusedError where it is no ONNX file."""
    return sorted(external_sizes(path))


def external_sizes(path: str) -> Dict[str, int]:
    """The same, each with the bytes that it must have at least, as far as the model says; raises as `external`."""
    ends: Dict[str, int] = {}
    data = _mapped(path)
    if not _holds(data, b"location"):  # the key that such a file is named under
        return ends
    try:
        for number, value in _fields(data):
            if number == _GRAPH:
                _reach(ends, _places(_tensors(_bytes(value), _NODE)))
            elif number == _FUNCTION:
                _reach(ends, _places(_tensors(_bytes(value), _FUNCTIONS_NODE)))
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise RefusedError("{} does not read as an ONNX file: {}".format(path, error)) from None
    return ends


def digest(path: str, beside: Optional[Sequence[str]] = None) -> str:
    """The sha256 of a model: of its file alone, or of that and of all that hold its weights (`beside`: as `external` has found them already). Raises
    as `external`, OSError where one is missing."""
    own = sha256_of(Path(path))
    files = ["{} {}".format(name, sha256_of(Path(path).parent / name)) for name in (external(path) if beside is None else beside)]
    return hashlib.sha256("\n".join([own, *files]).encode("utf-8")).hexdigest() if files else own


def _reach(ends: Dict[str, int], places: Iterator[Tuple[str, int]]) -> None:
    for name, end in places:
        ends[name] = max(end, ends.get(name, 0))


def _places(tensors: Iterator[memoryview]) -> Iterator[Tuple[str, int]]:
    """In which file the external ones of some tensors lie, and where they end in it; 0 where no length is told."""
    for tensor in tensors:
        fields = list(_fields(tensor))
        if (_LOCATION, 1) in fields:  # EXTERNAL; entries may be left of what was saved otherwise before
            entries = [dict(_fields(_bytes(entry))) for at, entry in fields if at == _EXTERNAL]
            told = {_text(entry.get(1, memoryview(b""))): _text(entry[2]) for entry in entries if 2 in entry}
            if "location" in told:
                yield told["location"], int(told.get("offset") or 0) + int(told["length"]) if told.get("length") else 0


def _tensors(graph: memoryview, nodes: int) -> Iterator[memoryview]:
    """A graph's tensors, or a function's, whose nodes have another number: initialisers, those that nodes hold, and the same of graphs within."""
    for number, value in _fields(graph):
        if number == nodes:
            attributes = [_bytes(attribute) for place, attribute in _fields(_bytes(value)) if place == _ATTRIBUTE]
            for at, held in (pair for attribute in attributes for pair in _fields(attribute)):
                if at in _TENSORS:
                    yield _bytes(held)
                elif at in _SPARSES:
                    yield from _sparse(_bytes(held))
                elif at in _GRAPHS:
                    yield from _tensors(_bytes(held), _NODE)
        elif number == _INITIALIZER and nodes == _NODE:
            yield _bytes(value)
        elif number == _SPARSE and nodes == _NODE:
            yield from _sparse(_bytes(value))


def _sparse(tensor: memoryview) -> Iterator[memoryview]:
    """A sparse tensor's values (1) and indices (2)."""
    return (_bytes(value) for number, value in _fields(tensor) if number in (1, 2))


def _holds(data: memoryview, word: bytes) -> bool:
    return isinstance(data.obj, mmap.mmap) and data.obj.find(word) >= 0


def _mapped(path: str) -> memoryview:
    """A file's bytes, read as they are looked at: weights of gigabytes are stepped over."""
    with open(path, "rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) if file.seek(0, 2) else memoryview(b"")


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
    if isinstance(size, int) and size < _OPEN:
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

"""What an open model is fed: its inputs by shape and type, made-up values for them, and how many images that is. Knows no runtime."""

import json
from functools import partial
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from .protocol import RefusedError

Put = Dict[str, Any]
"""An input or output: its `name`, its `shape` (a number, a name or None for each axis) and its `type` in numpy's words."""
TYPES = (
    *("float32", "float16", "float64", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "bool", "str"),
)  # fmt: skip
"""What can be made up; `str` is an array of texts."""
IMAGES = 4
"""Axes of an input of images."""


class Model:
    """A file that a runtime has opened. Every runtime's own says how it runs; what it is fed is the same for all."""

    load_ms: Optional[float] = None
    """What loading took by the runtime's own word, where opening it here takes in more."""
    partly = False
    """Whether a part of it, or all, runs on the CPU although another provider was asked for."""

    def __init__(self, provider: str, inputs: List[Put], outputs: List[Put], metadata: Dict[str, str]) -> None:
        self.provider, self.inputs, self.outputs, self.metadata = provider, inputs, outputs, metadata

    @property
    def batch(self) -> Optional[int]:
        """Images that one inference takes: None where the first axis of an input is open, else what the file says; 1 where no axis is a batch."""
        put = self._batched()
        size = 1 if put is None else put["shape"][0]
        return size if isinstance(size, int) else None

    def images(self, batch: int, dims: Dict[str, int]) -> int:
        """Images that one inference takes when it is fed by `feeds(batch, dims)`."""
        put = self._batched()
        return 1 if put is None else shape(put, batch, {**self.own_size(), **dims})[0]

    def _batched(self) -> Optional[Put]:
        """The input whose first axis counts images: one of four axes; without such, an open one, else one of a length that an output's has, too."""
        puts = [put for put in self.inputs if put["shape"]]
        pictures = [put for put in puts if len(put["shape"]) == IMAGES]
        opened = [put for put in pictures or puts if not isinstance(put["shape"][0], int)]
        answers = [put["shape"][0] for put in self.outputs if put["shape"]]
        told = all(isinstance(size, int) for size in answers) and bool(answers)
        shared = [put for put in puts if not told or put["shape"][0] in answers]
        return next(iter(opened or pictures or shared), None)

    def feeds(self, batch: int, dims: Dict[str, int], seed: int = 0) -> Dict[str, Any]:
        """Made-up inputs of the declared shapes: noise for numbers, zeros for indices (int32, int64), since any other may be out of range.

        An open first axis takes `batch`; any other open axis takes its size from `dims`, by its name or as `INPUT.AXIS`. Height and width of a file
        that resizes pictures by itself are its network's own where nothing else is said.

        Raises:
            RefusedError: an open axis without a size, or a type that numpy lacks.
        """
        import numpy

        noise = numpy.random.default_rng(seed)
        return {put["name"]: _made(noise, put, shape(put, batch, {**self.own_size(), **dims})) for put in self.inputs}

    def own_size(self) -> Dict[str, int]:
        """Height and width in pixels that the file says its network has; nothing where it says none."""
        try:
            height, width = json.loads(self.metadata["edgekd.preprocess"])["size"]
        except (KeyError, TypeError, ValueError):
            return {}
        found = {"height": height, "width": width}
        if len(self.inputs) == 1 and len(self.inputs[0]["shape"]) == IMAGES:
            (put,) = self.inputs
            for axis, size in zip((1, 2) if channels_last(put["shape"]) else (2, 3), (height, width)):
                if not isinstance(put["shape"][axis], int):
                    found[put["shape"][axis] or "{}.{}".format(put["name"], axis)] = size
        return found

    def run(self, feeds: Dict[str, Any]) -> List[Any]:
        """One inference; outputs in the file's order, the caller's to keep."""
        raise NotImplementedError

    def runner(self, feeds: Dict[str, Any]) -> Callable[[], object]:
        """What runs these inputs over and over, for a clock to be held to; several of one model may run at a time, each in a thread of its own."""
        return partial(self.run, feeds)

    def close(self) -> None:
        """Give back what the runtime holds outside this process's memory."""


def channels_last(axes: Sequence[Any]) -> bool:
    """Whether the last of four axes is that of colours, or of grey."""
    return axes[3] in (1, 3) and axes[1] not in (1, 3)


def shape(put: Put, batch: int, dims: Dict[str, int]) -> Tuple[int, ...]:
    """An input's shape with every open axis given its size; raises as `Model.feeds`."""
    sizes = []
    for axis, size in enumerate(put["shape"]):
        place = "{}.{}".format(put["name"], axis)
        told: Optional[int] = dims.get(place, dims.get(size) if isinstance(size, str) else None)
        if isinstance(size, int):
            sizes.append(size)
        elif told is None and axis > 0:
            raise RefusedError(
                "axis {} of input {!r} has no fixed size (its shape is {}); say how long it is, as in edgekd bench --dim {}=224".format(
                    axis, put["name"], put["shape"], size if isinstance(size, str) else place
                )
            )
        else:
            sizes.append(batch if told is None else told)
    return tuple(sizes)


def _made(noise: Any, put: Put, sizes: Tuple[int, ...]) -> Any:
    import numpy

    name = put["type"]
    if name not in TYPES:
        raise RefusedError("input {!r} is a {}, which cannot be made up here".format(put["name"], name))
    if name == "str":
        return numpy.full(sizes, "", dtype=object)
    kind: Any = numpy.dtype(name)
    if kind.kind == "f":
        return noise.standard_normal(sizes, dtype="float32").astype(kind)
    if kind.itemsize > 2 or kind.kind == "b":
        return numpy.zeros(sizes, kind)
    return noise.integers(0, numpy.iinfo(kind).max, sizes, dtype=kind, endpoint=True)

"""A model with its inside laid open: a session that also answers the tensors between its layers, and how far two tensors are apart.

In: a model, the tensors wanted, prepared images. Out: their numbers. What they mean is the caller's business (`drift`, `modules`).
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgekd.export.feed import Feed, open_session


class Opened:
    """A session of a model that also gives tensors inside it: `names`, those wanted that hold floating-point numbers, in the model's order."""

    def __init__(self, model: onnx.ModelProto, wanted: Collection[str], feed: Feed, name: str) -> None:
        self.makers = makers(model)
        self._feed = feed
        opened = onnx.ModelProto()
        opened.CopyFrom(model)
        there = {value.name for value in model.graph.output}
        # The runtime finds out their types and shapes by itself.
        opened.graph.output.extend(onnx.ValueInfoProto(name=tensor) for tensor in self.makers if tensor in wanted and tensor not in there)
        self._session = open_session(opened.SerializeToString(), name, layouts=False)
        floats = {put.name for put in self._session.get_outputs() if put.type in ("tensor(float)", "tensor(float16)")}
        self.names = [tensor for tensor in self.makers if tensor in wanted and tensor in floats]

    def answers(self, names: Sequence[str], images: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """These tensors on one batch of images, a fixed one filled up."""
        fed = self._feed.fed(batch(self._feed, images))
        return dict(zip(names, self._session.run(list(names), fed), strict=True)) if names else {}


def batch(feed: Feed, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """All of the images, or the first batch of a file that takes a fixed one."""
    return next(feed.batches(images, len(images)))


def makers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """The node behind each tensor, in the model's order."""
    return {output: node for node in model.graph.node if node.op_type != "Constant" for output in node.output if output}


def called(node: onnx.NodeProto) -> str:
    """A node as messages name it."""
    return f"{node.name or node.output[0]} ({node.op_type})"


def apart(before: NDArray[Any], after: NDArray[Any]) -> float | None:
    """Root mean square of the difference, over that of what the numbers should be; None where one is not finite."""
    if before.shape != after.shape or not (np.isfinite(before).all() and np.isfinite(after).all()):
        return None
    first, second = before.astype(np.float64), after.astype(np.float64)
    size = float(np.sqrt(np.square(first).mean())) if first.size else 0.0
    return float(np.sqrt(np.square(second - first).mean())) / (size or 1.0) if first.size else 0.0


def largest(values: NDArray[Any]) -> float:
    """The largest number, without its sign; 0 of none."""
    return float(np.abs(values).max(initial=0.0))

"""What a network's first file is made from: the network, scaled where a temperature is folded in, or the file that it came as.

In: a network of one's own to change, or a teacher that is an ONNX file. Out: the same network, or the file's graph, how it is fed and its precision.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from edgekd import graph
from edgekd.errors import UsageError
from edgekd.events import Emit, Note
from edgekd.export.feed import Feed
from edgekd.models.blackbox import OnnxTeacher
from edgekd.models.heads import divide_head
from edgekd.models.network import Network
from edgekd.record import Precision

_INSIDE = 4
"""The first version of ONNX's format whose initializers need not be inputs, too."""
_ALIKE = 1e-4
"""Of the logits' standard deviation, by which folding a temperature may miss them divided by it."""


def scaled(network: Network, temperature: float | None, images: NDArray[np.uint8]) -> Network:
    """A network of one's own with all its logits divided by a temperature, where there is one: folded into its head.

    Raises:
        UsageError: its logits are not what its last linear layer gives, so that nothing can be folded.
    """
    if temperature is None:
        return network
    wanted = network.predict({"images": images})["logits"] / np.float32(temperature)
    divide_head(network.body, network.classes, temperature)
    missed = float(np.abs(network.predict({"images": images})["logits"] - wanted).max())
    if not missed <= _ALIKE * (float(wanted.std()) or 1.0):
        raise UsageError(
            f"a temperature is folded into the linear layer that gives the logits, and {network.name} does something else after its last one. "
            "End its forward with that layer, or leave export.calibrate out."
        )
    return network


def copied(teacher: OnnxTeacher) -> tuple[onnx.ModelProto, Feed]:
    """A teacher's own file with its outputs in the data's order of classes, and how it is fed."""
    model = onnx.load(teacher.path)
    _keep_weights_inside(model)
    feed = Feed.of(teacher.box)
    order = teacher.box.order
    if order is not None:
        _reorder(model.graph, feed.output, order)
    return model, feed


def _keep_weights_inside(model: onnx.ModelProto) -> None:
    """Take weights off the inputs, among which ONNX before IR version 4 had them too: no converter sees a constant in what a caller may give."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, _INSIDE)


def _reorder(body: onnx.GraphProto, output: str, order: Sequence[int]) -> None:
    """Let the output of that name give its second axis in another order, by one more node."""
    inside = f"{output}/own-order"
    for node in body.node:
        for names in (node.output, node.input):
            for place, given in enumerate(names):
                if given == output:
                    names[place] = inside
    body.initializer.append(onnx.numpy_helper.from_array(np.array(order, np.int64), "edgekd/order"))
    body.node.append(onnx.helper.make_node("Gather", [inside, "edgekd/order"], [output], name="edgekd/reorder", axis=1))


def own_precision(model: onnx.ModelProto, name: str, emit: Emit) -> Precision:
    """fp32, or as-is for a teacher that came in another precision: no further files are made of such a one."""
    found = {layer.precision for layer in graph.summarise(model, 0).layers if layer.params}
    if found <= {"fp32"}:
        return "fp32"
    text = f"the teacher {name} came in {' and '.join(sorted(found))}: it is copied as it is, and no other precision is made of it."
    emit(Note(text=text, level="warning"))
    return "as-is"

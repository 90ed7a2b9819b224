"""Networks, ONNX files and users' files of a few weights, whose answers can be worked out by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from edgekd.models.network import Network
from edgekd.preprocess import Preprocess

IMAGENET = Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
AS_THEY_ARE = Preprocess(mean=(0.0,), std=(1.0,))
GREY_AS_THEY_ARE = Preprocess(mean=(0.0,), std=(1.0,), colour="grey")


class Tiny(nn.Module):
    """A convolution, a BatchNorm and a head, for images of any size."""

    def __init__(self, classes: int = 4, channels: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(channels, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU())
        self.head = nn.Linear(6, classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images).mean((2, 3)))
        return logits


class Watched(nn.Module):
    """Answers the channels' means, and keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 3)
        self.given = torch.zeros(0)

    def forward(self, images: Tensor) -> Tensor:
        self.given = images
        return images.mean((2, 3))


def tiny(classes: int = 4, preprocess: Preprocess = AS_THEY_ARE, seed: int = 0) -> Network:
    """A Network around a Tiny."""
    torch.manual_seed(seed)
    return Network(Tiny(classes, 1 if preprocess.colour == "grey" else 3), preprocess, name="tiny", classes=classes)


def userfile(folder: Path, text: str = "from tests.models.nets import Tiny as net") -> str:
    """The spec of a function `net` in a file of a user's; by default a Tiny."""
    (folder / "own.py").write_text(text + "\n")
    return "own.py:net"


def noise(count: int, height: int = 4, width: int = 4, channels: int = 3, seed: int = 0) -> Tensor:
    """Images in [0, 1], (count, channels, height, width)."""
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(seed))


def matrix(size: int, classes: int = 5) -> NDArray[np.float32]:
    """The weights of `linear_file`, (size, classes)."""
    return np.random.default_rng(3).normal(0, 0.5, (size, classes)).astype(np.float32)


def linear_file(
    path: Path,
    shape: Sequence[int | str] = ("batch", 3, 4, 4),
    *,
    kind: int = TensorProto.FLOAT,
    softmax: bool = False,
    places: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """An ONNX file of images of this shape and type → `matrix`'s logits (or probabilities) of 5 classes, as (n, 5, 1, 1) with `places`."""
    weights = matrix(int(np.prod([side for side in shape[1:] if isinstance(side, int)])))
    nodes = [
        helper.make_node("Cast", ["pictures"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["numbers"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "w"], ["raw"]),
        helper.make_node("Softmax" if softmax else "Identity", ["raw"], ["row"]),
        helper.make_node("Reshape", ["row", "sides"], ["answer"]),
    ]
    sides = [-1, 5, 1, 1] if places else [-1, 5]
    pictures = helper.make_tensor_value_info("pictures", kind, list(shape))
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, [shape[0], *sides[1:]])
    tensors = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.array(sides, np.int64), "sides")]
    return saved(path, helper.make_graph(nodes, "linear", [pictures], [answer], tensors), metadata)


def passing_file(path: Path, shapes: Mapping[str, Sequence[int | str]]) -> Path:
    """An ONNX file that answers each of its float inputs as it is."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in shapes.items()]
    outputs = [helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, list(shape)) for name, shape in shapes.items()]
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in shapes]
    return saved(path, helper.make_graph(nodes, "passing", inputs, outputs))


def saved(path: Path, graph: onnx.GraphProto, metadata: Mapping[str, str] | None = None) -> Path:
    """A checked model in a file."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    helper.set_model_props(model, dict(metadata or {}))
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path

"""A tiny network as an ONNX file, made by code, and what it must answer, computed without any runtime: for trying out a device.

Three 3×3 convolutions with ReLU, a mean over the picture, a matrix: 32×32 pixels of three channels in, ten numbers out. The weights come from a fixed
seed. FP16 files take and give float32 and compute in float16 between.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Precision = Literal["fp32", "fp16"]
SIZE, CHANNELS, CLASSES = 32, 3, 10
Array = NDArray[np.float32]


def weights(width: int = 16, depth: int = 3) -> tuple[list[Array], Array]:
    """Kernels (out, in, 3, 3) and the last matrix (width, classes), scaled so that answers stay around 1."""
    noise = np.random.default_rng(7)
    sizes = [CHANNELS, *[width] * depth]
    kernels = [noise.normal(0, (2 / (9 * before)) ** 0.5, (width, before, 3, 3)).astype(np.float32) for before in sizes[:-1]]
    return kernels, noise.normal(0, width**-0.5, (width, CLASSES)).astype(np.float32)


def images(n: int = 4) -> Array:
    """Images (n, 3, 32, 32) of noise, always the same."""
    return np.random.default_rng(11).normal(0, 1, (n, CHANNELS, SIZE, SIZE)).astype(np.float32)


def answers(batch: Array, width: int = 16, depth: int = 3) -> Array:
    """What the network must answer (n, 10), by numpy alone."""
    kernels, matrix = weights(width, depth)
    for kernel in kernels:
        padded = np.pad(batch, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        batch = np.maximum(np.einsum("nchwij,ocij->nohw", windows, kernel, optimize=True), 0).astype(np.float32)
    return np.asarray(batch.mean(axis=(2, 3)) @ matrix, np.float32)


def write(path: Path, precision: Precision = "fp32", *, width: int = 16, depth: int = 3, batch: int | str = "batch") -> Path:
    """The network as a checked ONNX file."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kernels, matrix = weights(width, depth)
    half = precision == "fp16"
    kind = np.float16 if half else np.float32
    stored = [numpy_helper.from_array(kernel.astype(kind), f"kernel{at}") for at, kernel in enumerate(kernels)]
    stored.append(numpy_helper.from_array(matrix.astype(kind), "matrix"))
    nodes: list[Any] = []
    now = "images"

    def add(operator: str, *more: str, out: str, **attributes: Any) -> None:
        nonlocal now
        nodes.append(helper.make_node(operator, [now, *more], [out], **attributes))
        now = out

    if half:
        add("Cast", out="halves", to=TensorProto.FLOAT16)
    for at in range(depth):
        add("Conv", f"kernel{at}", out=f"maps{at}", pads=[1, 1, 1, 1])
        add("Relu", out=f"positive{at}")
    add("GlobalAveragePool", out="means")
    add("Flatten", out="features", axis=1)
    add("MatMul", "matrix", out="numbers" if half else "logits")
    if half:
        add("Cast", out="logits", to=TensorProto.FLOAT)
    given, told = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("images", [batch, CHANNELS, SIZE, SIZE]), ("logits", [batch, CLASSES]))
    )
    model = helper.make_model(helper.make_graph(nodes, "tiny", [given], [told], stored), opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path

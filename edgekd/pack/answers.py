"""A file's own answers, and how it is fed, as ONNX Runtime on this machine's CPU has them.

In: an ONNX file, pixels at the network's size uint8 (n, height, width, channels). Out: its answers float32 (n, classes) as they stand in the
file, and a `Feed`, which the samples are told. Files that edgekd exports are all fed alike; a teacher that came as ONNX keeps its own names,
layout, type and softmax.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgekd.device.predict import prepare
from edgekd.errors import DeviceError, UsageError
from edgekd.preprocess import Preprocess

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Feed:
    """How a file is fed. `batch` images go in at a time; 1 where the file takes any number. `answers` is what comes out."""

    input: str
    output: str
    layout: Literal["nchw", "nhwc"]
    type: str
    batch: int
    answers: Literal["logits", "probabilities"]
    plain: bool
    """Whether the C++ samples can feed it and read its answer: they know float32 only."""


def answered(file: Path, pixels: Pixels, preprocess: Preprocess) -> tuple[NDArray[np.float32], Feed]:
    """What a file answers to pixels, one image after another, and how it is fed.

    Raises:
        UsageError: it takes no single image, or other images than its Preprocess says.
        DeviceError: ONNX Runtime refuses it.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    from edgekd.device.agent import onnxrt

    onnxrt.imported()
    try:
        model = onnxrt.Model(str(file), "CPUExecutionProvider", 0, short_spin=True)
    except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
        raise DeviceError(f"{file} does not load in ONNX Runtime here: {error}. Export it again with: edgekd export") from None
    put, place = _image(model, file), _answer(model)
    fed = _fed(pixels, preprocess, put)
    batch = int(put["shape"][0]) if isinstance(put["shape"][0], int) else 1
    try:
        rows = [model.run({put["name"]: np.repeat(image[None], batch, axis=0)})[place] for image in fed]
    except Exception as error:
        raise UsageError(f"{file} takes {put['shape']}, and its Preprocess gives {list(fed.shape[1:])}: {str(error).splitlines()[0]}") from None
    answers = np.stack([np.asarray(row, np.float32).reshape(batch, -1)[0] for row in rows])
    feed = Feed(
        input=str(put["name"]),
        output=str(model.outputs[place]["name"]),
        layout="nhwc" if _last(put["shape"]) else "nchw",
        type=str(put["type"]),
        batch=batch,
        answers="probabilities" if _shares(answers) else "logits",
        plain=put["type"] == model.outputs[place]["type"] == "float32",
    )
    return answers, feed


def sized(pixels: Pixels, preprocess: Preprocess) -> Pixels:
    """Images (n, h, w, c) at the network's own size and channels, still to be normalised: uint8 (n, height, width, 1 or 3), colours as RGB.

    Raises:
        MissingExtra: they need resizing and torch is not installed.
    """
    plain = Preprocess(
        size=preprocess.size, interpolation=preprocess.interpolation, mean=(0.0,), std=(1.0,), colour="grey" if preprocess.colour == "grey" else "rgb"
    )
    return np.ascontiguousarray(np.rint(prepare(pixels, plain) * 255).astype(np.uint8).transpose(0, 2, 3, 1))


def _fed(pixels: Pixels, preprocess: Preprocess, put: dict[str, Any]) -> NDArray[Any]:
    """Pixels as the file wants them; one that takes uint8 normalises by itself."""
    values = prepare(pixels, preprocess)
    if put["type"] == "uint8":
        values = np.rint(values * 255)
    if _last(put["shape"]):
        values = values.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(values, dtype=put["type"])


def _image(model: Any, file: Path) -> dict[str, Any]:
    if len(model.inputs) != 1 or len(model.inputs[0]["shape"]) != 4:
        told = ", ".join(f"{put['name']} {put['shape']}" for put in model.inputs) or "none"
        raise UsageError(f"the samples feed one input, images of four axes; {file.name} has {told}. Export it with its images as the only input.")
    put: dict[str, Any] = model.inputs[0]
    return put


def _answer(model: Any) -> int:
    """The place of the output that answers: the one called logits, else the first."""
    names = [put["name"] for put in model.outputs]
    return names.index("logits") if "logits" in names else 0


def _last(shape: list[Any]) -> bool:
    """Whether channels come last."""
    return shape[3] in (1, 3) and shape[1] not in (1, 3)


def _shares(rows: NDArray[np.float32]) -> bool:
    """Whether every row is probabilities: no logits of a trained network are all at least 0 and add up to 1."""
    return rows.shape[1] > 1 and bool((rows >= 0).all()) and bool((np.abs(rows.sum(axis=1) - 1) < 1e-2).all())

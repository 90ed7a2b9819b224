"""A file's own answers, and how it is fed, as ONNX Runtime on this machine's CPU has them.

In: an ONNX file, pixels at the network's size uint8 (n, height, width, channels). Out: its answers float32 (n, classes) as they stand in the
file, and a `Feed`, which the samples are told. Files that edgekd exports are all fed alike; a teacher that came as ONNX keeps its own names,
layout, type and softmax.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgekd.device.agent.feed import channels_last
from edgekd.device.predict import answers_output, fed, image_input, prepare, zero_probability
from edgekd.errors import DeviceError
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
        UsageError: it takes no single input of images, or other images than its Preprocess says.
        DeviceError: ONNX Runtime refuses it, or ends on an image.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    from edgekd.device.agent import onnxrt

    onnxrt.imported()
    try:
        model = onnxrt.Model(str(file), "CPUExecutionProvider", 0, short_spin=True)
    except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
        raise DeviceError(f"{file} does not load in ONNX Runtime here: {error}. Export it again with: edgekd export") from None
    put, output = image_input(file, model.inputs), answers_output(file, model.outputs)
    place = [out["name"] for out in model.outputs].index(output)
    images = fed(pixels, preprocess, put, file)
    batch = int(put["shape"][0]) if isinstance(put["shape"][0], int) else 1
    try:
        found = [model.run({put["name"]: np.repeat(image[None], batch, axis=0)})[place] for image in images]
    except Exception as error:
        raise DeviceError(f"{file} does not answer in ONNX Runtime here: {str(error).splitlines()[0]}. Export it again with: edgekd export") from None
    answers = np.stack([row.reshape(batch, -1)[0] for row in found])
    feed = Feed(
        input=str(put["name"]),
        output=output,
        layout="nhwc" if channels_last(put["shape"]) else "nchw",
        type=str(put["type"]),
        batch=batch,
        answers="logits" if zero_probability(answers) is None else "probabilities",
        plain=put["type"] == model.outputs[place]["type"] == "float32",
    )
    return answers.astype(np.float32), feed


def sized(pixels: Pixels, preprocess: Preprocess) -> Pixels:
    """Images (n, h, w, c) at the network's own size and channels, still to be normalised: uint8 (n, height, width, 1 or 3), colours as RGB.

    Raises:
        MissingExtra: they need resizing and torch is not installed.
    """
    plain = Preprocess(
        size=preprocess.size, interpolation=preprocess.interpolation, mean=(0.0,), std=(1.0,), colour="grey" if preprocess.colour == "grey" else "rgb"
    )
    return np.ascontiguousarray(np.rint(prepare(pixels, plain) * 255).astype(np.uint8).transpose(0, 2, 3, 1))

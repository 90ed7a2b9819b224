"""How one file takes images and answers them, and a session on the CPU that asks it.

In: images prepared as its Preprocess says, float32 (n, c, h, w). Out: its answers (n, classes), as they stand in the file.
Files that edgekd exports all take "images" and answer "logits"; a teacher that came as ONNX keeps its own names, layout, type and softmax.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.device.agent.onnxrt import WRONG
from edgekd.errors import DeviceError
from edgekd.export.onnx import INPUT, OUTPUT
from edgekd.models.blackbox import BlackBox


@dataclass(frozen=True)
class Feed:
    """A file's input and output. `batch` is fixed where it is a number; `last`: channels come last."""

    input: str = INPUT
    output: str = OUTPUT
    type: str = "float32"
    last: bool = False
    batch: int | None = None

    @classmethod
    def of(cls, box: BlackBox) -> "Feed":
        """The feed of a teacher that came as ONNX."""
        return cls(input=box.input, output=box.output, type=box.kind.name, last=box.last, batch=box.batch)

    def fed(self, images: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """What a session is given for prepared images."""
        values = np.rint(images * 255).clip(0, 255) if self.type == "uint8" else images
        if self.last:
            values = values.transpose(0, 2, 3, 1)
        return {self.input: np.ascontiguousarray(values, dtype=self.type)}

    def batches(self, images: NDArray[np.float32], batch: int) -> Iterator[NDArray[np.float32]]:
        """The images in batches; the last of a fixed batch is filled up with the first images again."""
        if self.batch is None:
            yield from (images[start : start + batch] for start in range(0, len(images), batch))
            return
        whole = -(-len(images) // self.batch) * self.batch
        filled = images[np.arange(whole) % len(images)]
        yield from (filled[start : start + self.batch] for start in range(0, whole, self.batch))

    def answer(self, session: Any, images: NDArray[np.float32], batch: int) -> NDArray[np.float32]:
        """What a session answers to prepared images, `batch` at a time: logits, or probabilities where the file has a softmax."""
        parts = [session.run([self.output], self.fed(some))[0] for some in self.batches(images, batch)]
        answers = np.concatenate(parts).astype(np.float32)
        return answers.reshape(len(answers), -1)[: len(images)]


def open_session(model: bytes | Path, name: str, *, layouts: bool = True) -> Any:
    """A session of ONNX Runtime on the CPU, silent below errors.

    `layouts` lets it reorder channels for speed, as it does by default; with 1.32, that crashes the process on fp16 vision transformers.

    Raises:
        DeviceError: the runtime refuses the file.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not layouts:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    try:
        return onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"], disabled_optimizers=WRONG
        )
    except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
        raise DeviceError(
            f"{name} does not load in ONNX Runtime {onnxruntime.__version__}: {error}. "
            "Export with another opset (--set export.opset=18), or upgrade onnxruntime."
        ) from None

"""An artifact on a host as a Predict: uint8 images in, float32 logits out, answered by the agent over there.

The file's own Preprocess is applied here, before the images travel. What the logits are worth is `evaluate`'s; how fast they come is `bench`'s.
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.device.agent.feed import channels_last
from edgekd.device.process import Agent
from edgekd.device.session import ANSWERING, Session
from edgekd.errors import DeviceError, MissingExtra, UsageError
from edgekd.preprocess import Preprocess, carried_preprocess

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in grey (ITU-R BT.601)."""
_MODES = {"nearest": "nearest-exact", "bilinear": "bilinear", "bicubic": "bicubic"}


def prepare(images: NDArray[np.uint8], preprocess: Preprocess) -> NDArray[np.float32]:
    """Images (n, h, w, c) as the network wants them: float32 (n, c', H, W), resized, in its colour order, normalised.

    The same maths as `models.network.prepare`, in numpy; only resizing asks torch.

    Raises:
        UsageError: images of other than 1 or 3 channels, or another type than uint8.
        MissingExtra: they need resizing and torch is not installed.
    """
    return _normalised(_sized(images, preprocess), preprocess)


def _sized(images: NDArray[np.uint8], preprocess: Preprocess) -> NDArray[np.float32]:
    """float32 (n, c', H, W) in [0, 1]."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise UsageError(f"images must be uint8 (n, h, w, 1 or 3), got {images.dtype} {images.shape}.")
    pixels = _coloured(np.moveaxis(images, 3, 1).astype(np.float32) / np.float32(255), preprocess.colour)
    size = preprocess.size or (preprocess.crop and (preprocess.crop, preprocess.crop))
    if not size or size == pixels.shape[2:]:
        return np.ascontiguousarray(pixels)
    return _resized(pixels, size, _MODES[preprocess.interpolation])


def _coloured(pixels: NDArray[np.float32], colour: str) -> NDArray[np.float32]:
    channels = pixels.shape[1]
    if colour == "grey":
        return pixels if channels == 1 else np.einsum("nchw,c->nhw", pixels, np.array(LUMA, np.float32))[:, None]
    if channels == 1:
        return np.repeat(pixels, 3, axis=1)
    return pixels[:, ::-1] if colour == "bgr" else pixels


def _resized(pixels: NDArray[np.float32], size: tuple[int, int], mode: str) -> NDArray[np.float32]:
    try:
        import torch
    except ImportError:
        raise MissingExtra("torch", "train") from None
    tensor = torch.from_numpy(np.ascontiguousarray(pixels))
    # Smoothed before it shrinks, as Pillow does it; picking the nearest pixel has nothing to smooth.
    sized = torch.nn.functional.interpolate(tensor, size=size, mode=mode, antialias=mode != "nearest-exact")
    return np.asarray(sized.clamp(0, 1).numpy(), np.float32)


def _normalised(pixels: NDArray[np.float32], preprocess: Preprocess) -> NDArray[np.float32]:
    mean, std = (np.array(values, np.float32).reshape(1, -1, 1, 1) for values in (preprocess.mean, preprocess.std))
    return np.asarray((pixels - mean) / std, np.float32)


def fed(images: NDArray[np.uint8], preprocess: Preprocess, put: Mapping[str, Any], path: Path) -> NDArray[Any]:
    """Images (n, h, w, c) as a file's input `put` takes them, in its own type and layout; one that takes uint8 normalises by itself.

    Raises:
        UsageError: no images, or of another shape than the input's; MissingExtra: as `prepare`.
    """
    if not len(images):
        raise UsageError(f"{path.name} was given no images; give one or more.")
    pixels = _sized(images, preprocess)
    kind = np.dtype(put["type"])
    values = np.rint(pixels * 255) if kind == np.uint8 else _normalised(pixels, preprocess)
    if channels_last(put["shape"]):
        values = np.moveaxis(values, 1, 3)
    wanted, got = put["shape"][1:], values.shape[1:]
    if len(wanted) != 3 or any(isinstance(size, int) and size != have for size, have in zip(wanted, got, strict=True)):
        raise UsageError(f"{path.name} takes images of shape {wanted}, got {list(got)}. Give its size and colour in `preprocess`.")
    return np.ascontiguousarray(values.astype(kind))


class Predictor:
    """A Predict that an agent answers. Closing it (or its session) ends the agent."""

    def __init__(self, agent: Agent, session: Session, path: Path, preprocess: Preprocess | None, opened: Mapping[str, Any], batch: int) -> None:
        self._agent, self._session, self._path = agent, session, path
        self._input, self._output = image_input(path, opened["inputs"]), answers_output(path, opened["outputs"])
        self._preprocess = preprocess or _carried(path, opened["metadata"])
        fixed = self._input["shape"][0]
        self._batch = fixed if isinstance(fixed, int) else batch
        self._calls = itertools.count()
        self._floor: tuple[float | None] | None = None

    def __call__(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """`images` uint8 (n, h, w, c) → `logits` float32 (n, classes).

        A softmax inside the file is undone: where every row of the first answer is a distribution, the logarithm is given instead.

        Raises:
            UsageError: images that the file cannot take.
            DeviceError: as `Agent.ask`.
        """
        raw = self._ask(fed(arrays["images"], self._preprocess, self._input, self._path))
        rows = raw.reshape(len(raw), -1)
        if self._floor is None:
            self._floor = (zero_probability(rows),)
        return {"logits": as_logits(rows, *self._floor)}

    def __enter__(self) -> "Predictor":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the agent."""
        self._agent.close()

    def _ask(self, fed: NDArray[Any]) -> NDArray[Any]:
        sent = self._session.folder / f"in-{self._agent.pid}-{next(self._calls)}.npy"
        np.save(sent, fed, allow_pickle=False)
        room = self._session.room()
        try:
            inputs = {self._input["name"]: self._session.place(sent, room)}
            answer = self._agent.ask("predict", timeout_s=600, inputs=inputs, output=self._output, folder=room, batch=self._batch)
            loaded: NDArray[Any] = np.load(self._session.fetch(answer["outputs"][self._output]), allow_pickle=False)
            return loaded
        finally:
            sent.unlink()
            self._session.leave(room)


def open_predict(
    session: Session,
    path: Path,
    preprocess: Preprocess | None = None,
    *,
    provider: str = "CPUExecutionProvider",
    threads: int = 0,
    batch: int = 64,
    how: Mapping[str, Any] | None = None,
) -> Predictor:
    """Open a file on a session's host as a Predict. Without `preprocess` the one in the file's metadata is used. `threads` 0: all cores.

    `how` is what else the job `open` is told, as another runtime; None: ONNX Runtime is meant.

    Raises:
        UsageError: not one input of images and one output of logits, or no Preprocess anywhere.
        DeviceError: the runtime does not open it; MissingExtra: there is no runtime.
    """
    placed = session.place(path)
    agent = session.start(f"{ANSWERING}{placed}")
    try:
        opened = agent.ask("open", path=placed, provider=provider, threads=threads, **(how or {}))
        return Predictor(agent, session, path, preprocess, opened, batch)
    except DeviceError as error:
        agent.close()
        raise DeviceError(f"{path}: {error}") from None
    except BaseException:
        agent.close()
        raise


def image_input(path: Path, inputs: list[dict[str, Any]]) -> dict[str, Any]:
    """The one input of a classifier, as the agent describes it; raises UsageError where a file has another number, or no images."""
    if len(inputs) != 1 or len(inputs[0]["shape"]) != 4:
        told = ", ".join(f"{put['name']} {put['shape']}" for put in inputs) or "none"
        raise UsageError(f"a classifier takes one input, images of four axes; {path.name} has {told}.")
    return inputs[0]


def logits_output(outputs: Mapping[str, Sequence[Any]]) -> str | None:
    """Which output a classifier's answers are, by shapes: the one called logits, else the first of (n, classes) or (n, classes, 1, 1); None where
    there is none."""
    flat = [name for name, shape in outputs.items() if len(shape) == 2 or (len(shape) == 4 and list(shape[2:]) == [1, 1])]
    return "logits" if "logits" in flat else next(iter(flat), None)


def zero_probability(rows: NDArray[Any]) -> float | None:
    """What an answer of 0 stands for in rows `(n, classes)` of probabilities, by the type that they came in; None: they are logits.

    Rows are probabilities where none is below 0 or above 1 and they add up to 1, as nearly as rounding lets them. Of a softmax whose output is held
    in 8 bits (every answer is a multiple of one step) that is not near: each class is off by up to half a step. No logits of a trained network are
    such in every row.
    """
    values = rows.astype(np.float32)
    if rows.shape[1] < 2 or not ((values >= 0).all() and (values <= 1 + 1e-3).all()):
        return None
    step = _step(values)
    off = np.abs(values.sum(axis=1) - 1).max(initial=0)
    if off > max(1e-2, min(0.5, rows.shape[1] * step / 2)):
        return None
    kind = np.finfo(np.float16 if rows.dtype == np.float16 else np.float32)
    return step / 2 or float(kind.smallest_subnormal if kind.bits == 16 else kind.tiny)


def as_logits(rows: NDArray[Any], floor: float | None) -> NDArray[np.float32]:
    """Answers as float32 logits: themselves, or the logarithm of probabilities, of which 0 stands for `floor`."""
    values = rows.astype(np.float32)
    return values if floor is None else np.log(np.maximum(values, np.float32(floor)))


def _step(values: NDArray[np.float32]) -> float:
    """The largest step that all values are multiples of, where 8 bits could have held them; else 0. Of three levels and less nothing is told."""
    levels = np.unique(values)
    if not 3 < len(levels) <= 256:
        return 0.0
    steps = levels[-1] / np.arange(1, 256)
    multiples = levels[:, None] / steps
    whole = np.rint(multiples)
    # Next to nothing is no multiple: a float softmax that is sure has such.
    fits = ((np.abs(multiples - whole) < 1e-3) & ((whole > 0) | (levels[:, None] == 0))).all(axis=0)
    return float(steps[fits & (steps > 1e-3) & (steps < 1e-2)].max(initial=0))


def answers_output(path: Path, outputs: list[dict[str, Any]]) -> str:
    """The output that answers, by `logits_output`, or the only one there is; raises UsageError where none does."""
    shapes = {str(put["name"]): put["shape"] for put in outputs}
    found = logits_output(shapes) or (next(iter(shapes)) if len(shapes) == 1 else None)
    if found is None:
        told = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise UsageError(f"a classifier answers (n, classes); {path.name} answers {told}. Export it with its logits as an output.")
    return found


def _carried(path: Path, metadata: Mapping[str, str]) -> Preprocess:
    """The Preprocess in a file's metadata."""
    found = carried_preprocess(metadata, path)
    if found is None:
        raise UsageError(f"{path.name} does not carry how its images are prepared. Give preprocess: size, mean, std, colour.")
    return found

"""An ONNX file as a teacher: a black box that answers, and is not trained.

In: the file, the classes, and how it wants its images (its own metadata says so, or the person). Out: an `OnnxTeacher`, a Network whose
body is a session of ONNX Runtime. A fixed batch is filled up, NHWC and FP16 or uint8 inputs are served, a softmax inside is undone by
a logarithm. It measures nothing and changes no file.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgekd.device.agent.onnxrt import WRONG
from edgekd.device.predict import as_logits, logits_output, zero_probability
from edgekd.errors import MissingError, MissingExtra, UsageError
from edgekd.models.network import Network, input_size
from edgekd.preprocess import Preprocess, carried_preprocess

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


class BlackBox(nn.Module):
    """A session as a body: prepared float32 images `(n, c, h, w)` in, logits `(n, classes)` out, without gradients, on the CPU or the first GPU.

    Attributes:
        channels, size: what the file takes; a size of None is open.
        integer: the file takes uint8 and normalises for itself; it is given 255 times the images.
        floor: what an answer of 0 stands for where the file answers probabilities, whose logarithm is returned; None: it answers logits.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.session = _open(path)
        self.path = path
        self.metadata: dict[str, str] = dict(self.session.get_modelmeta().custom_metadata_map)
        entry = _only_input(self.session, path)
        self.input, self.kind = entry.name, np.dtype(_TYPES[entry.type])
        self.batch, self.channels, self.size, self.last = layout(entry.shape, path)
        self.integer = self.kind == np.uint8
        self.output = _output(self.session, path)
        self.floor: float | None = None
        self.order: list[int] | None = None

    @property
    def softmax(self) -> bool:
        """Whether the file answers probabilities."""
        return self.floor is not None

    def forward(self, images: Tensor) -> Tensor:
        array = images.detach().float().cpu().numpy()
        answer = torch.from_numpy(np.ascontiguousarray(as_logits(self.answer(array), self.floor)))
        return (answer if self.order is None else answer[:, self.order]).to(images.device)

    def answer(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """The file's own output `(n, width)` for prepared images, in as many runs as its batch asks for."""
        batch = self.batch or max(len(images), 1)
        parts = [self._run(images[start : start + batch], batch) for start in range(0, max(len(images), 1), batch)]
        return np.concatenate(parts)

    def _run(self, images: NDArray[np.float32], batch: int) -> NDArray[Any]:
        given = len(images)
        if self.integer:
            images = np.rint(images * 255).clip(0, 255)
        if given < batch:
            images = np.concatenate([images, np.zeros((batch - given, *images.shape[1:]), images.dtype)])
        if self.last:
            images = images.transpose(0, 2, 3, 1)
        answer: NDArray[Any] = self.session.run([self.output], {self.input: np.ascontiguousarray(images, dtype=self.kind)})[0]
        return answer.reshape(len(images), -1)[:given]


class OnnxTeacher(Network):
    """A Network around a BlackBox. `path` is its file, which an export copies through."""

    def __init__(self, box: BlackBox, preprocess: Preprocess, *, classes: int, spec: str) -> None:
        super().__init__(box, preprocess, name=box.path.stem, classes=classes, spec=spec)
        self.box = box
        self.path = box.path

    def with_preprocess(self, preprocess: Preprocess) -> "OnnxTeacher":
        """The same session behind another Preprocess."""
        other = OnnxTeacher(self.box, preprocess, classes=self.classes, spec=self.spec)
        other.notes = list(self.notes)
        other.to(self.mean.device).train(self.training)
        return other

    def permute(self, order: Sequence[int]) -> None:
        """Reorder the answers; the file stays as it is."""
        before = self.box.order or list(range(self.classes))
        self.box.order = [before[place] for place in order]


def onnx_teacher(path: Path, *, classes: int, shape: tuple[int, int, int], preprocess: Preprocess | None, spec: str) -> OnnxTeacher:
    """A teacher from an ONNX file.

    Args:
        shape: height, width, channels of the data's images, for files that take any size.
        preprocess: as the person stated it; None where the file's metadata says it, or the file normalises for itself.

    Raises:
        MissingError, MissingExtra: no file, or no ONNX Runtime.
        UsageError: it does not load, is no classifier of `classes`, or takes other images than the Preprocess says.
    """
    box = BlackBox(path)
    settled = _settle(box, preprocess, shape)
    answers = _probe(box, settled)
    if answers.shape[1] != classes:
        raise UsageError(
            f"teacher and data must have the same classes; {path} answers {answers.shape[1]} and the data has {classes}. "
            "Give data with the teacher's classes, or another teacher."
        )
    box.floor = zero_probability(answers)
    teacher = OnnxTeacher(box, settled, classes=classes, spec=spec)
    if box.floor is not None:
        rough = ", though 8 bits round it: what is less likely than half a step is all one" if box.floor > 1e-4 else ""
        teacher.notes.append(f"{path.name} ends in a softmax; its logarithm serves as logits{rough}")
    return teacher


def _open(path: Path) -> Any:
    """An inference session; telemetry is off before the package is imported."""
    if not path.is_file():
        raise MissingError(f"no ONNX file at {path}. A relative path starts at the recipe's folder, or where you are.")
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtra("onnxruntime", "measure") from None
    providers = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in onnxruntime.get_available_providers()]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers, disabled_optimizers=WRONG)
    except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
        raise UsageError(
            f"{path} does not load in ONNX Runtime {onnxruntime.__version__}: {error}. Export it again, or check that it is an ONNX file."
        ) from None


def _only_input(session: Any, path: Path) -> Any:
    entries = session.get_inputs()
    if len(entries) != 1 or entries[0].type not in _TYPES or len(entries[0].shape) != 4:
        listed = ", ".join(f"{e.name} {e.type} {e.shape}" for e in entries)
        raise UsageError(
            f"an ONNX teacher takes one input of images, (n, c, h, w) or (n, h, w, c), in float, float16 or uint8; {path} takes {listed}. "
            "Export it with its images as the only input."
        )
    return entries[0]


def layout(shape: Sequence[Any], path: Path) -> tuple[int | None, int, tuple[int, int] | None, bool]:
    """Batch, channels, height and width (None where open), and whether channels come last, of an input's shape.

    Raises:
        UsageError: neither 1 nor 3 channels.
    """
    known = [side if isinstance(side, int) and side > 0 else None for side in shape]
    for place, rest in ((1, (2, 3)), (3, (1, 2))):
        channels, height, width = known[place], known[rest[0]], known[rest[1]]
        if channels in (1, 3):
            return known[0], channels, (height, width) if height and width else None, place == 3
    raise UsageError(
        f"an ONNX teacher's input has 1 or 3 channels at its second or last place; {path} takes {list(shape)}. Export it as (n, c, h, w)."
    )


def _output(session: Any, path: Path) -> str:
    entries = session.get_outputs()
    found = logits_output({str(e.name): e.shape for e in entries})
    if found is None:
        listed = ", ".join(f"{e.name} {e.shape}" for e in entries)
        raise UsageError(f"a classifier answers (n, classes); {path} answers {listed}. Export it with its logits as an output.")
    return found


def _settle(box: BlackBox, stated: Preprocess | None, shape: tuple[int, int, int]) -> Preprocess:
    """The Preprocess in force: as stated, else as the metadata has it; the file's own size, where it has one."""
    preprocess = stated or carried_preprocess(box.metadata, box.path)
    if preprocess is None and box.integer:
        preprocess = Preprocess(mean=(0.0,), std=(1.0,), colour="grey" if box.channels == 1 else "rgb")
    if preprocess is None:
        raise UsageError(
            f"how a teacher wants its images must be stated; the metadata of {box.path} does not say. "
            "Give preprocess = { mean = [...], std = [...] } beside its model, or --teacher-mean and --teacher-std."
        )
    if box.integer and (set(preprocess.mean), set(preprocess.std)) != ({0.0}, {1.0}):
        raise UsageError(
            f"{box.path} takes uint8 and normalises for itself; mean must be [0] and std [1], "
            f"got {list(preprocess.mean)} and {list(preprocess.std)}. Leave them out."
        )
    if (preprocess.colour == "grey") != (box.channels == 1):
        fits = "grey" if box.channels == 1 else "rgb"
        raise UsageError(
            f'{box.path} takes {box.channels} channel(s), and preprocess says colour = "{preprocess.colour}". '
            f'Set colour = "{fits}", or --teacher-colour {fits}.'
        )
    wanted = input_size(preprocess)
    if box.size is not None and wanted is not None and wanted != box.size:
        raise UsageError(
            f"{box.path} takes images of {box.size[0]}x{box.size[1]} and nothing else, and preprocess says {wanted[0]}x{wanted[1]}. "
            f"Set size = {list(box.size)}."
        )
    return msgspec.structs.replace(preprocess, size=box.size or wanted or shape[:2])


def _probe(box: BlackBox, preprocess: Preprocess) -> NDArray[Any]:
    """The file's answers to three images of noise."""
    height, width = preprocess.size or (0, 0)
    noise = np.random.default_rng(0).random((3, box.channels, height, width), dtype=np.float32)
    try:
        return box.answer(noise)
    except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
        raise UsageError(
            f"{box.path} does not take images of {height}x{width} with {box.channels} channel(s): {error}. "
            "State the size that it was made for: size = [H, W] in its preprocess, or --teacher-size."
        ) from None

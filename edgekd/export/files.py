"""A network's files: ROLE-NAME-PRECISION.onnx in one folder, each checked against the step before, written whole or not at all.

In: a trained network, training images to calibrate on, real images to check on. Out: one `Artifact` a file, fp32 first, paths relative to the folder.
fp32 is written whatever is asked for: the other precisions are made from it and held to it. A teacher that came as ONNX keeps its own graph.
"""

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgekd import graph
from edgekd.device.predict import prepare
from edgekd.errors import EdgekdError, UsageError, first_line
from edgekd.events import Emit, Note, Progress
from edgekd.export import onnx as exporter
from edgekd.export.calibration import refuse_noise
from edgekd.export.control import Answer, Choice, Judge, Quality, chosen
from edgekd.export.feed import Feed, open_session
from edgekd.export.first import copied, own_precision, scaled
from edgekd.export.fp16 import to_fp16
from edgekd.export.inside import left, with_preprocessing
from edgekd.export.int8 import Flavour, Quantiser, saturates
from edgekd.export.rejected import Source, Step
from edgekd.export.written import Writer
from edgekd.models.blackbox import OnnxTeacher
from edgekd.models.load import fingerprint
from edgekd.models.network import Network
from edgekd.recipe import Export
from edgekd.record import FULL_RANGE, Artifact, Precision, Role

Pixels = NDArray[np.uint8]

_FEW = 100
"""Fewer calibration images than this are a doubt; a few hundred are usual."""


@dataclass(frozen=True)
class HeldOut:
    """Images uint8 (n, h, w, c) that neither training nor calibration saw, and how good answers to them are, None where no label tells."""

    images: Pixels
    quality: Quality | None


def export(
    network: Network,
    folder: Path,
    *,
    role: Role,
    name: str,
    classes: Sequence[str],
    settings: Export,
    calibration: Pixels | None,
    parity: Pixels,
    held_out: HeldOut | None = None,
    flavours: Sequence[Flavour] = ("int8-cpu",),
    max_drop: float = 0.01,
    temperature: float | None = None,
    thresholds: Sequence[float] | None = None,
    openvino: bool = False,
    emit: Emit,
) -> list[Artifact]:
    """Write a network's files in every precision that was asked for.

    Args:
        network: left as it was, on its device and in its mode.
        calibration: training images uint8 (n, h, w, c); `settings.calibration_images` of them are used, evenly spread.
        parity: 7 real images or more, uint8 (n, h, w, c).
        held_out: validation images, which int8 is chosen and held to `max_drop` by; None: on the parity images, by how far answers move alone.
        flavours: of int8, as the targets want it.
        max_drop: how much accuracy int8 may lose, a share.
        temperature: what all logits are divided by, in the last layer's weights; not of a file that came as ONNX.
        thresholds: where an image may have several labels, the probability from which on each is said to be there; None: it has one.
        openvino: hold files for CPUs to the step before by OpenVINO, too, which is installed.
        emit: told of calibration's progress, of each file, and of doubts.

    Raises:
        UsageError: int8 without calibration images, too few parity images, or a class count that is not the network's.
        EdgekdError: the network cannot be exported, or a file does not compute what the step before did; that one is kept as NAME.onnx.rejected.
    """
    calibration = _calibration(calibration, settings)
    if calibration is not None:
        refuse_noise(calibration, parity)
    if len(classes) != network.classes:
        raise UsageError(f"names and outputs must be as many; {name} answers {network.classes} classes and {len(classes)} are named.")
    held = held_out or HeldOut(parity, None)
    writer = Writer(network, folder, role, name, list(classes), settings, fingerprint(network), temperature, thresholds, openvino, emit)
    job = _Job(network, f"{role}/{name}", settings, parity, held, flavours, max_drop, writer, emit)
    job.first()
    if job.precision == "fp32" and "fp16" in settings.precisions:
        job.fp16()
    if job.precision == "fp32" and calibration is not None:
        job.int8(calibration)
    return writer.artifacts


def _calibration(images: Pixels | None, settings: Export) -> Pixels | None:
    """The images that int8 is calibrated on, None where none is asked for."""
    if "int8" not in settings.precisions:
        return None
    if images is None or not len(images) or not settings.calibration_images:
        raise UsageError(
            "int8 is calibrated on training images, and there are none (random data would give wrong ranges). "
            'Give data with training images, or export without int8: precisions = ["fp32", "fp16"] under [export].'
        )
    count = min(settings.calibration_images, len(images))
    spread: Pixels = images[np.linspace(0, len(images) - 1, count).round().astype(int)]
    return spread


@dataclass
class _Job:
    """One network's way through the precisions; `model` and `logits` are the fp32 file's once `first` is done."""

    network: Network
    title: str
    settings: Export
    images: Pixels
    held_out: HeldOut
    flavours: Sequence[Flavour]
    max_drop: float
    writer: Writer
    emit: Emit
    precision: Precision = "fp32"
    feed: Feed = field(default_factory=Feed)

    def first(self) -> None:
        """The file that the others are made from: the network exported, or its own file copied."""
        self._count()
        self.preprocess = self.network.preprocess
        self.prepared = prepare(self.images, self.preprocess)
        if isinstance(self.network, OnnxTeacher):
            self._notecopied()
            self.model, self.feed = copied(self.network)
            self.source: Source = self.network.path
            self.precision = own_precision(self.model, self.writer.name, self.emit)
            before = self._probabilities(self.network) if self.network.box.softmax else self.network.predict({"images": self.images})["logits"]
        else:
            batch = None if self.settings.batch == "dynamic" else self.settings.batch
            # On the CPU and in float32, whatever the training device rounds to.
            twin = scaled(copy.deepcopy(self.network).cpu().float(), self.writer.temperature, self.images)
            self.model = exporter.to_onnx(twin.body, _shape(self.prepared), opset=self.settings.opset, batch=batch)
            self.feed = Feed(batch=batch)
            self.source = twin if self.settings.preprocess else twin.body
            before = twin.predict({"images": self._inside() if self.settings.preprocess else self.images})["logits"]
        self._write(self.model, self.precision, before)
        self.source = self.model
        # Of the model and not of its file, which may have a softmax.
        self.session = open_session(self.model.SerializeToString(), self.writer.name)
        self.logits = self.feed.answer(self.session, self.prepared, _AT_ONCE)

    def _inside(self) -> Pixels:
        """Put the preprocessing into the graph; the parity images as it is fed them, in the network's size and in whole numbers."""
        assert self.settings.preprocess is not None
        if self.settings.preprocess == "resize" and "int8-trt" in self.flavours:
            told = "TensorRT does not smooth while it resizes, and takes no file that does"
            self.emit(Note(text=f'{told}: for its targets set export.preprocess = "normalise", and resize before.', level="warning"))
        self.model = with_preprocessing(self.model, self.preprocess, self.settings.preprocess)
        self.preprocess = left(self.preprocess, _shape(self.prepared)[1:])
        self.feed = replace(self.feed, type="uint8", last=True)
        self.prepared = prepare(self.images, self.preprocess)
        pixels: Pixels = self.feed.fed(self.prepared)[exporter.INPUT]
        return pixels

    def _notecopied(self) -> None:
        asked = [key for key in ("preprocess", "softmax") if getattr(self.settings, key)]
        if asked:
            text = f"{self.title} came as a file, which is copied as it is: export.{' and export.'.join(asked)} changes nothing in it."
            self.emit(Note(text=text, level="warning"))

    def fp16(self) -> None:
        io = self.settings.half_io is True
        half, kept = to_fp16(self.model, self.prepared, self.feed, self.title, io=io)
        if kept:
            text = f"fp16 of {self.title} keeps {', '.join(kept)} in float32: their numbers leave fp16's range, or come near its end."
            self.emit(Note(text=text, level="warning"))
        self._write(half, "fp16", self.logits, floats=kept)

    def int8(self, images: Pixels) -> None:
        flavours = [flavour for flavour in self.flavours if self._fits(flavour)]
        if not flavours:
            return
        if len(images) < _FEW:
            text = f"int8 of {self.title} is calibrated on {len(images)} images only; a few hundred are usual."
            self.emit(Note(text=text, level="warning"))
        quantiser = Quantiser(self.model, prepare(images, self.preprocess), self.feed, self.title, self.emit)
        judge = self._judge()
        for flavour in flavours:
            narrow = flavour == "int8-cpu" and saturates()
            choice = self._chosen(quantiser, flavour, judge, narrow=narrow)
            if choice is None:
                continue
            if choice.floats:
                text = f"{flavour} of {self.title} keeps {', '.join(choice.floats)} in float: with them in int8 it lost more than max_drop allows."
                self.emit(Note(text=text))
            floats = [*choice.floats, *(quantiser.stem if flavour == "int8-cpu" else ())]
            facts = {
                "method": choice.method,
                "images": len(images),
                "sha256": hashlib.sha256(np.ascontiguousarray(images).tobytes()).hexdigest(),
                "activations": "uint8 asymmetric" if flavour == "int8-cpu" else "int8 symmetric",
                "weights": f"{FULL_RANGE}, 7 bits" if narrow else FULL_RANGE,
                "divergence": {method: round(value, 6) for method, value in choice.tried.items()},
                **({"floats": floats} if floats else {}),
            }
            self._write(choice.model, flavour, self.logits, facts)

    def _fits(self, flavour: Flavour) -> bool:
        """Whether the opset knows what the flavour is written in; where it does not, that is said."""
        has, needs = graph.opset(self.model), _OPSETS[flavour]
        if has < needs:
            remedy = "" if isinstance(self.network, OnnxTeacher) else f" Set export.opset = {needs} or more."
            text = f"{self.title} has opset {has}, {flavour} needs {needs}: no such file of it.{remedy}"
            self.emit(Note(text=text, level="warning"))
        return has >= needs

    def _chosen(self, quantiser: Quantiser, flavour: Flavour, judge: Judge, *, narrow: bool) -> Choice | None:
        """How the flavour is best made; None where it is not, which was said. Of an opset after 20 ONNX Runtime's optimiser (QDQPropagation, 1.32)
        takes signed numbers behind a pool for unsigned ones, and refuses what it has made of a valid file."""
        try:
            return chosen(quantiser, flavour, judge, max_drop=self.max_drop, reduce_range=narrow, emit=self.emit)
        except EdgekdError as error:
            if flavour != "int8-trt" or graph.opset(self.model) <= _READ:
                raise
            remedy = "" if isinstance(self.network, OnnxTeacher) else f" Set export.opset = {_READ} or less."
            text = f"{self.title} has opset {graph.opset(self.model)}, of which ONNX Runtime does not read its {flavour}: no such file of it.{remedy}"
            self.emit(Note(text=f"{text} ({first_line(error)})", level="warning"))
            return None

    def _probabilities(self, teacher: OnnxTeacher) -> NDArray[np.float32]:
        """What a file that ends in a softmax answers itself: logarithms blow up what fp16 rounds to 0, and leave out what 8 bits do."""
        answers = teacher.box.answer(self.prepared).astype(np.float32)
        return answers if teacher.box.order is None else answers[:, teacher.box.order]

    def _judge(self) -> Judge:
        """What the fp32 file answers to the held-out images, to hold int8 to."""
        if self.held_out.quality is None:
            text = f"int8 of {self.title} is not held to max_drop: there are too few validation images to tell what it loses."
            self.emit(Note(text=text, level="warning"))
        prepared = prepare(self.held_out.images, self.preprocess)
        before = self.feed.answer(self.session, prepared, _AT_ONCE)
        softmax = isinstance(self.network, OnnxTeacher) and self.network.box.softmax
        answer: Answer = "probabilities" if softmax else "logits" if self.writer.thresholds is None else "several"
        return Judge(prepared, before, self.held_out.quality, self.feed, self.title, answer)

    def _write(
        self,
        model: onnx.ModelProto,
        precision: Precision,
        before: NDArray[np.float32],
        calibration: Mapping[str, Any] | None = None,
        floats: Sequence[str] = (),
    ) -> None:
        step = Step(self.source, model, self.feed, self.prepared, before, precision)
        self.writer.write(step, self.model, self.preprocess, calibration, floats)
        self._count()

    def _count(self) -> None:
        """Say how many of the files stand."""
        total = len({"fp32", *self.settings.precisions}) if self.precision == "fp32" else 1
        self.emit(Progress(what=f"exporting {self.title}", done=len(self.writer.artifacts), total=total, unit="files"))


_AT_ONCE = 64
"""Images in a batch where only their logits are wanted."""

_OPSETS: dict[Flavour, int] = {"int8-cpu": 13, "int8-trt": 19}
"""From which on DequantizeLinear knows channels, and scales in fp16."""
_READ = 20
"""Up to which opset ONNX Runtime reads every int8-trt file."""


def _shape(prepared: NDArray[np.float32]) -> tuple[int, int, int]:
    _, channels, height, width = prepared.shape
    return channels, height, width

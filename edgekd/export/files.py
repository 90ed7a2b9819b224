"""A network's files: ROLE-NAME-PRECISION.onnx in one folder, each checked against the step before, written whole or not at all.

In: a trained network, training images to calibrate on, real images to check on. Out: one `Artifact` a file, fp32 first, paths relative to the folder.
fp32 is written whatever is asked for: the other precisions are made from it and held to it. A teacher that came as ONNX keeps its own graph.
"""

import copy
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgekd import graph
from edgekd.device.predict import prepare
from edgekd.errors import UsageError
from edgekd.evaluate.metrics import log_shares
from edgekd.events import Emit, Note, Progress, Wrote
from edgekd.export import onnx as exporter
from edgekd.export import parity as agreement
from edgekd.export.control import Answer, Judge, Quality, chosen
from edgekd.export.drift import refuse
from edgekd.export.feed import Feed, open_session
from edgekd.export.first import copied, own_precision, scaled
from edgekd.export.inside import PROBABILITIES, left, with_preprocessing, with_softmax
from edgekd.export.int8 import Flavour, Quantiser, saturates
from edgekd.export.likeness import refuse_noise
from edgekd.export.metadata import metadata
from edgekd.export.onnx import checked, describe
from edgekd.export.optimised import conversions, in_int8, optimised, told
from edgekd.export.otherwise import OpenVino
from edgekd.export.precision import to_fp16
from edgekd.export.rejected import Source, Step, kept_aside
from edgekd.files import atomic_path, sha256_file
from edgekd.models.blackbox import OnnxTeacher
from edgekd.models.load import fingerprint
from edgekd.models.network import Network
from edgekd.recipe import Export
from edgekd.record import Artifact, Precision, Role

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
    job = _Job(network, folder, role, name, list(classes), settings, parity, emit, held, flavours, max_drop, temperature, thresholds, openvino)
    job.first()
    if job.precision == "fp32" and "fp16" in settings.precisions:
        job.fp16()
    if job.precision == "fp32" and calibration is not None:
        job.int8(calibration)
    return job.artifacts


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
    folder: Path
    role: Role
    name: str
    classes: list[str]
    settings: Export
    images: Pixels
    emit: Emit
    held_out: HeldOut
    flavours: Sequence[Flavour]
    max_drop: float
    temperature: float | None = None
    thresholds: Sequence[float] | None = None
    openvino: bool = False
    artifacts: list[Artifact] = field(default_factory=list)
    precision: Precision = "fp32"
    feed: Feed = field(default_factory=Feed)

    def first(self) -> None:
        """The file that the others are made from: the network exported, or its own file copied."""
        self._count()
        self.fingerprint = fingerprint(self.network)
        self.preprocess = self.network.preprocess
        self.prepared = prepare(self.images, self.preprocess)
        if isinstance(self.network, OnnxTeacher):
            self._notecopied()
            self.model, self.feed = copied(self.network)
            self.source: Source = self.network.path
            self.precision = own_precision(self.model, self.name, self.emit)
            before = self.network.predict({"images": self.images})["logits"]
            # Probabilities are compared as such: their logarithms blow up what fp16 rounds to 0.
            before = np.exp(before) if self.network.box.softmax else before
        else:
            batch = None if self.settings.batch == "dynamic" else self.settings.batch
            # On the CPU and in float32, whatever the training device rounds to.
            twin = scaled(copy.deepcopy(self.network).cpu().float(), self.temperature, self.images)
            self.model = exporter.to_onnx(twin.body, _shape(self.prepared), opset=self.settings.opset, batch=batch)
            self.feed = Feed(batch=batch)
            self.source = twin if self.settings.preprocess else twin.body
            before = twin.predict({"images": self._inside() if self.settings.preprocess else self.images})["logits"]
        self._write(self.model, self.precision, before)
        self.source = self.model
        # Of the model and not of its file, which may have a softmax.
        self.session = open_session(self.model.SerializeToString(), self.name)
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
            text = f"{self.role}/{self.name} came as a file, which is copied as it is: export.{' and export.'.join(asked)} changes nothing in it."
            self.emit(Note(text=text, level="warning"))

    def fp16(self) -> None:
        io = self.settings.half_io is True
        half, kept = to_fp16(self.model, self.prepared, self.feed, f"{self.role}/{self.name}", io=io)
        if kept:
            text = f"fp16 of {self.role}/{self.name} keeps {', '.join(kept)} in float32: their numbers leave fp16's range, or come near its end."
            self.emit(Note(text=text, level="warning"))
        self._write(half, "fp16", self.logits, floats=kept)

    def int8(self, images: Pixels) -> None:
        flavours = [flavour for flavour in self.flavours if self._fits(flavour)]
        if not flavours:
            return
        if len(images) < _FEW:
            text = f"int8 of {self.role}/{self.name} is calibrated on {len(images)} images only; a few hundred are usual."
            self.emit(Note(text=text, level="warning"))
        title = f"{self.role}/{self.name}"
        quantiser = Quantiser(self.model, prepare(images, self.preprocess), self.feed, title, self.emit)
        judge = self._judge(title)
        for flavour in flavours:
            narrow = flavour == "int8-cpu" and saturates()
            choice = chosen(quantiser, flavour, judge, max_drop=self.max_drop, reduce_range=narrow, emit=self.emit)
            if choice is None:
                continue
            if choice.floats:
                text = f"{flavour} of {title} keeps {', '.join(choice.floats)} in float: with them in int8 it lost more than max_drop allows."
                self.emit(Note(text=text))
            facts = {
                "method": choice.method,
                "images": len(images),
                "sha256": hashlib.sha256(np.ascontiguousarray(images).tobytes()).hexdigest(),
                "activations": "uint8 asymmetric" if flavour == "int8-cpu" else "int8 symmetric",
                "weights": "int8 per channel, 7 bits" if narrow else "int8 per channel",
                "divergence": {method: round(value, 6) for method, value in choice.tried.items()},
                **({"floats": list(choice.floats)} if choice.floats else {}),
            }
            self._write(choice.model, flavour, self.logits, facts)

    def _fits(self, flavour: Flavour) -> bool:
        """Whether the opset knows what the flavour is written in; where it does not, that is said."""
        has, needs = graph.opset(self.model), _OPSETS[flavour]
        if has < needs:
            remedy = "" if isinstance(self.network, OnnxTeacher) else f" Set export.opset = {needs} or more."
            text = f"{self.role}/{self.name} has opset {has}, {flavour} needs {needs}: no such file of it.{remedy}"
            self.emit(Note(text=text, level="warning"))
        return has >= needs

    def _judge(self, title: str) -> Judge:
        """What the fp32 file answers to the held-out images, to hold int8 to."""
        if self.held_out.quality is None:
            text = f"int8 of {title} is not held to max_drop: there are too few validation images to tell what it loses."
            self.emit(Note(text=text, level="warning"))
        prepared = prepare(self.held_out.images, self.preprocess)
        before = self.feed.answer(self.session, prepared, _AT_ONCE)
        softmax = isinstance(self.network, OnnxTeacher) and self.network.box.softmax
        answer: Answer = "probabilities" if softmax else "logits" if self.thresholds is None else "several"
        return Judge(prepared, before, self.held_out.quality, self.feed, title, answer)

    def _path(self, precision: Precision) -> Path:
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", self.name)
        return self.folder / f"{self.role}-{plain}-{precision}.onnx"

    def _write(
        self,
        model: onnx.ModelProto,
        precision: Precision,
        before: NDArray[np.float32],
        calibration: Mapping[str, Any] | None = None,
        floats: Sequence[str] = (),
    ) -> None:
        """Finish a model, hold it to the step before, and only then give it its name; `floats`: the nodes of an fp16 file that stay in float32."""
        path, feed = self._path(precision), self.feed
        if self.settings.softmax and not isinstance(self.network, OnnxTeacher):
            model, feed, before = with_softmax(model), replace(feed, output=PROBABILITIES), np.exp(log_shares(before)).astype(np.float32)
        if precision == "fp16" and self.settings.half_io is True and feed.type == "float32":
            feed = replace(feed, type="float16")
        describe(model, self._metadata(calibration, floats))
        checked(model, path.name)
        step = Step(self.source, model, feed, self.prepared, before, precision)
        with atomic_path(path) as unfinished, kept_aside(unfinished, path, step):
            unfinished.write_bytes(model.SerializeToString())
            session = open_session(unfinished, path.name, layouts=precision != "fp16")
            found = agreement.check(session, feed, self.prepared, before, precision=precision, name=path.name)
            refuse(self.model, model, self.prepared[: agreement.FEWEST], self.feed, name=path.name, precision=precision)
            if self.openvino and precision != "int8-trt":
                self._check_openvino(unfinished, feed, before, precision, path.name)
        facts = graph.summary(path)
        quantised, between = self._fused(path) if precision == "int8-cpu" else (facts.quantised, None)
        self.artifacts.append(
            Artifact(
                role=self.role,
                network=self.name,
                precision=precision,
                path=path.name,
                sha256=sha256_file(path),
                size=facts.size,
                params=facts.params,
                macs=facts.macs,
                opset=facts.opset,
                classes=len(self.classes),
                preprocess=self.preprocess,
                quantised=quantised,
                conversions=between,
                operators=facts.operators,
                layers=facts.layers,
                calibration=None if calibration is None else dict(calibration),
                parity={str(each.batch): each.largest for each in found},
                parities=found,
                temperature=self.temperature,
                thresholds=list(self.thresholds or ()),
            )
        )
        self.emit(Wrote(path=str(path), what=f"{self.role}/{self.name}/{precision}"))
        self._count()

    def _check_openvino(self, file: Path, feed: Feed, before: NDArray[np.float32], precision: Precision, name: str) -> None:
        batch, some = feed.batch or 1, self.prepared[: agreement.FEWEST]
        alone = replace(feed, batch=batch)
        agreement.check(OpenVino(file, batch), alone, some, before[: agreement.FEWEST], precision=precision, name=f"{name} by OpenVINO")

    def _fused(self, path: Path) -> tuple[dict[str, int], int]:
        """Which nodes of an int8 file compute in 8 bits here, and how many only convert; said, as a file may promise more than a runtime takes up."""
        nodes = optimised(path)
        self.emit(Note(text=f"int8 of {self.role}/{self.name}: {told(nodes)}"))
        return in_int8(nodes), conversions(nodes)

    def _count(self) -> None:
        """Say how many of the files stand."""
        total = len({"fp32", *self.settings.precisions}) if self.precision == "fp32" else 1
        self.emit(Progress(what=f"exporting {self.role}/{self.name}", done=len(self.artifacts), total=total, unit="files"))

    def _metadata(self, calibration: Mapping[str, Any] | None, floats: Sequence[str]) -> dict[str, str]:
        return metadata(
            self.network,
            name=f"{self.role}/{self.name}",
            source=self.fingerprint,
            classes=self.classes,
            preprocess=self.preprocess,
            thresholds=self.thresholds,
            temperature=self.temperature,
            calibration=calibration,
            floats=floats,
        )


_AT_ONCE = 64
"""Images in a batch where only their logits are wanted."""

_OPSETS: dict[Flavour, int] = {"int8-cpu": 13, "int8-trt": 19}
"""From which on DequantizeLinear knows channels, and scales in fp16."""


def _shape(prepared: NDArray[np.float32]) -> tuple[int, int, int]:
    _, channels, height, width = prepared.shape
    return channels, height, width

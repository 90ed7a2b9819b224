"""A model becomes a file: finished, held to the step before, and only then given its name.

In: how a model came about (`Step`), the network that it is of. Out: ROLE-NAME-PRECISION.onnx, and an `Artifact` that says what it is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgekd import graph
from edgekd.evaluate.metrics import log_shares
from edgekd.events import Emit, Note, Wrote
from edgekd.export import parity as agreement
from edgekd.export.drift import refuse
from edgekd.export.feed import Feed, open_session
from edgekd.export.inside import PROBABILITIES, with_softmax
from edgekd.export.metadata import metadata
from edgekd.export.onnx import checked, describe
from edgekd.export.openvino import OpenVino
from edgekd.export.optimised import conversions, in_int8, optimised, told
from edgekd.export.rejected import Step, kept_aside
from edgekd.files import atomic_path, sha256_file
from edgekd.models.blackbox import OnnxTeacher
from edgekd.models.network import Network
from edgekd.preprocess import Preprocess
from edgekd.recipe import Export
from edgekd.record import Artifact, Precision, Role


@dataclass
class Writer:
    """Writes a network's files; `artifacts` are those that stand."""

    network: Network
    folder: Path
    role: Role
    name: str
    classes: list[str]
    settings: Export
    fingerprint: str
    temperature: float | None
    thresholds: Sequence[float] | None
    openvino: bool
    emit: Emit
    artifacts: list[Artifact] = field(default_factory=list)

    def write(
        self,
        step: Step,
        fp32: onnx.ModelProto,
        preprocess: Preprocess,
        calibration: Mapping[str, Any] | None = None,
        floats: Sequence[str] = (),
    ) -> None:
        """Write the file of a step.

        Args:
            fp32: what broken calibrations and overflows show against.
            preprocess: what is left to do before the file.
            floats: the nodes of an fp16 file that stay in float32.

        Raises:
            EdgekdError: it does not compute what the step before did; it is kept as NAME.onnx.rejected.
        """
        precision: Precision = step.precision
        path, plain, step = self._path(precision), step.feed, self._finished(step)
        describe(step.model, self._metadata(preprocess, calibration, floats))
        checked(step.model, path.name)
        with atomic_path(path) as unfinished, kept_aside(unfinished, path, step):
            unfinished.write_bytes(step.model.SerializeToString())
            session = open_session(unfinished, path.name, layouts=precision != "fp16")
            found = agreement.check(session, step.feed, step.images, step.before, precision=precision, name=path.name)
            refuse(fp32, step.model, step.images[: agreement.FEWEST], plain, name=path.name, precision=precision)
            if self.openvino and precision != "int8-trt":
                self._check_openvino(unfinished, step, path.name)
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
                preprocess=preprocess,
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

    def _finished(self, step: Step) -> Step:
        """With the ends that are asked for: probabilities, and inputs in fp16."""
        model, feed, before = step.model, step.feed, step.before
        if self.settings.softmax and not isinstance(self.network, OnnxTeacher):
            shares: NDArray[np.float32] = np.exp(log_shares(before)).astype(np.float32)
            model, feed, before = with_softmax(model), replace(feed, output=PROBABILITIES), shares
        if step.precision == "fp16" and self.settings.half_io is True and feed.type == "float32":
            feed = replace(feed, type="float16")
        return replace(step, model=model, feed=feed, before=before)

    def _path(self, precision: Precision) -> Path:
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", self.name)
        return self.folder / f"{self.role}-{plain}-{precision}.onnx"

    def _check_openvino(self, file: Path, step: Step, name: str) -> None:
        batch, some = step.feed.batch or 1, step.images[: agreement.FEWEST]
        alone: Feed = replace(step.feed, batch=batch)
        before = step.before[: agreement.FEWEST]
        agreement.check(OpenVino(file, batch), alone, some, before, precision=step.precision, name=f"{name} by OpenVINO")

    def _fused(self, path: Path) -> tuple[dict[str, int], int]:
        """Which nodes of an int8 file compute in 8 bits here, and how many only convert; said, as a file may promise more than a runtime takes up."""
        nodes = optimised(path)
        self.emit(Note(text=f"int8 of {self.role}/{self.name}: {told(nodes)}"))
        return in_int8(nodes), conversions(nodes)

    def _metadata(self, preprocess: Preprocess, calibration: Mapping[str, Any] | None, floats: Sequence[str]) -> dict[str, str]:
        return metadata(
            self.network,
            name=f"{self.role}/{self.name}",
            source=self.fingerprint,
            classes=self.classes,
            preprocess=preprocess,
            thresholds=self.thresholds,
            temperature=self.temperature,
            calibration=calibration,
            floats=floats,
        )

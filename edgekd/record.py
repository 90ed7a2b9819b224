"""The nouns that every stage hands on, as frozen structs; `reportfile` reads and writes them.

A `Report` is the source of truth: it holds all that a page draws, raw samples included. Statistics are computed from it (`stats`), never stored,
but for a ratio's interval, which carries its method and seed. Sizes are bytes, times ms unless a name says otherwise, accuracies and
other scores are fractions in [0, 1]; only `units` makes text of them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from edgekd.errors import MissingError, UsageError
from edgekd.measurements import Floor, Host, Measurement, Ratio
from edgekd.preprocess import Preprocess
from edgekd.scores import ClassGroups, DomainSummary, Kept, Metric, NetworkRole, Robustness, Score, Struct

OWN_SPLIT = "edgekd split this data itself: a teacher brought with weights has probably seen the test images; --test SPEC names unseen ones"
"""A note of a report's data that its accuracy drops must be read with."""

SCHEMA = 1
"""Version of report.json. 1: the first (2026-11); what it has gained since may be absent: `Measurement.layer_times`, `sustained`."""

Role = Literal["teacher", "student", "file"]
How = Literal["taught", "brought", "mixed", "distilled", "alone"]
"""How a network came by its weights."""
Task: TypeAlias = Literal["classify", "multilabel"]
"""What an answer means: one label an image, or several that are independent of each other (`edgekd.tasks`)."""
Precision = Literal["fp32", "fp16", "int8-cpu", "int8-trt", "as-is"]


THRESHOLDS_KEY = "edgekd.thresholds"
"""Under which a file that tells several labels an image holds, as JSON, the probability from which on each is said to be there."""


def carried_thresholds(metadata: Mapping[str, str], file: Path) -> list[float] | None:
    """The thresholds in a file's metadata; None where there are none, as it tells one label an image.

    Raises:
        UsageError: they do not read.
    """
    text = metadata.get(THRESHOLDS_KEY)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=list[float])
    except msgspec.MsgspecError as error:
        raise UsageError(f"the metadata {THRESHOLDS_KEY} of {file} does not read: {error}. Export the file again.") from None


class Layer(Struct, frozen=True, kw_only=True):
    """A node that holds weights or multiplies: `bytes` of its weights, their `precision`, `macs` None where a shape is not known."""

    name: str
    op: str
    params: int
    bytes: int
    macs: int | None
    precision: str


class Parity(Struct, frozen=True, kw_only=True):
    """How a file's logits compare with those of the step before, on `images` real images asked for `batch` at a time."""

    batch: int
    images: int
    largest: float
    """Absolute difference over the logits' standard deviation, as `mean`."""
    mean: float
    cosine: float
    """Between the two answers to the image where they are least alike."""
    agreement: float
    """Share of images whose highest logit is the same class's."""


FULL_RANGE = "int8 per channel"
"""What a file's calibration says of weights that take all 8 bits."""


class Artifact(Struct, frozen=True, kw_only=True):
    """A file that a device can run. Its name is `role/network/precision`, as in `student/resnet20/int8-cpu`."""

    role: Role
    network: str
    precision: Precision
    path: str
    """Relative to the run folder, or as given for a bare file."""
    sha256: str
    size: int
    params: int
    macs: int | None
    """Multiply-accumulates of one image; None where an operator's shape is not known."""
    opset: int
    classes: int | None = None
    preprocess: Preprocess | None = None
    quantised: dict[str, int] = {}
    """How many nodes of each operator run in INT8: of int8-cpu in the graph that ONNX Runtime ran where it was exported, else as the file allows."""
    conversions: int | None = None
    """How many nodes of that graph only go between INT8 and float; None where it was not looked at."""
    operators: dict[str, int] = {}
    """How many nodes of each operator there are; none where the file was not looked into."""
    layers: list[Layer] = []
    """What holds weights or multiplies, in the file's order."""
    calibration: dict[str, Any] | None = None
    """Method, image count and hash of what INT8 was calibrated on."""
    parity: dict[str, float] = {}
    """Largest absolute difference of the logits to the step before, by batch size, over the logits' standard deviation."""
    parities: list[Parity] = []
    """The same with mean, cosine and agreement; older reports have none."""
    temperature: float | None = None
    """What its logits were divided by, fitted on validation images, where that was asked for."""
    thresholds: list[float] = []
    """Where an image may have several labels: the probability from which on each is said to be there, fitted on validation images."""

    @property
    def name(self) -> str:
        return f"{self.role}/{self.network}/{self.precision}"


class Verdict(Struct, frozen=True, kw_only=True):
    """What one limit came to."""

    limit: str
    """The limit in words, as in `size ≤ 400 kB`."""
    artifact: str
    target: str | None
    state: Literal["pass", "over", "undecided", "missing"]
    quantity: str
    measured: float | None
    bound: float | None
    text: str
    """By how much, and what to do about it."""
    warn: bool = False
    before: float | None = None
    """The same quantity in the baseline, where there is one; for a growth, what it grew from."""
    why: list[str] = []
    """The layers behind it, where they were asked for."""


class CurvePoint(Struct, frozen=True, kw_only=True):
    """Where training stood after an epoch."""

    epoch: float
    step: int
    phase: str
    loss: float
    temperature: float | None
    shares: dict[str, float]
    learning_rate: float
    valid_accuracy: float | None
    first_temperature: float | None = None
    """T at the first step of its phase; reports of older versions have none."""


class Training(Struct, frozen=True, kw_only=True):
    """How a network came by its weights."""

    how: How
    steps: int = 0
    seconds: float = 0.0
    """Wall seconds of all sittings together."""
    seed: int = 0
    curve: list[CurvePoint] = []


class Network(Struct, frozen=True, kw_only=True):
    """One network of the run, before export. `alone` is the student taught by the same schedule without soft terms, on all images in every phase;
    `alone-on-subset` on those that the phases saw; an `ensemble` is teacher and co-teachers as they answer together. Where an image may have several
    labels, its accuracies are mean average precisions (`Report.leading`)."""

    role: NetworkRole
    name: str
    params: int
    macs: int | None
    training: Training
    valid_accuracy: float | None = None
    test_accuracy: Metric | None = None
    """Of a network without an artifact of its own, as `alone` and assistants; of each teacher where several answer together."""
    test_balanced: Metric | None = None
    """The mean over classes of `test_accuracy`; None for several labels an image."""
    correct: str = ""
    """Which test images it has right, packed as in `Score.correct`."""


class DataSummary(Struct, frozen=True, kw_only=True):
    """What the run was taught, chosen and judged on."""

    spec: str
    sha256: str
    classes: list[str]
    train: int
    valid: int
    test: int
    shape: tuple[int, int, int]
    """Height, width, channels."""
    task: Task = "classify"
    class_counts: list[int] = []
    """Training images by class."""
    crop_fraction: float | None = None
    """What part of a resized picture the centre crop kept; None: an older version did not say."""
    groups: ClassGroups | None = None
    """Head, middle and tail, where classes are unbalanced."""
    unreadable: list[str] = []
    notes: list[str] = []


class Report(Struct, frozen=True, kw_only=True):
    """All that is known at the end of a run."""

    schema: int = SCHEMA
    edgekd: str
    name: str
    created: str
    """UTC, ISO 8601."""
    seed: int = 0
    recipe: dict[str, Any] = {}
    data: DataSummary | None = None
    networks: list[Network] = []
    kept: list[Kept] = []
    """Of students that went on from another run."""
    artifacts: list[Artifact] = []
    scores: list[Score] = []
    hosts: dict[str, Host] = {}
    measurements: list[Measurement] = []
    ratios: list[Ratio] = []
    floors: list[Floor] = []
    """Computed, of targets whose chip's data are known, at hand or not."""
    verdicts: list[Verdict] = []
    domain: DomainSummary | None = None
    """Where images look different from the run's data, and the students learnt there too."""
    shipped: dict[str, str] = {}
    """By `target/student network`: the artifact that was fastest within the accuracy limit, chosen on validation images."""
    robustness: Robustness | None = None
    """What `edgekd robustness` measured."""
    doubts: list[str] = []
    notes: list[str] = []

    @property
    def leading(self) -> Literal["accuracy", "map"]:
        """The metric that networks and files are judged by first."""
        several = any("map" in score.metrics for score in self.scores) or (self.data is not None and self.data.task == "multilabel")
        return "map" if several else "accuracy"

    def artifact(self, name: str) -> Artifact:
        """The artifact of that full name.

        Raises:
            MissingError: no artifact has it.
        """
        for artifact in self.artifacts:
            if artifact.name == name:
                return artifact
        known = ", ".join(a.name for a in self.artifacts) or "none"
        raise MissingError(f"no artifact is called {name!r} in this report; it has: {known}")

    def score(self, artifact: str, split: str = "test") -> Score | None:
        """The score of an artifact on a split, None where it was not evaluated."""
        return next((s for s in self.scores if s.artifact == artifact and s.split == split), None)

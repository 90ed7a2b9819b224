"""How well networks and files answer, as frozen structs of a report: metrics with their intervals, and what was found beyond the plain test images.

Part of `record`, whose report holds them; `evaluate` makes them. This module computes nothing but means of what it holds.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import Literal

import msgspec

NetworkRole = Literal["teacher", "co-teacher", "ensemble", "assistant", "student", "alone", "alone-on-subset"]


class Struct(msgspec.Struct, frozen=True):
    """A frozen record (kw_only is not inherited, so each says it)."""


class Metric(Struct, frozen=True, kw_only=True):
    """A score with its interval. `value` stands for `n` images."""

    value: float
    low: float
    high: float
    n: int


class Bin(Struct, frozen=True, kw_only=True):
    """Answers of about the same confidence: how many, their mean confidence, and the share that is right; 0 where there are none."""

    images: int
    confidence: float
    accuracy: float


class Disagreement(Struct, frozen=True, kw_only=True):
    """An image that teacher and student call differently, by its position in the split, with what it is and what each answers."""

    index: int
    label: str
    teacher: str
    student: str
    teacher_probability: float
    student_probability: float
    png: str
    """The image, 64 pixels along its longer side at the most, as a PNG file in base64."""


class ClassGroups(Struct, frozen=True, kw_only=True):
    """The classes by how many training images they have, the commonest first in each group."""

    rule: Literal["bounds", "thirds"]
    """bounds: over 100 images, 20 to 100, under 20; thirds: a third of the classes each, where those bounds leave a group empty."""
    head: list[str]
    middle: list[str]
    tail: list[str]


class LabelScore(Struct, frozen=True, kw_only=True):
    """How well one label of several is told; `auc` is None where no image is known to lack it."""

    threshold: float
    """The probability from which on it is said to be there."""
    positives: int
    negatives: int
    """Images that are known to show it, and not to."""
    average_precision: float
    auc: float | None
    f1: float


class Score(Struct, frozen=True, kw_only=True):
    """How well one artifact answers one split. `metrics` by name, `recall` by class, `against` paired with the teacher on the same images."""

    artifact: str
    split: Literal["train", "valid", "test"]
    host: str
    n: int
    metrics: dict[str, Metric]
    """accuracy, top5, balanced_accuracy, macro_f1, ece, nll; of several labels an image map, macro_f1, auc, label_accuracy, nll, and accuracy is
    the share of images with all labels right"""
    recall: dict[str, Metric] = {}
    groups: dict[str, Metric] = {}
    """Mean recall of the head, middle and tail classes, where classes are unbalanced (`DataSummary.groups`)."""
    against: dict[str, Metric] = {}
    """agreement, flips, accuracy_drop (teacher minus this, a fraction; positive is worse), each paired image by image."""
    correct: str = ""
    """Which images were right: one bit an image in index order, base64; pairs two files' accuracies on the same images."""
    images: str = ""
    """sha256 of the split's images and labels: only equal ones may be paired."""
    reliability: list[Bin] = []
    """Fifteen equal bins of confidence from 0 to 1, those that `ece` is taken over; none in a report from before they were kept."""
    confusion: dict[str, dict[str, int]] = {}
    """How many images of a class were called another, by class and answer; what did not happen is left out."""
    disagreements: list[Disagreement] = []
    """Of a student's file on test images: some that its teacher calls differently, those first on which both are surest."""
    labels: dict[str, LabelScore] = {}
    """Of several labels an image, each that an image of the split shows."""

    @property
    def lead(self) -> Metric:
        """The figure that a network is judged by first: the mean average precision of several labels an image, else accuracy."""
        return self.metrics["map" if "map" in self.metrics else "accuracy"]


class Calibration(Struct, frozen=True, kw_only=True):
    """A temperature that was fitted on validation `images`, and what dividing the logits by it does on the test images."""

    temperature: float
    images: int
    ece: Metric
    nll: Metric
    scaled_ece: Metric
    scaled_nll: Metric


class Inheritance(Struct, frozen=True, kw_only=True):
    """How one network, or a file of it, answers beyond the plain test images. Accuracies are shares of `Robustness.images`."""

    name: str
    """As in `student/resnet20` or `alone/resnet20`; of a file with its precision."""
    role: NetworkRole | Literal["file"]
    clean: Metric
    """Accuracy on those images as they are."""
    agreement: Metric | None = None
    """With the teacher, on all test images."""
    calibration: Calibration | None = None
    """None where there are no validation images."""
    corrupted: dict[str, list[float]] = {}
    """Accuracy by corruption, from severity 1 to 5."""
    fgsm: list[float] = []
    """Accuracy on images that were moved along its own gradient, by `Robustness.steps`; none where it has no gradient."""
    transferred: list[float] = []
    """The same on images that were moved along the teacher's."""

    def under(self, corruptions: Sequence[str]) -> float:
        """Mean accuracy over these corruptions and all severities."""
        return fmean(fmean(self.corrupted[name]) for name in corruptions)


class Robustness(Struct, frozen=True, kw_only=True):
    """What each network inherits of its teacher's steadiness, on the same test images."""

    images: int
    """So many test images, of each class as many, are corrupted and moved."""
    seed: int
    families: dict[str, list[str]]
    """Corruptions by kind."""
    steps: list[int]
    """How far FGSM moves a pixel, in 255ths."""
    networks: list[Inheritance]
    """The teacher first."""
    notes: list[str] = []


class DomainScore(Struct, frozen=True, kw_only=True):
    """How well one file tells the test images of the source, which the run's data are, and of the target: accuracy, balanced_accuracy, macro_auc."""

    artifact: str
    source: dict[str, Metric]
    target: dict[str, Metric] = {}
    """None where the target has no labels."""


class DomainSummary(Struct, frozen=True, kw_only=True):
    """The target that the students were taught on beside the run's data."""

    target: str
    """The spec of its images."""
    sha256: str
    images: int
    """Of these it was learnt, without labels."""
    test: int
    """Of these it is told how well; 0: it has no labels."""
    scores: list[DomainScore] = []
    """Of the teacher's own file and each student's first."""


class Held(Struct, frozen=True, kw_only=True):
    """How a student that learnt on does on some test images, and how it did before: accuracy, and recall by class."""

    images: Literal["old", "new"]
    """Whose test images: the previous run's, or this one's."""
    before: Metric | None = None
    """None: it knew none of their classes. Images of classes that it did not know count as wrong."""
    after: Metric
    lost: Metric | None = None
    """before minus after, paired image by image: of old images what was forgotten."""
    recall_before: dict[str, Metric] = {}
    recall: dict[str, Metric] = {}


class Kept(Struct, frozen=True, kw_only=True):
    """What a student kept of the run that it went on from, and what it learnt since. It is the network that was scored, before export."""

    student: str
    run: str
    """That run's folder, as the recipe has it."""
    classes: list[str]
    """What it knew before."""
    replayed: int = 0
    """Old images that were shown again."""
    tests: list[Held] = []
    untold: list[str] = []
    """Old test images that were not there to be asked, and why."""

"""What was asked for, as frozen structs. Every struct of a recipe lives here, but for how networks learn (`phases`), by which losses (`terms`),
how they want their images (`preprocess`) and what must hold of files (`limit`); `recipefile` reads and writes them.

Paths in a recipe are relative to its own folder. Defaults that depend on the data or the machine are `None` here ("what fits"); `compress`
fills them and says why. This module computes nothing: budgets read limits, `distill` reads phases.
"""

import math
import re
from typing import Literal, TypeAlias

import msgspec

from edgekd.limit import Limit
from edgekd.phases import DEFAULT, Phase, Train
from edgekd.preprocess import Stated
from edgekd.record import Task
from edgekd.terms import Struct, require

# Networks -------------------------------------------------------------------------------------------------------------

LABELLED = "labelled.npz"
"""What `edgekd label` writes the images that it keeps into."""
ANSWERS = "answers"
"""The model of a teacher of which nothing is there but its answers, beside the training images."""


class Teacher(Struct, frozen=True, kw_only=True):
    """The network that is imitated: `model` and `weights` as spec strings. Without weights it is taught first. `answers`: it is not there, but its
    answers to the training images are, as `edgekd label` writes them beside its labels."""

    model: str
    weights: str | None = None
    weights_key: str | None = None
    """Where in a checkpoint the weights stand, where it is none of the usual names."""
    preprocess: Stated | None = None
    classes: list[str] | str | None = None
    """Its class names in the order of its outputs, or a file with one a line; None: the data's."""
    prior: dict[str, float] | Literal["uniform"] | None = None
    """Class frequencies in its own training; None: this data's."""

    def __post_init__(self) -> None:
        about = {"weights": self.weights, "weights_key": self.weights_key, "preprocess": self.preprocess, "classes": self.classes}
        told = [name for name, value in about.items() if value is not None]
        require(not self.stored or not told, "answers are no network, and of them nothing can be said but a prior: leave the rest out", told)

    @property
    def stored(self) -> bool:
        """Whether nothing but its answers is there."""
        return self.model == ANSWERS


Mixture: TypeAlias = Literal["mean", "accuracy", "confidence"]
"""How the answers of several teachers become one (distill/mixture.py names each)."""


class Student(Struct, frozen=True, kw_only=True):
    """A network to teach. `weights` starts from them: "pretrained" or a file."""

    model: str
    weights: str | None = None
    weights_key: str | None = None
    preprocess: Stated | None = None


class Domain(Struct, frozen=True, kw_only=True):
    """Where the student will work, if images look different there: beside its terms it learns from images of that target, which need no labels. A
    running average of itself teaches it there (distill/domain.py)."""

    target: str
    """The target's images, as a spec. Labels teach nothing there; where the spec has labels and a test split, that is scored."""
    test: str | None = None
    """Labelled images of the target to score on instead: the spec's test split, else all that it has."""
    weight: float = 0.3
    """Of the target's loss, once it has risen over the first 30 % of the steps."""
    confidence: float = 0.9
    """How sure of an image the self-teacher must be, as a share of how sure the student is of the source's: among unsure answers more are wrong."""
    temperature: float = 0.5
    """What the self-teacher's logits are divided by. Below 1 more is asked for than it gives, which draws classes apart."""
    decay: float = 0.99
    """Of the average, per step: nearer to 1 it is steadier and follows more slowly."""
    align: bool = True
    """Bring how often the self-teacher names each class to what `train.prior` says of the device. Without it, few classes may swallow the rest; false
    where the target's images are known to be of other classes than the prior says."""

    def __post_init__(self) -> None:
        require(bool(self.target), "domain.target names images, as in folder:night", self.target)
        require(0 < self.weight < math.inf, "domain.weight must be above 0 and finite", self.weight)
        require(0 <= self.confidence < math.inf, "domain.confidence must be 0 or more, and finite", self.confidence)
        require(0 < self.temperature <= 1, "domain.temperature must be above 0 and at most 1", self.temperature)
        require(0 <= self.decay < 1, "domain.decay must be at least 0 and below 1", self.decay)


class Previous(Struct, frozen=True, kw_only=True):
    """A run whose student learns on, from new images or of new classes, and is held to what it knew (distill/keeping.py): its old self answers the
    images beside it. Without a teacher the labels teach what is new."""

    run: str
    """That run's folder, which is read and never written to. `[[student]]` names which of its students; left out: the only one."""
    weight: float | None = None
    """Of what the old student answers about its classes; 0: it is not asked; left out: 3, and 1 beside old images."""
    temperature: float = 2.0
    """At which both answers are compared."""
    replay: float | str = 0.0
    """Old images to be shown again, beside each batch: a share of that run's training images, as many of each class, as in "10 %"; or a spec, as in
    folder:old. 0: none."""

    def __post_init__(self) -> None:
        require(bool(self.run), "previous.run names a run's folder, as in runs/digits", self.run)
        require(self.weight is None or 0 <= self.weight < math.inf, "previous.weight must be 0 or more and finite", self.weight)
        require(0 < self.temperature < math.inf, "previous.temperature must be above 0 and finite", self.temperature)
        require(isinstance(self.replay, str) or 0 <= self.replay <= 1, "previous.replay is a share from 0 to 1, or a spec", self.replay)


# Files -----------------------------------------------------------------------------------------------------


class Export(Struct, frozen=True, kw_only=True):
    """Which files are written."""

    precisions: tuple[Literal["fp32", "fp16", "int8"], ...] = ("fp32", "fp16", "int8")
    opset: int = 20
    batch: int | Literal["dynamic"] = "dynamic"
    calibration_images: int = 512
    calibrate: bool = False
    """Fit one temperature on validation images when a network has learnt, and fold it into its last layer: no answer changes, only how sure it is."""
    preprocess: Literal["normalise", "resize"] | None = None
    """What the files do with a picture themselves; they then take uint8 (n, height, width, channels). None: nothing."""
    softmax: bool | None = None
    """Whether files answer probabilities; None: logits."""
    half_io: bool | msgspec.UnsetType = msgspec.UNSET
    """Whether fp16 files also take and answer fp16. Left out: float32, as all others do."""

    def __post_init__(self) -> None:
        require(18 <= self.opset <= 24, "opset must be 18 to 24", self.opset)
        require(self.batch == "dynamic" or self.batch >= 1, 'batch must be 1 or more, or "dynamic"', self.batch)
        require(self.calibration_images >= 1, "calibration_images must be 1 or more", self.calibration_images)


# The whole ------------------------------------------------------------------------------------------------------------


class Recipe(Struct, frozen=True, kw_only=True):
    """One job. `student = []` asks for the teacher alone; without the key edgekd picks one and says why."""

    data: str = "digits"
    test: str | None = None
    """Images that no part of the run has seen, where `data` has no test split of its own."""
    task: Task = "classify"
    size: tuple[int, int] | None = None
    """Height and width in pixels at which images are held; None: as the data has them, or as the teacher wants them."""
    channels: Literal[1, 3] | None = None
    imbalance: float = 1.0
    """Above 1: learn from a long tail of the data, so many times as many images of the first class as of the last; test images stay as they are."""
    label_noise: float | str = 0.0
    """Flip this share of the training labels to another class, as in "20 %", to see how teacher, student and labels alone bear it; validation and
    test images keep theirs."""
    download: bool = False
    teacher: Teacher | None = None
    co_teacher: tuple[Teacher, ...] = ()
    """Further networks that are imitated together with the teacher. Files are compared with the teacher's own, and none are written of these."""
    mixture: Mixture = "mean"
    assistants: tuple[str, ...] = ()
    """Networks between teacher and students, the largest first: each learns from the one before it, and the last of them teaches the students."""
    student: tuple[Student, ...] | None = None
    seed: int = 0
    device: str | None = None
    """Where training runs, as torch names it; None: cuda where there is one, else cpu."""
    checkpoint_s: float = 30.0
    """Seconds of training that a kill may cost; no part of the result."""
    domain: Domain | None = None
    """Images of where the students will work, which they also learn from; the teacher, assistants and students alone do not."""
    previous: Previous | None = None
    """A run whose students learn on; then no student begins at random."""
    alone: bool = False
    """Also teach each student without soft terms, by the same schedule, to say what distilling bought."""
    on: dict[str, str] = msgspec.field(default_factory=lambda: {"cpu": "local"})
    train: Train = Train()
    phase: tuple[Phase, ...] = DEFAULT
    export: Export = Export()
    limit: tuple[Limit, ...] = ()
    max_drop: float | str = "1 point"
    """Accuracy that the shipped precision of a student may lose against its own fp32 file: balanced accuracy under another prior than the data's, mAP
    where an image may have several labels. int8 has layers put back to float until it holds."""

    @property
    def by_answers(self) -> bool:
        """Whether students learn from stored answers, with no teacher there."""
        return self.teacher is not None and self.teacher.stored

    def __post_init__(self) -> None:
        require(1 <= self.imbalance < float("inf"), "imbalance must be 1 or more, as in 100 for 100:1", self.imbalance)
        require(self.checkpoint_s >= 0, "checkpoint_s must be 0 or more", self.checkpoint_s)
        if self.task == "multilabel":
            rule = 'is about one label an image; leave it out with task = "multilabel"'
            require(self.imbalance == 1, f"imbalance {rule}", self.imbalance)
            require(self.train.prior == "data", f"train.prior {rule}", self.train.prior)
            require(not self.co_teacher, f"co_teacher {rule}", [teacher.model for teacher in self.co_teacher])
            require(not self.export.softmax, f"export.softmax {rule}", self.export.softmax)
        if self.by_answers:
            alone = "stored answers teach alone, and students that begin anew"
            require(not self.co_teacher, f"{alone}; leave co_teacher out", [teacher.model for teacher in self.co_teacher])
            require(self.previous is None, f"{alone}; leave previous (--from) out", self.previous and self.previous.run)
        require(not any(one.stored for one in self.co_teacher), "a co-teacher is a network that answers; got stored answers", ANSWERS)
        require(self.mixture == "mean" or bool(self.co_teacher), "mixture is of several teachers, so it needs a [[co_teacher]]", self.mixture)
        require(self.student != () or not self.assistants, "assistants teach students, so they need one", self.assistants)
        unstudied = "is for students, so it does not go with --no-student (student = [])"
        require(self.student != () or self.domain is None, f"domain {unstudied}", self.domain and self.domain.target)
        if self.domain is not None:
            source_alone = "computes BatchNorm statistics anew of the data alone, and with a domain they are of both places; leave it out"
            require(not self.train.ema, f"train.ema {source_alone}", self.train.ema)
            require(not self.train.reestimate_batchnorm, f"train.reestimate_batchnorm {source_alone}", self.train.reestimate_batchnorm)
        require(self.domain is None or self.task == "classify", "domain is about one label an image, so task must be classify", self.task)
        if self.previous is not None:
            run = self.previous.run
            require(self.student != (), f"previous (--from) {unstudied}", run)
            require(self.task == "classify", "previous is about one label an image, so task must be classify", self.task)
            for key, value in (("assistants", self.assistants), ("alone (--alone)", self.alone), ("domain", self.domain)):
                require(not value, f"{key} and previous (--from) do not go together: leave one of the two out", run)
            averaged = {"ema": self.train.ema, "reestimate_batchnorm": self.train.reestimate_batchnorm}
            require(not any(averaged.values()), "with previous these would take statistics from the new images alone: leave them out", averaged)
            helpers = [teacher.model for teacher in self.co_teacher]
            require(self.teacher is not None or not helpers, "with previous a co_teacher needs a teacher beside it", helpers)
        require(bool(self.phase), "a recipe needs at least one phase", self.phase)
        names = [phase.name for phase in self.phase]
        require(len(set(names)) == len(names), "phases need names of their own", names)
        rounding = [phase.is_quantised for phase in self.phase]
        require(rounding == sorted(rounding), "quantised phases are the last, as learning without rounding undoes them", names)
        held = "int8" in self.export.precisions or not any(rounding)
        require(held, 'a quantised phase is for an int8 file, so export.precisions needs "int8"', list(self.export.precisions))
        for name in names:
            require(re.fullmatch(r"[A-Za-z0-9._-]+", name) is not None, "a phase's name is made of letters, digits, '.', '_' and '-'", name)

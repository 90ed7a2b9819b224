"""One student of one teacher by one method, on the images and networks that benchmarks/methods.py compares on."""

import dataclasses
import fcntl
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from benchmarks.catalogue import ACROSS, ATTENDING, METHODS, WHO, Phases, Who, scaled
from benchmarks.result import RESULTS, WORK, commit, data_file, tell
from edgekd.data import source
from edgekd.data.batches import Batches
from edgekd.distill import Job, distill, filled
from edgekd.distill.mixture import Ensemble, alike, by_accuracy
from edgekd.distill.teacher import Live, StoredAnswers
from edgekd.evaluate import evaluate
from edgekd.files import sha256_file, sha256_json
from edgekd.models.attention import attends
from edgekd.models.load import Network, build, save_weights
from edgekd.phases import Train
from edgekd.preprocess import Preprocess
from edgekd.record import How, Training

EPOCHS = 10.0
"""Of every lesson but those that choose."""
IMAGENET = Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
CIFAR100 = Preprocess(mean=(0.507, 0.487, 0.441), std=(0.267, 0.256, 0.276))
TEACHER, STUDENT = RESULTS / "methods-teacher.safetensors", RESULTS / "methods-student.safetensors"
KEPT = ("cifar100", "two phases", 0)
"""Set, method and seed of the student that is kept beside its teacher, for benchmarks/export.py."""
NAME = "methods"
"""Of the results."""
PLACE = ("set", "method", "setting", "seed", "key")
"""The fields that tell a row from others."""
Place = tuple[Any, ...]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time: others wait here."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Setting:
    """A data set with its teacher and student."""

    data: str
    teacher: str
    weights: str
    assistant: str
    student: str
    preprocess: Preprocess
    methods: tuple[str, ...] = tuple(method for method in METHODS if method not in ATTENDING)
    few: bool = False

    @property
    def file(self) -> Path:
        """The teacher's weights."""
        return TEACHER if self.weights == TEACHER.name else data_file(self.weights)

    @functools.cached_property
    def images(self) -> source.Source:
        """With a tenth of train held out for validation."""
        found = source.load(f"npz:{data_file(f'{self.data}.npz')}")
        few = np.arange(1280)
        return dataclasses.replace(found, train=found.train.take(few), valid=found.valid.take(few)) if self.few else found

    @functools.cached_property
    def train(self) -> Batches:
        """Resident."""
        return Batches(self.images.train)

    @functools.cached_property
    def valid(self) -> Batches:
        """Resident."""
        return Batches(self.images.valid)

    def network(self, name: str, weights: str | None = None) -> Network:
        """The teacher's or student's."""
        return build(name, classes=len(self.images.classes), shape=(32, 32, 3), weights=weights, preprocess=self.preprocess)

    @functools.cached_property
    def master(self) -> Network:
        """The teacher with its weights."""
        return self.network(self.teacher, str(self.file)).eval()

    @functools.cached_property
    def helper(self) -> Network:
        """The assistant, taught by plain KD with seed 0, or as it stands."""
        lesson = Lesson(self.data, self, "kd", 0, 0, (0.03 if self.few else 1.0) * EPOCHS, self.few)
        folder = WORK / NAME / f"assistant-{self.data}{'-quick' if self.few else ''}-{lesson.key[:10]}"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "weights.safetensors"
        with locked(folder):
            if not file.is_file():
                network, _ = taught(
                    self, self.assistant, lesson.phases, teacher=self.master, seed=0, folder=folder, train=lesson.train, how="distilled",
                    memory=lesson.memory,
                )  # fmt: skip
                save_weights(network, file)
        return self.network(self.assistant, str(file)).eval()

    def who(self, who: Who) -> Network | Ensemble | StoredAnswers:
        """Who teaches."""
        if who == "stored":
            return StoredAnswers(Live(self.master, self.train, bf16=True).plain().half().numpy())
        if who in ("teacher", "assistant"):
            return self.master if who == "teacher" else self.helper
        both = (self.master, self.helper)
        if who == "accuracy":
            return Ensemble(both, by_accuracy([accuracy(self, each, "valid") for each in both]), (None, None))
        return Ensemble(both, alike(2) if who == "mean" else None, (None, None))


SETTINGS = {
    "cifar100": Setting("cifar100", "resnet56b", TEACHER.name, "resnet20b", "resnet8b", CIFAR100),
    "cifar10": Setting("cifar10", "resnet56", "resnet56-4bfd9763.th", "resnet20", "resnet8", IMAGENET),
    "cifar10-transformer": Setting("cifar10", "resnet56", "resnet56-4bfd9763.th", "cifar-deit-4-128", "cifar-deit-4-64-distilled", IMAGENET, ACROSS),
}


def taught(
    setting: Setting,
    name: str,
    phases: Phases,
    *,
    teacher: Network | Ensemble | StoredAnswers | None,
    seed: int,
    folder: Path,
    train: Train,
    how: How,
    weights: str | None = None,
    memory: Path | None = None,
) -> tuple[Network, Training]:
    """A network trained by these phases, going on from a checkpoint where there is one."""
    torch.manual_seed(seed)
    network = setting.network(name, weights)
    settings = filled(train, images=len(setting.images.train), shape=(32, 32, 3), flip=True, brought=False, attends=attends(network.body))
    training = distill(
        network,
        teacher,
        Job(phases=phases, train=settings, folder=folder, how=how, seed=seed),
        data=setting.train,
        data_sha256=setting.images.sha256,
        valid=setting.valid,
        memory=memory,
        emit=tell,
    )
    return network, training


def accuracy(setting: Setting, network: Network, split: Literal["valid", "test"]) -> float:
    """On a split, %."""
    scored, _ = evaluate(network.predict, getattr(setting.images, split), artifact=network.name, split=split, classes=setting.images.classes)
    return round(100 * scored.metrics["accuracy"].value, 3)


@dataclass(frozen=True)
class Lesson:
    """One student of one teacher by one method's phases; `epochs` in all."""

    name: str
    setting: Setting
    method: str
    at: int
    seed: int
    epochs: float
    quick: bool

    @property
    def phases(self) -> Phases:
        """As long as the lesson is."""
        return scaled(METHODS[self.method][self.at], self.epochs)

    @property
    def train(self) -> Train:
        """Settled, so that no machine's pace chooses."""
        return Train(views=1 if self.quick else 8, precision="bf16", channels_last=True, compile=False)

    @functools.cached_property
    def key(self) -> str:
        """Of all that its accuracy comes from, but for the seed."""
        what = {"phases": self.phases, "train": self.train, "data": self.setting.images.sha256, "student": self.setting.student}
        teacher = {"teacher": sha256_file(self.setting.file)} if self.distilled else {}
        helper = {"who": self.who, "assistant": self.setting.assistant} if self.who not in ("teacher", "stored") else {}
        return sha256_json({**what, **teacher, **helper, **({"stored": True} if self.who == "stored" else {})})

    @property
    def who(self) -> Who:
        """Who teaches, if anybody does."""
        return WHO.get(self.method, "teacher")

    @property
    def distilled(self) -> bool:
        """Whether a teacher is asked."""
        return any(phase.soft for phase in self.phases)

    @property
    def place(self) -> Place:
        """What tells its row from others."""
        return self.name, self.method, self.at, self.seed, self.key

    @property
    def folder(self) -> Path:
        """Of its run."""
        return WORK / NAME / ("quick" if self.quick else "runs") / f"{self.name}-{self.seed}-{self.key[:10]}"

    @property
    def memory(self) -> Path:
        """Of its set's teachers' answers."""
        return WORK / NAME / f"memory-{self.setting.data}{'-quick' if self.quick else ''}"

    def learnt(self, *, test: bool) -> dict[str, Any]:
        """The student, trained and, where it counts, tested once."""
        how: How = "distilled" if self.distilled else "alone"
        setting, teacher = self.setting, self.setting.who(self.who) if self.distilled else None
        network, training = taught(
            setting, setting.student, self.phases, teacher=teacher, seed=self.seed, folder=self.folder, train=self.train, how=how, memory=self.memory
        )
        found: dict[str, Any] = dict(zip(PLACE, self.place, strict=True))
        found |= {"steps": training.steps, "epochs": self.epochs, "seconds": round(training.seconds, 1)}
        found |= {"epoch_s": round(training.seconds / self.epochs, 1), "valid_accuracy": accuracy(setting, network, "valid"), "commit": commit()}
        if test and self.who == "assistant":
            found["assistant_accuracy"] = accuracy(setting, setting.helper, "test")
        if test and not self.quick and (self.name, self.method, self.seed) == KEPT:
            save_weights(network, STUDENT, half=True)
        return {**found, "test_accuracy": accuracy(setting, network, "test")} if test else found

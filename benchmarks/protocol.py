"""CIFAR-100 in as many epochs as the literature's protocol has: which networks benchmarks/gpu.py teaches, in which order, how, and what they come to.

As in the protocol: 240 epochs of batch 64, its rates and weight decay, random crop and flip, all of train, last epoch. Of our own: one cycle of the
rate, with Nesterov's momentum, in place of a tenth after epochs 150, 180 and 210 (each row says so); teachers and students see plain images in the
last eighth. Transformers learn by AdamW. The long tail is the standard one, 100:1, on which a resnet32 is what the literature reports.
Settings were fixed before any run.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import longtail
from benchmarks.catalogue import METHODS, Phases, scaled
from benchmarks.lessons import CIFAR100
from benchmarks.result import RESULTS, commit, data_file, gap, saved_rows, tell
from edgekd.data import source
from edgekd.data.batches import Batches
from edgekd.data.source import class_counts
from edgekd.distill import Job, distill, supervised
from edgekd.evaluate import evaluate
from edgekd.files import write_atomic
from edgekd.models.load import Network, build, load_weights, save_weights
from edgekd.phases import Augment, Optimizer, Train
from edgekd.record import How

EPOCHS, BATCH = 240.0, 64
METHOD = "two phases, dist"
"""Of benchmarks/catalogue.py, for every pair: what a recipe of as many classes has by default."""
BASELINES = ("kd", "alone")
"""What it is held to, of the same catalogue."""
TEACHER = "labels"
"""What a teacher learns by."""
TAIL, TAIL_METHOD, TAIL_LABELS = 100.0, "dist, labels adjusted, plain images", "alone_adjusted"
"""The long tail; what benchmarks/longtail.py chose there, and the best that it measured of labels alone."""
SLOWER = ("cifar-mobilenet-v2", "cifar-shufflenet-v2")
"""Networks that the protocol gives a peak rate of 0.01 in place of 0.05."""
TRANSFORMER = Optimizer(name="adamw", lr=5e-4, weight_decay=0.05)
"""As DeiT's, at a smaller batch (Touvron et al. 2021)."""
CHECKPOINT_S = 60.0
WEIGHTS, ROW = "weights.safetensors", "row.json"
NOT_RUN = "not run"
KEPT_BYTES = 8_000_000


@dataclass(frozen=True)
class Pair:
    """A teacher and its student."""

    teacher: str
    student: str


PAIRS = (
    Pair("resnet56b", "resnet20b"),
    Pair("resnet32x4", "resnet8x4"),
    Pair("wrn-40-2", "wrn-16-2"),
    Pair("cifar-vgg13", "cifar-mobilenet-v2"),
    Pair("resnet32x4", "cifar-shufflenet-v2"),
    Pair("resnet56b", "cifar-deit-ti"),
)
LONG_TAIL = Pair("resnet56b", "resnet32")


@dataclass(frozen=True)
class Item:
    """A network to be taught: a teacher (seed 0), or a student; `imbalance` above 1: on a long tail."""

    network: str
    teacher: str
    method: str
    seed: int
    imbalance: float = 1.0

    @property
    def master(self) -> "Item | None":
        """Its teacher, if it learns from one."""
        return Item(self.teacher, "", TEACHER, 0, self.imbalance) if self.teacher else None

    @property
    def folder(self) -> str:
        """Where it lies below the working folder."""
        by = f"-by-{self.teacher}" if self.teacher else ""
        tail = f"-tail-{self.imbalance:g}" if self.imbalance > 1 else ""
        return f"{self.network}{by}{tail}-{self.method.replace(', ', '-').replace(' ', '-')}-{self.seed}"

    @property
    def about(self) -> dict[str, Any]:
        """What tells its row from others."""
        return {"network": self.network, "teacher": self.teacher, "method": self.method, "seed": self.seed, "imbalance": self.imbalance}


def items(pairs: Sequence[Pair], seeds: Sequence[int]) -> Iterator[Item]:
    """Everything in the order in which it is wanted: a seed of each pair before the next one, then what they are held to, then the long tail; each
    teacher before its first student."""
    taught: set[Item] = set()

    def wanted(item: Item) -> Iterator[Item]:
        if item.master is not None and item.master not in taught:
            taught.add(item.master)
            yield item.master
        yield item

    for seed in seeds:
        for pair in pairs:
            yield from wanted(Item(pair.student, pair.teacher, METHOD, seed))
    for seed in seeds:
        for pair in pairs:
            yield from (Item(pair.student, pair.teacher if method != "alone" else "", method, seed) for method in BASELINES)
        yield from wanted(Item(LONG_TAIL.student, LONG_TAIL.teacher, TAIL_METHOD, seed, TAIL))
        yield Item(LONG_TAIL.student, "", TAIL_LABELS, seed, TAIL)


def network_of(name: str, device: str = "cpu") -> Network:
    """At random."""
    return build(name, classes=100, shape=(32, 32, 3), preprocess=CIFAR100).to(device)


def images_of(imbalance: float, *, quick: bool) -> source.Source:
    """CIFAR-100's train, all of it or a long tail, nothing held out: the settings are fixed."""
    found = source.load(f"npz:{data_file('cifar100.npz')}", validation=0.0, imbalance=imbalance)
    return longtail.few(found) if quick else found


def train_of(name: str) -> Train:
    """The protocol's batch, rates and views; the teacher answers live, as every pass shows new views."""
    optimizer = TRANSFORMER if "deit" in name else Optimizer(lr=0.01 if name in SLOWER else 0.05)
    cuda = torch.cuda.is_available()
    return Train(batch=BATCH, optimizer=optimizer, augment=Augment(crop=4, flip=True), views=0, precision="fp32", channels_last=cuda, compile=False)


def phases_of(item: Item, epochs: float) -> Phases:
    """What it learns by."""
    if item.method == TEACHER:
        return supervised(epochs)
    if item.imbalance > 1:
        two = longtail.candidates(epochs)[TAIL_METHOD]
        return two if item.teacher else longtail.ways(two, epochs)[item.method]
    return scaled(METHODS[item.method][0], epochs)


def taught(item: Item, work: Path, *, quick: bool) -> dict[str, Any]:
    """Teach a network, going on from its checkpoint, and test it once: its row."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    images, folder = images_of(item.imbalance, quick=quick), work / item.folder
    torch.manual_seed(item.seed)
    network, teacher = network_of(item.network), None
    if item.master is not None:
        teacher = network_of(item.teacher, device)
        load_weights(teacher, work / item.master.folder / WEIGHTS)
    epochs = 0.2 if quick else EPOCHS
    how: How = "distilled" if teacher is not None else "taught" if item.method == TEACHER else "alone"
    job = Job(phases=phases_of(item, epochs), train=train_of(item.network), folder=folder, how=how, seed=item.seed, checkpoint_s=CHECKPOINT_S)
    training = distill(
        network,
        teacher,
        job,
        data=Batches(images.train, device=device),
        data_sha256=images.sha256,
        frequencies=class_counts(images.train.labels, 100) if teacher is not None and item.imbalance > 1 else None,
        emit=tell,
    )
    scored, _ = evaluate(network.predict, images.test, artifact=network.name, split="test", classes=images.classes)
    save_weights(network.cpu(), folder / WEIGHTS, half=True)
    if item.method == TEACHER and not quick and (folder / WEIGHTS).stat().st_size <= KEPT_BYTES:
        shutil.copyfile(folder / WEIGHTS, kept(item))
    return {
        **item.about,
        "rate": job.train.schedule,
        "epochs": epochs,
        "steps": training.steps,
        "seconds": round(training.seconds, 1),
        "test_accuracy": round(100 * scored.metrics["accuracy"].value, 3),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "commit": commit(),
    }


def kept(teacher: Item) -> Path:
    """Where a teacher's weights stay when the machine that taught it is gone."""
    return RESULTS / f"cifar100{'-tail' if teacher.imbalance > 1 else ''}-{teacher.network}.safetensors"


def restore(wanted: Sequence[Item], work: Path) -> None:
    """Put teachers that an earlier machine taught where their students look for them."""
    for item in wanted:
        folder, row = work / item.folder, _before(item)
        if item.method == TEACHER and row is not None and kept(item).is_file() and not (folder / ROW).is_file():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(kept(item), folder / WEIGHTS)
            write_atomic(folder / ROW, json.dumps(row))


def row_of(item: Item, work: Path) -> dict[str, Any]:
    """What became of a network; where nothing did, that it was not run."""
    file = work / item.folder / ROW
    if file.is_file():
        return dict(json.loads(file.read_text()))
    return _before(item) or {**item.about, "test_accuracy": NOT_RUN, "seconds": 0.0}


def _before(item: Item) -> dict[str, Any] | None:
    """The row that an earlier machine left; None: it was not run there."""
    rows = (row for row in saved_rows("cifar100") if {key: row.get(key) for key in item.about} == item.about)
    return next((row for row in rows if row["test_accuracy"] != NOT_RUN), None)


def figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Mean accuracy of each student, each teacher, what students are held to, on the long tail, too; and gains over those, paired by seed."""
    by: dict[str, dict[int, float]] = {}
    for row in rows:
        if row["test_accuracy"] != NOT_RUN:
            by.setdefault(_called(row), {})[row["seed"]] = row["test_accuracy"]
    found = {name: float(np.mean(list(seeds.values()))) for name, seeds in by.items()}
    for name, seeds in by.items():
        for other in BASELINES:
            both = sorted(set(seeds) & set(by.get(f"{name}, {other}", {})))
            if both:
                found |= gap(f"{name} minus {other}", [seeds[seed] - by[f"{name}, {other}"][seed] for seed in both])
    return found


def _called(row: Mapping[str, Any]) -> str:
    """A row's figure: the student's name where it learnt by `METHOD`, which is what goals are set for."""
    what = {METHOD: "", TEACHER: ", teacher"}.get(row["method"], f", {row['method']}")
    return f"{row['network']}{', long tail' if row['imbalance'] > 1 else ''}{what}"

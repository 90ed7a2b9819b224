"""From one domain to another: CIFAR-10's first half with labels → its second half without, seen by a poor camera. resnet56 → resnet8.

    python -m benchmarks.domain [--seeds 0 1 2] [--ways source_only own_logits own_together ours ours_unaligned] [--minutes 110] [--quick]

Source: one half of the training images, a tenth of them held out for validation. Target: the other half, grey, of low contrast and noisy, without
labels; its test images are CIFAR-10's test images, made alike. The teacher is the published resnet56, which was taught on all of them as they are
and has never seen the target. All ways are plain KD (T = 4, 0.9·soft + 0.1·hard) on the source's images, with the same steps and seeds, and beside it

    source_only      nothing
    own_logits       KL to the student's own detached logits on the target's images: what self-distillation is often written as
    own_together     the same in one batch with the source's images, as `domain` shows them: what its BatchNorm statistics alone bring
    ours             `domain` as the recipe has it by default
    ours_unaligned   the same without balance of classes

with weight 0.3. Settings were fixed before any run: nothing is chosen here. Last epoch; test images are read once a trained network. For each way the
largest gradient of its loss on the target, at the student's weights, stands beside the accuracies; own logits have none but for rounding, so that
what lies between that way and source_only is what rounding does to a training. Each row is written when its run ends, and a stopped run goes on.
"""

import functools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.result import WORK, commit, data_file, gap, keep, pieces, saved_rows, tell
from edgekd.data import source
from edgekd.data.batches import Batches
from edgekd.data.images import Images
from edgekd.data.source import Source, class_counts
from edgekd.distill import Job, checkpoint, distill, filled
from edgekd.distill.defaults import all_steps
from edgekd.distill.domain import SelfTeaching
from edgekd.distill.job import Beside, guests_of
from edgekd.distill.losses import kd
from edgekd.evaluate import evaluate
from edgekd.evaluate.auc import macro_auc
from edgekd.files import sha256_json
from edgekd.models.load import Network, build
from edgekd.phases import Phase, Train
from edgekd.preprocess import Preprocess
from edgekd.recipe import Domain
from edgekd.terms import Kd, Label

NAME = "domain"
TEACHER, STUDENT, WEIGHTS = "resnet56", "resnet8", "resnet56-4bfd9763.th"
IMAGENET = Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
EPOCHS, BATCH = 8.0, 128
OPTIONS = Domain(target="the other half")
WAYS = ("source_only", "own_logits", "own_together", "ours", "ours_unaligned")
EVERY = 7
"""Steps between two looks at the gradient."""
FEW = 640
"""Images of each split in a smoke test."""
Row = dict[str, Any]


def poor(pixels: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Images (n, h, w, 3) as a poor camera has them: grey, at two fifths of their contrast, a little dark, with noise of 10 of 255 levels."""
    grey = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    noise = np.random.default_rng(seed).normal(0.0, 10.0, grey.shape).astype(np.float32)
    return np.repeat((40 + 0.4 * grey + noise).clip(0, 255).round().astype(np.uint8)[..., None], 3, axis=3)


# Lessons beside plain KD ----------------------------------------------------------------------------------------------


class OwnLogits:
    """The student against its own detached logits on the target's images, in `SelfTeaching`'s views; `together`: in one batch with the source's."""

    def __init__(self, shown: SelfTeaching, *, together: bool) -> None:
        self.names: tuple[str, ...] = ("own",)
        self.key = f"own {together} {shown.key}"
        self._shown, self._together = shown, together

    def guests(self, step: int, *, plain: bool) -> Tensor | None:
        """The step's target images, where they go with the source's."""
        return self._shown.guests(step, plain=plain) if self._together else None

    def parts(self, network: nn.Module, images: Tensor, logits: Tensor, *, step: int) -> Tensor:
        """0.3·KL(softmax(own) ‖ softmax(own)), as one loss."""
        if self._together:
            ours = logits[len(logits) - len(self._shown.chosen(step)[0]) :]
        else:
            view = self._shown.guests(step, plain=False)
            ours = network.eval()(view)  # with the running statistics, which stay as they are
            network.train()
        return (OPTIONS.weight * kd(ours, ours.detach(), torch.ones(len(ours)))).reshape(1)

    def follow(self, network: nn.Module) -> None:
        """Nothing moves."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing is remembered."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to take up."""


class Looked:
    """Another lesson, and the largest norm that the gradient of its losses had at the student's weights."""

    def __init__(self, lesson: Beside) -> None:
        self.names, self.key, self.largest = lesson.names, lesson.key, 0.0
        self._lesson = lesson

    def guests(self, step: int, *, plain: bool) -> Tensor | None:
        """The other's."""
        return guests_of(self._lesson, step, plain=plain)

    def parts(self, network: nn.Module, images: Tensor, logits: Tensor, *, step: int) -> Tensor:
        """The other's losses."""
        found = self._lesson.parts(network, images, logits, step=step)
        if step % EVERY == EVERY - 1:
            gradients = torch.autograd.grad(found.sum(), list(network.parameters()), retain_graph=True)
            self.largest = max(self.largest, float(torch.stack([each.norm() for each in gradients]).norm()))
        return found

    def follow(self, network: nn.Module) -> None:
        """As the other."""
        self._lesson.follow(network)

    def state_dict(self) -> dict[str, Any]:
        """The other's, and the largest norm so far."""
        return {"lesson": self._lesson.state_dict(), "largest": self.largest}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where `state_dict` stood."""
        self._lesson.load_state_dict(state["lesson"])
        self.largest = state["largest"]


# Images and runs ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """Source and target, the teacher, and students taught by it."""

    quick: bool

    @functools.cached_property
    def halves(self) -> tuple[Source, Images, Images]:
        """The source with its validation and test images, the target's images to learn from, and its test images."""
        found = source.load(f"npz:{data_file('cifar10.npz')}", validation=0.0)
        order = np.random.default_rng(0).permutation(len(found.train))
        most = FEW if self.quick else len(found.train) // 2
        ours, theirs = found.train.take(np.sort(order[:most])), found.train.take(np.sort(order[-most:]))
        test = found.test.take(np.arange(FEW)) if self.quick else found.test
        held = most // 10
        mine = replace(found, train=ours.take(np.arange(held, most)), valid=ours.take(np.arange(held)), test=test)
        return mine, _seen_poorly(theirs, 1), _seen_poorly(test, 2)

    @functools.cached_property
    def batches(self) -> tuple[Batches, Batches, Batches]:
        """Training and validation images of the source, and the target's."""
        mine, theirs, _ = self.halves
        return Batches(mine.train), Batches(mine.valid), Batches(theirs)

    @functools.cached_property
    def data(self) -> str:
        """A hash of which images are what."""
        mine, theirs, _ = self.halves
        return sha256_json([mine.sha256, len(mine.train), len(theirs), "poor 1"])

    @functools.cached_property
    def teacher(self) -> Network:
        """As it was published."""
        return self.network(TEACHER, str(data_file(WEIGHTS))).eval()

    def network(self, name: str, weights: str | None = None) -> Network:
        """The teacher's or the student's."""
        return build(name, classes=10, shape=(32, 32, 3), weights=weights, preprocess=IMAGENET)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Plain KD."""
        return (Phase(name="kd", epochs=2.0 if self.quick else EPOCHS, temperature=4.0, terms=(Kd(weight=0.9), Label(weight=0.1))),)

    def train(self) -> Train:
        """The settings of all ways."""
        settings = Train(batch=BATCH, views=1 if self.quick else 4, precision="fp32", channels_last=False, compile=False)
        return filled(settings, images=len(self.halves[0].train), shape=(32, 32, 3), flip=True, brought=False)

    def beside(self, way: str, student: Network, seed: int, train: Train) -> Looked | None:
        """What is learnt on the target."""
        if way == "source_only":
            return None
        data, _, target = self.batches
        assert train.augment is not None
        lesson = SelfTeaching(
            student, target, msgspec.structs.replace(OPTIONS, align=way != "ours_unaligned"), content=self.data,
            wanted=class_counts(self.halves[0].train.labels, 10), augment=train.augment, view_seed=train.view_seed, batch=BATCH, seed=seed,
            steps=all_steps(self.phases, len(data), BATCH),
        )  # fmt: skip
        return Looked(OwnLogits(lesson, together=way == "own_together") if way.startswith("own") else lesson)

    def key(self, way: str, seed: int) -> str:
        """Equal for rows that would come out alike."""
        return sha256_json({"way": way, "seed": seed, "data": self.data, "phases": self.phases, "train": self.train(), "options": OPTIONS})[:16]

    def row(self, way: str, seed: int) -> Row:
        """One student, trained, or gone on with, and tested once."""
        train, folder = self.train(), WORK / NAME / ("quick" if self.quick else "runs") / f"{way}-{seed}-{self.key(way, seed)}"
        torch.manual_seed(seed)
        student = self.network(STUDENT)
        beside = self.beside(way, student, seed, train)
        data, valid, _ = self.batches
        training = distill(
            student,
            self.teacher,
            Job(phases=self.phases, train=train, folder=folder, seed=seed, beside=beside),
            data=data,
            data_sha256=self.data,
            valid=valid,
            memory=WORK / NAME / f"memory{'-quick' if self.quick else ''}",
            emit=tell,
        )
        (folder / checkpoint.NAME).unlink(missing_ok=True)
        about: Row = {"way": way, "seed": seed, "epochs": self.phases[0].epochs, "steps": training.steps, **self.scores(student)}
        about["largest_gradient"] = 0.0 if beside is None else float(f"{beside.largest:.3g}")
        return {**about, "seconds": round(training.seconds, 1), "commit": commit(), "key": self.key(way, seed)}

    def scores(self, network: Network) -> Row:
        """Accuracy and macro AUC on source and target, %."""
        mine, _, there = self.halves
        found: Row = {}
        for where, images in (("source", mine.test), ("target", there)):
            told, logits = evaluate(network.predict, images, artifact=network.name, split="test", classes=mine.classes)
            area = macro_auc(logits, images.labels)
            found |= {f"{where}_accuracy": round(100 * told.metrics["accuracy"].value, 3)}
            found |= {f"{where}_auc": None if area is None else round(100 * area.value, 3)}
        return found


def _seen_poorly(images: Images, seed: int) -> Images:
    assert images.pixels is not None
    return replace(images, pixels=poor(images.pixels, seed))


# Figures --------------------------------------------------------------------------------------------------------------


def figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Means over seeds on source and target by way, and what each way gains over source_only, paired by seed, with its interval."""
    found: dict[str, float] = {}
    by = {way: {row["seed"]: row for row in rows if row["way"] == way} for way in ("teacher", *WAYS)}
    for way, seeds in by.items():
        for what in ("source_accuracy", "target_accuracy", "source_auc", "target_auc") if seeds else ():
            found[f"{way}_{what}"] = float(np.mean([row[what] for row in seeds.values()]))
        shared = sorted(set(seeds) & set(by["source_only"])) if way in WAYS[1:] else []
        for where in ("source", "target") if shared else ():
            gaps = [seeds[seed][f"{where}_accuracy"] - by["source_only"][seed][f"{where}_accuracy"] for seed in shared]
            found |= gap(f"{way}_minus_source_only_{where}", gaps)
        if way in WAYS[1:] and seeds:
            found[f"{way}_largest_gradient"] = max(row["largest_gradient"] for row in seeds.values())
    return found


def main() -> None:
    """Every row that is not there yet, seed by seed, as long as the time lasts."""
    parser = pieces(__doc__)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    args = parser.parse_args()
    begun, setting = time.monotonic(), Setting(args.quick)
    rows: dict[tuple[str, int], Row] = {(row["way"], row["seed"]): row for row in ([] if args.quick else saved_rows(NAME))}
    if ("teacher", 0) not in rows:
        rows["teacher", 0] = {"way": "teacher", "seed": 0, **setting.scores(setting.teacher), "seconds": 0.0, "commit": commit()}
    for seed in args.seeds[:1] if args.quick else args.seeds:
        for way in args.ways:
            if rows.get((way, seed), {}).get("key") == setting.key(way, seed) or time.monotonic() - begun > 60 * args.minutes:
                continue
            rows[way, seed] = setting.row(way, seed)
            print(json.dumps(rows[way, seed]), flush=True)
            keep(NAME, figures, rows, quick=args.quick)


if __name__ == "__main__":
    main()

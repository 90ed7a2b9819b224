"""What a student inherits: CIFAR-10, resnet56 → resnet8 by the default two phases, beside the same student by the labels alone and the teacher.

    python -m benchmarks.inherit [--settings clean noisy taught] [--seeds 0 1 2] [--images 1000] [--minutes 110] [--quick]

Agreement with the teacher and calibration on all test images, before and after a temperature fitted on validation images; accuracy on corrupted
images (twelve kinds in four families, five severities) and under one step of FGSM, by a network's own gradient and by the teacher's, on `--images` of
them.

    clean    the labels as they are, and the published resnet56
    noisy    20 % of the training labels flipped, the same teacher, which was taught on clean ones
    taught   20 % flipped, and a resnet32 that was taught on these labels; alone is that of `noisy`

All take the same steps. Nothing is chosen here; last epoch. The published teacher has learnt the validation images too, so that its temperature says
little. Networks and rows are written when they end: a stopped script goes on where it was.
"""

import dataclasses
import functools
import json
import time
from collections.abc import Iterator
from statistics import fmean
from typing import Any

import msgspec
import numpy as np
import torch

from benchmarks.cifar10 import IMAGENET, TEACHER, scaled
from benchmarks.result import WORK, commit, data_file, gap, keep, pieces, saved_rows, tell
from edgekd.data import source
from edgekd.data.batches import Batches
from edgekd.data.noise import flipped
from edgekd.distill import Job, alone, checkpoint, distill, filled, supervised
from edgekd.distill.schedule import steps_per_pass
from edgekd.evaluate import evaluate
from edgekd.evaluate.robustness import STEPS as MOVES
from edgekd.evaluate.robustness import Answers, Exam, answers, examined
from edgekd.files import sha256_json
from edgekd.models.load import Network, build, load_weights, save_weights
from edgekd.phases import TWO_PHASES, Phase, Train
from edgekd.record import How
from edgekd.scores import Inheritance, NetworkRole

STUDENT, TAUGHT = "resnet8", "resnet32"
BATCH = 64
STEPS = {STUDENT: 1400, TAUGHT: 2000}
"""Of `BATCH` images, all phases together."""
NOISE = {"clean": 0.0, "noisy": 0.2, "taught": 0.2}
"""Share of the training labels that is flipped, by setting."""
WAYS = {"clean": ("student", "alone"), "noisy": ("student", "alone"), "taught": ("student",)}
FEW = {"train": 1280, "valid": 200, "test": 200}
"""Images of a smoke test."""
PAIRED = ("accuracy", "corrupted", "kept", "ece", "scaled_ece", "fgsm_4", "transferred_4")
"""What student and alone are compared in, seed by seed."""


@functools.cache
def loaded(quick: bool) -> source.Source:
    """CIFAR-10 with its own labels and a tenth of train held out for validation."""
    found = source.load(f"npz:{data_file('cifar10.npz')}")
    return dataclasses.replace(found, **{split: getattr(found, split).take(np.arange(few)) for split, few in FEW.items()}) if quick else found


class Setting:
    """One way to label the training images, with its teacher."""

    def __init__(self, name: str, *, images: int, quick: bool) -> None:
        self.name, self.quick = name, quick
        self.images = flipped(loaded(quick), NOISE[name])
        self.exam = Exam(self.images.valid, self.images.test, self.images.classes, images=20 if quick else images)
        self.folder = WORK / "inherit" / ("quick" if quick else "runs")
        settings = Train(batch=BATCH, precision="fp32", channels_last=True, compile=False, views=1 if quick else 8)
        self.train = filled(settings, images=len(self.images.train), shape=(32, 32, 3), flip=True, brought=False)

    @functools.cached_property
    def batches(self) -> tuple[Batches, Batches]:
        """Training and validation images, resident."""
        return Batches(self.images.train), Batches(self.images.valid)

    def phases(self, way: str) -> tuple[Phase, ...]:
        """What a way takes, in as many steps as the others of its network."""
        steps = 20 if self.quick else STEPS[TAUGHT if way == "teacher" else STUDENT]
        epochs = steps / steps_per_pass(len(self.images.train), BATCH)
        if way == "teacher":
            return supervised(epochs)
        two = scaled(TWO_PHASES, epochs)
        return two if way == "student" else alone(two)

    @functools.cached_property
    def teacher(self) -> Network:
        """The published one, or one that was taught on these labels."""
        return self.network("teacher", 0)

    @functools.cached_property
    def answers(self) -> Answers:
        """The teacher's, which the others are compared with."""
        return answers(self.exam, self.teacher.predict, name="teacher", network=self.teacher, emit=tell)

    def network(self, way: str, seed: int) -> Network:
        """A network of this setting: brought, as it stands, or taught now."""
        published = way == "teacher" and self.name != "taught"
        model = STUDENT if way != "teacher" else "resnet56" if published else TAUGHT
        torch.manual_seed(seed)
        weights = str(data_file(TEACHER)) if published else None
        network = build(model, classes=10, shape=(32, 32, 3), weights=weights, preprocess=IMAGENET)
        return network.eval() if published else self._learnt(network, way, seed)

    def _learnt(self, network: Network, way: str, seed: int) -> Network:
        folder = self.folder / f"{way}-{seed}-{self.key(way, seed)}"
        file = folder / "weights.safetensors"
        if file.is_file() and not self.quick:
            load_weights(network, file)
            return network.eval()
        hows: dict[str, How] = {"teacher": "taught", "student": "distilled", "alone": "alone"}
        data, valid = self.batches
        distill(
            network,
            self.teacher if way == "student" else None,
            Job(
                phases=self.phases(way),
                train=msgspec.structs.replace(self.train, views=0) if way == "teacher" else self.train,
                folder=folder,
                how=hows[way],
                seed=seed,
            ),
            data=data,
            data_sha256=loaded(self.quick).sha256,  # what a teacher answers depends on no label: both settings read the same memory
            valid=valid,
            memory=self.folder / "memory",
            emit=tell,
        )
        save_weights(network, file)
        (folder / checkpoint.NAME).unlink(missing_ok=True)
        return network

    def key(self, way: str, seed: int) -> str:
        """Equal for networks that were taught alike."""
        whom = self.name if way == "student" else ""
        about = {"way": way, "whom": whom, "phases": self.phases(way), "train": self.train, "seed": seed, "data": self.images.sha256}
        return sha256_json(about)[:16]

    def row(self, way: str, seed: int) -> dict[str, Any]:
        """One network, asked once."""
        begun = time.monotonic()
        network = self.network(way, seed)
        whole, _ = evaluate(network.predict, self.images.test, artifact=way, split="test", classes=self.images.classes)
        roles: dict[str, NetworkRole] = {"teacher": "teacher", "student": "student", "alone": "alone"}
        teacher = None if way == "teacher" else self.answers
        found = examined(self.exam, network.predict, name=way, role=roles[way], network=network, teacher=teacher, emit=tell)
        about = {"setting": self.name, "way": way, "seed": seed, "accuracy": _percent(whole.metrics["accuracy"].value)}
        asked = {"images": len(self.exam.chosen), "seconds": round(time.monotonic() - begun, 1), "commit": commit(), "key": self.key(way, seed)}
        return {**about, **told(found, self.exam), **asked}


def told(found: Inheritance, exam: Exam) -> dict[str, Any]:
    """What was found of a network as it stands in a row; shares in %."""
    kinds = [kind for names in exam.families.values() for kind in names]
    row: dict[str, Any] = {} if found.agreement is None else {"agreement": _percent(found.agreement.value)}
    if found.calibration is not None:
        fit = found.calibration
        row |= {"ece": _percent(fit.ece.value), "scaled_ece": _percent(fit.scaled_ece.value)}
        row |= {"nll": round(fit.nll.value, 4), "scaled_nll": round(fit.scaled_nll.value, 4), "temperature": round(fit.temperature, 3)}
    kept = found.under(kinds) / found.clean.value if found.clean.value else 0.0
    row |= {"clean": _percent(found.clean.value), "corrupted": _percent(found.under(kinds)), "kept": _percent(kept)}
    row |= {family: _percent(found.under(names)) for family, names in exam.families.items()}
    for name, accuracies in (("fgsm", found.fgsm), ("transferred", found.transferred)):
        row |= {f"{name}_{step}": _percent(accuracy) for step, accuracy in zip(MOVES, accuracies, strict=bool(accuracies))}
    return row


def _percent(share: float) -> float:
    return round(100 * share, 3)


# Rows -----------------------------------------------------------------------------------------------------------------

Rows = dict[tuple[str, str, int], dict[str, Any]]


def wanted(name: str, seeds: list[int]) -> list[tuple[str, int]]:
    """Way and seed of every row of a setting."""
    return [("teacher", 0), *((way, seed) for seed in seeds for way in WAYS[name])]


def missing(setting: Setting, seeds: list[int], rows: Rows) -> Iterator[dict[str, Any]]:
    """The rows of a setting that are not there yet, one after another."""
    for way, seed in wanted(setting.name, seeds):
        row = rows.get((setting.name, way, seed), {})
        if (row.get("key"), row.get("images")) != (setting.key(way, seed), len(setting.exam.chosen)):
            yield setting.row(way, seed)


def figures(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Means by setting and way, and what the student has over itself alone, paired by seed, with intervals; `taught` over `noisy`'s alone."""
    by: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
    for row in rows:
        by.setdefault((row["setting"], row["way"]), {})[row["seed"]] = row
    found: dict[str, float] = {}
    for setting in NOISE:
        for way in ("teacher", *WAYS[setting]):
            own = by.get((setting, way), {}).values()
            for key in ("agreement", *PAIRED):
                values = [row[key] for row in own if row.get(key) is not None]
                found |= {f"{setting}_{way}_{key}": fmean(values)} if values else {}
        student, lonely = by.get((setting, "student"), {}), by.get(("noisy" if setting == "taught" else setting, "alone"), {})
        both = sorted(set(student) & set(lonely))
        for key in PAIRED if both else ():
            found |= gap(f"{setting}_student_minus_alone_{key}", [student[seed][key] - lonely[seed][key] for seed in both])
    return found


def main() -> None:
    """Every row that is not there yet, as long as the time lasts."""
    parser = pieces(__doc__)
    parser.add_argument("--settings", nargs="+", default=list(NOISE), choices=list(NOISE))
    parser.add_argument("--images", type=int, default=1000, help="test images that are corrupted and moved")
    args = parser.parse_args()
    begun = time.monotonic()
    rows: Rows = {(row["setting"], row["way"], row["seed"]): row for row in ([] if args.quick else saved_rows("inherit"))}
    for name in args.settings:
        setting = Setting(name, images=args.images, quick=args.quick)
        for row in missing(setting, args.seeds[:1] if args.quick else args.seeds, rows):
            rows[row["setting"], row["way"], row["seed"]] = row
            print(json.dumps(row), flush=True)
            keep("inherit", figures, rows, quick=args.quick)
            if time.monotonic() - begun > 60 * args.minutes:
                return


if __name__ == "__main__":
    main()

"""A long tail: a resnet32 taught on it → resnet8, by labels alone, plain KD, and two phases with the teacher corrected and a balanced last phase.

    python -m benchmarks.longtail [--data cifar10] [--imbalance 100] [--seeds 0 1 2] [--ways two_phase kd alone_balanced alone alone_adjusted]
                                  [--minutes 80] [--quick]

The data set is cut to a long tail of imbalance:1 (1: left whole); a tenth of that is held out for validation and the test images stay as they are,
balanced. The teacher is taught on the same images, once. Two phases are the best of `candidates` by balanced accuracy on the validation images of
seed 10 of a data set at 100:1, and the same at its other imbalances; plain KD is T = 4, 0.9·soft + 0.1·hard, fixed before any run. All ways take the
same steps.

    alone           labels only, by two phases' schedule on all images
    alone_balanced  the same with two phases' balanced subset at the end
    alone_adjusted  the same again, with logits adjusted by class frequencies (Menon et al. 2021): the best that labels do here
    kd              plain KD from the teacher as it is
    two_phase       the teacher's logits without log class frequencies; then T falls on a balanced subset

Last epoch; test images are read once a trained network. Teacher, candidates and rows stand in folders of their own and are written when they end: a
stopped script goes on where it was.
"""

import dataclasses
import functools
import json
import time
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.result import WORK, commit, data_file, gap, keep, pieces, saved_rows, tell
from edgekd.data import source
from edgekd.data.batches import Batches
from edgekd.data.source import class_counts
from edgekd.distill import Job, alone, checkpoint, distill, filled, supervised
from edgekd.distill.schedule import steps_per_pass
from edgekd.evaluate import evaluate, score
from edgekd.evaluate.groups import grouped
from edgekd.files import sha256_json
from edgekd.models.load import Network, build, load_weights, save_weights
from edgekd.phases import Phase, Subset, Temperature, Train
from edgekd.preprocess import Preprocess
from edgekd.record import How
from edgekd.tasks.classify import adjust
from edgekd.terms import Dist, Kd, Label, Term

TEACHER, STUDENT = "resnet32", "resnet8"
BATCH = 64
STEPS = {TEACHER: 2000, STUDENT: 1400}
"""Of `BATCH` images, all phases together: what a core does for all rows of CIFAR-10 at 100:1 in about 80 minutes."""
LAST = 0.15
"""The second phase's share of the steps."""
CHOSEN_AT, CHOSEN_ON = 100, 10
"""The imbalance and the seed that candidates are compared on, for each data set; no way's row has that seed."""
WAYS = ("two_phase", "kd", "alone_balanced", "alone", "alone_adjusted")
FEW = 640
"""Images of each split in a smoke test."""

Soft = tuple[Term, ...]


def two_phases(terms: Soft, epochs: float, *, plain: bool) -> tuple[Phase, ...]:
    """T = 3 on all images; then T falls to 0.5 on the half that is nearest to balanced."""
    falling = Temperature(start=3.0, end=0.5, shape="cosine")
    half = Subset(by="balanced", fraction=0.5)
    return (
        Phase(name="transfer", epochs=(1 - LAST) * epochs, temperature=3.0, terms=terms),
        Phase(name="refine", epochs=LAST * epochs, temperature=falling, terms=terms, subset=half, plain=plain),
    )


def candidates(epochs: float) -> dict[str, tuple[Phase, ...]]:
    """What two phases may be, by name."""
    adjusted = Label(weight=0.1, logit_adjustment=1.0)
    simple: Soft = (Kd(weight=0.9), Label(weight=0.1))
    return {
        "kd, plain images": two_phases(simple, epochs, plain=True),
        "kd, labels adjusted, plain images": two_phases((Kd(weight=0.9), adjusted), epochs, plain=True),
        "kd, labels adjusted": two_phases((Kd(weight=0.9), adjusted), epochs, plain=False),
        "dist, plain images": two_phases((Dist(weight=2.0), Label()), epochs, plain=True),
        "dist, labels adjusted, plain images": two_phases((Dist(weight=2.0), Label(logit_adjustment=1.0)), epochs, plain=True),
        "dist standardised, labels adjusted, plain images": two_phases(
            (Dist(weight=2.0, standardise=True), Label(logit_adjustment=1.0)), epochs, plain=True
        ),
        "kd standardised, labels adjusted, plain images": two_phases((Kd(weight=9.0, standardise=True), adjusted), epochs, plain=True),
    }


def ways(two: tuple[Phase, ...], epochs: float) -> dict[str, tuple[Phase, ...]]:
    """What is compared, each as its phases."""
    labels = alone(two, keep_subsets=True)
    return {
        "two_phase": two,
        "kd": (Phase(name="kd", epochs=epochs, temperature=4.0, terms=(Kd(weight=0.9), Label(weight=0.1))),),
        "alone_balanced": tuple(msgspec.structs.replace(phase, terms=(Label(),)) for phase in labels),
        "alone": tuple(msgspec.structs.replace(phase, terms=(Label(),), subset=None) for phase in labels),
        "alone_adjusted": tuple(msgspec.structs.replace(phase, terms=(Label(logit_adjustment=1.0),)) for phase in labels),
    }


class Setting:
    """One data set at one imbalance: its images, the teacher taught on them, and students taught by it."""

    def __init__(self, data: str, imbalance: int, *, quick: bool) -> None:
        found = source.load(f"npz:{data_file(f'{data}.npz')}", imbalance=imbalance)
        found = few(found) if quick else found
        self.data, self.imbalance, self.images, self.quick = data, imbalance, found, quick
        self.counts = class_counts(found.train.labels, len(found.classes))
        self.groups = grouped(self.counts.tolist(), found.classes) if imbalance > 1 else None
        self.folder = WORK / "longtail" / ("quick" if quick else f"{data}-{imbalance}")
        pixels = found.train.read(np.arange(0, len(found.train), 4)) / 255
        mean, std = (tuple(round(float(v), 4) for v in values) for values in (pixels.mean((0, 1, 2)), pixels.std((0, 1, 2))))
        self.preprocess = Preprocess(mean=mean, std=std)
        settings = Train(batch=BATCH, precision="fp32", channels_last=False, compile=False, views=1 if quick else 8)
        self.train = filled(settings, images=len(found.train), shape=found.train.shape, flip=True, brought=False)

    @functools.cached_property
    def batches(self) -> tuple[Batches, Batches]:
        """Training and validation images, resident."""
        return Batches(self.images.train), Batches(self.images.valid)

    def epochs(self, network: str) -> float:
        """Passes that make the network's number of steps."""
        steps = 20 if self.quick else STEPS[network]
        return steps / steps_per_pass(len(self.images.train), BATCH)

    @functools.cached_property
    def teacher(self) -> Network:
        """Taught on the long tail, or as it stands."""
        phases = supervised(self.epochs(TEACHER))
        train = msgspec.structs.replace(self.train, views=0)
        return self._learnt(TEACHER, phases, train, seed=0, how="taught", corrected=False)

    def student(self, phases: tuple[Phase, ...], seed: int, *, corrected: bool) -> Network:
        """Taught by these phases, or as it stands; `corrected`: the teacher's logits lose the log of its class frequencies."""
        soft = any(phase.soft for phase in phases)
        return self._learnt(STUDENT, phases, self.train, seed=seed, how="distilled" if soft else "alone", corrected=corrected and soft)

    def _learnt(self, model: str, phases: tuple[Phase, ...], train: Train, *, seed: int, how: How, corrected: bool) -> Network:
        torch.manual_seed(seed)
        classes = self.images.classes
        network = build(model, classes=len(classes), shape=self.images.train.shape, preprocess=self.preprocess)
        folder = self.folder / f"{model}-{self.key(phases, train, seed, corrected=corrected)}"
        file = folder / "weights.safetensors"
        if file.is_file() and not self.quick:
            load_weights(network, file)
            return network.eval()
        data, valid = self.batches
        distill(
            network,
            self.teacher if how == "distilled" else None,
            Job(phases=phases, train=train, folder=folder, how=how, seed=seed),
            data=data,
            data_sha256=self.images.sha256,
            valid=valid,
            memory=self.folder / "memory",
            frequencies=self.counts if corrected else None,
            emit=tell,
        )
        save_weights(network, file)
        (folder / checkpoint.NAME).unlink(missing_ok=True)
        return network

    def key(self, phases: tuple[Phase, ...], train: Train, seed: int, *, corrected: bool) -> str:
        """Equal for networks that were taught alike."""
        return sha256_json({"phases": phases, "train": train, "seed": seed, "corrected": corrected, "data": self.images.sha256})[:16]

    def scores(self, network: Network, *splits: Literal["valid", "test"], corrected: bool = False) -> dict[str, float]:
        """Accuracy, balanced accuracy, and recall of head, middle and tail in %, as they stand in a row; `corrected`: of the corrected logits."""
        found: dict[str, float] = {}
        for split in splits:
            images, classes = getattr(self.images, split), self.images.classes
            told, logits = evaluate(network.predict, images, artifact=network.name, split=split, classes=classes, groups=self.groups)
            if corrected:
                moved = adjust(torch.from_numpy(logits), self.counts).numpy()
                told = score(moved, images.labels, artifact=network.name, split=split, classes=classes, groups=self.groups)
            metrics = {name: told.metrics[name] for name in ("accuracy", "balanced_accuracy")} | told.groups
            found |= {f"{split}_{name}": round(100 * metric.value, 3) for name, metric in metrics.items()}
        return found


def few(found: source.Source) -> source.Source:
    """Some images of each split for a smoke test."""
    splits = {split: getattr(found, split) for split in ("train", "valid", "test")}
    return dataclasses.replace(found, **{split: images.take(_some(images.labels)) for split, images in splits.items()})


def _some(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Some of every class: the first of each, then the first of all."""
    first = np.unique(labels, return_index=True)[1]
    rest = np.setdiff1d(np.arange(len(labels)), first)[: FEW - len(first)]
    return np.sort(np.concatenate([first, rest]))


# Rows -----------------------------------------------------------------------------------------------------------------

Row = dict[str, Any]
Rows = dict[tuple[str, int, str, int], Row]


def missing(setting: Setting, seeds: list[int], names: list[str], rows: Rows) -> Iterator[Row]:
    """The rows of a setting that are not there yet, one after another: teacher, candidates, then every way, seed by seed."""
    epochs = setting.epochs(STUDENT)
    about: Row = {"data": setting.data, "imbalance": setting.imbalance}

    def done(way: str, seed: int, key: str) -> bool:
        return rows.get((setting.data, setting.imbalance, way, seed), {}).get("key") == key

    def ended(way: str, seed: int, key: str, begun: float, scores: dict[str, float]) -> Row:
        return {**about, "way": way, "seed": seed, **scores, "seconds": round(time.monotonic() - begun, 1), "commit": commit(), "key": key}

    taught = setting.key(supervised(setting.epochs(TEACHER)), setting.train, 0, corrected=False)
    for way in ("teacher", "teacher_corrected"):
        if not done(way, 0, taught):
            begun = time.monotonic()
            yield ended(way, 0, taught, begun, setting.scores(setting.teacher, "valid", "test", corrected=way != "teacher"))
    offered = candidates(epochs)
    for name, phases in offered.items() if setting.imbalance == CHOSEN_AT else ():
        key = setting.key(phases, setting.train, CHOSEN_ON, corrected=True)
        if not done(name, CHOSEN_ON, key):
            begun = time.monotonic()
            yield ended(name, CHOSEN_ON, key, begun, setting.scores(setting.student(phases, CHOSEN_ON, corrected=True), "valid"))
    two = offered[chosen([row for row in rows.values() if row["way"] in offered], setting.data)]
    for seed in seeds:
        for way in names:
            phases, corrected = ways(two, epochs)[way], way == "two_phase"
            key = setting.key(phases, setting.train, seed, corrected=corrected)
            if not done(way, seed, key):
                begun = time.monotonic()
                yield ended(way, seed, key, begun, setting.scores(setting.student(phases, seed, corrected=corrected), "valid", "test"))


def chosen(rows: list[Row], data: str) -> str:
    """The candidate with the highest balanced accuracy on the validation images of a data set's setting to choose at; of equal ones the first."""
    own = [row for row in rows if (row["data"], row["imbalance"], row["seed"]) == (data, CHOSEN_AT, CHOSEN_ON)]
    if not own:
        where = f"{data} at {CHOSEN_AT}:1"
        raise SystemExit(f"what two phases are is chosen on {where}, and no candidate has a row there yet. Run that first.")
    return str(max(own, key=lambda row: row["valid_balanced_accuracy"])["way"])


def figures(rows: list[Row]) -> dict[str, float]:
    """Balanced accuracies on test images, means over the seeds that all of the first four ways have, and paired differences; those of CIFAR-10 at
    100:1 without a prefix."""
    found: dict[str, float] = {}
    for data, imbalance in sorted({(row["data"], row["imbalance"]) for row in rows}):
        prefix = "" if (data, imbalance) == ("cifar10", 100) else f"{data}_{imbalance}_"
        own = [row for row in rows if (row["data"], row["imbalance"]) == (data, imbalance) and "test_balanced_accuracy" in row]
        by: dict[str, dict[int, float]] = {way: {row["seed"]: row["test_balanced_accuracy"] for row in own if row["way"] == way} for way in WAYS}
        whole = set.intersection(*(set(by[way]) for way in WAYS[:4]))
        teachers = {row["way"]: row["test_balanced_accuracy"] for row in own if row["way"].startswith("teacher")}
        found |= {f"{prefix}{way}": accuracy for way, accuracy in teachers.items()}
        for way in WAYS if whole else ():
            if whole <= set(by[way]):
                found[f"{prefix}{way}"] = float(np.mean([by[way][seed] for seed in whole]))
        for other, them in {**{way: by[way] for way in WAYS[1:]}, **{way: dict.fromkeys(whole, a) for way, a in teachers.items()}}.items():
            if whole and whole <= set(them):
                gaps = [by["two_phase"][seed] - them[seed] for seed in sorted(whole)]
                found |= gap(f"{prefix}two_phase_minus_{other}", gaps)
    return found


def main() -> None:
    """Every row that is not there yet, as long as the time lasts."""
    parser = pieces(__doc__)
    parser.add_argument("--data", nargs="+", default=["cifar10"], choices=["cifar10", "cifar100"])
    parser.add_argument("--imbalance", nargs="+", type=int, default=[100], help="1: balanced, as it is")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    args = parser.parse_args()
    begun = time.monotonic()
    rows: Rows = {(row["data"], row["imbalance"], row["way"], row["seed"]): row for row in ([] if args.quick else saved_rows("longtail"))}
    for data in args.data:
        for imbalance in args.imbalance:
            setting = Setting(data, imbalance, quick=args.quick)
            for row in missing(setting, args.seeds[:1] if args.quick else args.seeds, args.ways, rows):
                rows[row["data"], row["imbalance"], row["way"], row["seed"]] = row
                print(json.dumps(row), flush=True)
                keep("longtail", figures, rows, quick=args.quick)
                if time.monotonic() - begun > 60 * args.minutes:
                    return


if __name__ == "__main__":
    main()

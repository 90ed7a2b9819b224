"""CIFAR-10, resnet56 → resnet8 and resnet20: the student alone, plain KD at T=4 and at T=3, and two phases, by the same steps and seeds.

    python -m benchmarks.cifar10 [--students resnet8 resnet20] [--ways two_phase kd alone kd_t3 kd_plain] [--seeds 0 1 2] [--minutes 100] [--quick]

Plain KD is T=4, 0.9·soft + 0.1·hard on all images, fixed before any run; the second phase was chosen on validation images by `phase2_search.py`.
`alone` sees plain images in its last eighth as two phases do; `kd_plain` is plain KD with that change and no other.
Last epoch; test images are read once per trained student. Goes on where it was stopped.
"""

import dataclasses
import functools
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import torch

from benchmarks.result import ROOT, WORK, commit, data_file, pieces, save, saved_rows, tell
from edgekd import stats
from edgekd.data import source
from edgekd.data.batches import Batches
from edgekd.distill import Job, alone, distill, filled
from edgekd.evaluate import evaluate
from edgekd.events import Emit
from edgekd.files import sha256_json
from edgekd.models.load import Network, build
from edgekd.phases import Phase, Temperature, Train
from edgekd.preprocess import Preprocess
from edgekd.recipe import Recipe
from edgekd.recipefile import read_recipe
from edgekd.record import Training
from edgekd.terms import Kd, Label

TEACHER = "resnet56-4bfd9763.th"
EPOCHS = {"resnet8": 8.0, "resnet20": 2.0}
"""Passes over the 45,000 training images, phases together. Few, as two cores do them; the same for every way."""
WAYS = ("two_phase", "kd", "alone", "kd_t3", "kd_plain")
TERMS = (Kd(weight=0.9), Label(weight=0.1))
IMAGENET = Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""What the teacher was taught with."""
FEW = 1280
"""Images that a smoke test learns from, and looks at."""
MEMORY = WORK / "cifar10" / "memory"
"""The teacher's remembered answers."""


@functools.cache
def images() -> source.Source:
    """CIFAR-10 with a tenth of train held out for validation; in a smoke test few of all."""
    found = source.load(f"npz:{data_file('cifar10.npz')}")
    if "--quick" not in sys.argv:
        return found
    assert found.test is not None
    few = np.arange(FEW)
    return dataclasses.replace(found, train=found.train.take(few), valid=found.valid.take(few), test=found.test.take(few))


@functools.cache
def batches(split: str) -> Batches:
    """A split, resident."""
    return Batches(getattr(images(), split))


@functools.cache
def teacher() -> Network:
    """The brought resnet56."""
    network = build("resnet56", classes=10, shape=(32, 32, 3), weights=str(data_file(TEACHER)), preprocess=IMAGENET)
    return network.eval()


def train_settings(recipe: Recipe) -> Train:
    """The recipe's, with what is open filled in; precision pinned, so that all ways are computed alike."""
    settings = filled(recipe.train, images=len(images().train), shape=(32, 32, 3), flip=True, brought=False)
    return msgspec.structs.replace(settings, precision="bf16", channels_last=True, compile=False)


def scaled(phases: tuple[Phase, ...], epochs: float) -> tuple[Phase, ...]:
    """The phases in the same shares of so many epochs."""
    whole = sum(phase.epochs for phase in phases)
    return tuple(msgspec.structs.replace(phase, epochs=phase.epochs * epochs / whole) for phase in phases)


def ways(recipe: Recipe, epochs: float) -> dict[str, tuple[Phase, ...]]:
    """What is compared, each as its phases."""
    two = scaled(recipe.phase, epochs)

    def plain(temperature: float | Temperature) -> tuple[Phase, ...]:
        return (Phase(name="kd", epochs=epochs, temperature=temperature, terms=TERMS),)

    first, last = (Phase(name=phase.name, epochs=phase.epochs, temperature=4.0, terms=TERMS, plain=phase.plain) for phase in two)
    return {"alone": alone(two), "kd": plain(4.0), "kd_t3": plain(3.0), "kd_plain": (first, last), "two_phase": two}


def settings_key(phases: tuple[Phase, ...], train: Train) -> str:
    """Equal for rows that were trained alike."""
    return sha256_json({"phases": phases, "train": train, "data": images().sha256})


def learnt(
    student: str, phases: tuple[Phase, ...], train: Train, *, seed: int, folder: Path, memory: Path = MEMORY, emit: Emit | None = None
) -> tuple[Network, Training]:
    """A student trained by these phases, going on from a checkpoint where there is one; alone where no phase asks the teacher."""
    torch.manual_seed(seed)
    network = build(student, classes=10, shape=(32, 32, 3), preprocess=IMAGENET)
    soft = any(phase.soft for phase in phases)
    training = distill(
        network,
        teacher() if soft else None,
        Job(phases=phases, train=train, folder=folder, how="distilled" if soft else "alone", seed=seed),
        data=batches("train"),
        data_sha256=images().sha256,
        valid=batches("valid"),
        memory=memory,
        emit=emit or tell,
    )
    return network, training


def scores(network: Network, split: Literal["valid", "test"]) -> dict[str, float]:
    """Accuracy in % and negative log-likelihood in nats on a split, as they stand in a row."""
    scored, logits = evaluate(network.predict, getattr(images(), split), artifact=network.name, split=split, classes=images().classes)
    assert np.isfinite(logits).all()
    return {f"{split}_accuracy": round(100 * scored.metrics["accuracy"].value, 3), f"{split}_nll": round(scored.metrics["nll"].value, 4)}


def run(student: str, way: str, phases: tuple[Phase, ...], seed: int, train: Train, folder: Path, *, quick: bool) -> dict[str, Any]:
    """One student's row: trained, and tested once."""
    memory = WORK / "cifar10" / "quick-memory" if quick else MEMORY
    network, training = learnt(student, phases, train, seed=seed, folder=folder, memory=memory)
    row: dict[str, Any] = {"student": student, "way": way, "seed": seed, "steps": training.steps, "seconds": round(training.seconds, 1)}
    return {**row, **scores(network, "valid"), **scores(network, "test"), "commit": commit(), "key": settings_key(phases, train)}


def figures(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Means and paired differences over the seeds that are complete; resnet20's with its name before them."""
    found: dict[str, float] = {}
    for student in EPOCHS:
        prefix = "" if student == "resnet8" else f"{student}_"
        by = {way: {r["seed"]: r["test_accuracy"] for r in rows if (r["student"], r["way"]) == (student, way)} for way in WAYS}
        whole = set.intersection(*(set(by[way]) for way in ("two_phase", "kd", "alone")))
        by = {way: {seed: seeds[seed] for seed in whole} if whole <= set(seeds) else {} for way, seeds in by.items()}
        for way, seeds in by.items():
            if seeds:
                found[f"{prefix}{way}"] = float(np.mean(list(seeds.values())))
        for other in ("alone", "kd", "kd_t3", "kd_plain"):
            both = sorted(set(by["two_phase"]) & set(by[other]))
            if both:
                gaps = [by["two_phase"][s] - by[other][s] for s in both]
                found[f"{prefix}two_phase_minus_{other}"] = float(np.mean(gaps))
                if len(gaps) > 1:
                    _, low, high = stats.mean_interval(gaps)
                    found[f"{prefix}two_phase_minus_{other}_low"], found[f"{prefix}two_phase_minus_{other}_high"] = low, high
    return found


def keep(rows: Mapping[tuple[str, str, int], dict[str, Any]], top: Mapping[str, float], *, quick: bool) -> None:
    """Write what is known so far, so that a run that is killed loses the student at hand and no other."""
    listed = [rows[what] for what in sorted(rows)]
    save("cifar10", figures={**top, **figures(listed)}, rows=listed, seconds=sum(row["seconds"] for row in listed), quick=quick)


def main() -> None:
    """Every row that is not there yet, seed by seed, as long as the time lasts."""
    parser = pieces(__doc__)
    parser.add_argument("--students", nargs="+", default=list(EPOCHS), choices=list(EPOCHS))
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    args = parser.parse_args()
    begun = time.monotonic()
    recipe = read_recipe(ROOT / "recipes" / "two-phase.toml")
    train = train_settings(recipe)
    scored, _ = evaluate(teacher().predict, images().test, artifact="teacher", split="test", classes=images().classes)
    runs = WORK / "cifar10" / ("quick" if args.quick else "runs")
    top = {"teacher_accuracy": 100 * scored.metrics["accuracy"].value, "validation_images": float(len(images().valid))}
    print(f"teacher {top['teacher_accuracy']:.2f}", flush=True)
    expected = (91.0, 96.0) if args.quick else (93.3, 93.5)
    assert expected[0] <= top["teacher_accuracy"] <= expected[1], "the teacher's images are not prepared as it was taught"
    rows = {(row["student"], row["way"], row["seed"]): row for row in ([] if args.quick else saved_rows("cifar10"))}
    for student in args.students:
        epochs = 0.4 if args.quick else EPOCHS[student]
        settings = msgspec.structs.replace(train, views=1, precision="fp32") if args.quick else train  # bf16 takes minutes on some CPUs
        for seed in args.seeds[:1] if args.quick else args.seeds:
            for way in args.ways:
                phases, what = ways(recipe, epochs)[way], (student, way, seed)
                key = settings_key(phases, settings)
                stands = what in rows and rows[what]["key"] == key
                if stands or time.monotonic() - begun > 60 * args.minutes:
                    continue
                rows[what] = run(student, way, phases, seed, settings, runs / student / way / f"{seed}-{key[:8]}", quick=args.quick)
                print(json.dumps(rows[what]), flush=True)
                keep(rows, top, quick=args.quick)
    keep(rows, top, quick=args.quick)


if __name__ == "__main__":
    main()

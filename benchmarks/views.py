"""How many views of each image must a teacher be remembered on? Accuracy for 1, 2, 4, 8 and 16 views and for a live teacher, at equal steps.

    python -m benchmarks.views [--views 1 2 4 8 16 live] [--seeds 0 1 2] [--minutes 100] [--quick]

Few images often seen, as repeats are what few views could hurt by: the first 10,000 training images of CIFAR-10 in 24 passes, resnet20 (published
weights) → resnet8 by plain KD. Validation images alone are looked at: the table chooses a default. Each row is written when its run ends, and a run
goes on where it was stopped.
"""

import dataclasses
import functools
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.cifar10 import IMAGENET
from benchmarks.result import WORK, commit, data_file, gap, pieces, save, saved_rows, tell
from edgekd.data import source
from edgekd.data.batches import Batches
from edgekd.distill import Job, distill, filled
from edgekd.evaluate import evaluate
from edgekd.models.load import Network, build
from edgekd.phases import Phase, Train
from edgekd.terms import Kd, Label

COUNTS = ("1", "2", "4", "8", "16", "live")
IMAGES, PASSES = 10_000, 24.0
DEFAULT = str(Train().views)


class Setting:
    """The images, few in a smoke test, and the teacher."""

    def __init__(self, *, quick: bool) -> None:
        self.passes, few = (1.0, 512) if quick else (PASSES, IMAGES)
        found = source.load(f"npz:{data_file('cifar10.npz')}")
        valid = found.valid.take(np.arange(256)) if quick else found.valid
        self.images = dataclasses.replace(found, train=found.train.take(np.arange(few)), valid=valid)
        self.folder = WORK / "views" / ("quick" if quick else "runs")

    @functools.cached_property
    def train(self) -> Batches:
        """Resident."""
        return Batches(self.images.train)

    def network(self, name: str, weights: str | None = None) -> Network:
        """By name, at random or with weights."""
        return build(name, classes=10, shape=(32, 32, 3), weights=weights, preprocess=IMAGENET)

    @functools.cached_property
    def teacher(self) -> Network:
        """The published resnet20."""
        return self.network("resnet20", str(data_file("resnet20-12fca82f.th"))).eval()

    def row(self, count: str, seed: int) -> dict[str, Any]:
        """One student on so many views."""
        torch.manual_seed(seed)
        network = self.network("resnet8")
        views = 0 if count == "live" else int(count)
        settings = Train(views=views, precision="fp32", channels_last=True, compile=False)
        phase = Phase(name="kd", epochs=self.passes, temperature=4.0, terms=(Kd(weight=0.9), Label(weight=0.1)))
        begun = time.monotonic()
        training = distill(
            network,
            self.teacher,
            Job(
                phases=(phase,),
                train=filled(settings, images=len(self.images.train), shape=(32, 32, 3), flip=True, brought=False),
                folder=self.folder / f"{count}-{seed}",
                seed=seed,
            ),
            data=self.train,
            data_sha256=self.images.sha256,
            memory=self.folder / "memory",
            emit=tell,
        )
        scored, _ = evaluate(network.predict, self.images.valid, artifact="resnet8", split="valid", classes=self.images.classes)
        accuracy = round(100 * scored.metrics["accuracy"].value, 3)
        seconds = round(time.monotonic() - begun, 1)
        return {"views": count, "seed": seed, "steps": training.steps, "valid_accuracy": accuracy, "seconds": seconds, "commit": commit()}


def figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Means over seeds, and each count's difference to a live teacher, paired by seed."""
    by = {count: {row["seed"]: row["valid_accuracy"] for row in rows if row["views"] == count} for count in COUNTS}
    found = {f"views_{count}": float(np.mean(list(seeds.values()))) for count, seeds in by.items() if seeds}
    for count in COUNTS[:-1]:
        both = sorted(by[count].keys() & by["live"].keys())
        if both:
            found |= gap(f"views_{count}_minus_live", [by[count][seed] - by["live"][seed] for seed in both])
    return {**found, "default_views": float(DEFAULT)}


def main() -> None:
    """Every row that is not there yet, as long as the time lasts."""
    parser = pieces(__doc__)
    parser.add_argument("--views", nargs="+", default=list(COUNTS), choices=COUNTS)
    args = parser.parse_args()
    begun, setting = time.monotonic(), Setting(quick=args.quick)
    rows = [] if args.quick else saved_rows("views")
    for seed in args.seeds[:1] if args.quick else args.seeds:
        for count in args.views:
            there = any((row["views"], row["seed"]) == (count, seed) for row in rows)
            if there or time.monotonic() - begun > 60 * args.minutes:
                continue
            rows.append(setting.row(count, seed))
            print(json.dumps(rows[-1]), flush=True)
            save("views", figures=figures(rows), rows=rows, seconds=sum(row["seconds"] for row in rows), quick=args.quick)


if __name__ == "__main__":
    main()

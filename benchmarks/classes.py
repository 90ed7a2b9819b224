"""From how many classes on does DIST teach better than KL divergence? Two phases with either, on the first 10, 20 and 50 classes of CIFAR-100.

    python -m benchmarks.classes [--classes 10 20 50] [--seeds 0 1] [--minutes 100] [--quick]

methods.json has ten and a hundred classes from two data sets; between them lies a choice that the default has to make. The images of the first n
classes by label, methods.py's teacher with the outputs of these alone, resnet8b, as many steps whatever n is, two phases as the recipe has them by
default and with DIST in place of standardised KD. Validation images alone are looked at: the table chooses a default. Each row is written when its
run ends, and a run goes on where it was stopped.
"""

import copy
import dataclasses
import functools
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.catalogue import METHODS, scaled
from benchmarks.lessons import SETTINGS, Setting, accuracy, taught
from benchmarks.result import WORK, commit, gap, keep, pieces, saved_rows
from edgekd.data import source
from edgekd.data.images import Images
from edgekd.distill.schedule import steps_per_pass
from edgekd.files import sha256_file, sha256_json
from edgekd.models.heads import find_head
from edgekd.models.load import Network
from edgekd.phases import Train

COUNTS = (10, 20, 50)
WAYS = ("two phases", "two phases, dist")
STEPS, BATCH = 1755, 128
"""As many as five passes over CIFAR-100 take."""
Rows = dict[tuple[int, str, int], dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Few(Setting):
    """CIFAR-100 and its teacher as if there were only its first classes."""

    first: int = 10

    @functools.cached_property
    def images(self) -> source.Source:
        """Those of the first classes."""
        whole = super().images

        def some(images: Images) -> Images:
            return images.take(np.flatnonzero(images.labels < self.first))

        sha256 = sha256_json([whole.sha256, self.first])
        train, valid, test = some(whole.train), some(whole.valid), some(whole.test)
        return dataclasses.replace(whole, train=train, valid=valid, test=test, classes=whole.classes[: self.first], sha256=sha256)

    @functools.cached_property
    def master(self) -> Network:
        """The teacher of all classes, with the outputs of these."""
        teacher = copy.deepcopy(SETTINGS[self.data].master)
        found = find_head(teacher.body)
        assert found is not None, "a classifier has a head"
        with torch.no_grad():
            _, head = found
            head.weight = torch.nn.Parameter(head.weight[: self.first].clone())
            assert head.bias is not None
            head.bias = torch.nn.Parameter(head.bias[: self.first].clone())
        teacher.classes = self.first
        return teacher


def setting_of(first: int, *, quick: bool) -> Few:
    """So many classes of CIFAR-100."""
    known = {field.name: getattr(SETTINGS["cifar100"], field.name) for field in dataclasses.fields(Setting)}
    return Few(**{**known, "few": quick}, first=first)


def row(setting: Few, way: str, seed: int, *, quick: bool) -> dict[str, Any]:
    """One student, taught and asked about validation images."""
    epochs = (20 if quick else STEPS) / steps_per_pass(len(setting.images.train), BATCH)
    phases = scaled(METHODS[way][0], epochs)
    train = Train(batch=BATCH, views=1 if quick else 8, precision="bf16", channels_last=True, compile=False)
    key = sha256_json([phases, train, setting.images.sha256, setting.student, sha256_file(setting.file)])[:16]
    place = WORK / "classes" / ("quick" if quick else "runs")
    folder: Path = place / f"{setting.first}-{seed}-{key}"
    begun = time.monotonic()
    network, training = taught(
        setting, setting.student, phases, teacher=setting.master, seed=seed, folder=folder, train=train, how="distilled",
        memory=place / f"memory-{setting.first}",
    )  # fmt: skip
    return {
        "classes": setting.first,
        "way": way,
        "seed": seed,
        "images": len(setting.images.train),
        "steps": training.steps,
        "valid_accuracy": accuracy(setting, network, "valid"),
        "seconds": round(time.monotonic() - begun, 1),
        "commit": commit(),
        "key": key,
    }


def figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """By number of classes: mean accuracies, and what DIST gains, paired by seed."""
    found: dict[str, float] = {}
    for first in sorted({row["classes"] for row in rows}):
        by = {way: {row["seed"]: row["valid_accuracy"] for row in rows if (row["classes"], row["way"]) == (first, way)} for way in WAYS}
        shared = sorted(set(by[WAYS[0]]) & set(by[WAYS[1]]))
        if shared:
            found |= {f"{first}, {way}": float(np.mean([by[way][seed] for seed in shared])) for way in WAYS}
            found |= gap(f"{first}, dist gains", [by[WAYS[1]][seed] - by[WAYS[0]][seed] for seed in shared])
    return found


def main() -> None:
    """Every row that is not there yet, as long as the time lasts."""
    parser = pieces(__doc__, seeds=[0, 1], minutes=100.0)
    parser.add_argument("--classes", nargs="+", type=int, default=list(COUNTS))
    args = parser.parse_args()
    begun = time.monotonic()
    rows: Rows = {(row["classes"], row["way"], row["seed"]): row for row in ([] if args.quick else saved_rows("classes"))}
    for seed in args.seeds[:1] if args.quick else args.seeds:
        for first in args.classes:
            setting = setting_of(first, quick=args.quick)
            for way in WAYS:
                if (first, way, seed) in rows:
                    continue
                if time.monotonic() - begun > 60 * args.minutes:
                    return
                rows[first, way, seed] = row(setting, way, seed, quick=args.quick)
                print(json.dumps(rows[first, way, seed]), flush=True)
                keep("classes", figures, rows, quick=args.quick)


if __name__ == "__main__":
    main()

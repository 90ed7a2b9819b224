"""New classes after old ones: a resnet8 taught five classes of CIFAR-10 learns the other five, and what it keeps of the first depends on how.

    python -m benchmarks.forgetting [--seeds 0 1 2] [--ways fine_tuning lwf_one_head lwf replay lwf_replay joint] [--minutes 110] [--quick]

The old student is taught on the training images of classes 0 to 4, a tenth of them held out. All ways go on from its weights, with five outputs more
at random, by the settings that edgekd takes for a student that goes on, for as many passes over what they see. That labels ask
among the new classes came of this table's first rows, and the weight of `lwf` was chosen on validation images (benchmarks/LOG.md); all else was fixed
before.

    fine_tuning  labels of the new classes' images, and nothing else
    lwf_one_head the old student answers these images, too, and the new one is held to that (Li and Hoiem 2016; T = 2, weight 1); labels among all
    lwf          the same with weight 3, but labels ask among the new classes alone, as edgekd has it without old images
    replay       labels, and a tenth of the old training images shown again with theirs
    lwf_replay   lwf_one_head and replay
    joint        labels of all images, old and new: what there is to reach

Last epoch; test images are read once a trained network: accuracy on those of old, of new and of all classes; `old_among_old` is that on old ones
when only old classes may be answered, which tells a lost class from one that is merely outvoted. `aligned_…` are the same with the new outputs'
weights brought to the mean length of the old ones' after training (Zhao et al. 2020, arXiv:1911.07053, section 3.3), which costs nothing. Rows are
written when they end, and a stopped script goes on where it was.
"""

import copy
import dataclasses
import functools
import json
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.result import WORK, commit, data_file, gap, keep, pieces, saved_rows, tell
from edgekd.data import source
from edgekd.data.batches import Batches
from edgekd.data.images import Images
from edgekd.distill import Job, checkpoint, distill, filled, supervised
from edgekd.distill.keeping import RATE, SHARE, WEIGHT, Keeping, Replay, gentler
from edgekd.distill.subset import Pool, choose
from edgekd.evaluate import evaluate
from edgekd.files import sha256_json
from edgekd.models.heads import find_head, take_over
from edgekd.models.load import Network, build, fingerprint, load_weights, save_weights
from edgekd.phases import Phase, Subset, Train
from edgekd.preprocess import Preprocess
from edgekd.record import How
from edgekd.terms import Label

STUDENT, KNOWN, CLASSES = "resnet8", 5, 10
BATCH = 128
EPOCHS = {"old": 8.0, "new": 5.0}
"""Passes over what is seen: about 30 minutes a seed on one core, all ways together."""
TEMPERATURE, AGAIN = 2.0, 0.1
WEIGHTS = {"lwf_one_head": 1.0, "lwf": WEIGHT[False], "replay": 0.0, "lwf_replay": WEIGHT[True]}
"""Of the old student's answers."""
WAYS = ("fine_tuning", "lwf_one_head", "lwf", "replay", "lwf_replay", "joint")
FEW = 640
"""Images of each split in a smoke test."""
PREPROCESS = Preprocess(mean=(0.4914, 0.4822, 0.4465), std=(0.247, 0.2435, 0.2616))
Row = dict[str, Any]
Rows = dict[tuple[str, int], Row]


class Setting:
    """The images in two halves by class, the old student of each seed, and what went on from it."""

    def __init__(self, *, quick: bool) -> None:
        found = source.load(f"npz:{data_file('cifar10.npz')}")
        if quick:
            few = {split: getattr(found, split).take(np.arange(FEW)) for split in ("train", "valid", "test")}
            found = dataclasses.replace(found, **few)
        self.images, self.quick = found, quick
        self.folder = WORK / "forgetting" / ("quick" if quick else "cifar10")
        self.settings = Train(batch=BATCH, precision="fp32", channels_last=False, compile=False, views=0)

    def epochs(self, which: str) -> float:
        """Passes over what a network sees."""
        return 2.0 if self.quick else EPOCHS[which]

    def phases(self, way: str, which: str) -> tuple[Phase, ...]:
        """How a network learns."""
        phases = supervised(self.epochs(which))
        return phases if way != "lwf" else tuple(msgspec.structs.replace(phase, terms=(Label(among="shown"),)) for phase in phases)

    @functools.cached_property
    def halves(self) -> dict[str, Images]:
        """Training images of old classes, of new ones, and all."""
        train = self.images.train
        return {"old": _of(train, train.labels < KNOWN), "new": _of(train, train.labels >= KNOWN), "all": train}

    def old(self, seed: int) -> Network:
        """Taught the first five classes, or as it stands."""
        torch.manual_seed(seed)
        network = build(STUDENT, classes=KNOWN, shape=(32, 32, 3), preprocess=PREPROCESS)
        return self._learnt(network, self.halves["old"], "old", "old", seed, None, brought=False)

    def went_on(self, way: str, seed: int) -> Network:
        """The old student of a seed, taught on in one of the ways."""
        old = self.old(seed)
        torch.manual_seed(seed)
        network = build(STUDENT, classes=CLASSES, shape=(32, 32, 3), preprocess=PREPROCESS)
        take_over(network.body, old.body, CLASSES)
        images = self.halves["all" if way == "joint" else "new"]
        return self._learnt(network, images, way, "new", seed, self._keeping(way, old, seed), brought=True)

    def _keeping(self, way: str, old: Network, seed: int) -> Keeping | None:
        if way not in WEIGHTS:
            return None
        replay = None
        if "replay" in way:
            images = self.halves["old"]
            again = choose(Subset(by="balanced", fraction=AGAIN), Pool(labels=torch.from_numpy(images.labels), seed=seed))
            shown = Batches(images.take(again.numpy()))
            augment = self._filled(images, brought=True).augment
            assert augment is not None, "the defaults are not filled in"
            replay = Replay(shown, BATCH // SHARE, augment=augment, view_seed=0, seed=seed)
        weight = WEIGHTS[way]
        key = sha256_json({"old": fingerprint(old), "weight": weight, "temperature": TEMPERATURE, "again": 0 if replay is None else AGAIN})
        return Keeping(old, weight=weight, temperature=TEMPERATURE, replay=replay, key=key)

    def _filled(self, images: Images, *, brought: bool) -> Train:
        train = filled(self.settings, images=len(images), shape=images.shape, flip=True, brought=False)
        return gentler(train, None) if brought else train

    def _learnt(self, network: Network, images: Images, way: str, which: str, seed: int, keeping: Keeping | None, *, brought: bool) -> Network:
        train, phases, how = self._filled(images, brought=brought), self.phases(way, which), _how(keeping)
        key = sha256_json({"phases": phases, "train": train, "seed": seed, "keep": None if keeping is None else keeping.key, "images": len(images)})
        folder = self.folder / f"{way}-{seed}-{key[:12]}"
        file = folder / "weights.safetensors"
        if file.is_file() and not self.quick:
            load_weights(network, file)
            return network.eval()
        distill(
            network,
            None,
            Job(phases=phases, train=train, folder=folder, how=how, seed=seed, beside=keeping),
            data=Batches(images),
            data_sha256=self.images.sha256,
            emit=tell,
        )
        save_weights(network, file)
        (folder / checkpoint.NAME).unlink(missing_ok=True)
        return network

    def key(self, way: str, seed: int) -> str:
        """Equal for rows that came about alike."""
        held = {"weight": WEIGHTS.get(way), "temperature": TEMPERATURE, "again": AGAIN}
        about = {"epochs": [self.epochs("old"), self.epochs("new")], "batch": BATCH, **held}
        taught = {"train": self.settings, "rate": RATE, "phases": [self.phases("old", "old"), self.phases(way, "new")]}
        return sha256_json({**about, **taught, "way": way, "seed": seed, "data": self.images.sha256})[:16]

    def scores(self, network: Network) -> dict[str, float]:
        """Accuracy in % on test images of old, of new and of all classes, as the network is and with its new outputs aligned."""
        found = self._told(network, "")
        return found | self._told(aligned(network), "aligned_") if network.classes == CLASSES else found

    def _told(self, network: Network, prefix: str) -> dict[str, float]:
        test = self.images.test
        shown = test if network.classes == CLASSES else _of(test, test.labels < KNOWN)
        names = self.images.classes[: network.classes]
        _, logits = evaluate(network.predict, shown, artifact=network.name, split="test", classes=names)
        right, old = logits.argmax(axis=1) == shown.labels, shown.labels < KNOWN
        found = {"old": right[old], "old_among_old": (logits[:, :KNOWN].argmax(axis=1) == shown.labels)[old]}
        if network.classes == CLASSES:
            found |= {"new": right[~old], "all": right}
        return {f"{prefix}{name}": round(100 * float(hits.mean()), 3) for name, hits in found.items()}


def _of(images: Images, which: NDArray[np.bool_]) -> Images:
    return images.take(np.flatnonzero(which))


def _how(keeping: Keeping | None) -> How:
    return "taught" if keeping is None else "distilled"


def aligned(network: Network) -> Network:
    """A copy whose outputs for new classes have weights of the same mean length as those for old ones."""
    other = copy.deepcopy(network)
    found = find_head(other.body)
    assert found is not None, "a classifier has a head"
    with torch.no_grad():
        weight = found[1].weight
        lengths = weight.flatten(1).norm(dim=1)
        weight[KNOWN:] *= lengths[:KNOWN].mean() / lengths[KNOWN:].mean()
    return other


# Rows -----------------------------------------------------------------------------------------------------------------


def missing(setting: Setting, seeds: list[int], names: list[str], rows: Rows) -> Iterator[Row]:
    """The rows that are not there yet, one after another: the old student and what went on from it, seed by seed."""
    for seed in seeds:
        for way in ("before", *names):
            key = setting.key(way, seed)
            if rows.get((way, seed), {}).get("key") == key:
                continue
            begun = time.monotonic()
            scores = setting.scores(setting.old(seed) if way == "before" else setting.went_on(way, seed))
            yield {"way": way, "seed": seed, **scores, "seconds": round(time.monotonic() - begun, 1), "commit": commit(), "key": key}


def figures(rows: list[Row]) -> dict[str, float]:
    """Accuracies and points forgotten, means over the seeds that all ways have; differences are paired by seed, with their intervals."""
    by: dict[str, dict[int, Row]] = {}
    for row in rows:
        by.setdefault(row["way"], {})[row["seed"]] = row
    ways = [way for way in ("before", *WAYS) if way in by]
    seeds = sorted(set.intersection(*(set(by[way]) for way in ways))) if ways else []
    if not seeds or "before" not in by:
        return {}
    found = {"before_old": _mean([by["before"][seed]["old"] for seed in seeds])}
    for way in ways[1:]:
        for what in ("old", "new", "all", "aligned_all"):
            found[f"{way}_{what}"] = _mean([by[way][seed][what] for seed in seeds])
        found |= gap(f"{way}_forgotten", [by["before"][seed]["old"] - by[way][seed]["old"] for seed in seeds])
    for first, second in (("lwf", "fine_tuning"), ("lwf", "lwf_one_head"), ("lwf_replay", "lwf"), ("lwf_replay", "replay")):
        if first in ways and second in ways:
            found |= gap(f"{first}_minus_{second}", [by[first][seed]["all"] - by[second][seed]["all"] for seed in seeds])
    return found


def _mean(values: list[float]) -> float:
    return float(np.mean(values))


def main() -> None:
    """Every row that is not there yet, as long as the time lasts."""
    parser = pieces(__doc__)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    args = parser.parse_args()
    begun = time.monotonic()
    rows: Rows = {(row["way"], row["seed"]): row for row in ([] if args.quick else saved_rows("forgetting"))}
    setting = Setting(quick=args.quick)
    for row in missing(setting, args.seeds[:1] if args.quick else args.seeds, args.ways, rows):
        rows[row["way"], row["seed"]] = row
        print(json.dumps(row), flush=True)
        keep("forgetting", figures, rows, quick=args.quick)
        if time.monotonic() - begun > 60 * args.minutes:
            return


if __name__ == "__main__":
    main()

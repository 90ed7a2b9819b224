"""What a quantised phase wins back: CIFAR-10, resnet56 → cifar-mobilenet-v2 and resnet8, the int8 file of each against its own fp32 file.

    python -m benchmarks.qat [--students cifar-mobilenet-v2 resnet8] [--seeds 0 1 2] [--minutes 80] [--quick]

The teacher is brought, its answers are remembered. A student learns by the two phases of the default recipe; then, or not, a third and short one on
plain images goes on in the same schedule. All settings were fixed before any run.

    post_training  two phases, and int8 is what calibration makes of them
    longer         a third phase, BatchNorm frozen: the same steps as `quantised`, without rounding
    quantised      the third phase rounds as int8 does

`longer` and `quantised` share a seed's first two phases, bit for bit: they go on from one checkpoint. Every file is calibrated alike, on 512 training
images, by the way of taking ranges that moves the answers to validation images least; no layer is put back to float, whatever it costs. Last epoch;
the test images are read once for each file. A stopped script goes on where it was.
"""

import dataclasses
import functools
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.cifar10 import IMAGENET, TEACHER, scaled
from benchmarks.result import WORK, commit, data_file, gap, keep, pieces, saved_rows, tell
from edgekd.data import source
from edgekd.data.batches import Batches
from edgekd.data.images import Images
from edgekd.device.host import connect
from edgekd.device.predict import open_predict
from edgekd.distill import checkpoint, distill, filled
from edgekd.distill.job import Job
from edgekd.distill.schedule import phase_steps, steps_per_pass
from edgekd.evaluate import evaluate
from edgekd.evaluate.quality import quality
from edgekd.events import Emit, Event, PhaseStarted
from edgekd.export import HeldOut, export
from edgekd.files import sha256_json
from edgekd.models.load import Network, build, load_weights, save_weights
from edgekd.phases import TWO_PHASES, Optimizer, Phase, Train
from edgekd.recipe import Export
from edgekd.record import Artifact

STEPS = {"cifar-mobilenet-v2": (1000, 180), "resnet8": (1000, 180)}
"""Of `BATCH` images: the two phases together, and the third. About an hour of one core for three seeds of both."""
BATCH, IMAGES, VIEWS = 64, 16_000, 3
"""Of the training images, so that a resnet56 answers each view of them in a minute or two."""
WAYS = ("post_training", "longer", "quantised")
NAMES = {"cifar-mobilenet-v2": "", "resnet8": "resnet8_"}
"""What a student's figures begin with: those of the one that int8 hurts more stand without a name."""
LAST = "int8"
FEW = 640
"""Images of each split in a smoke test."""
PARITY, HELD_OUT, CALIBRATION = 64, 2000, 512
"""As `edgekd compress` takes them."""

Row = dict[str, Any]
Rows = dict[tuple[str, str, int], Row]


def ways(epochs: float, more: float) -> dict[str, tuple[Phase, ...]]:
    """What is compared, each as its phases: `epochs` of two phases, and `more` of a third."""
    two = scaled(TWO_PHASES, epochs)
    third = Phase(name=LAST, epochs=more, plain=True, temperature=0.5, terms=two[-1].terms, batchnorm="frozen")
    return {"post_training": two, "longer": (*two, third), "quantised": (*two, msgspec.structs.replace(third, quantised=True))}


class Setting:
    """The images, the teacher, and what students are taught and written by."""

    def __init__(self, *, quick: bool) -> None:
        found = source.load(f"npz:{data_file('cifar10.npz')}")
        assert found.test is not None
        train, valid, test = found.train.take(np.arange(IMAGES)), found.valid, found.test
        if quick:
            train, valid, test = (images.take(np.arange(FEW)) for images in (train, valid, test))
        self.images, self.quick = dataclasses.replace(found, train=train, valid=valid, test=test), quick
        self.test: Images = test
        self.folder = WORK / "qat" / ("quick" if quick else "cifar10")
        settings = Train(batch=BATCH, precision="fp32", channels_last=True, compile=False, views=1 if quick else VIEWS)
        if quick:  # statistics that few steps have left lag behind weights that move fast
            settings = msgspec.structs.replace(settings, optimizer=Optimizer(lr=0.01))
        self.train = filled(settings, images=len(train), shape=train.shape, flip=True, brought=False)

    @functools.cached_property
    def batches(self) -> Batches:
        """Training images, resident."""
        return Batches(self.images.train)

    @functools.cached_property
    def teacher(self) -> Network:
        """The brought resnet56."""
        return build("resnet56", classes=10, shape=(32, 32, 3), weights=str(data_file(TEACHER)), preprocess=IMAGENET).eval()

    def phases(self, student: str) -> dict[str, tuple[Phase, ...]]:
        """Of every way."""
        per_pass = steps_per_pass(len(self.images.train), BATCH)
        steps, more = (20, 5) if self.quick else STEPS[student]
        return ways(steps / per_pass, more / per_pass)

    def key(self, student: str, way: str, seed: int) -> str:
        """Equal for rows that came about alike."""
        phases, settings = self.phases(student)[way], {"calibration": CALIBRATION, "held out": HELD_OUT}
        about = {"student": student, "phases": phases, "train": self.train, "seed": seed, "files": settings, "data": self.images.sha256}
        return sha256_json({**about, "images": len(self.images.train)})[:12]

    # Students ---------------------------------------------------------------------------------------------------------

    def student(self, name: str, way: str, seed: int) -> Network:
        """A student of a way, taught or as it stands."""
        folder = self.folder / f"{name}-{way}-{seed}-{self.key(name, way, seed)}"
        file = folder / "weights.safetensors"
        if file.is_file() and not self.quick:
            network = self._begun(name, seed)
            load_weights(network, file)
            return network.eval()
        if way != "post_training" and not (folder / checkpoint.NAME).exists():
            self._branch(name, way, seed, folder)
        network = self._taught(name, way, seed, folder, tell)
        save_weights(network, file)
        (folder / checkpoint.NAME).unlink(missing_ok=True)
        return network

    def _begun(self, name: str, seed: int) -> Network:
        torch.manual_seed(seed)
        return build(name, classes=10, shape=(32, 32, 3), preprocess=IMAGENET)

    def _taught(self, name: str, way: str, seed: int, folder: Path, emit: Emit) -> Network:
        network, phases = self._begun(name, seed), self.phases(name)[way]
        distill(
            network,
            self.teacher,
            Job(phases=phases, train=self.train, folder=folder, seed=seed),
            data=self.batches,
            data_sha256=self.images.sha256,
            memory=self.folder / "memory",
            emit=emit,
        )
        return network

    def _branch(self, name: str, way: str, seed: int, folder: Path) -> None:
        """Put into a way's folder the checkpoint before the third phase: that of another way of the seed, or of its own once it has come so far."""
        start = self.folder / f"{name}-start-{seed}-{self.key(name, 'quantised', seed)}"
        key = self._job("quantised", name, seed)
        if not (start / "over").exists() or checkpoint.load(start, key=key) is None:

            def emit(event: Event) -> None:
                tell(event)
                if isinstance(event, PhaseStarted) and event.phase == LAST:
                    raise KeyboardInterrupt

            try:
                self._taught(name, "quantised", seed, start, emit)
            except KeyboardInterrupt:
                found = checkpoint.load(start, key=key)
                if found is None or found[0].phase < len(TWO_PHASES):
                    raise  # it was a person's
            (start / "over").touch()
        found = checkpoint.load(start, key=key)
        assert found is not None
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint.save(folder, *found, key=self._job(way, name, seed))

    def _job(self, way: str, name: str, seed: int) -> str:
        return Job(how="distilled", phases=self.phases(name)[way], train=self.train, seed=seed, folder=Path()).key

    # Files ------------------------------------------------------------------------------------------------------------

    def files(self, network: Network, folder: Path) -> list[Artifact]:
        """The student's fp32 and int8 files, every layer of the latter in int8."""
        train, valid = self.images.train, self.images.valid
        held = _spread(len(valid), HELD_OUT)
        return export(
            network,
            folder,
            role="student",
            name=network.name,
            classes=self.images.classes,
            settings=Export(precisions=("fp32", "int8"), calibration_images=CALIBRATION),
            calibration=train.read(_spread(len(train), CALIBRATION)),
            parity=valid.read(_spread(len(valid), PARITY)),
            held_out=HeldOut(valid.read(held), quality(valid.labels[held])),
            max_drop=1.0,
            emit=tell,
        )

    def row(self, name: str, way: str, seed: int) -> Row:
        """A student's row: taught, written, and each file tested once."""
        begun = time.monotonic()
        network = self.student(name, way, seed)
        folder = self.folder / f"files-{name}-{way}-{seed}"
        row: Row = {"student": name, "way": way, "seed": seed, "steps": sum(phase_steps(self.phases(name)[way], len(self.images.train), BATCH))}
        for artifact in self.files(network, folder):
            precision = "int8" if artifact.precision == "int8-cpu" else artifact.precision
            row |= {f"{precision}_accuracy": self._right(artifact, folder), f"{precision}_size": artifact.size}
            if artifact.calibration is not None:
                row["ranges"] = artifact.calibration["method"]
        row["drop"] = round(row["fp32_accuracy"] - row["int8_accuracy"], 3)
        return {**row, "seconds": round(time.monotonic() - begun, 1), "commit": commit(), "key": self.key(name, way, seed)}

    def _right(self, artifact: Artifact, folder: Path) -> float:
        with connect("local") as session, open_predict(session, folder / artifact.path) as answer:
            scored, _ = evaluate(answer, self.test, artifact=artifact.name, split="test", classes=self.images.classes)
        return round(100 * scored.metrics["accuracy"].value, 3)


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """At most so many positions, evenly over all."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def figures(rows: list[Row]) -> dict[str, float]:
    """Means over the seeds that have all ways, in % and points, and differences paired by seed: of int8's accuracy, and of what int8 loses."""
    found: dict[str, float] = {}
    for student, prefix in NAMES.items():
        by = {way: {row["seed"]: row for row in rows if (row["student"], row["way"]) == (student, way)} for way in WAYS}
        whole = sorted(set.intersection(*(set(seeds) for seeds in by.values())))
        if not whole:
            continue
        for way in WAYS:
            for what, name in (("fp32_accuracy", "fp32"), ("int8_accuracy", "int8"), ("drop", "drop_points")):
                found[f"{prefix}{way}_{name}"] = float(np.mean([by[way][seed][what] for seed in whole]))
        for other in ("longer", "post_training"):
            gaps = [by["quantised"][seed]["int8_accuracy"] - by[other][seed]["int8_accuracy"] for seed in whole]
            found |= gap(f"{prefix}quantised_minus_{other}", gaps)
        found |= gap(f"{prefix}won_back_points", [by["longer"][seed]["drop"] - by["quantised"][seed]["drop"] for seed in whole])
    return found


def main() -> None:
    """Every row that is not there yet, seed by seed, as long as the time lasts."""
    parser = pieces(__doc__, minutes=80.0)
    parser.add_argument("--students", nargs="+", default=list(STEPS), choices=list(STEPS))
    args = parser.parse_args()
    begun = time.monotonic()
    setting = Setting(quick=args.quick)
    rows: Rows = {(row["student"], row["way"], row["seed"]): row for row in ([] if args.quick else saved_rows("qat"))}
    for seed in args.seeds[:1] if args.quick else args.seeds:
        for student in args.students:
            for way in WAYS:
                stands = rows.get((student, way, seed), {}).get("key") == setting.key(student, way, seed)
                if stands or time.monotonic() - begun > 60 * args.minutes:
                    continue
                rows[student, way, seed] = setting.row(student, way, seed)
                print(json.dumps(rows[student, way, seed]), flush=True)
                keep("qat", figures, rows, quick=args.quick)


if __name__ == "__main__":
    main()

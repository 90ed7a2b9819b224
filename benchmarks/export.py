"""Every file that edgekd writes, against what else runs a network on a CPU: its size, its answers, its speed in turn with the others.

    python -m benchmarks.export [--networks resnet18 …] [--minutes 100] [--quick]

Five convolutional networks and a vision transformer of torchvision at 224², the CIFAR-10 networks whose published weights are at hand, and the
teacher and a student of benchmarks/methods.py on CIFAR-100. Published weights of the former are not at hand: theirs are random, with BatchNorm
statistics of real images (else they answer the same to every image), and what is shown of their answers is how far they move, as a share of how far
they lie apart from image to image. Each network's files come from `edgekd.export` as a run makes them; beside ONNX Runtime they run in OpenVINO,
and beside them the network itself in PyTorch, as it is and compiled, and what a plain `torch.onnx.export` gives in ONNX Runtime's defaults. One
image at a time on all cores. fp16 is built and answers, and is not timed: no CPU here computes in it.

What a row says holds for its CPU. INT8 is fast where that has 8-bit dot products (`vnni`), and there the goal for it stands; figures of a CPU without
them say so in their name. Rows are written network by network; a stopped script goes on with the next.

    int8_speedup_median     over the five convolutional networks: fp32's latency over int8's, both edgekd's files in ONNX Runtime;
                            `…_by_either`: int8 in ONNX Runtime or OpenVINO, whichever runs it faster, over the same
                            both count a file that parity refused, as with random weights it may be: it takes the same time
    int8_drop_points_max    of the CIFAR networks: the most that int8 loses on the test images
    slower_than_best_max    of all networks: how much slower than the best of all others the file and runtime are that a run names as its faster one
                            where both CPU targets are asked for, as a share (below 0: it is the best); `…_by_onnxruntime`: what the target `cpu`
                            picks, where nobody asks for OpenVINO
"""

import argparse
import copy
import functools
import json
import math
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks import runtimes
from benchmarks.lessons import CIFAR100, IMAGENET, STUDENT, TEACHER
from benchmarks.result import WORK, commit, data_file, keep, saved_rows, tell
from benchmarks.runtimes import EAGER, OPENVINO, ORT, PLAIN, Bout, Floats, Plan, Way
from edgekd import target, units
from edgekd.budget import choose
from edgekd.data import source
from edgekd.device.agent import machine
from edgekd.device.predict import prepare
from edgekd.distill.batchnorm import batchnorms
from edgekd.errors import EdgekdError
from edgekd.evaluate.quality import quality
from edgekd.export import HeldOut, export
from edgekd.export.feed import Feed, open_session
from edgekd.export.int8 import saturates
from edgekd.files import sha256_json
from edgekd.models.load import Network, build, save_weights
from edgekd.recipe import Export, Recipe
from edgekd.record import Artifact
from edgekd.stats import median

CONVOLUTIONAL = ("mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "resnet18", "resnet50")
WEIGHTS = {
    "resnet20": "resnet20-12fca82f.th",
    "resnet32": "resnet32-d509ac18.th",
    "resnet44": "resnet44-014dd654.th",
    "resnet56": "resnet56-4bfd9763.th",
}
"""On CIFAR-10, published."""
OWN = {"resnet56b": TEACHER, "resnet8b": STUDENT}
"""On CIFAR-100, of benchmarks/methods.py."""
REAL = (*WEIGHTS, *OWN)
TEACHERS = ("resnet56", "resnet56b")
"""Of their data sets; the others are students."""
NETWORKS = (*REAL, *CONVOLUTIONAL, "vit_b_16")
SHAPE, SIZE, CLASSES = (32, 32, 3), (224, 224), 1000
"""Of the images at hand; of what the large networks are shown; how many classes they have."""
SHOWN = 16
"""Images that every runtime answers."""
WORTH = 1.2
"""An int8 that gains less than that is said to gain nothing."""

Row = dict[str, Any]
Rows = dict[tuple[str, bool, str, str, str], Row]


# Networks -------------------------------------------------------------------------------------------------------------


class Pictures:
    """A data set's images; few of each split in a smoke test."""

    def __init__(self, name: str = "cifar10", *, quick: bool) -> None:
        found = source.load(f"npz:{data_file(f'{name}.npz')}")
        self.train, self.valid = found.train, found.valid
        self.test = found.test.take(np.arange(256)) if quick else found.test
        self.classes = found.classes
        self.calibration, self.judged, self.settling = (100, 64, 64) if quick else (512, 2000, 512)

    def some(self, split: str, count: int) -> NDArray[np.uint8]:
        """So many of a split, evenly spread."""
        images = getattr(self, split)
        pixels: NDArray[np.uint8] = images.read(np.linspace(0, len(images) - 1, count).round().astype(int))
        return pixels


def network(name: str, pictures: Pictures) -> Network:
    """With its published weights, or with random ones that tell images apart."""
    if name in WEIGHTS:
        return build(name, classes=10, shape=SHAPE, weights=str(data_file(WEIGHTS[name])), preprocess=IMAGENET).eval()
    if name in OWN:
        return build(name, classes=100, shape=SHAPE, weights=str(OWN[name]), preprocess=CIFAR100).eval()
    torch.manual_seed(0)
    found = build(name, classes=CLASSES, shape=SHAPE, preprocess=msgspec.structs.replace(IMAGENET, size=SIZE))
    for module in found.modules():
        if isinstance(module, nn.Linear) and not module.weight.any():  # torchvision's transformers begin with a head that answers 0
            nn.init.trunc_normal_(module.weight, std=0.02)
    settle(found, prepare(pictures.some("train", pictures.settling), found.preprocess))
    return found


def settle(found: Network, images: Floats) -> None:
    """BatchNorm statistics of prepared images (n, c, h, w), the mean over batches of 32."""
    layers = list(batchnorms(found.body))
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    found.eval()
    for layer in layers:
        layer.train()
    with torch.no_grad():
        for batch in torch.split(torch.from_numpy(images), 32) if layers else ():
            found.body(batch)
    found.eval()


def files(name: str, found: Network, pictures: Pictures, folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """edgekd's own by precision, and why one was refused; beside them the weights and a plain export.

    Networks at random answer so much alike that rounding may move their answers further than parity allows. Such a file is timed all the same.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(found, folder / runtimes.WEIGHTS)
    example = torch.zeros(1, 3, *(found.preprocess.size or SHAPE[:2]))
    torch.onnx.export(copy.deepcopy(found.body), (example,), folder / runtimes.PLAIN_FILE, dynamo=True, external_data=False, verbose=False)
    paths: dict[str, Path] = {}
    refused: dict[str, str] = {}
    precisions: list[Literal["fp32", "fp16", "int8"]] = ["fp32", "fp16", "int8"]
    while True:
        try:
            artifacts = exported(name, found, pictures, folder, precisions)
            return paths | {artifact.precision: folder / artifact.path for artifact in artifacts}, refused
        except EdgekdError as error:
            aside = next((file for file in folder.glob("*.onnx.rejected") if file.name in str(error)), None)
            if name in REAL or aside is None:
                raise
            precision = "fp16" if "-fp16.onnx" in aside.name else "int8-cpu"
            precisions.remove("fp16" if precision == "fp16" else "int8")
            refused[precision] = str(error)
            paths[precision] = aside.rename(folder / f"refused-{precision}.onnx")


def exported(name: str, found: Network, pictures: Pictures, folder: Path, precisions: Sequence[Literal["fp32", "fp16", "int8"]]) -> list[Artifact]:
    """As a run exports a network."""
    real = name in REAL
    images = pictures.calibration if real else min(128, pictures.calibration)
    at = np.linspace(0, len(pictures.valid) - 1, pictures.judged if real else SHOWN).round().astype(int)
    return export(
        found,
        folder,
        role=role(name),
        name=name,
        classes=pictures.classes if real else [str(number) for number in range(CLASSES)],
        settings=Export(calibration_images=images, precisions=tuple(precisions)),
        calibration=pictures.some("train", images),
        parity=pictures.some("valid", SHOWN),
        held_out=HeldOut(pictures.valid.read(at), quality(pictures.valid.labels[at]) if real else None),
        max_drop=units.parse_fraction(Recipe().max_drop),
        emit=tell,
    )


def role(name: str) -> Literal["teacher", "student"]:
    """The largest CIFAR network of a data set is the others' teacher."""
    return "teacher" if name in TEACHERS else "student"


# Rows -----------------------------------------------------------------------------------------------------------------


def host() -> Row:
    """The CPU that a row holds for."""
    facts = machine.facts()
    return {"cpu": facts["cpu"], "cores": facts["cores"], "vnni": not saturates()}


def measured(name: str, pictures: Pictures, plan: Plan, folder: Path) -> list[Row]:
    """A network's rows: edgekd's files in ONNX Runtime and OpenVINO, then the others."""
    found = network(name, pictures)
    paths, refused = files(name, found, pictures, folder)
    runs: dict[Way, Path] = {(ORT, precision): path for precision, path in paths.items() if precision != "fp16"}
    runs |= {(OPENVINO, precision): path for (_, precision), path in runs.items()} | {(PLAIN, "fp32"): folder / runtimes.PLAIN_FILE}
    images = prepare(pictures.some("valid", SHOWN), found.preprocess)
    bout = runtimes.compete(folder, runs, images, SHAPE, plan)
    # ONNX Runtime 1.32 crashes on fp16 transformers where it may reorder channels.
    bout.answers[ORT, "fp16"] = Feed().answer(open_session(paths["fp16"], "fp16", layouts=False), images, 1)
    sizes: dict[Way, int] = {way: path.stat().st_size for way, path in runs.items()} | {(ORT, "fp16"): paths["fp16"].stat().st_size}
    rows = compared(bout, sizes, refused)
    for row in rows:
        row |= {"network": name, "role": role(name), "real_weights": name in REAL}
        if row["runtime"] in (ORT, OPENVINO) and row["precision"] in refused:
            row["refused"] = refused[row["precision"]].partition(". ")[0]
        if row["runtime"] == ORT and row["precision"] == "int8-cpu":
            row |= runtimes.left_over(paths["int8-cpu"])
    if name in REAL:
        scored(rows, paths, found, pictures)
    return rows


def compared(bout: Bout, sizes: dict[Way, int], refused: Collection[str] = ()) -> list[Row]:
    """Rows of one network: latency, speed-up over edgekd's fp32 file in ONNX Runtime, how far answers lie from PyTorch's, and who is picked; files
    of precisions that parity `refused` are timed, and are no one's to pick."""
    own, other = picked(bout, refused)
    rows = []
    for way in dict.fromkeys([*bout.answers, *bout.failures]):
        row: Row = {"runtime": way[0], "precision": way[1], **({"size": sizes[way]} if way in sizes else {})}
        if way in bout.answers and (EAGER, "fp32") in bout.answers:
            row["output_error"] = round(error(bout.answers[way], bout.answers[EAGER, "fp32"]), 5)
        if way in bout.samples:
            row |= _named("latency_ms", bout.latency(way), 4) | _named("speedup", bout.ratio((ORT, "fp32"), way), 3)
            if way == (ORT, "int8-cpu"):
                row["gains"] = row["speedup"] >= WORTH
        if way in (own, other):
            rivals = (each for each in bout.samples if each != way and each[1] not in refused)
            best = min(rivals, key=lambda each: median(_all(bout, each)))
            row |= _named("over_best", bout.ratio(way, best), 3) | {"best_other": " ".join(best)}
        row |= {"picked": way == own, "picked_with_openvino": way == other}
        row |= {"failed": bout.failures[way]} if way in bout.failures else {}
        rows.append(row)
    return rows


def picked(bout: Bout, refused: Collection[str] = ()) -> tuple[Way, Way]:
    """What the target `cpu` ships: of edgekd's files that are written at all and lose no more than `max_drop` the fastest, as `compress.timing.ship`
    chooses; and of what it and OpenVINO's target ship the faster, as in `report.words.runtimes`. fp16 is not timed here, and not among them."""
    times = {way: median(_all(bout, way)) for way in bout.samples if way[1] not in refused}

    def shipped(runtime: str) -> Way:
        own = {way[1]: time for way, time in times.items() if way[0] == runtime}
        order = target.load(runtimes.TARGETS[runtime]).precisions
        return runtime, choose.fastest(own, {precision: precision for precision in own}, order)

    own = shipped(ORT)
    both = [own, shipped(OPENVINO)] if any(way[0] == OPENVINO for way in times) else [own]
    return own, min(both, key=times.__getitem__)


def _all(bout: Bout, way: Way) -> list[float]:
    return [sample for launch in bout.samples[way] for block in launch for sample in block]


def _named(name: str, interval: tuple[float, float, float], digits: int) -> Row:
    return {key: round(value, digits) for key, value in zip((name, f"{name}_low", f"{name}_high"), interval, strict=True)}


def error(answers: Floats, before: Floats) -> float:
    """Root mean square of the difference, over that of what `before` (images, classes) differs by from image to image."""
    spread = math.sqrt(float(np.square(before - before.mean(axis=0)).mean()))
    return math.sqrt(float(np.square(answers - before).mean())) / spread


def scored(rows: Sequence[Row], paths: dict[str, Path], found: Network, pictures: Pictures) -> None:
    """Accuracy on the test images, in %, what it loses to fp32's and how often both say the same: of edgekd's files, by ONNX Runtime."""
    test, feed = pictures.test, Feed()
    said: dict[str, NDArray[np.int64]] = {}
    for precision, path in paths.items():
        session = open_session(path, precision, layouts=precision != "fp16")
        batches = np.array_split(np.arange(len(test)), max(1, len(test) // 500))
        said[precision] = np.concatenate([feed.answer(session, prepare(test.read(at), found.preprocess), 64).argmax(axis=1) for at in batches])
    right = {precision: 100 * float((labels == test.labels).mean()) for precision, labels in said.items()}
    for row in rows:
        if row["runtime"] == ORT:
            precision = row["precision"]
            agreement = 100 * float((said[precision] == said["fp32"]).mean())
            row |= {"accuracy": right[precision], "drop_points": right["fp32"] - right[precision], "agreement": agreement}


# Figures --------------------------------------------------------------------------------------------------------------


def figures(rows: list[Row]) -> dict[str, float]:
    """Those of CPUs with 8-bit dot products under the plain name; accuracy and choice are the worst of all CPUs."""
    found: dict[str, float] = {}
    int8 = [row for row in rows if (row["runtime"], row["precision"]) == (ORT, "int8-cpu")]
    for vnni, suffix in ((True, ""), (False, "_without_vnni")):
        gains = {row["network"]: row["speedup"] for row in int8 if row["vnni"] == vnni and "speedup" in row}
        if set(CONVOLUTIONAL) <= set(gains):
            found[f"int8_speedup_median{suffix}"] = median([gains[name] for name in CONVOLUTIONAL])
            either = dict(gains)
            for row in rows:
                if (row["runtime"], row["precision"], row["vnni"]) == (OPENVINO, "int8-cpu", vnni) and "speedup" in row:
                    either[row["network"]] = max(either.get(row["network"], 0.0), row["speedup"])
            found[f"int8_speedup_median_by_either{suffix}"] = median([either[name] for name in CONVOLUTIONAL])
        found |= {f"int8_speedup_{name}{suffix}": gain for name, gain in gains.items()}
    drops = [row["drop_points"] for row in int8 if "drop_points" in row]
    if drops:
        found["int8_drop_points_max"] = max(drops)
    for who, name in (("picked_with_openvino", "slower_than_best_max"), ("picked", "slower_than_best_max_by_onnxruntime")):
        shares = [row["over_best"] - 1 for row in rows if row.get(who)]
        if shares:
            found[name] = max(shares)
    return found


def main() -> None:
    """Every network that is not there yet on this CPU, as long as the time lasts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--minutes", type=float, default=100.0, help="start no new network after so many")
    parser.add_argument("--quick", action="store_true", help="a smoke test: a short bout, few images, results thrown away")
    args = parser.parse_args()
    begun = time.monotonic()
    plan, here = runtimes.QUICK if args.quick else Plan(), host()
    pictures = functools.cache(functools.partial(Pictures, quick=args.quick))
    key = sha256_json({"plan": plan.__dict__, "versions": runtimes.versions(), "compiler": runtimes.compiler() is not None})[:16]
    rows: Rows = {place(row): row for row in ([] if args.quick else saved_rows("export"))}
    for name in args.networks:
        old = [at for at in rows if at[:3] == (here["cpu"], here["vnni"], name)]
        if any(rows[at]["key"] == key for at in old) or time.monotonic() - begun > 60 * args.minutes:
            continue
        started = time.monotonic()
        print(name, flush=True)
        new = measured(name, pictures("cifar100" if name in OWN else "cifar10"), plan, WORK / "export" / ("quick" if args.quick else "files") / name)
        for at in old:
            del rows[at]
        for row in new:
            row |= {**here, "seconds": round((time.monotonic() - started) / len(new), 1), "commit": commit(), "key": key}
            rows[place(row)] = row
            print(json.dumps(row), flush=True)
        keep("export", figures, rows, quick=args.quick)


def place(row: Row) -> tuple[str, bool, str, str, str]:
    """What tells a row apart: results of other CPUs stand beside these."""
    return row["cpu"], row["vnni"], row["network"], row["runtime"], row["precision"]


if __name__ == "__main__":
    main()

"""TensorRT-RTX engines for cards that are not here: how long each takes to build, how large it is beside its ONNX file, what its layers compute in.

    python -m benchmarks.engines [--networks resnet18 …] [--chips 7.5 8.6 8.9 12.0] [--minutes 60] [--quick]

Torchvision's networks at 224² and CIFAR students, each in fp16 and in int8 for TensorRT, for batch 1 alone and for batches from 1 to 8, built by
`edgekd.export.engine` on this CPU. They were never run. Weights are random but for the resnet20's, with BatchNorm statistics of real images; int8 is
calibrated on real images by minmax: neither matters for a size. What the library refuses stands as a row with its words. Rows are written one by one;
a stopped script goes on with the next.

An RTX engine's size is no other library's engine's. It holds the weights as the file has them, kernels as CUDA source that is compiled where it runs
(each of 100 kB or more; few where ready ones will do), and for a lone batch zeros as large as activations. `source_bytes` and `zero_bytes` count what
reads as text, and stretches of zeros.

    …_size_ratio_median, _max   the engine's bytes over the ONNX file's, by precision, for batch 1; `…_ranged_…`: for batches 1 to 8
    …_build_s_median            seconds of the builder itself
    …_engines, …_refused        how many were built, and how many were not
"""

import argparse
import itertools
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import onnx
import torch

from benchmarks.export import CLASSES, CONVOLUTIONAL, SHAPE, SIZE, WEIGHTS, Pictures, settle
from benchmarks.lessons import IMAGENET
from benchmarks.result import WORK, commit, data_file, keep, saved_rows
from edgekd import target
from edgekd.device.predict import prepare
from edgekd.errors import EdgekdError
from edgekd.events import silent
from edgekd.export.engine import Engine, engines
from edgekd.export.feed import Feed
from edgekd.export.fp16 import to_fp16
from edgekd.export.int8 import Quantiser
from edgekd.export.onnx import to_onnx
from edgekd.files import sha256_file, sha256_json, write_atomic
from edgekd.models.load import Network, build
from edgekd.recipe import Export
from edgekd.stats import median
from edgekd.target import Target

SMALL = ("resnet8", "resnet20", "resnet32", "resnet44", "resnet56")
"""Those that see images as they come."""
NETWORKS = (*SMALL, *CONVOLUTIONAL, "vit_b_16")
COUNTED = 2
"""How layers are counted; part of a row's key, so that a change of that makes them anew."""
PRECISIONS = ("fp16", "int8-trt")
CHIPS = ("7.5", "8.6", "8.9", "12.0")
BATCHES = {"1": (1, 1, 1), "1 to 8": (1, 1, 8)}
SHOWN = 32
"""Images for BatchNorm statistics and for calibration."""

Row = dict[str, Any]
Rows = dict[tuple[str, str, str, str], Row]


def card(chip: str) -> Target:
    """A target of that compute capability."""
    return msgspec.structs.replace(target.load("rtx-4090"), name=f"sm{chip.replace('.', '')}", compute_capability=chip)


def network(name: str, pictures: Pictures) -> Network:
    """With its published weights, or with random ones and statistics of real images."""
    torch.manual_seed(0)
    if name in WEIGHTS:
        return build(name, classes=10, shape=SHAPE, weights=str(data_file(WEIGHTS[name])), preprocess=IMAGENET).eval()
    preprocess = IMAGENET if name in SMALL else msgspec.structs.replace(IMAGENET, size=SIZE)
    found = build(name, classes=10 if name in SMALL else CLASSES, shape=SHAPE, preprocess=preprocess)
    settle(found, prepare(pictures.some("train", SHOWN), found.preprocess))
    return found.eval()


def files(name: str, pictures: Pictures, folder: Path) -> dict[str, Path]:
    """A network's ONNX files by precision; those that stand are taken."""
    found = {precision: folder / f"{name}-{precision}.onnx" for precision in PRECISIONS}
    if all(file.is_file() for file in found.values()):
        return found
    own = network(name, pictures)
    images = prepare(pictures.some("train", SHOWN), own.preprocess)
    channels, height, width = images.shape[1:]
    model = to_onnx(own.body, (channels, height, width), opset=Export().opset, batch=None)
    made = {"fp16": to_fp16(model, images[:7], Feed(), name)[0], "int8-trt": Quantiser(model, images, Feed(), name, silent).made("int8-trt")}
    for precision, file in found.items():
        onnx.checker.check_model(made[precision], full_check=True)
        write_atomic(file, made[precision].SerializeToString())
    return found


def missing(names: list[str], chips: list[str], pictures: Pictures, folder: Path, rows: Rows) -> Iterator[Row]:
    """The rows that are not there yet, or were made of other files."""
    for name in names:
        begun = time.monotonic()
        for precision, file in files(name, pictures, folder).items():
            for chip, batch in itertools.product(chips, BATCHES):
                key = sha256_json({"onnx": sha256_file(file), "chip": chip, "batch": batch, "version": version(), "counted": COUNTED})[:16]
                row: Row = {"network": name, "precision": precision, "chip": chip, "batch": batch}
                if rows.get(place(row), {}).get("key") == key:
                    continue
                row |= {"onnx_bytes": file.stat().st_size, **built(file, chip, batch, folder)}
                yield {**row, "seconds": round(time.monotonic() - begun, 1), "commit": commit(), "key": key}
                begun = time.monotonic()


def place(row: Row) -> tuple[str, str, str, str]:
    """What tells a row apart."""
    return row["network"], row["precision"], row["chip"], row["batch"]


def built(file: Path, chip: str, batch: str, folder: Path) -> Row:
    """What became of a file for a chip; its engine is not kept."""
    try:
        (engine,) = engines(file, [card(chip)], folder, batches=BATCHES[batch])
    except EdgekdError as error:
        return {"refused": str(error)[:160]}
    plan = (folder / engine.file).read_bytes()
    for left in folder.glob(f"{engine.file}*"):
        left.unlink()
    return told(engine, plan, file.stat().st_size)


def told(engine: Engine, plan: bytes, size: int) -> Row:
    """An engine's figures beside those of its ONNX file of that size."""
    layers = ", ".join(f"{count} {precision}" for precision, count in sorted(engine.precisions.items()))
    source, zeros = (sum(len(found) for found in re.findall(pattern, plan)) for pattern in (_TEXT, _ZEROS))
    facts = {"engine_bytes": engine.size, "size_ratio": round(engine.size / size, 3), "source_bytes": source, "zero_bytes": zeros}
    return {**facts, "build_s": round(engine.seconds, 2), "layers": layers}


_TEXT, _ZEROS = rb"[\t\n -~]{200,}", rb"\0{4096,}"


def version() -> str:
    """The library's."""
    import tensorrt_rtx

    return str(tensorrt_rtx.__version__)


def figures(rows: list[Row]) -> dict[str, float]:
    """By precision and batch, over all networks and chips."""
    found: dict[str, float] = {}
    for precision, batch in itertools.product(PRECISIONS, BATCHES):
        name = precision.replace("-", "_") + ("" if batch == "1" else "_ranged")
        own = [row for row in rows if (row["precision"], row["batch"]) == (precision, batch)]
        there = [row for row in own if "engine_bytes" in row]
        if own:
            found |= {f"{name}_engines": len(there), f"{name}_refused": len(own) - len(there)}
        if there:
            ratios = [row["size_ratio"] for row in there]
            found |= {f"{name}_size_ratio_median": median(ratios), f"{name}_size_ratio_max": max(ratios)}
            found[f"{name}_build_s_median"] = median([row["build_s"] for row in there])
    return found


def main() -> None:
    """Every row that is not there yet, as long as the time lasts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--chips", nargs="+", default=list(CHIPS), choices=CHIPS)
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no new row after so many")
    parser.add_argument("--quick", action="store_true", help="a smoke test: the smallest network for one card, results thrown away")
    args = parser.parse_args()
    begun = time.monotonic()
    names, chips = (["resnet8"], ["8.9"]) if args.quick else (args.networks, args.chips)
    rows: Rows = {place(row): row for row in ([] if args.quick else saved_rows("engines"))}
    folder = WORK / "engines" / ("quick" if args.quick else "files")
    for row in missing(names, chips, Pictures(quick=args.quick), folder, rows):
        rows[place(row)] = row
        print(json.dumps(row), flush=True)
        keep("engines", figures, rows, quick=args.quick)
        if time.monotonic() - begun > 60 * args.minutes:
            return


if __name__ == "__main__":
    main()

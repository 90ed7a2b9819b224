"""Whose quantiser makes the best int8? ONNX Runtime's as edgekd drives it, OpenVINO's NNCF and NVIDIA's ModelOpt, on networks with real weights.

    python -m benchmarks.quantisers [--networks resnet20 …] [--minutes 60] [--quick]

One fp32 file a network, the same 512 training images for all. edgekd chooses how ranges are taken on validation images and puts no layer back to
float; the others do as they do by default, each in an environment that uv makes for it, as their requirements exclude ours. `cpu` is 8-bit with
floats around it; `trt` is what TensorRT takes, with fp16 around it, and here it is built for an RTX card of SM86. Accuracy is on test images, read
once a file, by ONNX Runtime on this CPU. `speedup` is over the fp32 file's latency there, `speedup_openvino` the same in OpenVINO, which NNCF writes
for; all files of a network take turns in one process. On a CPU without 8-bit dot products (`vnni`) sums of 8-bit products saturate, against which
edgekd keeps weights to 7 bits.

cifar-mobilenet-v2 is the student of seed 0 that benchmarks/qat.py taught; without it there is no row of it.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import runtimes
from benchmarks.engines import built
from benchmarks.export import SHAPE, WEIGHTS, Pictures
from benchmarks.lessons import IMAGENET
from benchmarks.result import ROOT, WORK, commit, data_file, keep, saved_rows, tell
from benchmarks.runtimes import OPENVINO, ORT, Plan, Way
from edgekd.device.agent import machine
from edgekd.device.predict import prepare
from edgekd.export.control import Judge, chosen
from edgekd.export.feed import Feed, open_session
from edgekd.export.int8 import Flavour, Quantiser, saturates
from edgekd.export.onnx import to_onnx
from edgekd.files import write_atomic
from edgekd.models.load import Network, build, load_weights, save_weights
from edgekd.recipe import Export

NETWORKS = ("resnet20", "resnet56", "cifar-mobilenet-v2")
OURS = "edgekd"
ENVIRONMENTS = {"nncf": ("nncf>=3.4,<4", "onnx", "onnxruntime"), "modelopt": ("nvidia-modelopt[onnx]>=0.47,<1",)}
"""What uv installs for each of the others."""
WAYS = ((OURS, "cpu"), ("nncf", "cpu"), ("modelopt", "cpu"), (OURS, "trt"), ("modelopt", "trt"))
FLAVOURS: dict[str, Flavour] = {"cpu": "int8-cpu", "trt": "int8-trt"}
CHIP = "8.6"

Row = dict[str, Any]
Rows = dict[tuple[str, str, str], Row]


def network(name: str) -> Network | None:
    """With real weights; None where those are not there."""
    if name in WEIGHTS:
        return build(name, classes=10, shape=SHAPE, weights=str(data_file(WEIGHTS[name])), preprocess=IMAGENET).eval()
    taught = next(iter(sorted((WORK / "qat" / "cifar10").glob(f"{name}-post_training-0-*/weights.safetensors"))), None)
    if taught is None:
        return None
    found = build(name, classes=10, shape=SHAPE, preprocess=IMAGENET)
    load_weights(found, taught)
    return found.eval()


def ours(what: str, name: str, folder: Path, pictures: Pictures, images: NDArray[np.float32], preprocess: Any) -> dict[str, Any]:
    """edgekd's int8 of a flavour, written; how its ranges were taken."""
    import onnx

    model = onnx.load(folder / "fp32.onnx")
    held = prepare(pictures.some("valid", pictures.judged), preprocess)
    before = Feed().answer(open_session(folder / "fp32.onnx", "fp32"), held, 100)
    flavour = FLAVOURS[what]
    quantiser = Quantiser(model, images, Feed(), name, tell)
    judge = Judge(held, before, None, Feed(), name)
    choice = chosen(quantiser, flavour, judge, max_drop=1.0, reduce_range=flavour == "int8-cpu" and saturates(), emit=tell)
    assert choice is not None
    write_atomic(folder / file_name(OURS, what), choice.model.SerializeToString())
    return {"ranges": choice.method}


def theirs(who: str, what: str, folder: Path) -> dict[str, Any]:
    """Another library's, made in its own environment; its version, or its last word where it failed."""
    command = ["uv", "run", "--no-project", "--isolated", "--python", "3.11"]
    for package in ENVIRONMENTS[who]:
        command += ["--with", package]
    files = [folder / "fp32.onnx", folder / "images.npy", folder / file_name(who, what)]
    command += ["python", str(ROOT / "quantise_elsewhere.py"), who, what, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    last = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()[-1]
    return {"version": last} if done.returncode == 0 else {"failed": last}


def file_name(who: str, what: str) -> str:
    """Of a way's file."""
    return f"{who}-{what}.onnx"


def measured(name: str, own: Network, pictures: Pictures, plan: Plan, folder: Path) -> list[Row]:
    """All rows of a network, fp32's first."""
    folder.mkdir(parents=True, exist_ok=True)
    images = prepare(pictures.some("train", pictures.calibration), own.preprocess)
    np.save(folder / "images.npy", images)
    save_weights(own, folder / runtimes.WEIGHTS)
    write_atomic(folder / "fp32.onnx", to_onnx(own.body, (3, *SHAPE[:2]), opset=Export().opset, batch=None).SerializeToString())
    rows: list[Row] = [{"network": name, "who": OURS, "what": "fp32"}]
    for who, what in WAYS:
        begun = time.monotonic()
        found = ours(what, name, folder, pictures, images, own.preprocess) if who == OURS else theirs(who, what, folder)
        row: Row = {"network": name, "who": who, "what": what, **found, "quantise_s": round(time.monotonic() - begun, 1)}
        rows.append(row)
    files = standing(rows, folder)
    scored(rows, files, pictures, own)
    timed(rows, files, images[:2], plan, folder)
    for row in rows:
        if row["what"] == "trt" and _way(row) in files:
            row |= built(files[_way(row)], CHIP, "1", folder)
    return rows


def standing(rows: Sequence[Row], folder: Path) -> dict[tuple[str, str], Path]:
    """The files of a network that were made."""
    files = {_way(row): folder / ("fp32.onnx" if row["what"] == "fp32" else file_name(*_way(row))) for row in rows}
    return {at: file for at, file in files.items() if file.is_file()}


def timed(rows: Sequence[Row], files: Mapping[tuple[str, str], Path], images: NDArray[np.float32], plan: Plan, folder: Path) -> None:
    """Speed-ups over fp32 of what is for CPUs, in ONNX Runtime and in OpenVINO, each over its own fp32; all take turns in one process."""
    named = {" ".join(at): file for at, file in files.items() if at[1] != "trt"}
    runs: dict[Way, Path] = {(runtime, name): file for runtime in (ORT, OPENVINO) for name, file in named.items()}
    bout = runtimes.compete(folder, runs, images, SHAPE, plan)
    for row in rows:
        for runtime, what in ((ORT, "speedup"), (OPENVINO, "speedup_openvino")):
            way, plain = (runtime, " ".join(_way(row))), (runtime, f"{OURS} fp32")
            if way in bout.samples and plain in bout.samples:
                row[what], row[f"{what}_low"], row[f"{what}_high"] = (round(value, 3) for value in bout.ratio(plain, way))


def again(name: str, rows: Sequence[Row], pictures: Pictures, plan: Plan, folder: Path) -> None:
    """Time once more the files of a network that stand."""
    own = network(name)
    assert own is not None
    timed(rows, standing(rows, folder), prepare(pictures.some("valid", 2), own.preprocess), plan, folder)


def _way(row: Row) -> tuple[str, str]:
    return row["who"], row["what"]


def scored(rows: list[Row], files: Mapping[tuple[str, str], Path], pictures: Pictures, own: Network) -> None:
    """Accuracy on the test images in %, points lost to fp32's, and how often both say the same."""
    test, said = pictures.test, {}
    parts = np.array_split(np.arange(len(test)), max(1, len(test) // 500))
    for at, file in files.items():
        session = open_session(file, " ".join(at), layouts=at[1] != "trt")
        said[at] = np.concatenate([Feed().answer(session, prepare(test.read(some), own.preprocess), 100).argmax(axis=1) for some in parts])
    right = {at: 100 * float((labels == test.labels).mean()) for at, labels in said.items()}
    for row in rows:
        at = _way(row)
        if at in said:
            row |= {"size": files[at].stat().st_size, "accuracy": round(right[at], 2), "drop_points": round(right[OURS, "fp32"] - right[at], 2)}
            row["agreement"] = round(100 * float((said[at] == said[OURS, "fp32"]).mean()), 2)


def figures(rows: list[Row]) -> dict[str, float]:
    """By who and for what: the mean and the most that is lost over the networks, and the mean speed-up."""
    found: dict[str, float] = {}
    for who, what in WAYS:
        own = [row for row in rows if (row["who"], row["what"]) == (who, what) and "drop_points" in row]
        if own:
            drops, gains = [row["drop_points"] for row in own], [row["speedup"] for row in own if "speedup" in row]
            found |= {f"{who}_{what}_drop_points_mean": float(np.mean(drops)), f"{who}_{what}_drop_points_max": max(drops)}
            found |= {f"{who}_{what}_speedup_mean": float(np.mean(gains))} if gains else {}
            gains = [row["speedup_openvino"] for row in own if "speedup_openvino" in row]
            found |= {f"{who}_{what}_speedup_openvino_mean": float(np.mean(gains))} if gains else {}
    return found


def place(row: Row) -> tuple[str, str, str]:
    """What tells a row apart."""
    return row["network"], row["what"], row["who"]


def main() -> None:
    """Every network that has no rows yet, as long as the time lasts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--again", action="store_true", help="time the files that stand once more, and make none")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no new network after so many")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one network, few images, results thrown away")
    args = parser.parse_args()
    begun = time.monotonic()
    pictures, plan = Pictures(quick=args.quick), runtimes.QUICK if args.quick else Plan(compile=False)
    facts = machine.facts()
    rows: Rows = {place(row): row for row in ([] if args.quick else saved_rows("quantisers"))}
    if args.again:
        for name in {at[0] for at in rows} & set(args.networks):
            again(name, [row for at, row in rows.items() if at[0] == name], pictures, plan, WORK / "quantisers" / "files" / name)
            keep("quantisers", figures, rows, quick=False)
        return
    for name in args.networks[: 1 if args.quick else None]:
        own = network(name)
        if own is None or any(at[0] == name for at in rows) or time.monotonic() - begun > 60 * args.minutes:
            continue
        started = time.monotonic()
        new = measured(name, own, pictures, plan, WORK / "quantisers" / ("quick" if args.quick else "files") / name)
        for row in new:
            row |= {"cpu": facts["cpu"], "vnni": not saturates(), "seconds": round((time.monotonic() - started) / len(new), 1), "commit": commit()}
            rows[place(row)] = row
            print(json.dumps(row), flush=True)
        keep("quantisers", figures, rows, quick=args.quick)


if __name__ == "__main__":
    main()

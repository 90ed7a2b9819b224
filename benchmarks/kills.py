"""A run killed by SIGKILL at a random moment and continued ends with the same student, bit for bit, and leaves no half file under a final name.

    python -m benchmarks.kills [--kills 20] [--quick]

One small job (a teacher, two phases, fp32 files, their scores) is run undisturbed, then as often as is asked for in a folder of its own, killed at a
moment drawn evenly over the time that the undisturbed run took, and started again. Precision and memory format are pinned.
After each kill every file with a final name must read whole: weights, checkpoints, ONNX, JSON, remembered answers.
"""

import argparse
import json
import multiprocessing
import random
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import safetensors.torch
import torch

from benchmarks import cifar10
from benchmarks.result import WORK, save
from edgekd.compress import compress
from edgekd.files import sha256_file
from edgekd.phases import TWO_PHASES, Train
from edgekd.recipe import Export, Recipe, Student, Teacher

JOB = Recipe(
    data="digits",
    size=(16, 16),
    teacher=Teacher(model="resnet8"),
    student=(Student(model="resnet8"),),
    train=Train(batch=64, views=2, teacher_epochs=1, precision="fp32", channels_last=False, compile=False, threads=1),
    phase=cifar10.scaled(TWO_PHASES, 3),
    export=Export(precisions=("fp32",)),
    on={},
    checkpoint_s=0.1,
)
"""Checkpoints come ten times a second, so that kills fall between them and not only before the first."""


def start(folder: Path) -> multiprocessing.process.BaseProcess:
    """The job in its folder, in a process of its own: forked, so that not the import of torch is what is killed."""
    process = multiprocessing.get_context("fork").Process(target=compress, args=(JOB,), kwargs={"folder": folder})
    process.start()
    return process


def finish(folder: Path) -> None:
    """Run the job to its end."""
    process = start(folder)
    process.join()
    if process.exitcode:
        raise SystemExit(f"the job failed with {process.exitcode}")


def student(folder: Path) -> str:
    """The hash of the student's weights."""
    (file,) = folder.glob("distill/resnet8-*/weights.safetensors")
    return sha256_file(file)


def broken(folder: Path) -> list[str]:
    """Files under a final name that do not read whole."""
    found = []
    readers: dict[str, Any] = {
        ".safetensors": safetensors.torch.load_file,
        ".pt": lambda file: torch.load(file, weights_only=True),
        ".onnx": lambda file: onnx.checker.check_model(onnx.load(file)),
        ".json": lambda file: json.loads(file.read_text()),
        ".npy": lambda file: np.load(file, allow_pickle=False),
        ".npz": lambda file: dict(np.load(file, allow_pickle=False)),
    }
    for file in folder.rglob("*"):
        if file.is_file() and file.suffix in readers and not file.name.startswith(".part-"):
            try:
                readers[file.suffix](file)
            except Exception as error:
                found.append(f"{file.relative_to(folder)}: {error}")
    return found


def main() -> None:
    """The undisturbed run, then the kills."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="two kills")
    args = parser.parse_args()
    work = WORK / "kills"
    shutil.rmtree(work, ignore_errors=True)
    begun = time.monotonic()
    finish(work / "undisturbed")
    whole = time.monotonic() - begun
    wanted = student(work / "undisturbed")
    draw = random.Random(0)
    rows: list[dict[str, Any]] = []
    wanted_kills = 2 if args.quick else args.kills
    for number in range(3 * wanted_kills):  # a run that ended before its moment came does not count
        if sum(row["alive"] for row in rows) == wanted_kills:
            break
        folder = work / str(number)
        after = draw.uniform(0.05, 0.98) * whole
        process = start(folder)
        time.sleep(after)
        alive = process.is_alive()
        process.kill()
        process.join()
        torn = broken(folder)
        stage = max((f.parent.name for f in folder.rglob("*") if f.is_file()), key=len, default="")
        finish(folder)
        rows.append(
            {
                "kill": number,
                "after_s": round(after, 2),
                "alive": alive,
                "identical": student(folder) == wanted,
                "broken": torn + broken(folder),
                "last": stage,
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    figures = {
        "kills": float(sum(row["alive"] for row in rows)),
        "identical": float(sum(row["identical"] and row["alive"] and not row["broken"] for row in rows)),
        "undisturbed_s": whole,
    }
    print(save("kills", figures=figures, rows=rows, seconds=time.monotonic() - begun, quick=args.quick))


if __name__ == "__main__":
    main()

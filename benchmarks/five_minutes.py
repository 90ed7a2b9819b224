"""A student distilled on CIFAR-10 from resnet56 in five minutes of this machine: its accuracy, beside that of a tutorial's loop in the same time.

    python -m benchmarks.five_minutes [--seeds 0 1 2] [--minutes 5] [--quick]

Both begin with networks and decoded images in memory, take all cores, learn resnet8 by plain KD at T = 4 under a one-cycle learning rate and end when
the time is up. edgekd's five minutes hold the choice of a pace and the filling of the teacher's memory; how many steps then fit is planned from the
first of them, and what the whole took is in the row. The tutorial's rate follows the clock. Last step; test images are read once a student.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import nn

from benchmarks.cifar10 import IMAGENET, images, teacher
from benchmarks.result import WORK, commit, gap, keep, saved_rows
from benchmarks.rivals import SGD, Photos, Tutorial, plain
from edgekd.data.batches import Batches
from edgekd.distill import Job, distill, filled
from edgekd.distill.asking import choose_asking
from edgekd.distill.defaults import paced
from edgekd.distill.pace import Pace
from edgekd.distill.schedule import rate, steps_per_pass
from edgekd.evaluate import evaluate
from edgekd.events import silent
from edgekd.models.folded import folded
from edgekd.models.load import Network, build
from edgekd.phases import Phase, Train
from edgekd.terms import Kd, Label

SIZE = 128
SLACK = 0.95
"""Of the time that is planned for: a step is slower on some days."""
FILLING = 0.4
"""The share of the time that goes into the teacher's memory at most, if one view takes less."""


def student(seed: int) -> Network:
    """resnet8 at random."""
    torch.manual_seed(seed)
    return build("resnet8", classes=10, shape=(32, 32, 3), preprocess=IMAGENET)


def ours(seed: int, seconds: float) -> tuple[Network, dict[str, Any]]:
    """edgekd's student."""
    begun, network, data = time.monotonic(), student(seed), Batches(images().train)
    per_pass = steps_per_pass(len(data), SIZE)
    with tempfile.TemporaryDirectory(dir=WORK) as name:
        folder = Path(name)
        settings = filled(Train(batch=SIZE, compile=False), images=len(data), shape=(32, 32, 3), flip=True, brought=False)
        settings = paced(settings, network, data, folder, steps=20 * per_pass, emit=silent)
        step = min(chosen_pace(folder).seconds.values())
        view = one_view(data, bf16=settings.precision == "bf16")
        views = max(1, int(FILLING * seconds / view))
        left = SLACK * seconds - (time.monotonic() - begun) - views * view
        passes = max(0.1, left / (step * per_pass))
        views = max(1, min(views, int(passes)))
        phase = Phase(name="kd", epochs=passes, temperature=4.0, terms=(Kd(weight=0.9), Label(weight=0.1)))
        settings = msgspec.structs.replace(settings, views=views)
        training = distill(
            network, teacher(), Job(phases=(phase,), train=settings, folder=folder, seed=seed), data=data, data_sha256=images().sha256, emit=silent
        )
    return network, {"steps": training.steps, "views": views, "took_s": round(time.monotonic() - begun, 1)}


def chosen_pace(folder: Path) -> Pace:
    """What `paced` wrote down."""
    return msgspec.json.decode((folder / "pace.json").read_bytes(), type=Pace)


def one_view(data: Batches, *, bf16: bool) -> float:
    """Seconds that the teacher needs for all images once, asked as a run asks it."""
    return len(data) * min(choose_asking(folded(teacher(), silent), data.plain(torch.arange(min(SIZE, len(data))))[0], bf16=bf16).seconds.values())


def tutorials(seed: int, seconds: float) -> tuple[Network, dict[str, Any]]:
    """The tutorial's student."""
    begun, network = time.monotonic(), student(seed)
    train = images().train
    photos = Photos(train.read(np.arange(len(train))), train.labels, IMAGENET)
    lesson, steps = Tutorial(bare(network), plain(bare(teacher())), photos, SIZE), 0
    while (passed := time.monotonic() - begun) < seconds:
        lesson.optimizer.param_groups[0]["lr"] = SGD["lr"] * rate("one-cycle", int(1000 * passed), int(1000 * seconds))
        lesson.learn(1)
        steps += 1
    return network.eval(), {"steps": steps, "took_s": round(time.monotonic() - begun, 1)}


def bare(network: Network) -> nn.Module:
    """A network without its Preprocess, which the tutorial's images have had already."""
    return network.body


def figures(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Mean accuracies, and edgekd's minus the tutorial's, paired by seed."""
    by = {who: {row["seed"]: row["test_accuracy"] for row in rows if row["who"] == who} for who in ("edgekd", "tutorial")}
    found = {f"{who}_accuracy": float(np.mean(list(seeds.values()))) for who, seeds in by.items() if seeds}
    both = sorted(by["edgekd"].keys() & by["tutorial"].keys())
    return {**found, **(gap("edgekd_minus_tutorial", [by["edgekd"][seed] - by["tutorial"][seed] for seed in both]) if both else {})}


def main() -> None:
    """Every row that is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--quick", action="store_true", help="a smoke test: some seconds on few images, results thrown away")
    args = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    seconds = 20.0 if args.quick else 60 * args.minutes
    rows = {} if args.quick else {(row["who"], row["seed"]): row for row in saved_rows("five_minutes")}
    for seed in args.seeds[:1] if args.quick else args.seeds:
        for who, teach in (("edgekd", ours), ("tutorial", tutorials)):
            if (who, seed) in rows:
                continue
            network, told = teach(seed, seconds)
            scored, _ = evaluate(network.predict, images().test, artifact=who, split="test", classes=images().classes)
            accuracy = round(100 * scored.metrics["accuracy"].value, 3)
            rows[who, seed] = {"who": who, "seed": seed, "test_accuracy": accuracy, **told, "seconds": told["took_s"], "commit": commit()}
            print(json.dumps(rows[who, seed]), flush=True)
            keep("five_minutes", figures, rows, quick=args.quick)


if __name__ == "__main__":
    main()

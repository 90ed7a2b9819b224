"""What still lacks figures from a GPU: CIFAR-100 in as many epochs as the literature's protocol has, training steps, and latency under CUDA.

    python -m benchmarks.gpu [--minutes 9] [--at-once 4] [--seeds 0 1 2] [--pairs resnet20b …] [--work DIR] [--quick]

First, a minute: images/s of each student's training step alone, with its teacher live and with answers that are there, in turn; and the latency of
teacher and student by torch. Then networks are taught, each in a process of its own, so many at once: teachers, then their students, the pairs in
the order of `PAIRS`, one seed of each before the next. As in the protocol: 240 epochs of batch 64, its rates and weight decay, random crop and flip,
all of train, last epoch. Of our own: one cycle of the rate, with Nesterov's momentum, in place of a tenth after epochs 150, 180 and 210; teachers
and students see plain images in the last eighth. Transformers learn by AdamW. Settings were fixed before any run. When the time is up all are stopped
at a checkpoint below --work, and the same command goes on from there; teachers of at most `KEPT_BYTES` also stay beside the results, and are not
taught again.

Writes results/cifar100.json and results/gpu.json. What is wanted and has no result yet stands as "not run".
"""

import argparse
import dataclasses
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.catalogue import METHODS, scaled
from benchmarks.lessons import CIFAR100
from benchmarks.result import RESULTS, WORK, commit, data_file, save, saved_rows, tell
from edgekd.data import source
from edgekd.data.batches import Batches
from edgekd.distill import Job, distill, supervised
from edgekd.evaluate import evaluate
from edgekd.files import write_atomic
from edgekd.models.load import Network, build, load_weights, save_weights
from edgekd.phases import Augment, Optimizer, Train

EPOCHS, BATCH = 240.0, 64
METHOD = "two phases, dist"
"""Of benchmarks/catalogue.py, for every pair: what a recipe of as many classes has by default."""
SLOWER = ("cifar-mobilenet-v2", "cifar-shufflenet-v2")
"""Networks that the protocol gives a peak rate of 0.01 in place of 0.05."""
TRANSFORMER = Optimizer(name="adamw", lr=5e-4, weight_decay=0.05)
"""As DeiT's, at a smaller batch (Touvron et al. 2021)."""
REPEATS, STEPS = 200, 30
"""Timed inferences of a network, and timed training steps of each kind."""
CHECKPOINT_S = 60.0
WEIGHTS, ROW = "weights.safetensors", "row.json"
NOT_RUN = "not run"
KEPT_BYTES = 8_000_000


@dataclass(frozen=True)
class Pair:
    """A teacher and its student."""

    teacher: str
    student: str


PAIRS = (
    Pair("resnet56b", "resnet20b"),
    Pair("resnet32x4", "resnet8x4"),
    Pair("wrn-40-2", "wrn-16-2"),
    Pair("cifar-vgg13", "cifar-mobilenet-v2"),
    Pair("resnet32x4", "cifar-shufflenet-v2"),
    Pair("resnet56b", "cifar-deit-ti"),
)


@dataclass(frozen=True)
class Item:
    """A network to be taught: a teacher (seed 0), or a student by its teacher."""

    network: str
    teacher: str | None
    seed: int

    @property
    def folder(self) -> str:
        """Where it lies below the working folder."""
        return f"{self.network}-{self.seed}" if self.teacher is None else f"{self.network}-by-{self.teacher}-{self.seed}"


def items(pairs: Sequence[Pair], seeds: Sequence[int]) -> Iterator[Item]:
    """Everything in the order in which it is wanted: a seed of each pair, each teacher before its first student."""
    taught: set[str] = set()
    for seed in seeds:
        for pair in pairs:
            if pair.teacher not in taught:
                taught.add(pair.teacher)
                yield Item(pair.teacher, None, 0)
            yield Item(pair.student, pair.teacher, seed)


# Teaching -------------------------------------------------------------------------------------------------------------


def network_of(name: str, device: str = "cpu") -> Network:
    """At random."""
    return build(name, classes=100, shape=(32, 32, 3), preprocess=CIFAR100).to(device)


def images_of(*, quick: bool) -> source.Source:
    """All of CIFAR-100's train, nothing held out: the settings are fixed."""
    found = source.load(f"npz:{data_file('cifar100.npz')}", validation=0.0)
    few = np.arange(640)
    return dataclasses.replace(found, train=found.train.take(few), test=found.test.take(few)) if quick else found


def train_of(name: str) -> Train:
    """The protocol's batch, rates and views; the teacher answers live, as every pass shows new views."""
    optimizer = TRANSFORMER if "deit" in name else Optimizer(lr=0.01 if name in SLOWER else 0.05)
    cuda = torch.cuda.is_available()
    return Train(batch=BATCH, optimizer=optimizer, augment=Augment(crop=4, flip=True), views=0, precision="fp32", channels_last=cuda, compile=False)


def taught(item: Item, work: Path, *, quick: bool) -> dict[str, Any]:
    """Teach a network, going on from its checkpoint, and test it once: its row."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    images, folder = images_of(quick=quick), work / item.folder
    torch.manual_seed(item.seed)
    network, teacher = network_of(item.network), None
    if item.teacher is not None:
        teacher = network_of(item.teacher, device)
        load_weights(teacher, work / Item(item.teacher, None, 0).folder / WEIGHTS)
    epochs = 0.2 if quick else EPOCHS
    phases = supervised(epochs) if teacher is None else scaled(METHODS[METHOD][0], epochs)
    training = distill(
        network,
        teacher,
        Job(
            phases=phases,
            train=train_of(item.network),
            folder=folder,
            how="taught" if teacher is None else "distilled",
            seed=item.seed,
            checkpoint_s=CHECKPOINT_S,
        ),
        data=Batches(images.train, device=device),
        data_sha256=images.sha256,
        emit=tell,
    )
    scored, _ = evaluate(network.predict, images.test, artifact=network.name, split="test", classes=images.classes)
    save_weights(network.cpu(), folder / WEIGHTS, half=True)
    if item.teacher is None and not quick and (folder / WEIGHTS).stat().st_size <= KEPT_BYTES:
        shutil.copyfile(folder / WEIGHTS, kept(item))
    return {
        "network": item.network,
        "teacher": item.teacher or "",
        "method": METHOD if item.teacher else "labels",
        "seed": item.seed,
        "epochs": epochs,
        "steps": training.steps,
        "seconds": round(training.seconds, 1),
        "test_accuracy": round(100 * scored.metrics["accuracy"].value, 3),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "commit": commit(),
    }


def kept(teacher: Item) -> Path:
    """Where a teacher's weights stay when the machine that taught it is gone."""
    return RESULTS / f"cifar100-{teacher.network}.safetensors"


def restore(wanted: Sequence[Item], work: Path) -> None:
    """Put teachers that an earlier machine taught where their students look for them."""
    rows = {row["network"]: row for row in saved_rows("cifar100") if not row["teacher"] and row["test_accuracy"] != NOT_RUN}
    for item in wanted:
        folder = work / item.folder
        if item.teacher is None and item.network in rows and kept(item).is_file() and not (folder / ROW).is_file():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(kept(item), folder / WEIGHTS)
            write_atomic(folder / ROW, json.dumps(rows[item.network]))


def row_of(item: Item, work: Path) -> dict[str, Any]:
    """What became of a network; where nothing did, that it was not run."""
    file = work / item.folder / ROW
    if file.is_file():
        return dict(json.loads(file.read_text()))
    wanted = item.network, item.teacher or "", item.seed
    before = (row for row in saved_rows("cifar100") if (row["network"], row["teacher"], row["seed"]) == wanted)
    return next(before, {"network": item.network, "teacher": item.teacher or "", "seed": item.seed, "test_accuracy": NOT_RUN, "seconds": 0.0})


def begun(item: Item, work: Path, *, quick: bool) -> subprocess.Popen[bytes]:
    """The process that teaches a network."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--work", str(work), "--item", json.dumps([item.network, item.teacher, item.seed])]
    (work / item.folder).mkdir(parents=True, exist_ok=True)
    with (work / item.folder / "log.txt").open("ab") as log:
        return subprocess.Popen([*command, *(["--quick"] if quick else [])], stdout=log, stderr=subprocess.STDOUT)


def teach_all(wanted: Sequence[Item], work: Path, *, at_once: int, until: float, quick: bool) -> None:
    """So many at once, each when its teacher stands, until the time (of time.monotonic) is up; then all stop at a checkpoint.

    Raises:
        SystemExit: one failed; the end of its log is shown.
    """
    left = [item for item in wanted if not (work / item.folder / ROW).is_file()]
    running: dict[Item, subprocess.Popen[bytes]] = {}
    try:
        while (left or running) and time.monotonic() < until:
            for item in [item for item, process in running.items() if process.poll() is not None]:
                if running.pop(item).returncode:
                    raise SystemExit(f"{item.folder} failed:\n" + (work / item.folder / "log.txt").read_text()[-2000:])
            for item in list(left):
                stands = item.teacher is None or (work / Item(item.teacher, None, 0).folder / ROW).is_file()
                if stands and len(running) < at_once:
                    left.remove(item)
                    running[item] = begun(item, work, quick=quick)
            time.sleep(0.2 if quick else 1.0)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()


def figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Mean accuracy of each student that stands (of ShuffleNet and MobileNet by name), and of each teacher."""
    by: dict[str, list[float]] = {}
    for row in rows:
        if row["test_accuracy"] == NOT_RUN:
            continue
        by.setdefault(row["network"] if row["teacher"] else f"{row['network']}, teacher", []).append(row["test_accuracy"])
    return {name: float(np.mean(found)) for name, found in by.items()}


# Times ----------------------------------------------------------------------------------------------------------------


def waited() -> None:
    """Until the GPU is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def latency(network: Network, batch: int, half: bool, repeats: int) -> float:
    """Median of a forward pass with everything on the device, ms."""
    images = torch.rand(batch, 3, 32, 32, device=network.mean.device)
    samples = []
    with torch.inference_mode(), torch.autocast(images.device.type, dtype=torch.float16, enabled=half):
        for _ in range(repeats + 10):
            waited()
            before = time.perf_counter()
            network(images)
            waited()
            samples.append(1e3 * (time.perf_counter() - before))
    return float(np.median(samples[10:]))


def steppers(pair: Pair, device: str) -> dict[str, Callable[[], None]]:
    """One training step of the student: by labels, with the teacher asked in it, and with its answers there."""
    network, teacher = network_of(pair.student, device).train(), network_of(pair.teacher, device).eval()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    images, labels = torch.rand(BATCH, 3, 32, 32, device=device), torch.randint(0, 100, (BATCH,), device=device)
    with torch.no_grad():
        answers = teacher(images)

    def step(target: Callable[[], torch.Tensor] | None) -> None:
        logits = network(images)
        loss = functional.cross_entropy(logits, labels)
        if target is not None:
            loss = loss + functional.kl_div(logits.log_softmax(1), target().log_softmax(1), log_target=True, reduction="batchmean")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def asked() -> torch.Tensor:
        with torch.no_grad():
            return teacher(images)  # type: ignore[no-any-return]

    return {"alone": lambda: step(None), "live": lambda: step(asked), "remembered": lambda: step(lambda: answers)}


def paces(pair: Pair, device: str, *, quick: bool) -> dict[str, Any]:
    """Images/s of each kind of step, the kinds in turn, the median of rounds."""
    kinds, rounds, steps = steppers(pair, device), 2 if quick else 5, 2 if quick else STEPS
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds + 1):
        for kind, step in kinds.items():
            waited()
            before = time.perf_counter()
            for _ in range(steps):
                step()
            waited()
            seconds[kind].append((time.perf_counter() - before) / steps)
    return {f"{kind}_images_s": round(BATCH / float(np.median(found[1:])), 1) for kind, found in seconds.items()}


def times(pairs: Sequence[Pair], *, quick: bool) -> list[dict[str, Any]]:
    """A row for each pair: training steps, and latencies of both networks."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    rows = []
    for pair in pairs:
        row: dict[str, Any] = {"teacher": pair.teacher, "student": pair.student, "device": name, **paces(pair, device, quick=quick)}
        for role, network in (("teacher", pair.teacher), ("student", pair.student)):
            for batch in (1,) if quick else (1, 128):
                for half in (False, True) if device == "cuda" else (False,):
                    found = latency(network_of(network, device).eval(), batch, half, 3 if quick else REPEATS)
                    row[f"{role}_{'fp16' if half else 'fp32'}_batch{batch}_ms"] = round(found, 4)
        rows.append({**row, "commit": commit()})
    return rows


# ----------------------------------------------------------------------------------------------------------------------


def main() -> None:
    """Times first, where none stand; then what is not taught yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9.0, help="stop at a checkpoint after so many")
    parser.add_argument("--at-once", type=int, default=4, help="so many networks learn beside each other")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--pairs", nargs="+", default=[pair.student for pair in PAIRS], choices=[pair.student for pair in PAIRS])
    parser.add_argument("--work", type=Path, help="where checkpoints lie  [default: work/gpu]")
    parser.add_argument("--item", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="a smoke test on any device: a few steps, results thrown away")
    args = parser.parse_args()
    work: Path = args.work or WORK / ("gpu-quick" if args.quick else "gpu")
    if args.item is not None:
        item = Item(*json.loads(args.item))
        write_atomic(work / item.folder / ROW, json.dumps(taught(item, work, quick=args.quick)))
        return
    if not (args.quick or torch.cuda.is_available()):
        raise SystemExit("these figures need a GPU, and torch sees none. --quick tries the script on the CPU.")
    until = time.monotonic() + 60 * args.minutes
    pairs = [pair for pair in PAIRS if pair.student in args.pairs]
    if args.quick or not saved_rows("gpu"):
        rows = times(pairs, quick=args.quick)
        save("gpu", figures={"pairs": float(len(rows))}, rows=rows, seconds=0.0, quick=args.quick)
    wanted = list(items(pairs, args.seeds))
    if not args.quick:
        restore(wanted, work)
    teach_all(wanted, work, at_once=args.at_once, until=until, quick=args.quick)
    rows = [row_of(item, work) for item in items(PAIRS, args.seeds)]
    if any(row["test_accuracy"] != NOT_RUN for row in rows):
        save("cifar100", figures=figures(rows), rows=rows, seconds=sum(row["seconds"] for row in rows), quick=args.quick)


if __name__ == "__main__":
    main()
